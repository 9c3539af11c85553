/*
 * chunk - the unit of everything: spilling, sending, retrying, resuming, proving, progress.
 *
 * A chunk is an exact predicate: one route (a set of collections) of one range of one table, from
 * tuple to tuple. Its rows travel in one buffer, are one transaction in the target with one ledger
 * row, and one spill file.
 *
 * A position is a tuple's place in the heap: block * 65536 + offset. A chunk covers [from, to).
 *
 * INVARIANT	`data` holds whole COPY rows as they are sent (binary: without file header and
 *		trailer; text: lines), or is NULL while the chunk is only on disk.
 * OWNER	One thread at a time: reader, then worker, then sender. chunk_free() gives the
 *		bytes back to the budget.
 */
#ifndef TRANSFER_CHUNK_H
#define TRANSFER_CHUNK_H

#include "common/budget.h"
#include "common/tally.h"
#include "transfer/shelf.h"

/* Rows of one collection inside a chunk. */
struct chunk_part {
	char *collection; /* NULL: rows whose collection is NULL */
	struct tally tally;
};

struct chunk {
	/* what it is */
	int plan, table, range, route; /* numbers in plan.<plan>.json */
	uint64_t from, to;             /* positions */
	bool binary;                   /* format of data */
	/* what is in it */
	struct tally read; /* digest as read from the source */
	struct tally sent; /* digest as sent; differs only under conversion */
	int n_parts;       /* 0 where the table has no collections */
	struct chunk_part *parts;
	/* its bytes */
	char *data;
	size_t len, cap;       /* bytes used and allocated */
	uint64_t raw_bytes;    /* len, also while data is NULL */
	uint64_t file_bytes;   /* size of the spill file, 0 when there is none */
	struct budget *budget; /* where `charged` was taken from; may be NULL */
	uint64_t charged;
	struct shelf *shelf;	       /* data came from it and goes back there; may be NULL */
};

#define CHUNK_ID_LEN 96

int chunk_new(struct chunk **ret, struct err *e) MUST_CHECK;
void chunk_free(struct chunk *c);
/* What it is and what is in it, without its bytes. */
int chunk_copy(struct chunk **ret, const struct chunk *from, struct err *e) MUST_CHECK;
/* Frees the bytes and gives them back to the budget; the rest stays. */
void chunk_drop_data(struct chunk *c);

/* "plan.table.range.route.block.offset": unique in a run, safe as a file name. */
void chunk_id(const struct chunk *c, char buf[CHUNK_ID_LEN]);

static inline uint64_t chunk_position(uint32_t block, uint16_t offset)
{
	return (uint64_t)block << 16 | offset;
}

static inline uint32_t chunk_block(uint64_t position)
{
	return (uint32_t)(position >> 16);
}

static inline uint16_t chunk_offset(uint64_t position)
{
	return (uint16_t)(position & 0xffff);
}

UNUSED static inline void auto_chunk(struct chunk **c)
{
	chunk_free(*c);
}

#endif
