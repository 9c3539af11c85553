/*
 * frame - one look at a run's progress, as lines of text: for the live area and for a pipe.
 *
 * A meter remembers what an earlier look saw, for rates. Composing reads relaxed atomics only and
 * never waits.
 *
 * OWNER	frame_done() frees the meters of the lines.
 * THREADS	one.
 */
#ifndef CLI_FRAME_H
#define CLI_FRAME_H

#include "common/text.h"
#include "transfer/progress.h"

#include <jansson.h>

struct meter {
	uint64_t last, last_ms;
	double rate; /* per second, smoothed */
};

struct frame {
	const struct progress *progress;
	const char *title; /* the run's name */
	const char *now;   /* what is being done, or NULL: set before each look */
	bool utf8, color;
	struct meter total;
	struct meter *lines; /* one for each line of the progress */
	int n_lines;
};

void frame_init(struct frame *f, const struct progress *p, const char *title, bool utf8,
		bool color);
void frame_done(struct frame *f);

/* Takes new numbers for the rates. now_ms is monotonic. */
void frame_sample(struct frame *f, uint64_t now_ms);

/* The live area: at most `rows` lines of at most columns - 1 cells, each ended by "\n". */
void frame_area(const struct frame *f, uint64_t now_ms, int columns, int rows, struct text *ret);
/* One line without its newline. */
void frame_line(const struct frame *f, uint64_t now_ms, struct text *ret);
/* The same as facts. New reference. */
json_t *frame_json(const struct frame *f, uint64_t now_ms);

const char *frame_phase_name(int phase);

/* Adds s, cut with "…" to `cells` cells and filled with spaces to exactly that many. */
void frame_fit(struct text *t, const char *s, int cells, bool utf8);
/* Cells that s takes on a terminal; bytes of s that take no more than `cells`, one character at
 * least. */
int frame_cells(const char *s);
size_t frame_prefix(const char *s, int cells);
/* Adds a bar of `cells` cells: done and ahead are parts of 1. */
void frame_bar(struct text *t, double done, double ahead, int cells, bool utf8);

#endif
