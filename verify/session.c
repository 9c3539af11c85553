#include "verify/session.h"

#include "common/clock.h"
#include "common/stop.h"

#include <time.h>

#define BACKOFF_BASE_MS 200
#define BACKOFF_CAP_MS  10000

/*
 * pgvector's settings exist in a session once its library is loaded. Were that to happen inside a
 * parallel query, what ALTER DATABASE or ALTER ROLE say about them would be lost for the session
 * (the server warns "cannot be set during a parallel operation"), so it is loaded first.
 */
static int load_vector(struct pg *pg, struct err *e)
{
	AUTO(free) char *schema = NULL;

	if (pg_value(pg,
		     "SELECT format('%I', n.nspname) FROM pg_extension x"
		     " JOIN pg_namespace n ON n.oid = x.extnamespace WHERE x.extname = 'vector'",
		     &schema, e))
		return -1;
	return schema ? pg_execf(pg, e, "SELECT '[1]'::%s.vector", schema) : 0;
}

int session_for_scans(struct pg *pg, struct err *e)
{
	return pg_exec(pg,
		       "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;"
		       "SET min_parallel_table_scan_size = '512kB'",
		       e);
}

int session_as_application(struct pg *pg, struct err *e)
{
	return pg_exec(pg,
		       "RESET parallel_setup_cost; RESET parallel_tuple_cost;"
		       "RESET min_parallel_table_scan_size",
		       e);
}

static int open_once(struct pg **ret, const struct conn *conn, const char *name, struct stop *stop,
		     struct err *e)
{
	AUTO(pg) struct pg *pg = NULL;

	if (pg_open(&pg, conn, name, stop, e) || load_vector(pg, e) ||
	    pg_exec(pg, "SET jit = off", e))
		return -1;
	*ret = GIVE(&pg);
	return 0;
}

bool session_again(const struct err *e, unsigned *attempt, uint64_t deadline, struct stop *stop)
{
	struct err ignored = ERR_INIT;
	uint64_t wait;

	if (e->next == ERR_GIVE_UP || e->kind == ERR_STOPPED || clock_ms() >= deadline)
		return false;
	wait = clock_backoff((*attempt)++, BACKOFF_BASE_MS, BACKOFF_CAP_MS);
	if (stop)
		return stop_sleep(stop, wait, &ignored) == 0;
	nanosleep(&(struct timespec){ .tv_sec = (time_t)(wait / 1000),
				      .tv_nsec = (long)(wait % 1000) * 1000000 },
		  NULL);
	return true;
}

int session_open(struct pg **ret, const struct conn *conn, const char *name, struct stop *stop,
		 uint64_t deadline, struct err *e)
{
	unsigned attempt = 1;
	struct err failed;

	for (;;) {
		failed = ERR_INIT;
		if (open_once(ret, conn, name, stop, &failed) == 0)
			return 0;
		if (!session_again(&failed, &attempt, deadline, stop)) {
			*e = failed;
			return -1;
		}
	}
}
