/*
 * ddl_watch - looks on while another session builds a long index, and reports how far it is.
 * Private to schema/ddl*.
 *
 * A thread and a session of its own, from the third second on; if it cannot connect, nothing is
 * reported and nothing fails.
 */
#ifndef SCHEMA_DDL_WATCH_H
#define SCHEMA_DDL_WATCH_H

#include "schema/ddl_session.h"

struct ddl_watch;

/* label is borrowed until the end; rows: how many the index will have. NULL when it cannot start.
 */
struct ddl_watch *ddl_watch_start(struct ddl_phase *phase, const char *label, int backend_pid,
				  int64_t rows);
void ddl_watch_end(struct ddl_watch *w);

#endif
