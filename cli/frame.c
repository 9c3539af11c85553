#include "cli/frame.h"

#include "cli/human.h"

#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#define SAMPLE_MS 1000 /* rates are taken over at least this long */
#define MAX_LINES 12   /* tables and collections shown at once */

/* Numbers of one moment: rows and bytes of the whole run. */
struct numbers {
	int phase;
	uint64_t rows_total, bytes_total, rows_read, bytes_read, rows_loaded, bytes_loaded;
};

#define LOAD(field) atomic_load_explicit(&(field), memory_order_relaxed)

static int published_lines(const struct progress *p)
{
	return __atomic_load_n(&p->n_lines, __ATOMIC_ACQUIRE);
}

static struct numbers look(const struct progress *p)
{
	struct numbers n = {
		.phase = LOAD(p->phase),
		.rows_total = LOAD(p->rows_total),
		.bytes_total = LOAD(p->bytes_total),
		.rows_loaded = LOAD(p->rows_loaded),
		.bytes_loaded = LOAD(p->bytes_loaded),
	};

	/* readers count by line only; what an earlier process read is in none of them */
	for (int i = 0; i < published_lines(p); i++) {
		n.rows_read += LOAD(p->lines[i].rows_read);
		n.bytes_read += LOAD(p->lines[i].bytes_read);
	}
	n.rows_read = n.rows_read > n.rows_loaded ? n.rows_read : n.rows_loaded;
	n.bytes_read = n.bytes_read > n.bytes_loaded ? n.bytes_read : n.bytes_loaded;
	return n;
}

const char *frame_phase_name(int phase)
{
	static const char *const names[] = {
		[PHASE_CONNECT] = "connect", [PHASE_SCHEMA] = "schema", [PHASE_PLAN] = "plan",
		[PHASE_COPY] = "copy",       [PHASE_INDEX] = "indexes", [PHASE_FINISH] = "finish",
		[PHASE_PROOF] = "proof",     [PHASE_DONE] = "done",
	};

	return phase >= 0 && phase < (int)ARRAY_LEN(names) ? names[phase] : "?";
}

/* --- rates --- */

static void meter_sample(struct meter *m, uint64_t value, uint64_t now_ms)
{
	if (!m->last_ms || value < m->last) {
		m->last_ms = now_ms;
		m->last = value;
		return;
	}
	uint64_t ms = now_ms - m->last_ms;
	if (ms < SAMPLE_MS)
		return;
	double rate = (double)(value - m->last) * 1000 / (double)ms;
	m->rate = m->rate > 0 ? m->rate * 0.7 + rate * 0.3 : rate;
	m->last = value;
	m->last_ms = now_ms;
}

void frame_init(struct frame *f, const struct progress *p, const char *title, bool utf8, bool color)
{
	*f = (struct frame){ .progress = p, .title = title, .utf8 = utf8, .color = color };
}

void frame_done(struct frame *f)
{
	free(f->lines);
	f->lines = NULL;
}

void frame_sample(struct frame *f, uint64_t now_ms)
{
	int n = published_lines(f->progress);

	meter_sample(&f->total, LOAD(f->progress->bytes_loaded), now_ms);
	if (n != f->n_lines) {
		free(f->lines);
		f->lines = calloc((size_t)n, sizeof(*f->lines));
		f->n_lines = f->lines ? n : 0;
	}
	for (int i = 0; i < f->n_lines; i++)
		meter_sample(&f->lines[i], LOAD(f->progress->lines[i].bytes_loaded), now_ms);
}

/* --- parts of a line --- */

/* One character of s: its length in bytes, and its cells (-1: not printable). */
static size_t next_cell(const char *s, int *ret_cells)
{
	mbstate_t state = { 0 };
	wchar_t c;
	size_t len = mbrtowc(&c, s, strlen(s), &state);

	if (len == 0 || len == (size_t)-1 || len == (size_t)-2) {
		*ret_cells = -1;
		return 1;
	}
	*ret_cells = wcwidth(c);
	return len;
}

int frame_cells(const char *s)
{
	int total = 0, cells;

	while (*s) {
		s += next_cell(s, &cells);
		total += cells < 0 ? 1 : cells;
	}
	return total;
}

size_t frame_prefix(const char *s, int cells)
{
	size_t len = 0;
	int used = 0, width;

	while (s[len]) {
		size_t next = next_cell(s + len, &width);
		used += width < 0 ? 1 : width;
		if (len && used > cells)
			break;
		len += next;
		while (((unsigned char)s[len] & 0xc0) == 0x80) /* UTF-8 in another locale */
			len++;
	}
	return len;
}

void frame_fit(struct text *t, const char *s, int cells, bool utf8)
{
	bool cut = frame_cells(s) > cells;
	int room = cut ? cells - 1 : cells, used = 0, width;

	while (*s) {
		size_t len = next_cell(s, &width);
		bool bad = width < 0;
		if (used + (bad ? 1 : width) > room)
			break;
		if (bad)
			text_add(t, "?");
		else
			text_addn(t, s, len);
		used += bad ? 1 : width;
		s += len;
	}
	if (cut && cells > 0) {
		text_add(t, utf8 ? "…" : "~");
		used++;
	}
	text_addf(t, "%*s", cells - used, "");
}

/* As frame_fit(), but the end is kept: that is where a table's or collection's own name is. */
static void fit_end(struct text *t, const char *s, int cells, bool utf8)
{
	int over = frame_cells(s) - cells, width;

	if (over <= 0) {
		frame_fit(t, s, cells, utf8);
		return;
	}
	while (*s && over >= 0) { /* one cell more, for the mark */
		s += next_cell(s, &width);
		over -= width < 0 ? 1 : width;
	}
	text_add(t, utf8 ? "…" : "~");
	frame_fit(t, s, cells - 1, utf8);
}

static double part_of(uint64_t n, uint64_t total)
{
	double part = total ? (double)n / (double)total : 0;

	return part > 1 ? 1 : part;
}

void frame_bar(struct text *t, double done, double ahead, int cells, bool utf8)
{
	static const char *const eighths[] = { "", "▏", "▎", "▍", "▌", "▋", "▊", "▉" };
	int units = (int)(done * cells * 8);
	int full = units / 8, rest = utf8 ? units % 8 : 0;
	int reached = (int)(ahead * cells);
	int used = full + (rest > 0);

	for (int i = 0; i < full; i++)
		text_add(t, utf8 ? "█" : "#");
	if (rest)
		text_add(t, eighths[rest]);
	for (; used < reached; used++)
		text_add(t, utf8 ? "▒" : "+");
	for (; used < cells; used++)
		text_add(t, utf8 ? "░" : ".");
}

/* By rows, which are counted; bytes_total is only an estimate. */
static double loaded_part(uint64_t rows, uint64_t rows_total, uint64_t bytes, uint64_t bytes_total)
{
	return rows_total ? part_of(rows, rows_total) : part_of(bytes, bytes_total);
}

static double total_part(const struct numbers *n)
{
	return loaded_part(n->rows_loaded, n->rows_total, n->bytes_loaded, n->bytes_total);
}

/* Milliseconds left by the present rate; 0: not known. */
static uint64_t time_left(const struct frame *f, const struct numbers *n)
{
	double part = total_part(n);

	if (n->phase != PHASE_COPY || f->total.rate <= 0 || part < 0.01 || part >= 1)
		return 0;
	/* bytes to come, by what the loaded part weighed: bytes_total is an estimate of another
	 * kind */
	double left = (double)n->bytes_loaded / part * (1 - part);
	return (uint64_t)(left / f->total.rate * 1000) + 1;
}

static void add_rate(struct text *t, double rate, int width)
{
	char buf[HUMAN_LEN];
	AUTO_TEXT struct text rate_text = TEXT_INIT;

	if (rate >= 1)
		text_addf(&rate_text, "%s/s", human_bytes(buf, (uint64_t)rate));
	text_addf(t, "%*s", width, text_str(&rate_text));
}

/* --- the live area --- */

struct layout {
	int columns, name, bar;
	bool rows, bytes;
};

static struct layout lay_out(int columns)
{
	struct layout l = { .columns = columns - 1 };

	l.rows = l.columns >= 48;
	l.bytes = l.columns >= 74;
	/* percent takes 7 cells, rows 15, bytes and rate 22, margins 3 */
	int room = l.columns - 10 - (l.rows ? 15 : 0) - (l.bytes ? 22 : 0);
	l.name = room * 3 / 5 > 44 ? 44 : room * 3 / 5;
	if (l.name < 12)
		l.name = room < 12 ? room : 12;
	l.bar = room - l.name > 40 ? 40 : room - l.name;
	if (l.bar < 4) {
		l.name += l.bar;
		l.bar = 0;
	}
	return l;
}

static void add_columns(struct text *t, const struct frame *f, const struct layout *l,
			const char *name, double done, double ahead, uint64_t rows, uint64_t bytes,
			double rate)
{
	char buf[HUMAN_LEN];

	text_add(t, " ");
	fit_end(t, name, l->name, f->utf8);
	text_add(t, " ");
	frame_bar(t, done, ahead, l->bar, f->utf8);
	text_addf(t, " %3d %%", (int)(done * 100));
	if (l->rows)
		text_addf(t, " %14s", human_count(buf, rows));
	if (l->bytes) {
		text_addf(t, " %9s", human_bytes(buf, bytes));
		add_rate(t, rate, 12);
	}
	text_add(t, "\n");
}

static bool in_work(const struct progress_line *line)
{
	uint64_t read = LOAD(line->rows_read), loaded = LOAD(line->rows_loaded);
	uint64_t total = line->rows_total;

	return (read || loaded) && (loaded < total || loaded < read);
}

/* Lines in work first come, first shown; the others are counted. */
static void add_lines(const struct frame *f, const struct layout *l, int room, struct text *t)
{
	int shown = 0, hidden = 0, finished = 0, waiting = 0;

	for (int i = 0; i < f->n_lines; i++) {
		const struct progress_line *line = &f->progress->lines[i];
		uint64_t rows = LOAD(line->rows_loaded), bytes = LOAD(line->bytes_loaded);

		if (!in_work(line)) {
			finished += rows >= line->rows_total;
			waiting += rows < line->rows_total;
			continue;
		}
		if (shown >= room) {
			hidden++;
			continue;
		}
		shown++;
		add_columns(t, f, l, line->name,
			    loaded_part(rows, line->rows_total, bytes, line->bytes_total),
			    part_of(LOAD(line->rows_read), line->rows_total), rows, bytes,
			    f->lines[i].rate);
	}
	AUTO_TEXT struct text rest = TEXT_INIT;
	if (hidden)
		text_addf(&rest, "%d more in work, ", hidden);
	text_addf(&rest, "%d waiting, %d finished", waiting, finished);
	text_add(t, " ");
	frame_fit(t, text_str(&rest), l->columns - 1, f->utf8);
	text_add(t, "\n");
}

static void add_state(const struct frame *f, struct text *t)
{
	const struct progress *p = f->progress;
	uint64_t spill = LOAD(p->spill_bytes), retries = LOAD(p->retries);
	int waiting = LOAD(p->waiting);
	char a[HUMAN_LEN], b[HUMAN_LEN];

	if (LOAD(p->memory_used))
		text_addf(t, ", memory %s", human_bytes(a, LOAD(p->memory_used)));
	if (spill)
		text_addf(t, ", spill %s in %s files", human_bytes(a, spill),
			  human_count(b, LOAD(p->spill_files)));
	if (retries)
		text_addf(t, ", %s retries", human_count(a, retries));
	if (waiting)
		text_addf(t, ", %d waiting for a server to come back", waiting);
}

static void add_total(const struct frame *f, const struct numbers *n, const struct layout *l,
		      struct text *t)
{
	char a[HUMAN_LEN], b[HUMAN_LEN];
	AUTO_TEXT struct text state = TEXT_INIT;
	uint64_t left = time_left(f, n);

	add_columns(t, f, l, "total", total_part(n), part_of(n->rows_read, n->rows_total),
		    n->rows_loaded, n->bytes_loaded, f->total.rate);
	text_addf(&state, " of %s rows", human_count(a, n->rows_total));
	if (left)
		text_addf(&state, ", %s left", human_clock(b, left));
	add_state(f, &state);
	frame_fit(t, text_str(&state), l->columns, f->utf8);
	text_add(t, "\n");
}

/* Indexes that are built beside the copy, and what is being done. */
static void add_indexes(const struct frame *f, const struct layout *l, struct text *t)
{
	int done = LOAD(f->progress->step_done), total = LOAD(f->progress->step_total);
	AUTO_TEXT struct text line = TEXT_INIT;

	if (total == 0)
		return;
	text_addf(&line, " indexes: %d of %d", done, total);
	if (f->now)
		text_addf(&line, ", %s", f->now);
	frame_fit(t, text_str(&line), l->columns, f->utf8);
	text_add(t, "\n");
}

static void add_steps(const struct frame *f, const struct layout *l, struct text *t)
{
	int done = LOAD(f->progress->step_done), total = LOAD(f->progress->step_total);

	if (total > 0) {
		text_add(t, " ");
		frame_bar(t, part_of((uint64_t)done, (uint64_t)total), 0,
			  l->columns > 60 ? 40 : l->columns / 2, f->utf8);
		text_addf(t, " %d of %d\n", done, total);
	}
	if (f->now) {
		text_add(t, " ");
		frame_fit(t, f->now, l->columns - 1, f->utf8);
		text_add(t, "\n");
	}
}

void frame_area(const struct frame *f, uint64_t now_ms, int columns, int rows, struct text *t)
{
	struct numbers n = look(f->progress);
	struct layout l = lay_out(columns < 20 ? 20 : columns);
	AUTO_TEXT struct text head = TEXT_INIT;
	char clock[HUMAN_LEN];
	int room = rows - 6;

	text_addf(&head, "%s  %s  %s", f->title, frame_phase_name(n.phase),
		  human_clock(clock, now_ms - f->progress->started_ms));
	text_add(t, f->color ? "\033[1m" : "");
	frame_fit(t, text_str(&head), l.columns, f->utf8);
	text_addf(t, "%s\n", f->color ? "\033[0m" : "");
	if (n.phase == PHASE_COPY && f->n_lines > 0) {
		add_lines(f, &l, room > MAX_LINES ? MAX_LINES : room, t);
		add_total(f, &n, &l, t);
		add_indexes(f, &l, t);
	} else {
		add_steps(f, &l, t);
	}
}

/* --- a pipe --- */

static void line_copy(const struct frame *f, const struct numbers *n, struct text *t)
{
	char a[HUMAN_LEN], b[HUMAN_LEN], c[HUMAN_LEN];
	uint64_t left = time_left(f, n);

	text_addf(t, " %d %%, %s of %s rows, %s", (int)(total_part(n) * 100),
		  human_count(a, n->rows_loaded), human_count(b, n->rows_total),
		  human_bytes(c, n->bytes_loaded));
	if (f->total.rate >= 1)
		text_addf(t, ", %s/s", human_bytes(a, (uint64_t)f->total.rate));
	if (left)
		text_addf(t, ", %s left", human_clock(a, left));
	if (n->rows_read > n->rows_loaded)
		text_addf(t, ", %d %% read", (int)(part_of(n->rows_read, n->rows_total) * 100));
	if (LOAD(f->progress->step_total))
		text_addf(t, ", %d of %d indexes", LOAD(f->progress->step_done),
			  LOAD(f->progress->step_total));
	add_state(f, t);
}

void frame_line(const struct frame *f, uint64_t now_ms, struct text *t)
{
	struct numbers n = look(f->progress);
	int done = LOAD(f->progress->step_done), total = LOAD(f->progress->step_total);
	char clock[HUMAN_LEN];

	text_addf(t, "[%s] %s", human_clock(clock, now_ms - f->progress->started_ms),
		  frame_phase_name(n.phase));
	if (n.phase == PHASE_COPY && n.rows_total) {
		line_copy(f, &n, t);
		return;
	}
	if (total > 0)
		text_addf(t, " %d of %d", done, total);
	if (f->now)
		text_addf(t, ": %s", f->now);
	if (LOAD(f->progress->waiting))
		text_add(t, ", waiting for a server to come back");
}

json_t *frame_json(const struct frame *f, uint64_t now_ms)
{
	struct numbers n = look(f->progress);
	const struct progress *p = f->progress;

	return json_pack(
		"{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:i, s:i, s:i}",
		"phase", frame_phase_name(n.phase), "ms", (json_int_t)(now_ms - p->started_ms),
		"rows_total", (json_int_t)n.rows_total, "rows_read", (json_int_t)n.rows_read,
		"rows_loaded", (json_int_t)n.rows_loaded, "bytes_read", (json_int_t)n.bytes_read,
		"bytes_loaded", (json_int_t)n.bytes_loaded, "bytes_per_second",
		(json_int_t)f->total.rate, "ms_left", (json_int_t)time_left(f, &n), "spill_bytes",
		(json_int_t)LOAD(p->spill_bytes), "memory_used", (json_int_t)LOAD(p->memory_used),
		"retries", (json_int_t)LOAD(p->retries), "waiting", LOAD(p->waiting), "step_done",
		LOAD(p->step_done), "step_total", LOAD(p->step_total));
}
