#include "transfer/spill.h"

#include "common/file.h"
#include "common/text.h"
#include "transfer/blockio.h"
#include "transfer/codec.h"
#include "transfer/spillfile.h"
#include "transfer/spillpriv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WRITE_BUFFER ((size_t)4 << 20)

struct spill_writer {
	char *dir, *run;
	int dir_fd;
	struct blockio *io;
	struct codec *codec;
	const struct seal_key *key; /* NULL: files are not sealed */
	struct seal *seal;
};

int spill_writer_new(struct spill_writer **ret, const char *dir, const char *run,
		     const struct seal_key *key, int level, struct err *e)
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
	w->key = key;
	if (blockio_new(&w->io, WRITE_BUFFER, e) || codec_new(&w->codec, level, e) ||
	    (key && seal_new(&w->seal, e))) {
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
	seal_free(w->seal);
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

/* The header, which has room for a tag; before a sealed one stands the head, which it is bound to.
 */
static int put_header(struct spill_writer *w, char *header, size_t len, struct err *e)
{
	struct spillfile_head h = { .header_len = len };
	char head[SPILLFILE_HEAD];

	if (!w->key)
		return put(w->io, header, len, e);
	if (seal_start(w->seal, w->key, h.salt, h.check, e))
		return -1;
	spillfile_head(&h, head);
	if (seal_close(w->seal, &(struct seal_piece){ SEAL_HEADER, 0, head, sizeof(head) }, header,
		       len, e) ||
	    put(w->io, head, sizeof(head), e))
		return -1;
	return put(w->io, header, len + SEAL_TAG, e);
}

static int put_trailer(struct spill_writer *w, struct spillfile_trailer *t, struct err *e)
{
	char bytes[SPILLFILE_TRAILER + SEAL_TAG];
	size_t len = SPILLFILE_TRAILER + (w->key ? SEAL_TAG : 0);

	t->file_bytes = blockio_size(w->io) + len;
	spillfile_trailer(t, bytes);
	if (w->key && seal_close(w->seal, &(struct seal_piece){ .part = SEAL_TRAILER }, bytes,
				 SPILLFILE_TRAILER, e))
		return -1;
	return put(w->io, bytes, len, e);
}

/* A frame of len bytes that stands behind room for its length; *ret_len is what it takes on disk.
 */
static int seal_frame(struct spill_writer *w, uint32_t no, char *out, size_t len, size_t *ret_len,
		      struct err *e)
{
	spillfile_length((uint32_t)len, out);
	*ret_len = SPILLFILE_LENGTH + len + SEAL_TAG;
	return seal_close(w->seal, &(struct seal_piece){ SEAL_FRAME, no, out, SPILLFILE_LENGTH },
			  out + SPILLFILE_LENGTH, len, e);
}

/* The codec's next frame. Returns 1, 0 at the end, or -1. */
static int put_frame(struct spill_writer *w, const char *data, size_t *ret_taken,
		     struct spillfile_trailer *t, struct err *e)
{
	size_t before = w->key ? SPILLFILE_LENGTH : 0, len;
	struct codec_frame frame;
	struct spillfile_frame f = { 0 };
	char *out;
	int r;

	if (blockio_reserve(w->io, SPILLFILE_MOST, &out, e))
		return -1;
	r = codec_next(w->codec, out + before + SPILLFILE_FRAME, &frame, e);
	if (r <= 0)
		return r;
	f.kind = frame.kind;
	f.raw = (uint32_t)frame.raw;
	f.stored = (uint32_t)frame.stored;
	f.check = spillfile_check(data, frame.raw);
	spillfile_frame(&f, out + before);
	len = SPILLFILE_FRAME + frame.stored;
	if (w->key && seal_frame(w, t->frames, out, len, &len, e))
		return -1;
	blockio_commit(w->io, len);
	t->chain = spillfile_chain(t->chain, f.check);
	t->frames++;
	*ret_taken = frame.raw;
	return 1;
}

static int put_chunk(struct spill_writer *w, const struct chunk *c, const int *vector_fields, int n,
		     struct err *e)
{
	AUTO(free) char *header = NULL;
	struct spillfile_trailer t = { .frames = 0 };
	size_t len, at = 0, taken = 0;
	int r;

	if (spillfile_header(c, w->run, &header, &len, &t.chain, e) ||
	    put_header(w, header, len, e))
		return -1;
	codec_begin(w->codec, c->data, c->len, vector_fields, c->binary ? n : 0);
	while ((r = put_frame(w, c->data + at, &taken, &t, e)) > 0)
		at += taken;
	return r < 0 ? -1 : put_trailer(w, &t, e);
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
	char temporary[SPILL_NAME_LEN + sizeof(SPILL_TEMPORARY)];
	int rc;

	snprintf(temporary, sizeof(temporary), SPILL_TEMPORARY "%.*s",
		 (int)(strlen(name) - strlen(SPILL_SUFFIX)), name);
	if (blockio_open(w->io, w->dir_fd, temporary, e))
		return -1;
	rc = put_chunk(w, c, vector_fields, n, e) || blockio_finish(w->io, e) ||
	     publish(w, temporary, name, e);
	if (rc)
		unlinkat(w->dir_fd, temporary, 0);
	blockio_close(w->io);
	return rc ? -1 : 0;
}

void spill_file_name(const struct chunk *c, char buf[SPILL_NAME_LEN])
{
	char id[CHUNK_ID_LEN];

	chunk_id(c, id);
	snprintf(buf, SPILL_NAME_LEN, "%s" SPILL_SUFFIX, id);
}

int spill_write(struct spill_writer *w, struct chunk *c, const int *vector_fields, int n,
		struct err *e)
{
	char name[SPILL_NAME_LEN];

	if (!c->data && c->raw_bytes)
		return err_set(e, ERR_INTERNAL, "a chunk without data cannot be spilled");
	c->raw_bytes = c->len;
	spill_file_name(c, name);
	if (write_file(w, c, vector_fields, n, name, e))
		return err_note(e, "writing %s/%s", w->dir, name);
	c->file_bytes = blockio_size(w->io);
	return 0;
}

uint64_t spill_most_bytes(const struct chunk *c)
{
	/* Frames are cut at rows: of two that follow each other, one at least is half full. */
	uint64_t frames = 2 * (c->len / CODEC_FRAME + 1), names = 0;
	uint64_t ends = SPILLFILE_HEAD + SPILLFILE_PREFIX + SPILLFILE_TRAILER + 2 * SEAL_TAG;

	for (int i = 0; i < c->n_parts;
	     i++) /* a byte becomes six in JSON; its sums are 2 * 40 digits */
		names += 256 + (c->parts[i].collection ? 6 * strlen(c->parts[i].collection) : 0);
	return c->len + ends + 1024 + names + frames * (SPILLFILE_MOST - CODEC_FRAME);
}

char *spill_path(const char *dir, const struct chunk *c)
{
	char name[SPILL_NAME_LEN];

	spill_file_name(c, name);
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
