#include "transfer/spill.h"

#include "common/file.h"
#include "common/text.h"
#include "transfer/blockio.h"
#include "transfer/codec.h"
#include "transfer/input.h"
#include "transfer/spillfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SUFFIX       ".nfs"
#define TEMPORARY    ".tmp-"
#define NAME_LEN     (CHUNK_ID_LEN + sizeof(SUFFIX))
#define WRITE_BUFFER ((size_t)4 << 20)

struct spill_writer {
	char *dir, *run;
	int dir_fd;
	struct blockio *io;
	struct codec *codec;
};

int spill_writer_new(struct spill_writer **ret, const char *dir, const char *run, int level,
		     struct err *e)
{
	struct spill_writer *w = calloc(1, sizeof(*w));

	if (!w)
		return err_nomem(e);
	w->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (w->dir_fd < 0) {
		err_sys(e, ERR_DISK, errno, "cannot open the spill folder %s", dir);
		spill_writer_free(w);
		return -1;
	}
	w->dir = strdup(dir);
	w->run = strdup(run);
	if (!w->dir || !w->run) {
		spill_writer_free(w);
		return err_nomem(e);
	}
	if (blockio_new(&w->io, WRITE_BUFFER, e) || codec_new(&w->codec, level, e)) {
		spill_writer_free(w);
		return -1;
	}
	*ret = w;
	return 0;
}

void spill_writer_free(struct spill_writer *w)
{
	if (!w)
		return;
	codec_free(w->codec);
	blockio_free(w->io);
	if (w->dir_fd >= 0)
		close(w->dir_fd);
	free(w->dir);
	free(w->run);
	free(w);
}

void spill_writer_set_direct(struct spill_writer *w, bool direct)
{
	blockio_set_direct(w->io, direct);
}

/* ---- writing ---- */

/* Bytes of any length, through the writer's buffer. */
static int put(struct blockio *io, const char *data, size_t len, struct err *e)
{
	while (len) {
		size_t n = len < CODEC_FRAME ? len : CODEC_FRAME;
		char *out;

		if (blockio_reserve(io, n, &out, e))
			return -1;
		memcpy(out, data, n);
		blockio_commit(io, n);
		data += n;
		len -= n;
	}
	return 0;
}

/* The codec's next frame. Returns 1, 0 at the end, or -1. */
static int put_frame(struct spill_writer *w, const char *data, size_t *ret_taken, uint64_t *chain,
		     struct err *e)
{
	struct codec_frame frame;
	struct spillfile_frame f = { 0 };
	char *out;
	int r;

	if (blockio_reserve(w->io, SPILLFILE_FRAME + codec_bound(CODEC_FRAME), &out, e))
		return -1;
	r = codec_next(w->codec, out + SPILLFILE_FRAME, &frame, e);
	if (r <= 0)
		return r;
	f.kind = frame.kind;
	f.raw = (uint32_t)frame.raw;
	f.stored = (uint32_t)frame.stored;
	f.check = spillfile_check(data, frame.raw);
	spillfile_frame(&f, out);
	blockio_commit(w->io, SPILLFILE_FRAME + frame.stored);
	*chain = spillfile_chain(*chain, f.check);
	*ret_taken = frame.raw;
	return 1;
}

static int put_chunk(struct spill_writer *w, const struct chunk *c, const int *vector_fields, int n,
		     struct err *e)
{
	AUTO(free) char *header = NULL;
	struct spillfile_trailer t = { .frames = 0 };
	char trailer[SPILLFILE_TRAILER];
	size_t len, at = 0, taken = 0;
	int r;

	if (spillfile_header(c, w->run, &header, &len, &t.chain, e) || put(w->io, header, len, e))
		return -1;
	codec_begin(w->codec, c->data, c->len, vector_fields, c->binary ? n : 0);
	while ((r = put_frame(w, c->data + at, &taken, &t.chain, e)) > 0) {
		at += taken;
		t.frames++;
	}
	if (r < 0)
		return -1;
	t.file_bytes = blockio_size(w->io) + SPILLFILE_TRAILER;
	spillfile_trailer(&t, trailer);
	return put(w->io, trailer, sizeof(trailer), e);
}

static int publish(struct spill_writer *w, const char *temporary, const char *name, struct err *e)
{
	if (renameat(w->dir_fd, temporary, w->dir_fd, name))
		return blockio_fail(errno, "rename", e);
	if (fsync(w->dir_fd)) {
		int error = errno;

		unlinkat(w->dir_fd, name, 0);
		return blockio_fail(error, "sync the folder of", e);
	}
	return 0;
}

static int write_file(struct spill_writer *w, const struct chunk *c, const int *vector_fields,
		      int n, const char *name, struct err *e)
{
	char temporary[NAME_LEN + sizeof(TEMPORARY)];
	int rc;

	snprintf(temporary, sizeof(temporary), TEMPORARY "%.*s",
		 (int)(strlen(name) - strlen(SUFFIX)), name);
	if (blockio_open(w->io, w->dir_fd, temporary, e))
		return -1;
	rc = put_chunk(w, c, vector_fields, n, e) || blockio_finish(w->io, e) ||
	     publish(w, temporary, name, e);
	if (rc)
		unlinkat(w->dir_fd, temporary, 0);
	blockio_close(w->io);
	return rc ? -1 : 0;
}

static void file_name(const struct chunk *c, char buf[NAME_LEN])
{
	char id[CHUNK_ID_LEN];

	chunk_id(c, id);
	snprintf(buf, NAME_LEN, "%s" SUFFIX, id);
}

int spill_write(struct spill_writer *w, struct chunk *c, const int *vector_fields, int n,
		struct err *e)
{
	char name[NAME_LEN];

	if (!c->data && c->raw_bytes)
		return err_set(e, ERR_INTERNAL, "a chunk without data cannot be spilled");
	c->raw_bytes = c->len;
	file_name(c, name);
	if (write_file(w, c, vector_fields, n, name, e))
		return err_note(e, "writing %s/%s", w->dir, name);
	c->file_bytes = blockio_size(w->io);
	return 0;
}

char *spill_path(const char *dir, const struct chunk *c)
{
	char name[NAME_LEN];

	file_name(c, name);
	return file_path(dir, name);
}

int spill_remove(const char *dir, const struct chunk *c, struct err *e)
{
	AUTO(free) char *path = spill_path(dir, c);

	if (!path)
		return err_nomem(e);
	if (unlink(path) && errno != ENOENT)
		return err_sys(e, ERR_DISK, errno, "cannot remove the spill file %s", path);
	return 0;
}

void spill_put_aside(const char *dir, const struct chunk *c)
{
	AUTO(free) char *path = spill_path(dir, c);
	AUTO_TEXT struct text aside = TEXT_INIT;

	if (!path)
		return;
	text_addf(&aside, "%s.damaged", path);
	(void)rename(path, text_str(&aside));
}

/* ---- reading ---- */

static int take_trailer(struct input *in, struct spillfile_trailer *ret, struct err *e)
{
	char bytes[SPILLFILE_TRAILER];

	if (input_end(in, bytes, sizeof(bytes), e))
		return -1;
	return spillfile_parse_trailer(bytes, in->size, ret, e);
}

static int take_header(struct input *in, const char *run, struct chunk **ret, uint64_t *ret_chain,
		       struct err *e)
{
	char head[SPILLFILE_PREFIX];
	const char *p = NULL;
	uint64_t len = 0;
	char *whole;
	int r;

	if (input_take(in, sizeof(head), &p, e))
		return -1;
	memcpy(head, p, sizeof(head));
	if (spillfile_header_len(head, &len, e))
		return -1;
	if (input_take(in, (size_t)len - sizeof(head), &p, e))
		return -1;
	whole = malloc((size_t)len);
	if (!whole)
		return err_nomem(e);
	memcpy(whole, head, sizeof(head));
	memcpy(whole + sizeof(head), p, (size_t)len - sizeof(head));
	r = spillfile_parse_header(whole, (size_t)len, run, ret, ret_chain, e);
	free(whole);
	return r;
}

/* Header and trailer of an input: a chunk without data. The header goes first, for its messages. */
static int take_ends(struct input *in, const char *run, struct chunk **ret,
		     struct spillfile_trailer *ret_trailer, uint64_t *ret_chain, struct err *e)
{
	AUTO(chunk) struct chunk *c = NULL;
	struct spillfile_trailer t;

	if (take_header(in, run, &c, ret_chain, e) || take_trailer(in, &t, e))
		return -1;
	/* Bounds what is allocated for the data: no length is believed beyond the file's own. */
	if (t.frames > in->size / SPILLFILE_FRAME ||
	    c->raw_bytes > (uint64_t)t.frames * CODEC_FRAME)
		return err_set(e, ERR_DISK,
			       "damaged spill file: its lengths contradict each other");
	c->file_bytes = in->size;
	*ret_trailer = t;
	*ret = GIVE(&c);
	return 0;
}

static int take_frame(struct input *in, struct codec *codec, char *raw, size_t room,
		      size_t *ret_len, uint64_t *chain, struct err *e)
{
	struct spillfile_frame f = { 0 };
	const char *p = NULL;

	if (input_take(in, SPILLFILE_FRAME, &p, e) || spillfile_parse_frame(p, &f, e))
		return -1;
	if (f.raw > room)
		return err_set(e, ERR_DISK, "damaged spill file: more bytes than it announces");
	if (input_take(in, f.stored, &p, e) ||
	    codec_decode(codec, f.kind, p, f.stored, raw, f.raw, e))
		return -1;
	if (spillfile_check(raw, f.raw) != f.check)
		return err_set(e, ERR_DISK, "damaged spill file: the checksum of a frame is wrong");
	*chain = spillfile_chain(*chain, f.check);
	*ret_len = f.raw;
	return 0;
}

/* All frames into raw, which has c->raw_bytes; in stands behind the header. */
static int take_frames(struct input *in, const struct chunk *c, const struct spillfile_trailer *t,
		       uint64_t chain, char *raw, struct err *e)
{
	AUTO(codec) struct codec *codec = NULL;
	size_t at = 0, len = 0;

	if (codec_new(&codec, 1, e))
		return -1;
	for (uint32_t i = 0; i < t->frames; i++, at += len)
		if (take_frame(in, codec, raw + at, (size_t)c->raw_bytes - at, &len, &chain, e))
			return -1;
	if (at != c->raw_bytes || input_left(in) != SPILLFILE_TRAILER)
		return err_set(e, ERR_DISK, "damaged spill file: frames are missing");
	if (chain != t->chain)
		return err_set(e, ERR_DISK,
			       "damaged spill file: its frames do not belong together");
	return 0;
}

static int take_data(struct input *in, struct chunk *c, const struct spillfile_trailer *t,
		     uint64_t chain, struct err *e)
{
	char *raw = malloc(c->raw_bytes ? (size_t)c->raw_bytes : 1);

	if (!raw)
		return err_nomem(e);
	if (take_frames(in, c, t, chain, raw, e)) {
		free(raw);
		return -1;
	}
	c->data = raw;
	c->len = c->cap = (size_t)c->raw_bytes;
	return 0;
}

static int note_damage(struct err *e, const char *path)
{
	if (e->kind == ERR_DISK)
		err_hint(e,
			 "resume the run: a chunk whose file is damaged or missing is read again "
			 "from the source");
	return err_note(e, "reading %s", path);
}

int spill_read_header(const char *path, const char *run, struct chunk **ret, struct err *e)
{
	struct spillfile_trailer t;
	struct input in;
	uint64_t chain;
	int r;

	r = input_open(&in, path, e) || take_ends(&in, run, ret, &t, &chain, e);
	input_done(&in);
	return r ? note_damage(e, path) : 0;
}

static bool same_chunk(const struct chunk *a, const struct chunk *b)
{
	char names[2][NAME_LEN];

	file_name(a, names[0]);
	file_name(b, names[1]);
	return !strcmp(names[0], names[1]) && a->from == b->from && a->to == b->to &&
	       a->binary == b->binary && a->raw_bytes == b->raw_bytes &&
	       tally_equal(&a->read, &b->read) && tally_equal(&a->sent, &b->sent);
}

static int read_data(struct input *in, const char *path, const char *run, struct chunk *c,
		     struct err *e)
{
	AUTO(chunk) struct chunk *found = NULL;
	struct spillfile_trailer t;
	uint64_t chain;

	if (input_open(in, path, e) || take_ends(in, run, &found, &t, &chain, e))
		return -1;
	if (!same_chunk(found, c))
		return err_set(e, ERR_DISK,
			       "spill file of another chunk, or of another reading of this one");
	return take_data(in, c, &t, chain, e);
}

int spill_read_data(const char *dir, const char *run, struct chunk *c, struct err *e)
{
	AUTO(free) char *path = spill_path(dir, c);
	struct input in;
	int r;

	if (!path)
		return err_nomem(e);
	r = read_data(&in, path, run, c, e);
	input_done(&in);
	return r ? note_damage(e, path) : 0;
}

int spill_parse(const void *data, size_t len, const char *run, struct chunk **ret, struct err *e)
{
	AUTO(chunk) struct chunk *c = NULL;
	struct spillfile_trailer t;
	struct input in;
	uint64_t chain;

	input_memory(&in, data, len);
	if (take_ends(&in, run, &c, &t, &chain, e) || take_data(&in, c, &t, chain, e))
		return -1;
	*ret = GIVE(&c);
	return 0;
}

/* ---- all files of a folder ---- */

struct scan {
	const char *dir, *run;
	struct chunk **chunks;
	int n, cap;
	void (*damaged)(void *ctx, const char *file, const struct err *why);
	void *ctx;
};

static int keep(struct scan *s, struct chunk *c, struct err *e)
{
	if (s->n == s->cap) {
		int cap = s->cap ? 2 * s->cap : 64;
		struct chunk **more = realloc(s->chunks, (size_t)cap * sizeof(struct chunk *));

		if (!more) {
			chunk_free(c);
			return err_nomem(e);
		}
		s->chunks = more;
		s->cap = cap;
	}
	s->chunks[s->n++] = c;
	return 0;
}

static int read_named(const struct scan *s, const char *name, struct chunk **ret, struct err *e)
{
	AUTO(free) char *path = file_path(s->dir, name);
	AUTO(chunk) struct chunk *c = NULL;
	char own[NAME_LEN];

	if (!path)
		return err_nomem(e);
	if (spill_read_header(path, s->run, &c, e))
		return -1;
	file_name(c, own);
	if (strcmp(name, own))
		return err_set(e, ERR_DISK, "the spill file %s was written as %s", path, own);
	*ret = GIVE(&c);
	return 0;
}

static int scan_one(struct scan *s, const char *name, struct err *e)
{
	size_t len = strlen(name), suffix = strlen(SUFFIX);
	struct err why = ERR_INIT;
	struct chunk *c = NULL;

	if (len <= suffix || strcmp(name + len - suffix, SUFFIX))
		return 0;
	if (!read_named(s, name, &c, &why))
		return keep(s, c, e);
	if (why.sys_errno == ENOENT) /* loaded and removed while we looked */
		return 0;
	if (why.kind != ERR_DISK) {
		*e = why;
		return -1;
	}
	if (s->damaged)
		s->damaged(s->ctx, name, &why);
	return 0;
}

static int scan_dir(struct scan *s, DIR *d, struct err *e)
{
	const struct dirent *entry;

	for (;;) {
		errno = 0;
		entry = readdir(d);
		if (!entry)
			break;
		if (!strncmp(entry->d_name, TEMPORARY, strlen(TEMPORARY)))
			(void)blockio_remove_stale(dirfd(d), entry->d_name);
		else if (scan_one(s, entry->d_name, e))
			return -1;
	}
	if (errno)
		return err_sys(e, ERR_DISK, errno, "cannot read the spill folder %s", s->dir);
	return 0;
}

static int by_place(const void *a, const void *b)
{
	const struct chunk *x = *(struct chunk *const *)a, *y = *(struct chunk *const *)b;

	if (x->plan != y->plan)
		return x->plan < y->plan ? -1 : 1;
	if (x->table != y->table)
		return x->table < y->table ? -1 : 1;
	if (x->range != y->range)
		return x->range < y->range ? -1 : 1;
	if (x->from != y->from)
		return x->from < y->from ? -1 : 1;
	return (x->route > y->route) - (x->route < y->route);
}

int spill_scan(const char *dir, const char *run, struct chunk ***ret, int *ret_n,
	       void (*damaged)(void *ctx, const char *file, const struct err *why), void *ctx,
	       struct err *e)
{
	struct scan s = { .dir = dir, .run = run, .damaged = damaged, .ctx = ctx };
	DIR *d = opendir(dir);
	int r;

	if (!d)
		return err_sys(e, ERR_DISK, errno, "cannot open the spill folder %s", dir);
	r = scan_dir(&s, d, e);
	closedir(d);
	if (r) {
		while (s.n)
			chunk_free(s.chunks[--s.n]);
		free(s.chunks);
		return -1;
	}
	if (s.n)
		qsort(s.chunks, (size_t)s.n, sizeof(struct chunk *), by_place);
	*ret = s.chunks;
	*ret_n = s.n;
	return 0;
}
