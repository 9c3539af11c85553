#include "transfer/blob.h"

#include "common/pg.h"
#include "schema/ledger.h"
#include "transfer/blobfile.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE ((size_t)1 << 20)
/* Objects in one query or transaction, and about how many bytes. */
#define BATCH       200
#define BATCH_BYTES ((uint64_t)4 << 20)
/* What the target's server may hash in one call: it needs the whole object in memory. */
#define HASH_THERE ((uint64_t)64 << 20)

/* --- capture --- */

static int refuse_reading(struct err *e, const char *oid)
{
	if (strcmp(e->sqlstate, "42501") != 0)
		return err_note(e, "reading large object %s", oid);
	err_set(e, ERR_REFUSED, "source: large object %s may not be read by this role", oid);
	return err_hint(e, "GRANT SELECT ON LARGE OBJECT %s to the role, or connect as its owner",
			oid);
}

/* One piece of one object, unescaped; *ret_len is less than PIECE at the end of the object. */
static int read_piece(struct pg *pg, const char *oid, uint64_t at, unsigned char **ret,
		      size_t *ret_len, struct err *e)
{
	AUTO(pgresult) PGresult *res = NULL;
	char offset[24];
	const char *values[] = { oid, offset };

	(void)snprintf(offset, sizeof(offset), "%" PRIu64, at);
	if (pg_query_params(
		    pg,
		    "SELECT pg_catalog.lo_get($1::pg_catalog.oid, $2::pg_catalog.int8, 1048576)", 2,
		    values, &res, e) < 0)
		return -1;
	*ret = PQunescapeBytea((const unsigned char *)PQgetvalue(res, 0, 0), ret_len);
	return *ret ? 0 : err_nomem(e);
}

static int capture_one(struct blobwriter *w, struct pg *pg, const char *oid, const char *comment,
		       struct err *e)
{
	size_t len = PIECE;

	for (uint64_t at = 0; len == PIECE; at += len) {
		unsigned char *data = NULL;
		int rc;

		if (read_piece(pg, oid, at, &data, &len, e) < 0)
			return refuse_reading(e, oid);
		rc = blobwriter_put(w, data, len, e);
		PQfreemem(data);
		if (rc < 0)
			return -1;
	}
	return blobwriter_end(w, (uint32_t)strtoul(oid, NULL, 10), comment, e);
}

int blob_capture(const struct blob_job *j, struct pg *source, struct err *e)
{
	AUTO(blobwriter) struct blobwriter *w = NULL;
	AUTO(pgresult) PGresult *res = NULL;
	int n;

	if (blobwriter_new(&w, j->dir, j->key, e) < 0 ||
	    pg_query(source,
		     "SELECT oid, pg_catalog.obj_description(oid, 'pg_largeobject') "
		     "FROM pg_catalog.pg_largeobject_metadata ORDER BY oid",
		     &res, e) < 0)
		return err_note(e, "listing the large objects of the source");
	n = PQntuples(res);
	if (n > 0)
		event_emit(j->events, EVENT_INFO, "blob.capture", NULL, "reading %d large objects",
			   n);
	for (int i = 0; i < n; i++) {
		const char *comment = PQgetisnull(res, i, 1) ? NULL : PQgetvalue(res, i, 1);

		if (j->stop && stop_level(j->stop) != STOP_NO)
			return stop_err(e);
		if (capture_one(w, source, PQgetvalue(res, i, 0), comment, e) < 0)
			return -1;
	}
	return blobwriter_finish(w, e);
}

/* --- hashing in the target --- */

static void hex_of(const unsigned char *hash, char ret[65])
{
	for (size_t i = 0; i < 32; i++)
		(void)snprintf(ret + 2 * i, 3, "%02x", hash[i]);
}

static int hash_pieces(EVP_MD_CTX *ctx, struct pg *pg, const char *oid, struct err *e)
{
	size_t len = PIECE;

	if (!ctx || !EVP_DigestInit_ex(ctx, EVP_sha256(), NULL))
		return err_nomem(e);
	for (uint64_t at = 0; len == PIECE; at += len) {
		unsigned char *data = NULL;
		int ok;

		if (read_piece(pg, oid, at, &data, &len, e) < 0)
			return -1;
		ok = EVP_DigestUpdate(ctx, data, len);
		PQfreemem(data);
		if (!ok)
			return err_nomem(e);
	}
	return 0;
}

/* An object too large for the server to hash in one call is read and hashed here. */
static int hash_here(struct pg *pg, uint32_t oid, char ret[65], struct err *e)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char hash[EVP_MAX_MD_SIZE];
	char number[16];
	int rc;

	(void)snprintf(number, sizeof(number), "%" PRIu32, oid);
	rc = hash_pieces(ctx, pg, number, e);
	if (rc == 0 && !EVP_DigestFinal_ex(ctx, hash, NULL))
		rc = err_nomem(e);
	EVP_MD_CTX_free(ctx);
	if (rc == 0)
		hex_of(hash, ret);
	return rc;
}

static void add_oids(struct text *sql, const struct blob *list, int n)
{
	text_add(sql, "'{");
	for (int i = 0; i < n; i++)
		text_addf(sql, "%s%" PRIu32, i ? "," : "", list[i].oid);
	text_add(sql, "}'::pg_catalog.oid[]");
}

/* The hash of each of n objects in the target: "" where it is not there. */
static int hash_batch(struct pg *pg, const struct blob *list, int n, char (*ret)[65], struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;
	AUTO(pgresult) PGresult *res = NULL;

	for (int i = 0; i < n; i++)
		ret[i][0] = '\0';
	text_addf(&sql,
		  "SELECT oid, CASE WHEN pg_catalog.lo_get(oid, %" PRIu64 ", 1) = '' THEN "
		  "pg_catalog.encode(pg_catalog.sha256(pg_catalog.lo_get(oid)), 'hex') ELSE '' END "
		  "FROM pg_catalog.pg_largeobject_metadata WHERE oid = ANY (",
		  HASH_THERE);
	add_oids(&sql, list, n);
	text_add(&sql, ")");
	if (text_check(&sql, e) < 0 || pg_query(pg, text_str(&sql), &res, e) < 0)
		return err_note(e, "hashing large objects in the target");
	for (int row = 0; row < PQntuples(res); row++) {
		uint32_t oid = (uint32_t)strtoul(PQgetvalue(res, row, 0), NULL, 10);
		int i = 0;

		while (i < n - 1 && list[i].oid != oid)
			i++;
		if (*PQgetvalue(res, row, 1))
			(void)snprintf(ret[i], 65, "%.64s", PQgetvalue(res, row, 1));
		else if (hash_here(pg, oid, ret[i], e) < 0)
			return err_note(e, "hashing large object %" PRIu32 " in the target", oid);
	}
	return 0;
}

/* --- before the first write --- */

static int refuse_other(const struct blob *b, struct err *e)
{
	err_set(e, ERR_REFUSED,
		"target: large object %" PRIu32 " exists already, with other contents", b->oid);
	return err_hint(e,
			"--on-existing truncate replaces it; or SELECT lo_unlink(%" PRIu32
			") in the target if nothing there needs it",
			b->oid);
}

int blob_check(const struct blob_job *j, struct pg *target, struct err *e)
{
	AUTO(blobfile) struct blobfile *f = NULL;
	char there[BATCH][65];

	if (blobfile_open(&f, j->dir, j->key, e) < 0)
		return -1;
	if (j->existing == RUN_EXISTING_TRUNCATE)
		return 0;
	for (int at = 0; at < f->n; at += BATCH) {
		int n = f->n - at < BATCH ? f->n - at : BATCH;

		if (hash_batch(target, f->list + at, n, there, e) < 0)
			return -1;
		for (int i = 0; i < n; i++)
			if (there[i][0] && strcmp(there[i], f->list[at + i].sha256) != 0)
				return refuse_other(&f->list[at + i], e);
	}
	return 0;
}

/* --- loading --- */

static const json_t *find_row(const json_t *by_oid, uint32_t oid)
{
	char key[16];

	(void)snprintf(key, sizeof(key), "%" PRIu32, oid);
	return json_object_get(by_oid, key);
}

/* What the ledger knows: an object {"<oid>": {"sha256", "outcome"}}. */
static int read_known(struct pg *target, const char *run, json_t **ret, struct err *e)
{
	const char *values[] = { run };
	AUTO(pgresult) PGresult *res = NULL;
	json_t *known = json_object();

	if (!known)
		return err_nomem(e);
	if (pg_query_params(
		    target,
		    "SELECT tag, detail ->> 'sha256', outcome FROM neonferry.object WHERE run = $1 "
		    "AND section = 'blob'",
		    1, values, &res, e) < 0) {
		json_decref(known);
		return -1;
	}
	for (int i = 0; i < PQntuples(res); i++)
		json_object_set_new(known, PQgetvalue(res, i, 0),
				    json_pack("{s:s, s:s}", "sha256", PQgetvalue(res, i, 1),
					      "outcome", PQgetvalue(res, i, 2)));
	*ret = known;
	return 0;
}

/* The key of a ledger row is a signed number; the oid itself is the tag. */
static void add_row(const struct blob_job *j, const struct blob *b, const char *outcome,
		    struct text *sql)
{
	text_add(sql, "INSERT INTO neonferry.object (run, section, entry, generation, tag, "
		      "outcome, detail) VALUES (");
	text_add_literal(sql, j->run);
	text_addf(sql, ", 'blob', %" PRId32 ", ", (int32_t)b->oid);
	ledger_fence(sql, j->run, j->generation);
	text_addf(sql, ", '%" PRIu32 "', '%s', '{\"sha256\": \"%s\", \"size\": %" PRIu64 "}'); ",
		  b->oid, outcome, b->sha256, b->size);
}

static void add_forgetting(const struct blob_job *j, uint32_t oid, struct text *sql)
{
	text_add(sql, "DELETE FROM neonferry.object WHERE section = 'blob' AND run = ");
	text_add_literal(sql, j->run);
	text_addf(sql, " AND entry = %" PRId32 "; ", (int32_t)oid);
}

static int put_pieces(struct blobfile *f, const struct blob *b, struct pg *pg, struct err *e)
{
	AUTO(free) unsigned char *buf = malloc(PIECE);
	AUTO(free) char *hex = malloc(2 * PIECE + 3);
	char oid[16], offset[24];
	const char *values[] = { oid, offset, hex };

	if (!buf || !hex)
		return err_nomem(e);
	(void)snprintf(oid, sizeof(oid), "%" PRIu32, b->oid);
	for (uint64_t at = 0; at < b->size;) {
		static const char digits[] = "0123456789abcdef";
		size_t len = b->size - at < PIECE ? (size_t)(b->size - at) : PIECE;
		AUTO(pgresult) PGresult *res = NULL;

		if (blobfile_read(f, b, at, buf, len, e) < 0)
			return -1;
		hex[0] = '\\';
		hex[1] = 'x';
		for (size_t i = 0; i < len; i++) {
			hex[2 + 2 * i] = digits[buf[i] >> 4];
			hex[3 + 2 * i] = digits[buf[i] & 15];
		}
		hex[2 + 2 * len] = '\0';
		(void)snprintf(offset, sizeof(offset), "%" PRIu64, at);
		if (pg_query_params(
			    pg,
			    "SELECT pg_catalog.lo_put($1::pg_catalog.oid, $2::pg_catalog.int8, "
			    "$3::pg_catalog.bytea)",
			    3, values, &res, e) < 0)
			return -1;
		at += len;
	}
	return 0;
}

/* The statement part of one object: what was there goes, it is created and recorded. */
static void add_creation(const struct blob_job *j, const struct blob *b, bool known, bool there,
			 struct text *sql)
{
	if (known)
		add_forgetting(j, b->oid, sql);
	add_row(j, b, "applied", sql);
	if (there)
		text_addf(sql, "SELECT pg_catalog.lo_unlink(%" PRIu32 "); ", b->oid);
	text_addf(sql, "SELECT pg_catalog.lo_create(%" PRIu32 "); ", b->oid);
	if (b->comment) {
		text_addf(sql, "COMMENT ON LARGE OBJECT %" PRIu32 " IS ", b->oid);
		text_add_literal(sql, b->comment);
		text_add(sql, "; ");
	}
}

struct load {
	const struct blob_job *j;
	struct pg *pg;
	struct blobfile *f;
	json_t *known;
	char there[BATCH][65];
};

/* 0: is there already; 1: must be loaded; -1. */
static int is_to_load(struct load *l, const struct blob *b, const char *there, struct text *sql,
		      struct err *e)
{
	const json_t *row = find_row(l->known, b->oid);
	const char *sha = json_string_value(json_object_get(row, "sha256"));
	const char *outcome = json_string_value(json_object_get(row, "outcome"));
	bool same = strcmp(there, b->sha256) == 0;

	if (row && same && sha && strcmp(sha, b->sha256) == 0)
		return 0;
	if (!row && same) {
		add_row(l->j, b, "present", sql);
		return 0;
	}
	if (*there && (!row || strcmp(outcome, "present") == 0) &&
	    l->j->existing != RUN_EXISTING_TRUNCATE)
		return refuse_other(b, e);
	add_creation(l->j, b, row != NULL, *there != '\0', sql);
	return 1;
}

/* Entered meanwhile by a backend that outlived its client: the next try asks the ledger again. */
static int explain(struct err *e)
{
	if (strcmp(e->sqlstate, "23505") == 0 && strstr(e->text, LEDGER_OBJECT_KEY))
		e->next = ERR_RETRY;
	return ledger_explain(e);
}

static int load_transaction(struct load *l, int at, int n, struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;
	bool todo[BATCH] = { false };

	for (int i = 0; i < n; i++) {
		int found = is_to_load(l, &l->f->list[at + i], l->there[i], &sql, e);

		if (found < 0)
			return -1;
		todo[i] = found == 1;
	}
	if (sql.len == 0)
		return 0;
	if (text_check(&sql, e) < 0 || pg_begin(l->pg, "", e) < 0 ||
	    pg_exec(l->pg, "SET LOCAL lock_timeout = '60s'", e) < 0)
		return -1;
	if (pg_exec(l->pg, text_str(&sql), e) < 0)
		return explain(e);
	for (int i = 0; i < n; i++)
		if (todo[i] && put_pieces(l->f, &l->f->list[at + i], l->pg, e) < 0)
			return -1;
	return pg_commit(l->pg, e);
}

static int load_batch(struct load *l, int at, int n, struct err *e)
{
	if (l->j->stop && stop_level(l->j->stop) != STOP_NO)
		return stop_err(e);
	if (hash_batch(l->pg, l->f->list + at, n, l->there, e) == 0 &&
	    load_transaction(l, at, n, e) == 0)
		return 0;
	pg_rollback(l->pg);
	return err_note(e, "loading large objects %" PRIu32 " to %" PRIu32, l->f->list[at].oid,
			l->f->list[at + n - 1].oid);
}

/* Those that an earlier snapshot had and this one has not. */
static int remove_gone(struct load *l, struct err *e)
{
	AUTO_TEXT struct text sql = TEXT_INIT;
	const char *key;
	json_t *row;

	for (int i = 0; i < l->f->n; i++) {
		char oid[16];

		(void)snprintf(oid, sizeof(oid), "%" PRIu32, l->f->list[i].oid);
		if (json_object_get(l->known, oid))
			json_object_set_new(json_object_get(l->known, oid), "wanted", json_true());
	}
	json_object_foreach(l->known, key, row)
	{
		const char *outcome = json_string_value(json_object_get(row, "outcome"));

		if (json_object_get(row, "wanted"))
			continue;
		if (outcome && strcmp(outcome, "applied") == 0)
			text_addf(&sql, "SELECT pg_catalog.lo_unlink(%s); ", key);
		add_forgetting(l->j, (uint32_t)strtoul(key, NULL, 10), &sql);
	}
	if (sql.len == 0)
		return 0;
	if (text_check(&sql, e) == 0 && pg_begin(l->pg, "", e) == 0 &&
	    ledger_check_fence(l->pg, l->j->run, l->j->generation, e) == 0 &&
	    pg_exec(l->pg, text_str(&sql), e) == 0 && pg_commit(l->pg, e) == 0)
		return 0;
	pg_rollback(l->pg);
	return err_note(e, "removing large objects that the source does not have any more");
}

static int batch_size(const struct blobfile *f, int at)
{
	uint64_t bytes = 0;
	int n = 0;

	while (at + n < f->n && n < BATCH &&
	       (n == 0 || bytes + f->list[at + n].size <= BATCH_BYTES))
		bytes += f->list[at + n++].size;
	return n;
}

static int load_all(struct load *l, struct err *e)
{
	if (remove_gone(l, e) < 0)
		return -1;
	for (int at = 0, n; at < l->f->n; at += n) {
		n = batch_size(l->f, at);
		if (load_batch(l, at, n, e) < 0)
			return -1;
	}
	return 0;
}

int blob_load(const struct blob_job *j, struct pg *target, struct err *e)
{
	AUTO(blobfile) struct blobfile *f = NULL;
	AUTO(free) struct load *l = calloc(1, sizeof(*l));
	int rc;

	if (!l)
		return err_nomem(e);
	if (blobfile_open(&f, j->dir, j->key, e) < 0)
		return -1;
	l->j = j;
	l->pg = target;
	l->f = f;
	if (read_known(target, j->run, &l->known, e) < 0)
		return err_note(e, "reading the ledger of run %s", j->run);
	if (f->n > 0)
		event_emit(j->events, EVENT_INFO, "blob.load", NULL, "loading %d large objects",
			   f->n);
	rc = load_all(l, e);
	json_decref(l->known);
	return rc;
}

int blob_prove(const struct blob_job *j, struct pg *target, int64_t *ret_n, int64_t *ret_wrong,
	       struct err *e)
{
	AUTO(blobfile) struct blobfile *f = NULL;
	char there[BATCH][65];
	int64_t wrong = 0;

	if (blobfile_open(&f, j->dir, j->key, e) < 0)
		return -1;
	for (int at = 0, n; at < f->n; at += n) {
		n = f->n - at < BATCH ? f->n - at : BATCH;
		if (hash_batch(target, f->list + at, n, there, e) < 0)
			return -1;
		for (int i = 0; i < n; i++)
			wrong += strcmp(there[i], f->list[at + i].sha256) != 0;
	}
	*ret_n = f->n;
	*ret_wrong = wrong;
	return 0;
}

/* --- abort --- */

int blob_count_created(struct pg *target, const char *run, int64_t *ret, struct err *e)
{
	AUTO(pgresult) PGresult *res = NULL;
	const char *values[] = { run };

	if (pg_query_params(
		    target,
		    "SELECT pg_catalog.count(*) FROM neonferry.object WHERE run = $1 AND section = "
		    "'blob' AND outcome = 'applied'",
		    1, values, &res, e) < 0)
		return -1;
	*ret = strtoll(PQgetvalue(res, 0, 0), NULL, 10);
	return 0;
}

int blob_drop_created(struct pg *target, const char *run, struct err *e)
{
	const char *values[] = { run };

	for (int n = BATCH; n == BATCH;) {
		AUTO(pgresult) PGresult *res = NULL;

		if (pg_query_params(target,
				    "WITH gone AS (DELETE FROM neonferry.object "
				    "WHERE (run, section, entry) IN (SELECT run, section, entry "
				    "FROM neonferry.object WHERE run = $1 AND section = 'blob' "
				    "AND outcome = 'applied' LIMIT 200) RETURNING "
				    "tag::pg_catalog.oid AS oid) "
				    "SELECT pg_catalog.lo_unlink(m.oid) FROM gone "
				    "LEFT JOIN pg_catalog.pg_largeobject_metadata m USING (oid)",
				    1, values, &res, e) < 0)
			return err_note(e, "removing the large objects of run %s", run);
		n = PQntuples(res);
	}
	return 0;
}
