/* spillread - reading spill files, sealed ones too. Whatever does not check is no chunk. */
#include "transfer/spill.h"

#include "common/text.h"
#include "transfer/codec.h"
#include "transfer/input.h"
#include "transfer/spillfile.h"
#include "transfer/spillpriv.h"

#include <stdlib.h>
#include <string.h>

/* A file, and what opens it. */
struct opened {
	struct input in;
	const struct seal_key *key; /* NULL: it must not be sealed */
	struct seal *seal;
	char *clear; /* what was unsealed last */
	size_t cap;
};

static void opened_done(struct opened *o)
{
	input_done(&o->in);
	seal_free(o->seal);
	free(o->clear);
}

/* ---- pieces ---- */

static int damaged_by(struct err *e)
{
	struct err why = *e;

	if (why.kind != ERR_DISK)
		return -1;
	*e = ERR_INIT;
	return err_set(e, ERR_DISK, "damaged spill file: %s", why.text);
}

/* The next len bytes of content, unsealed where they are sealed. Valid until the next call. */
static int take(struct opened *o, const struct seal_piece *piece, size_t len, const char **ret,
		struct err *e)
{
	const char *p = NULL;

	if (!o->seal)
		return input_take(&o->in, len, ret, e);
	if (input_take(&o->in, len + SEAL_TAG, &p, e))
		return -1;
	if (len > o->cap) {
		char *more = realloc(o->clear, len);

		if (!more)
			return err_nomem(e);
		o->clear = more;
		o->cap = len;
	}
	if (seal_open(o->seal, piece, p, len, o->clear, e))
		return damaged_by(e);
	*ret = o->clear;
	return 0;
}

static int take_trailer(struct opened *o, struct spillfile_trailer *ret, struct err *e)
{
	char bytes[SPILLFILE_TRAILER + SEAL_TAG];
	size_t len = SPILLFILE_TRAILER + (o->seal ? SEAL_TAG : 0);

	if (input_end(&o->in, bytes, len, e))
		return -1;
	if (o->seal && seal_open(o->seal, &(struct seal_piece){ .part = SEAL_TRAILER }, bytes,
				 SPILLFILE_TRAILER, bytes, e))
		return damaged_by(e);
	return spillfile_parse_trailer(bytes, o->in.size, ret, e);
}

/* With a key nothing is believed that was not sealed with it, and without one nothing that was. */
static int check_sealed(const struct opened *o, bool sealed, struct err *e)
{
	if (sealed == (o->key != NULL))
		return 0;
	if (sealed)
		return err_set(e, ERR_DISK, "the spill file is encrypted, and no key is given");
	return err_set(e, ERR_DISK, "the spill file is not encrypted, as the run's files are");
}

/* The rest of a sealed file's head, whose prefix was taken; the header's piece is bound to it. */
static int take_head(struct opened *o, char bytes[SPILLFILE_HEAD], uint64_t *ret_len, struct err *e)
{
	struct spillfile_head h;
	const char *p = NULL;
	int r;

	if (input_take(&o->in, SPILLFILE_HEAD - SPILLFILE_PREFIX, &p, e))
		return -1;
	memcpy(bytes + SPILLFILE_PREFIX, p, SPILLFILE_HEAD - SPILLFILE_PREFIX);
	if (spillfile_parse_head(bytes, &h, e) || seal_new(&o->seal, e))
		return -1;
	r = seal_resume(o->seal, o->key, h.salt, h.check, e);
	if (r < 0)
		return -1;
	if (!r)
		return err_set(e, ERR_DISK, "the spill file is encrypted with another key");
	*ret_len = h.header_len;
	return 0;
}

/* The header as it was before it was sealed, malloc'ed. */
static int take_whole(struct opened *o, char **ret, size_t *ret_len, struct err *e)
{
	char head[SPILLFILE_HEAD];
	const char *p = NULL;
	uint64_t len = 0;
	bool sealed = false;
	size_t have;

	if (input_take(&o->in, SPILLFILE_PREFIX, &p, e))
		return -1;
	memcpy(head, p, SPILLFILE_PREFIX);
	if (spillfile_header_len(head, &sealed, &len, e) || check_sealed(o, sealed, e) ||
	    (sealed && take_head(o, head, &len, e)))
		return -1;
	have = sealed ? 0 : SPILLFILE_PREFIX;
	if (take(o, &(struct seal_piece){ SEAL_HEADER, 0, head, sizeof(head) }, (size_t)len - have,
		 &p, e))
		return -1;
	*ret = malloc((size_t)len);
	if (!*ret)
		return err_nomem(e);
	memcpy(*ret, head, have);
	memcpy(*ret + have, p, (size_t)len - have);
	*ret_len = (size_t)len;
	return 0;
}

static int take_header(struct opened *o, const char *run, struct chunk **ret, uint64_t *ret_chain,
		       struct err *e)
{
	AUTO(free) char *whole = NULL;
	size_t len = 0;

	if (take_whole(o, &whole, &len, e))
		return -1;
	return spillfile_parse_header(whole, len, run, ret, ret_chain, e);
}

/* Header and trailer of an input: a chunk without data. The header goes first, for its messages. */
static int take_ends(struct opened *o, const char *run, struct chunk **ret,
		     struct spillfile_trailer *ret_trailer, uint64_t *ret_chain, struct err *e)
{
	AUTO(chunk) struct chunk *c = NULL;
	struct spillfile_trailer t;

	if (take_header(o, run, &c, ret_chain, e) || take_trailer(o, &t, e))
		return -1;
	/* Bounds what is allocated for the data: no length is believed beyond the file's own. */
	if (t.frames > o->in.size / SPILLFILE_FRAME ||
	    c->raw_bytes > (uint64_t)t.frames * CODEC_FRAME)
		return err_set(e, ERR_DISK,
			       "damaged spill file: its lengths contradict each other");
	c->file_bytes = o->in.size;
	*ret_trailer = t;
	*ret = GIVE(&c);
	return 0;
}

/* A frame's content, its head first; no is its number in the file. */
static int take_frame_bytes(struct opened *o, uint32_t no, const char **ret,
			    struct spillfile_frame *f, struct err *e)
{
	const char *p = NULL;
	char length[SPILLFILE_LENGTH];
	size_t len = 0;

	if (!o->seal) {
		if (input_take(&o->in, SPILLFILE_FRAME, &p, e) || spillfile_parse_frame(p, f, e))
			return -1;
		return input_take(&o->in, f->stored, ret, e);
	}
	if (input_take(&o->in, sizeof(length), &p, e))
		return -1;
	memcpy(length, p, sizeof(length));
	if (spillfile_parse_length(length, &len, e) ||
	    take(o, &(struct seal_piece){ SEAL_FRAME, no, length, sizeof(length) }, len, &p, e) ||
	    spillfile_parse_frame(p, f, e))
		return -1;
	if (f->stored != len - SPILLFILE_FRAME)
		return err_set(e, ERR_DISK, "damaged spill file: the length of a frame is wrong");
	*ret = p + SPILLFILE_FRAME;
	return 0;
}

/* What has been read of the frames. */
struct frames {
	char *raw;
	size_t at;
	uint64_t chain;
};

static int take_frame(struct opened *o, struct codec *codec, uint32_t no, size_t room,
		      struct frames *to, struct err *e)
{
	struct spillfile_frame f = { 0 };
	const char *p = NULL;
	char *raw = to->raw + to->at;

	if (take_frame_bytes(o, no, &p, &f, e))
		return -1;
	if (f.raw > room)
		return err_set(e, ERR_DISK, "damaged spill file: more bytes than it announces");
	if (codec_decode(codec, f.kind, p, f.stored, raw, f.raw, e))
		return -1;
	if (spillfile_check(raw, f.raw) != f.check)
		return err_set(e, ERR_DISK, "damaged spill file: the checksum of a frame is wrong");
	to->chain = spillfile_chain(to->chain, f.check);
	to->at += f.raw;
	return 0;
}

/* All frames into raw, which has c->raw_bytes; the file stands behind its header. */
static int take_frames(struct opened *o, const struct chunk *c, const struct spillfile_trailer *t,
		       uint64_t chain, char *raw, struct err *e)
{
	AUTO(codec) struct codec *codec = NULL;
	struct frames f = { .raw = raw, .chain = chain };

	if (codec_new(&codec, 1, e))
		return -1;
	for (uint32_t i = 0; i < t->frames; i++)
		if (take_frame(o, codec, i, (size_t)c->raw_bytes - f.at, &f, e))
			return -1;
	if (f.at != c->raw_bytes ||
	    input_left(&o->in) != SPILLFILE_TRAILER + (o->seal ? SEAL_TAG : 0))
		return err_set(e, ERR_DISK, "damaged spill file: frames are missing");
	if (f.chain != t->chain)
		return err_set(e, ERR_DISK,
			       "damaged spill file: its frames do not belong together");
	return 0;
}

static void drop_buffer(struct chunk *c)
{
	if (c->shelf)
		shelf_give(c->shelf, c->data);
	else
		free(c->data);
	c->shelf = NULL;
	c->data = NULL;
	c->cap = 0;
}

static int take_data(struct opened *o, struct chunk *c, const struct spillfile_trailer *t,
		     uint64_t chain, struct err *e)
{
	size_t len = (size_t)c->raw_bytes;

	/* A small chunk does not keep a large buffer from the next one. */
	if (c->shelf && (len > shelf_size(c->shelf) || len < shelf_size(c->shelf) / 2))
		c->shelf = NULL;
	c->data = c->shelf ? shelf_take(c->shelf) : malloc(len ? len : 1);
	c->cap = c->shelf ? shelf_size(c->shelf) : len;
	if (!c->data)
		return err_nomem(e);
	if (take_frames(o, c, t, chain, c->data, e)) {
		drop_buffer(c);
		return -1;
	}
	c->len = len;
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

int spill_read_header(const char *path, const char *run, const struct seal_key *key,
		      struct chunk **ret, struct err *e)
{
	struct opened o = { .key = key };
	struct spillfile_trailer t;
	uint64_t chain;
	int r;

	r = input_open(&o.in, path, e) || take_ends(&o, run, ret, &t, &chain, e);
	opened_done(&o);
	return r ? note_damage(e, path) : 0;
}

static bool same_chunk(const struct chunk *a, const struct chunk *b)
{
	char names[2][SPILL_NAME_LEN];

	spill_file_name(a, names[0]);
	spill_file_name(b, names[1]);
	return !strcmp(names[0], names[1]) && a->from == b->from && a->to == b->to &&
	       a->binary == b->binary && a->raw_bytes == b->raw_bytes &&
	       tally_equal(&a->read, &b->read) && tally_equal(&a->sent, &b->sent);
}

static int read_data(struct opened *o, const char *path, const char *run, struct chunk *c,
		     struct err *e)
{
	AUTO(chunk) struct chunk *found = NULL;
	struct spillfile_trailer t;
	uint64_t chain;

	if (input_open(&o->in, path, e) || take_ends(o, run, &found, &t, &chain, e))
		return -1;
	if (!same_chunk(found, c))
		return err_set(e, ERR_DISK,
			       "spill file of another chunk, or of another reading of this one");
	return take_data(o, c, &t, chain, e);
}

int spill_read_data(const char *dir, const char *run, const struct seal_key *key, struct chunk *c,
		    struct err *e)
{
	AUTO(free) char *path = spill_path(dir, c);
	struct opened o = { .key = key };
	int r;

	if (!path)
		return err_nomem(e);
	r = read_data(&o, path, run, c, e);
	opened_done(&o);
	return r ? note_damage(e, path) : 0;
}

int spill_parse(const void *data, size_t len, const char *run, const struct seal_key *key,
		struct chunk **ret, struct err *e)
{
	AUTO(chunk) struct chunk *c = NULL;
	struct opened o = { .key = key };
	struct spillfile_trailer t;
	uint64_t chain;
	int r;

	input_memory(&o.in, data, len);
	r = take_ends(&o, run, &c, &t, &chain, e) || take_data(&o, c, &t, chain, e);
	opened_done(&o);
	if (r)
		return -1;
	*ret = GIVE(&c);
	return 0;
}
