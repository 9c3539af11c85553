/*
 * file - whole files, safely: written under a temporary name, synced, renamed, folder synced.
 *
 * Everything the program keeps on disk is mode 0600 in folders of mode 0700.
 */
#ifndef COMMON_FILE_H
#define COMMON_FILE_H

#include "common/err.h"

#include <jansson.h>
#include <stdint.h>

/* Makes the folder and its parents, 0700. An existing folder is fine. */
int file_mkdir(const char *path, struct err *e) MUST_CHECK;

/* Replaces path atomically and durably. A kill may leave path.tmp-XXXXXX behind. */
int file_write(const char *path, const void *data, size_t len, struct err *e) MUST_CHECK;
int file_write_json(const char *path, const json_t *value, struct err *e) MUST_CHECK;

/* A file's content under another name, as file_write() does it; of the same file: nothing to do. */
int file_copy(const char *from, const char *to, struct err *e) MUST_CHECK;

/* Whole file, malloc'ed, NUL-terminated. limit: refused above it. */
int file_read(const char *path, size_t limit, char **ret, size_t *ret_len, struct err *e)
	MUST_CHECK;
/* New reference. A syntax error names file, line and column. */
int file_read_json(const char *path, json_t **ret, struct err *e) MUST_CHECK;

bool file_exists(const char *path);
int file_sync_dir(const char *dir, struct err *e) MUST_CHECK;
/* Removes a folder and all below it. A missing one is fine. */
int file_remove_tree(const char *path, struct err *e) MUST_CHECK;
/* SHA-256 of a file as 64 hex digits and NUL. */
int file_sha256(const char *path, char ret_hex[65], struct err *e) MUST_CHECK;
/* dir/name into a malloc'ed string; NULL when memory ends. */
char *file_path(const char *dir, const char *name);

/*
 * Takes an exclusive lock on a file (created 0600) without waiting. Returns 0 and the descriptor,
 * which holds the lock until closed; 1 when another process has it; -1 on error. A forked child
 * that goes on without exec shares the lock and must close the descriptor.
 */
int file_lock(const char *path, int *ret_fd, struct err *e) MUST_CHECK;

#endif
