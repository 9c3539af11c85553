/*
 * backup - the whole database in one file, by pg_dump, and the proof that it can be read.
 *
 * The archive is pg_dump's custom format. It is written aside and gets its name only after
 * pg_restore has listed it and has unpacked every block of it, so that a file under that name is
 * whole. Mode 0600. Its digest and what it holds go into a document beside it (FILE.json).
 */
#ifndef SCHEMA_BACKUP_H
#define SCHEMA_BACKUP_H

#include "common/conn.h"
#include "common/stop.h"

#include <jansson.h>

/*
 * Dumps `source` into path, which must not exist (ERR_USAGE). *ret: {file (absolute), bytes, sha256,
 * entries, tables, source, server, program, lsn, began, ms}. On error nothing is left behind.
 */
int backup_make(json_t **ret, const struct conn *source, const char *path, struct stop *stop,
		struct err *e) MUST_CHECK;

#endif
