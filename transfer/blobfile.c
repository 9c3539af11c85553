#include "transfer/blobfile.h"

#include "common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK    ((uint64_t)64 << 10)
#define NO_BLOCK UINT64_MAX
#define HEAD     (sizeof(magic) + SEAL_SALT + SEAL_CHECK)

static const char magic[8] = { 'N', 'F', 'B', 'L', 'O', 'B', 'S', '2' };

/* --- reading --- */

void blobfile_free(struct blobfile *f)
{
	if (!f)
		return;
	for (int i = 0; f->list && i < f->n; i++)
		free(f->list[i].comment);
	free(f->list);
	seal_free(f->seal);
	free(f->block);
	if (f->fd >= 0)
		close(f->fd);
	free(f);
}

static int damaged(const char *path, struct err *e)
{
	err_set(e, ERR_DISK, "%s is damaged", path);
	return err_hint(e,
			"begin a new run in another folder: the large objects must be read again");
}

static int read_entry(struct blob *b, const json_t *j, const char *path, struct err *e)
{
	const char *sha = json_string_value(json_object_get(j, "sha256"));
	const char *comment = json_string_value(json_object_get(j, "comment"));
	json_int_t oid = json_integer_value(json_object_get(j, "oid"));
	json_int_t size = json_integer_value(json_object_get(j, "size"));
	json_int_t offset = json_integer_value(json_object_get(j, "offset"));

	if (!sha || strlen(sha) != 64 || oid <= 0 || oid > UINT32_MAX || size < 0 || offset < 0)
		return damaged(path, e);
	b->oid = (uint32_t)oid;
	b->size = (uint64_t)size;
	b->offset = (uint64_t)offset;
	memcpy(b->sha256, sha, sizeof(b->sha256));
	b->comment = comment ? strdup(comment) : NULL;
	return comment && !b->comment ? err_nomem(e) : 0;
}

static int read_index(struct blobfile *f, const char *path, struct err *e)
{
	json_t *index = NULL;
	const json_t *j;
	size_t i;
	int rc = 0;

	if (file_read_json(path, &index, e) < 0)
		return -1;
	f->list = calloc(json_array_size(index) + 1, sizeof(*f->list));
	if (!f->list)
		rc = err_nomem(e);
	json_array_foreach(index, i, j)
	{
		if (rc == 0)
			rc = read_entry(&f->list[f->n++], j, path, e);
	}
	json_decref(index);
	return rc;
}

/* Bytes of all objects together. */
static uint64_t total(const struct blobfile *f)
{
	const struct blob *last = f->n > 0 ? &f->list[f->n - 1] : NULL;

	return last ? last->offset + last->size : 0;
}

static int check_size(const struct blobfile *f, const char *path, struct err *e)
{
	uint64_t need = total(f);
	struct stat st;

	if (f->seal)
		need += HEAD + (need + BLOCK - 1) / BLOCK * SEAL_TAG;
	if (fstat(f->fd, &st) < 0)
		return err_sys(e, ERR_DISK, errno, "cannot read %s", path);
	return (uint64_t)st.st_size < need ? damaged(path, e) : 0;
}

static int read_at(int fd, void *buf, size_t len, uint64_t offset, struct err *e)
{
	char *to = buf;

	while (len > 0) {
		ssize_t n = pread(fd, to, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, ERR_DISK, errno, "cannot read " BLOBFILE_DATA);
		if (n == 0)
			return damaged(BLOBFILE_DATA, e);
		to += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int open_seal(struct blobfile *f, const struct seal_key *key, const char *path,
		     struct err *e)
{
	char head[HEAD];
	int r;

	f->block_no = NO_BLOCK;
	f->block = malloc(BLOCK + SEAL_TAG);
	if (!f->block)
		return err_nomem(e);
	if (read_at(f->fd, head, sizeof(head), 0, e) < 0 || seal_new(&f->seal, e) < 0)
		return -1;
	if (memcmp(head, magic, sizeof(magic)) != 0)
		return damaged(path, e);
	r = seal_resume(f->seal, key, head + sizeof(magic), head + sizeof(magic) + SEAL_SALT, e);
	return r == 0 ? damaged(path, e) : r < 0 ? -1 : 0;
}

int blobfile_open(struct blobfile **ret, const char *dir, const struct seal_key *key, struct err *e)
{
	AUTO(free)
	char *index = file_path(dir, BLOBFILE_INDEX), *data = file_path(dir, BLOBFILE_DATA);
	AUTO(blobfile) struct blobfile *f = calloc(1, sizeof(*f));

	if (f)
		f->fd = -1;
	if (!index || !data || !f)
		return err_nomem(e);
	if (!file_exists(index)) {
		err_set(e, ERR_DISK, "%s is missing", index);
		return err_hint(e, "put it back, or begin a new run in another folder");
	}
	if (read_index(f, index, e) < 0)
		return -1;
	f->fd = open(data, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (f->fd < 0)
		return err_sys(e, ERR_DISK, errno, "cannot read %s", data);
	if ((key && open_seal(f, key, data, e) < 0) || check_size(f, data, e) < 0)
		return -1;
	*ret = GIVE(&f);
	return 0;
}

static int need_block(struct blobfile *f, uint64_t no, struct err *e)
{
	uint64_t left = total(f) - no * BLOCK;
	size_t len = (size_t)(left < BLOCK ? left : BLOCK);

	if (f->block_no == no)
		return 0;
	f->block_no = NO_BLOCK;
	if (read_at(f->fd, f->block, len + SEAL_TAG, HEAD + no * (BLOCK + SEAL_TAG), e) < 0)
		return -1;
	if (seal_open(f->seal, &(struct seal_piece){ .part = SEAL_BLOCK, .no = no }, f->block, len,
		      f->block, e) < 0) {
		*e = ERR_INIT;
		return damaged(BLOBFILE_DATA, e);
	}
	f->block_no = no;
	return 0;
}

static int read_sealed(struct blobfile *f, uint64_t at, char *to, size_t len, struct err *e)
{
	while (len > 0) {
		uint64_t in = at % BLOCK;
		size_t n = len < BLOCK - in ? len : (size_t)(BLOCK - in);

		if (need_block(f, at / BLOCK, e) < 0)
			return -1;
		memcpy(to, f->block + in, n);
		to += n;
		at += n;
		len -= n;
	}
	return 0;
}

int blobfile_read(struct blobfile *f, const struct blob *b, uint64_t at, void *buf, size_t len,
		  struct err *e)
{
	if (at > b->size || len > b->size - at || b->offset + at + len > total(f))
		return damaged(BLOBFILE_DATA, e);
	if (f->seal)
		return read_sealed(f, b->offset + at, buf, len, e);
	return read_at(f->fd, buf, len, b->offset + at, e);
}

/* --- writing --- */

struct blobwriter {
	char *index_path, *data_path;
	FILE *file;
	json_t *index;
	EVP_MD_CTX *hash;
	uint64_t offset, size; /* of the object at hand */
	struct seal *seal;     /* NULL: the data is not sealed */
	char *block;
	uint64_t block_no;
	size_t held; /* bytes in block */
};

void blobwriter_free(struct blobwriter *w)
{
	if (!w)
		return;
	if (w->file)
		(void)fclose(w->file);
	EVP_MD_CTX_free(w->hash);
	seal_free(w->seal);
	free(w->block);
	json_decref(w->index);
	free(w->index_path);
	free(w->data_path);
	free(w);
}

static int open_data(struct blobwriter *w, struct err *e)
{
	int fd = open(w->data_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return err_sys(e, ERR_DISK, errno, "cannot write %s", w->data_path);
	w->file = fdopen(fd, "wb");
	if (w->file)
		return 0;
	close(fd);
	return err_nomem(e);
}

static int write_data(struct blobwriter *w, const void *data, size_t len, struct err *e)
{
	if (len > 0 && fwrite(data, 1, len, w->file) != len)
		return err_sys(e, ERR_DISK, errno, "cannot write %s", w->data_path);
	return 0;
}

static int start_seal(struct blobwriter *w, const struct seal_key *key, struct err *e)
{
	char salt[SEAL_SALT], check[SEAL_CHECK];

	w->block = malloc(BLOCK + SEAL_TAG);
	if (!w->block)
		return err_nomem(e);
	if (seal_new(&w->seal, e) < 0 || seal_start(w->seal, key, salt, check, e) < 0 ||
	    write_data(w, magic, sizeof(magic), e) < 0 || write_data(w, salt, sizeof(salt), e) < 0)
		return -1;
	return write_data(w, check, sizeof(check), e);
}

static int flush_block(struct blobwriter *w, struct err *e)
{
	size_t len = w->held;

	if (len == 0)
		return 0;
	w->held = 0;
	if (seal_close(w->seal, &(struct seal_piece){ .part = SEAL_BLOCK, .no = w->block_no++ },
		       w->block, len, e) < 0)
		return -1;
	return write_data(w, w->block, len + SEAL_TAG, e);
}

static int put_sealed(struct blobwriter *w, const char *data, size_t len, struct err *e)
{
	while (len > 0) {
		size_t n = len < BLOCK - w->held ? len : (size_t)(BLOCK - w->held);

		memcpy(w->block + w->held, data, n);
		w->held += n;
		data += n;
		len -= n;
		if (w->held == BLOCK && flush_block(w, e) < 0)
			return -1;
	}
	return 0;
}

int blobwriter_new(struct blobwriter **ret, const char *dir, const struct seal_key *key,
		   struct err *e)
{
	AUTO(blobwriter) struct blobwriter *w = calloc(1, sizeof(*w));

	if (!w)
		return err_nomem(e);
	w->index_path = file_path(dir, BLOBFILE_INDEX);
	w->data_path = file_path(dir, BLOBFILE_DATA);
	w->index = json_array();
	w->hash = EVP_MD_CTX_new();
	if (!w->index_path || !w->data_path || !w->index || !w->hash ||
	    !EVP_DigestInit_ex(w->hash, EVP_sha256(), NULL))
		return err_nomem(e);
	if (unlink(w->index_path) < 0 && errno != ENOENT)
		return err_sys(e, ERR_DISK, errno, "cannot replace %s", w->index_path);
	if (open_data(w, e) < 0 || (key && start_seal(w, key, e) < 0))
		return -1;
	*ret = GIVE(&w);
	return 0;
}

int blobwriter_put(struct blobwriter *w, const void *data, size_t len, struct err *e)
{
	if (w->seal ? put_sealed(w, data, len, e) < 0 : write_data(w, data, len, e) < 0)
		return -1;
	if (!EVP_DigestUpdate(w->hash, data, len))
		return err_nomem(e);
	w->size += len;
	return 0;
}

int blobwriter_end(struct blobwriter *w, uint32_t oid, const char *comment, struct err *e)
{
	unsigned char hash[EVP_MAX_MD_SIZE];
	char hex[65];
	json_t *j;

	if (!EVP_DigestFinal_ex(w->hash, hash, NULL) ||
	    !EVP_DigestInit_ex(w->hash, EVP_sha256(), NULL))
		return err_nomem(e);
	for (size_t i = 0; i < 32; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", hash[i]);
	j = json_pack("{s:I, s:I, s:I, s:s, s:s?}", "oid", (json_int_t)oid, "size",
		      (json_int_t)w->size, "offset", (json_int_t)w->offset, "sha256", hex,
		      "comment", comment);
	if (!j || json_array_append_new(w->index, j) < 0)
		return err_nomem(e);
	w->offset += w->size;
	w->size = 0;
	return 0;
}

int blobwriter_finish(struct blobwriter *w, struct err *e)
{
	if (w->seal && flush_block(w, e) < 0)
		return -1;
	if (fflush(w->file) != 0 || fdatasync(fileno(w->file)) != 0)
		return err_sys(e, ERR_DISK, errno, "cannot write %s", w->data_path);
	return file_write_json(w->index_path, w->index, e);
}
