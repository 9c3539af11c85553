/*
 * micro_spill - how fast chunks become frames and files, and how small.
 *
 * Rows of (uuid, text, text, text, jsonb, vector(1536), timestamp, timestamp) as binary COPY sends
 * them, with unit-norm gaussian vectors, in chunks of 16 MB. Prints MB/s of raw bytes on one core
 * and the ratio: frames per codec and level, then whole files with O_DIRECT and buffered.
 *
 *   micro_spill [FOLDER [CHUNKS]]	folder for the files, default "."; chunks a round, default
 * 16
 */
#include "common/clock.h"
#include "transfer/blockio.h"
#include "transfer/codec.h"
#include "transfer/spill.h"

#include <endian.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DIM         1536
#define CHUNK_BYTES ((size_t)16 << 20)
#define ROW_MAX     ((size_t)16384)
#define ROUNDS      5

static const int vector_fields[] = { 5 };
static const char *const words[] = {
	"the",       "vector",     "of",        "document", "search",     "index",  "a",
	"embedding", "and",        "table",     "is",       "PostgreSQL", "recall", "in",
	"model",     "similarity", "snapshot",  "for",      "retrieval",  "chunk",  "language",
	"to",        "nearest",    "neighbour", "graph",    "with",       "memory", "query",
	"by",        "score",      "cosine",    "distance",
};

static uint64_t state = 42;

static uint64_t next(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static double gaussian(void)
{
	double u = ((double)(next() >> 11) + 1) / 9007199254740993.0;
	double v = (double)(next() >> 11) / 9007199254740992.0;

	return sqrt(-2 * log(u)) * cos(2 * 3.14159265358979323846 * v);
}

static char *put16(char *p, unsigned v)
{
	uint16_t be = htobe16((uint16_t)v);

	memcpy(p, &be, sizeof(be));
	return p + sizeof(be);
}

static char *put32(char *p, uint32_t v)
{
	uint32_t be = htobe32(v);

	memcpy(p, &be, sizeof(be));
	return p + sizeof(be);
}

static char *put_text(char *p, int n_words)
{
	char *start = p;

	p += 4;
	for (int i = 0; i < n_words; i++)
		p += sprintf(p, "%s ", words[next() % 32 * (next() % 32) / 32]);
	put32(start, (uint32_t)(p - start - 4));
	return p;
}

static char *put_jsonb(char *p)
{
	char *start = p;

	p += 4;
	*p++ = 1;
	p += sprintf(
		p, "{\"page\": %d, \"source\": \"%s-%d.pdf\", \"tokens\": %d, \"lang\": \"en\"}",
		(int)(next() % 900), words[next() % 32], (int)(next() % 5000), (int)(next() % 512));
	put32(start, (uint32_t)(p - start - 4));
	return p;
}

static char *put_vector(char *p)
{
	float v[DIM];
	double norm = 0;

	for (int i = 0; i < DIM; i++) {
		v[i] = (float)gaussian();
		norm += (double)v[i] * (double)v[i];
	}
	p = put16(put16(put32(p, 4 + 4 * DIM), DIM), 0);
	for (int i = 0; i < DIM; i++) {
		uint32_t bits;

		v[i] = (float)((double)v[i] / sqrt(norm));
		memcpy(&bits, &v[i], sizeof(bits));
		p = put32(p, bits);
	}
	return p;
}

static char *put_number(char *p, uint64_t v)
{
	v = htobe64(v);
	memcpy(put32(p, 8), &v, sizeof(v));
	return p + 12;
}

static char *put_row(char *p)
{
	p = put32(put16(p, 8), 16);
	for (int i = 0; i < 2; i++, p += 8) {
		uint64_t v = next();

		memcpy(p, &v, sizeof(v));
	}
	p = put_text(p, 1);
	p = put_text(p, 4);
	p = put_text(p, 40);
	p = put_vector(put_jsonb(p));
	return put_number(put_number(p, 800000000000000 + next() % 1000000000), 900000000000000);
}

static char *make_rows(size_t *ret_len)
{
	char *data = malloc(CHUNK_BYTES + ROW_MAX), *p = data;

	if (!data)
		abort();
	while ((size_t)(p - data) < CHUNK_BYTES)
		p = put_row(p);
	*ret_len = (size_t)(p - data);
	return data;
}

static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const struct err *e)
{
	fprintf(stderr, "micro_spill: %s\n", e->text);
	exit(1);
}

struct frames {
	char *bytes;
	size_t len;
	int n;
	struct {
		enum codec_kind kind;
		size_t raw, stored;
	} frame[64];
};

static void encode(struct codec *k, const char *data, size_t len, bool plane, struct frames *f)
{
	struct err e = ERR_INIT;
	struct codec_frame frame;
	int r;

	f->n = 0;
	f->len = 0;
	codec_begin(k, data, len, vector_fields, plane ? 1 : 0);
	while ((r = codec_next(k, f->bytes + f->len, &frame, &e)) > 0) {
		f->frame[f->n].kind = frame.kind;
		f->frame[f->n].raw = frame.raw;
		f->frame[f->n++].stored = frame.stored;
		f->len += frame.stored;
	}
	if (r < 0)
		die(&e);
}

static void decode(struct codec *k, const struct frames *f, char *raw)
{
	struct err e = ERR_INIT;
	size_t at = 0, out = 0;

	for (int i = 0; i < f->n; i++) {
		if (codec_decode(k, f->frame[i].kind, f->bytes + at, f->frame[i].stored, raw + out,
				 f->frame[i].raw, &e))
			die(&e);
		at += f->frame[i].stored;
		out += f->frame[i].raw;
	}
}

static double best(double a, double b)
{
	return a == 0 || b < a ? b : a;
}

static void frames_of(const char *data, size_t len, int level, bool plane)
{
	struct frames f = { .bytes = malloc(len + 64 * 65536) };
	char *back = malloc(len);
	double in = 0, out = 0;
	struct codec *k;
	struct err e = ERR_INIT;

	if (!f.bytes || !back || codec_new(&k, level, &e))
		abort();
	for (int i = 0; i < ROUNDS; i++) {
		double t0 = cpu_seconds(), t1;

		encode(k, data, len, plane, &f);
		t1 = cpu_seconds();
		decode(k, &f, back);
		in = best(in, t1 - t0);
		out = best(out, cpu_seconds() - t1);
	}
	if (memcmp(back, data, len))
		abort();
	printf("%-6s level %2d  encode %6.0f MB/s  decode %6.0f MB/s  ratio %.3f\n",
	       plane ? "plane" : "zstd", level, (double)len / in / 1e6, (double)len / out / 1e6,
	       (double)len / (double)f.len);
	codec_free(k);
	free(f.bytes);
	free(back);
}

static void files_of(struct chunk *c, const char *folder, const struct seal_key *key, bool direct,
		     int chunks)
{
	struct spill_writer *w;
	struct err e = ERR_INIT;
	double cpu = 0, wall = 0;

	if (spill_writer_new(&w, folder, "micro", key, 1, &e))
		die(&e);
	spill_writer_set_direct(w, direct);
	for (int r = 0; r < ROUNDS; r++) {
		double cpu0 = cpu_seconds();
		uint64_t t0 = clock_us();

		for (c->range = 0; c->range < chunks; c->range++)
			if (spill_write(w, c, vector_fields, 1, &e))
				die(&e);
		cpu = best(cpu, cpu_seconds() - cpu0);
		wall = best(wall, (double)(clock_us() - t0) / 1e6);
		for (c->range = 0; c->range < chunks; c->range++)
			if (spill_remove(folder, c, &e))
				die(&e);
	}
	printf("file, %-8s %-9s  %6.0f MB/s  %6.0f MB per CPU second\n",
	       direct ? "O_DIRECT" : "buffered", key ? "encrypted" : "", (double)c->len * chunks / wall / 1e6,
	       (double)c->len * chunks / cpu / 1e6);
	spill_writer_free(w);
}

int main(int argc, char **argv)
{
	static const char digits[] = "abababababababababababababababababababababababababababababababab";
	AUTO(seal_key) struct seal_key *key = NULL;
	struct err e = ERR_INIT;
	struct chunk *c;

	if (chunk_new(&c, &e) || seal_key_parse(&key, digits, &e))
		die(&e);
	c->binary = true;
	c->data = make_rows(&c->len);
	for (int i = 0; i < 4; i++)
		frames_of(c->data, c->len, (int[]){ 1, -1, 1, 3 }[i], i > 1);
	for (int i = 0; i < 4; i++)
		files_of(c, argc > 1 ? argv[1] : ".", i % 2 ? key : NULL, i < 2,
			 argc > 2 ? atoi(argv[2]) : 16);
	chunk_free(c);
	return 0;
}
