#include "cli/summary.h"

#include "cli/choose.h"
#include "cli/say.h"
#include "common/clock.h"
#include "common/text.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void summary_count(const struct summary *s, int *ret_different, int *ret_unproven)
{
	int different = 0, unproven = 0;

	for (int i = 0; s->results && s->proofs && i < s->results->n_tables; i++) {
		different += s->proofs[i].verdict == PROOF_DIFFERENT;
		unproven += s->proofs[i].verdict == PROOF_UNPROVEN;
	}
	if (s->results && s->results->large_objects_unproven > 0)
		unproven++;
	*ret_different = different;
	*ret_unproven = unproven;
}

/* --- the new setting of the application --- */

static void add_encoded(struct text *t, const char *s)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		if (isalnum(c) || strchr("-._~", c))
			text_addn(t, s, 1);
		else
			text_addf(t, "%%%02X", c);
	}
}

static const char *param(const struct conn *c, const char *key)
{
	const char *const *keys, *const *values;

	conn_params(c, &keys, &values);
	for (int i = 0; keys[i]; i++)
		if (strcmp(keys[i], key) == 0 && values[i])
			return values[i];
	return "";
}

char *summary_url(const struct conn *c)
{
	static const char *const kept[] = { "sslmode", "sslrootcert", "channel_binding",
					    "options" };
	AUTO_TEXT struct text t = TEXT_INIT;
	const char *host = conn_host(c);
	struct err ignored = ERR_INIT;
	char separator = '?';

	text_add(&t, "postgresql://");
	add_encoded(&t, conn_user(c));
	text_add(&t, "@");
	if (host[0] != '/')
		text_add(&t, host);
	if (*param(c, "port") && strcmp(param(c, "port"), "5432") != 0)
		text_addf(&t, ":%s", param(c, "port"));
	text_add(&t, "/");
	add_encoded(&t, conn_dbname(c));
	if (host[0] == '/') {
		text_addf(&t, "%chost=", separator);
		add_encoded(&t, host);
		separator = '&';
	}
	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		const char *value = param(c, kept[i]);
		if (!*value || strcmp(value, "prefer") == 0)
			continue;
		text_addf(&t, "%c%s=", separator, kept[i]);
		add_encoded(&t, value);
		separator = '&';
	}
	return text_take(&t, &ignored);
}

/* --- the document --- */

/* The low half of the first word's sum: 16 digits that differ when the rows do. */
static json_t *digest_json(const struct tally *t)
{
	char hex[20], sum0[TALLY_TEXT], sum1[TALLY_TEXT];

	snprintf(hex, sizeof(hex), "%016" PRIx64, (uint64_t)t->sum[0]);
	tally_text(t, 0, sum0);
	tally_text(t, 1, sum1);
	return json_pack("{s:s, s:[s,s]}", "short", hex, "sums", sum0, sum1);
}

static const char *verdict_word(const struct run_table_result *r, enum proof_verdict verdict)
{
	static const char *const words[] = { "same", "different", "unproven" };

	return r->already_there && verdict == PROOF_SAME ? "already there" : words[verdict];
}

static json_t *collection_json(const struct run_table_result *r, int i, const struct proof_table *p)
{
	const struct run_collection_result *c = &r->collections[i];
	json_t *row = json_pack("{s:s?, s:I, s:I, s:o}", "collection", c->name, "rows",
				(json_int_t)c->stream.rows, "counted", (json_int_t)c->counted,
				"digest", digest_json(&c->stream));

	if (p) {
		json_object_set_new(row, "target_rows",
				    json_integer((json_int_t)p->collections[i].target.rows));
		json_object_set_new(row, "verdict",
				    json_string(verdict_word(r, p->collections[i].verdict)));
	}
	return row;
}

static json_t *table_json(const struct run_table_result *r, const struct proof_table *p)
{
	json_t *row = json_pack("{s:s, s:s, s:I, s:I, s:I, s:b, s:o}", "schema", r->schema, "table",
				r->name, "rows", (json_int_t)r->stream.rows, "counted",
				(json_int_t)r->counted, "bytes", (json_int_t)r->bytes, "binary",
				r->binary, "digest", digest_json(&r->stream));
	json_t *collections = json_array();

	if (r->not_binary_why)
		json_object_set_new(row, "not_binary_why", json_string(r->not_binary_why));
	if (r->before.rows)
		json_object_set_new(row, "rows_before", json_integer((json_int_t)r->before.rows));
	if (p) {
		json_object_set_new(row, "target_rows", json_integer((json_int_t)p->target.rows));
		json_object_set_new(row, "verdict", json_string(verdict_word(r, p->verdict)));
		json_object_set_new(row, "proof_ms", json_integer((json_int_t)p->ms));
		if (p->why[0])
			json_object_set_new(row, "why", say_string(p->why));
	}
	for (int i = 0; i < r->n_collections; i++)
		json_array_append_new(collections, collection_json(r, i, p));
	if (r->n_collections)
		json_object_set(row, "collections", collections);
	json_decref(collections);
	return row;
}

static json_t *tables_json(const struct summary *s)
{
	json_t *tables = json_array();

	for (int i = 0; s->results && i < s->results->n_tables; i++)
		json_array_append_new(tables, table_json(&s->results->tables[i],
							 s->proofs ? &s->proofs[i] : NULL));
	return tables;
}

static json_t *error_json(const struct err *e)
{
	return json_pack("{s:s, s:o, s:o, s:s}", "kind", err_kind_name(e->kind), "text",
			 say_string(e->text), "hint", say_string(e->hint), "sqlstate", e->sqlstate);
}

static const char *verdict_of(const struct summary *s)
{
	if (s->error)
		return "not finished";
	if (s->status == EXIT_DIFFERENT)
		return "different";
	if (s->status == EXIT_UNPROVEN)
		return "unproven";
	return s->proofs ? "proven" : "not asked for";
}

static void add_results(json_t *document, const struct run_results *res)
{
	if (!res)
		return;
	if (res->left_out)
		json_object_set(document, "left_out", res->left_out);
	if (res->facts) {
		json_t *facts = json_deep_copy(res->facts);
		json_object_del(facts, "phase"); /* always the last one */
		json_object_set_new(document, "facts", facts);
	}
	json_object_set_new(document, "large_objects_unproven",
			    json_integer(res->large_objects_unproven));
}

static enum exit_status end_otherwise(json_t *document, enum exit_status status, const char *rows,
				      const char *rest)
{
	AUTO_TEXT struct text means = TEXT_INIT;
	AUTO_TEXT struct text next = TEXT_INIT;
	const char *folder = json_string_value(json_object_get(document, "folder"));

	text_addf(&means, "%s %s: see the report.", rows, rest);
	json_object_set_new(document, "exit_status", json_integer(status));
	json_object_set_new(document, "means", json_string(text_str(&means)));
	if (status == EXIT_DONE)
		return status;
	text_addf(&next,
		  "%s, then `neonferry verify --against-run %s`; or accept them there with "
		  "--waivers.",
		  status == EXIT_DIFFERENT ? "Make them equal" : "Make it possible",
		  folder ? folder : "RUN");
	json_object_set_new(document, "next", json_string(text_str(&next)));
	return status;
}

enum exit_status summary_weigh_report(json_t *document)
{
	static const char proven[] = "All rows asked for are there and proven, but";
	const json_t *report = json_object_get(document, "report");
	const char *verdict = json_string_value(json_object_get(report, "verdict"));
	const char *definitions = json_string_value(json_object_get(report, "definitions"));
	int status = (int)json_integer_value(json_object_get(document, "exit_status"));

	if (!verdict || !definitions || (status != EXIT_DONE && status != EXIT_UNPROVEN))
		return (enum exit_status)status;
	bool fail = !strcmp(verdict, "FAIL"), asked = strcmp(definitions, "not asked for") != 0;
	if (fail && asked)
		return end_otherwise(document, EXIT_DIFFERENT,
				     status == EXIT_DONE
					     ? proven
					     : "Something of the rows could not be verified, and",
				     "definitions differ");
	if (fail && status == EXIT_DONE)
		return end_otherwise(document, EXIT_DONE, proven,
				     "definitions, not asked for, differ");
	if (!strcmp(verdict, "INCONCLUSIVE") && !strcmp(definitions, "compared") &&
	    status == EXIT_DONE)
		return end_otherwise(document, EXIT_UNPROVEN, proven,
				     "some definitions could not be compared");
	return (enum exit_status)status;
}

json_t *summary_json(const struct summary *s)
{
	char ended[CLOCK_ISO_LEN];
	AUTO(free) char *url = s->target ? summary_url(s->target) : NULL;
	AUTO_TEXT struct text next = TEXT_INIT;

	clock_iso(ended);
	exit_add_next(&next, s->status, choose_to_name(s->dir));
	json_t *document = json_pack(
		"{s:i, s:s, s:s?, s:s?, s:s, s:i, s:s, s:s, s:s?, s:s?, s:s, s:I, s:o}", "format",
		1, "command", s->command, "run", s->run, "folder", s->dir, "verdict", verdict_of(s),
		"exit_status", (int)s->status, "means", exit_table[s->status].means, "next",
		text_str(&next), "source", s->source ? conn_label(s->source) : NULL, "target",
		s->target ? conn_label(s->target) : NULL, "ended", ended, "ms", (json_int_t)s->ms,
		"tables", tables_json(s));
	if (!document)
		return NULL;
	add_results(document, s->results);
	if (json_object_size(s->timings))
		json_object_set_new(document, "timings_ms", json_deep_copy(s->timings));
	if (s->error)
		json_object_set_new(document, "error", error_json(s->error));
	else if (url)
		json_object_set_new(document, "application",
				    json_pack("{s:s}", "DATABASE_URL", url));
	return document;
}
