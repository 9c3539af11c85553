/*
 * readerpriv - what the two files of the reader share; nobody else includes it.
 */
#ifndef TRANSFER_READERPRIV_H
#define TRANSFER_READERPRIV_H

#include "transfer/engine.h"

/* What a reader knows of one route of its range. */
struct lane {
	struct registry_gap *gaps; /* still to be read */
	int n_gaps, gap;
	uint64_t at;		   /* where the next chunk of this lane begins */
	struct chunk *open;
};

struct reader {
	struct engine *g;
	struct pg *pg;
	struct digest_ctx *digest;
	/* of the table at hand */
	const struct plan_table *t;
	int range;
	struct digest_column *columns; /* in the digest's order */
	int *stream_field;	       /* of each of those: its number in the stream, ctid being 0 */
	int n_fields, collection_field;
	struct copyrow_field *fields, *ordered;
	struct lane *lanes;
	struct tally *by_collection;
	char *scratch;
	size_t scratch_cap;
	uint64_t last; /* position of the row before */
	bool begun;    /* the binary header was seen */
	int ranges_begun; /* in this transaction */
	const struct plan_table *pinned; /* the last one locked in it */
};

/* --- readerrow.c: from a CopyData message to the open chunk of its route --- */
/* Returns 1, 0 for the trailer, or -1. */
int reader_take_message(struct reader *r, const char *data, size_t len, struct err *e) MUST_CHECK;
/* Seals every lane to the end of the range: what was not read of it is empty. */
int reader_close_all(struct reader *r, struct err *e) MUST_CHECK;

#endif
