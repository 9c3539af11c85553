#include "verify/judge.h"

#include "verify/finding.h"

#include <fnmatch.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

/* One end as it is judged: read from a database, or expected of a stream. */
struct side {
	bool has_count, has_tally, has_generated;
	uint64_t count;
	struct tally tally, generated;
	int n;                                      /* collections; -1: not divided */
	const struct proof_collection *collections; /* sorted by name where read */
	bool stream; /* the tallies of collections are in `stream`, not `target` */
	const char *why;
};

static struct side side_of_end(const struct content_end *end)
{
	return (struct side){ .has_count = end->has_count,
			      .has_tally = end->has_tally,
			      .has_generated = end->has_generated,
			      .count = end->count,
			      .tally = end->tally,
			      .generated = end->generated,
			      .n = end->n_collections,
			      .collections = end->collections,
			      .why = end->why };
}

/* Rows that were in the target before the run are expected there too, but not divided. */
static struct side side_of_stream(const struct proof_table *t)
{
	struct side s = { .has_count = t->has_count,
			  .has_tally = true,
			  .count = t->counted + t->before.rows,
			  .tally = t->stream,
			  .n = t->collection_column && t->before.rows == 0 ? t->n_collections : -1,
			  .collections = t->collections,
			  .stream = true,
			  .why = "there is no independent count of the source's rows" };

	tally_add(&s.tally, &t->before);
	return s;
}

static const struct tally *collection_tally(const struct side *s, int i)
{
	return s->stream ? &s->collections[i].stream : &s->collections[i].target;
}

static int find_collection(const struct side *s, const char *name)
{
	for (int i = 0; i < s->n; i++) {
		const char *other = s->collections[i].name;

		if (name && other ? !strcmp(name, other) : !name && !other)
			return i;
	}
	return -1;
}

/* --- counts --- */

static void count_finding(const char *object, uint64_t s, uint64_t t, json_t *checks)
{
	if (s == t)
		return;
	finding_add(checks, "counts", object, FINDING_FAIL,
		    "%llu rows in the source, %llu in the target: %llu %s", (unsigned long long)s,
		    (unsigned long long)t, (unsigned long long)(s > t ? s - t : t - s),
		    s > t ? "missing" : "too many");
}

static void judge_counts(const char *name, const struct side *s, const struct side *t,
			 json_t *checks)
{
	if (!t->has_count || !s->has_count) {
		finding_add(checks, "counts", name, FINDING_UNKNOWN, "rows of the %s %s%s",
			    t->has_count ? "source" : "target",
			    "could not be counted: ", t->has_count ? s->why : t->why);
		return;
	}
	count_finding(name, s->count, t->count, checks);
	if (s->count == t->count)
		finding_add(checks, "counts", name, FINDING_PASS, "%llu rows on both ends",
			    (unsigned long long)t->count);
}

/* A digest of a stream is worth nothing where the stream did not see every row. */
static void judge_coverage(const char *name, const struct side *s, json_t *checks)
{
	if (s->has_count && s->has_tally && s->count != s->tally.rows)
		finding_add(checks, "coverage", name, FINDING_FAIL,
			    "%llu rows were read, but the source holds %llu",
			    (unsigned long long)s->tally.rows, (unsigned long long)s->count);
}

/* --- collections --- */

static json_t *collection_json(const char *name, const struct tally *s, const struct tally *t,
			       bool digests)
{
	json_t *row =
		json_pack("{s:o, s:[o, o]}", "name", name ? finding_string(name) : json_null(),
			  "rows", s ? json_integer((json_int_t)s->rows) : json_null(),
			  t ? json_integer((json_int_t)t->rows) : json_null());

	if (digests)
		json_object_set_new(row, "same", json_boolean(s && t && tally_equal(s, t)));
	return row;
}

static bool judge_collection(const char *table, const char *name, const struct tally *s,
			     const struct tally *t, bool digests, json_t *checks, json_t *out)
{
	char object[256];

	snprintf(object, sizeof(object), "%.120s, collection %.100s", table,
		 name ? name : "(none)");
	json_array_append_new(out, collection_json(name, s, t, digests));
	if (!t)
		finding_add(checks, "counts", object, FINDING_FAIL,
			    "the collection is missing in the target");
	else if (!s)
		finding_add(checks, "counts", object, FINDING_FAIL,
			    "the collection is not in the source");
	else if (s->rows != t->rows)
		count_finding(object, s->rows, t->rows, checks);
	else if (digests && !tally_equal(s, t))
		finding_add(checks, "digest", object, FINDING_FAIL, "rows have other contents");
	else
		return true;
	return false;
}

static json_t *judge_collections(const char *table, const struct side *s, const struct side *t,
				 bool digests, json_t *checks)
{
	json_t *out = json_array();
	int good = 0;

	for (int i = 0; i < s->n; i++) {
		const char *name = s->collections[i].name;
		int j = find_collection(t, name);

		good += judge_collection(table, name, collection_tally(s, i),
					 j < 0 ? NULL : collection_tally(t, j), digests, checks,
					 out);
	}
	for (int j = 0; j < t->n; j++)
		if (find_collection(s, t->collections[j].name) < 0)
			(void)judge_collection(table, t->collections[j].name, NULL,
					       collection_tally(t, j), digests, checks, out);
	if (good == s->n && good == t->n && good > 0)
		finding_add(checks, digests ? "digest" : "counts", table, FINDING_PASS,
			    "all %d collections agree", good);
	return out;
}

/* Only the target's, where there is nothing to compare with. */
static json_t *list_collections(const struct side *t)
{
	json_t *out = json_array();

	for (int j = 0; j < t->n; j++)
		json_array_append_new(out, collection_json(t->collections[j].name, NULL,
							   collection_tally(t, j), false));
	return out;
}

/* --- digests --- */

static bool judge_digest(const char *name, const char *what, bool has_s, const struct tally *s,
			 bool has_t, const struct tally *t, const char *why, json_t *checks)
{
	if (!has_s || !has_t) {
		finding_add(checks, "digest", name, FINDING_UNKNOWN,
			    "the contents%s of the %s could not be read: %s", what,
			    has_t ? "source" : "target", why);
		return false;
	}
	if (tally_equal(s, t)) {
		finding_add(checks, "digest", name, FINDING_PASS,
			    "%llu rows%s are the same to the last bit", (unsigned long long)t->rows,
			    what);
		return false;
	}
	finding_add(checks, "digest", name, FINDING_FAIL, "the contents%s differ", what);
	return true;
}

static json_t *tally_json(bool has, const struct tally *t)
{
	char a[TALLY_TEXT], b[TALLY_TEXT];

	if (!has)
		return json_null();
	tally_text(t, 0, a);
	tally_text(t, 1, b);
	return json_pack("[s, s]", a, b);
}

static json_t *digest_json(bool has_s, const struct tally *s, bool has_t, const struct tally *t)
{
	return json_pack("{s:s, s:o, s:o}", "algorithm", "sha256-record_send/add128", "source",
			 tally_json(has_s, s), "target", tally_json(has_t, t));
}

/* --- a table --- */

static json_t *count_json(const struct side *s)
{
	if (s->has_count)
		return json_integer((json_int_t)s->count);
	return s->has_tally ? json_integer((json_int_t)s->tally.rows) : json_null();
}

static json_t *bytes_json(const struct pair *p, enum pg_role role)
{
	return p->end[role] ? json_integer((json_int_t)p->end[role]->bytes) : json_null();
}

static json_t *key_json(const struct pair *p)
{
	json_t *key = json_array();

	for (int i = 0; i < p->key.n; i++)
		json_array_append_new(key, finding_string(p->key.end[PG_TARGET][i].name));
	return key;
}

static const char *table_verdict(const struct judge_input *in, const struct side *s,
				 const struct side *t, bool different)
{
	if (different || (s->has_count && t->has_count && s->count != t->count))
		return "different";
	if (in->levels & VERIFY_DIGEST)
		return s->has_tally && t->has_tally && s->has_count ? "identical" : "unknown";
	return s->has_count && t->has_count ? "counted" : "unknown";
}

static bool judge_contents(const struct judge_input *in, const struct side *s, const struct side *t,
			   json_t *checks, json_t *row)
{
	const struct pair *p = in->content->pair;
	const char *why = t->has_tally ? s->why : t->why;
	bool different;

	judge_coverage(p->name, s, checks);
	different = judge_digest(p->name, "", s->has_tally, &s->tally, t->has_tally, &t->tally,
				 p->why[0] ? p->why : why, checks);
	json_object_set_new(row, "digest",
			    digest_json(s->has_tally, &s->tally, t->has_tally, &t->tally));
	if (p->generated.n == 0 || !in->has_source || p->why[0])
		return different;
	if (in->expected) {
		finding_add(checks, "digest", p->name, FINDING_INFO,
			    "the generated columns were not compared: no stream carries them, and "
			    "the source may have gone on since; the target computed them from the "
			    "columns that were");
		return different;
	}
	different |= judge_digest(p->name, " of the generated columns", s->has_generated,
				  &s->generated, t->has_generated, &t->generated,
				  t->has_generated ? s->why : t->why, checks);
	json_object_set_new(
		row, "generated",
		digest_json(s->has_generated, &s->generated, t->has_generated, &t->generated));
	return different;
}

json_t *judge_table(const struct judge_input *in, json_t *checks, bool *ret_different)
{
	const struct pair *p = in->content->pair;
	struct side t = side_of_end(&in->content->end[PG_TARGET]);
	struct side s = in->expected ? side_of_stream(in->expected)
				     : side_of_end(&in->content->end[PG_SOURCE]);
	bool comparable = in->expected || (in->has_source && p->end[PG_SOURCE]);
	bool digests = (in->levels & VERIFY_DIGEST) && s.has_tally && t.has_tally;
	bool different = false;
	json_t *row;

	row = json_pack("{s:s, s:[o, o], s:[o, o], s:[I, I], s:s, s:o}", "name", p->name, "rows",
			comparable ? count_json(&s) : json_null(), count_json(&t), "bytes",
			bytes_json(p, PG_SOURCE), bytes_json(p, PG_TARGET), "ms",
			(json_int_t)in->content->end[0].ms, (json_int_t)in->content->end[1].ms,
			"method", in->expected ? "stream" : "scan", "key", key_json(p));
	if (p->converted)
		json_object_set_new(row, "conversion", json_string(p->conversion));
	if (comparable && p->end[PG_TARGET] && (in->levels & VERIFY_COUNTS))
		judge_counts(p->name, &s, &t, checks);
	if (comparable && p->end[PG_TARGET] && (in->levels & VERIFY_DIGEST))
		different = judge_contents(in, &s, &t, checks, row);
	if (comparable && s.n >= 0 && t.n >= 0)
		json_object_set_new(row, "collections",
				    judge_collections(p->name, &s, &t, digests, checks));
	else if (t.n >= 0)
		json_object_set_new(row, "collections", list_collections(&t));
	json_object_set_new(row, "verdict",
			    json_string(!p->end[PG_TARGET] ? "missing"
					: !comparable      ? "only in target"
							   : table_verdict(in, &s, &t, different)));
	*ret_different = different;
	return row;
}

/* --- rows that are written meanwhile --- */

/* "public.items", "public.items, collection c1" and "public.items.embedding in c1" */
static bool is_of_table(const char *object, const char *table)
{
	size_t len = strlen(table);

	return !strncmp(object, table, len) &&
	       (object[len] == '\0' || object[len] == '.' || object[len] == ',');
}

static bool is_of_longer(const char *object, const char *table, const struct pairs *all)
{
	size_t len = strlen(table);

	for (int i = 0; i < all->n; i++)
		if (strlen(all->pair[i].name) > len && is_of_table(object, all->pair[i].name))
			return true;
	return false;
}

void judge_soften(json_t *checks, const struct pairs *all, const char *group, const char *table,
		  enum finding_verdict v, const char *why)
{
	json_t *check;
	size_t i;

	json_array_foreach(checks, i, check)
	{
		const char *sentence = json_string_value(json_object_get(check, "sentence"));
		const char *object = json_string_value(json_object_get(check, "object"));

		if (strcmp(json_string_value(json_object_get(check, "group")), group) != 0 ||
		    strcmp(json_string_value(json_object_get(check, "verdict")), "fail") != 0 ||
		    !is_of_table(object, table) || is_of_longer(object, table, all))
			continue;
		json_object_set_new(check, "was", json_string("fail"));
		json_object_set_new(check, "sentence", json_sprintf("%s; %s", sentence, why));
		json_object_set_new(check, "verdict", json_string(finding_word(v)));
	}
}

/* --- waivers --- */

static const char *text_of(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "";
}

static bool waiver_matches(const json_t *waiver, const json_t *check)
{
	const char *group = text_of(waiver, "group"), *object = text_of(waiver, "object");

	return (!group[0] || !strcmp(group, text_of(check, "group"))) && object[0] &&
	       fnmatch(object, text_of(check, "object"), 0) == 0;
}

static void waive(json_t *check, const json_t *waiver)
{
	const char *v = text_of(check, "verdict");

	if (strcmp(v, "fail") != 0 && strcmp(v, "unknown") != 0)
		return;
	json_object_set_new(check, "was", json_string(v));
	json_object_set_new(check, "verdict", json_string("warning"));
	json_object_set_new(check, "waived", json_deep_copy(waiver));
}

void judge_waive(json_t *checks, const json_t *waivers, const char *today)
{
	const json_t *waiver;
	json_t *check;
	size_t i, j;

	json_array_foreach(waivers, i, waiver)
	{
		const char *expires = text_of(waiver, "expires");

		if (expires[0] && strcmp(expires, today) < 0) {
			finding_add(checks, "coverage", text_of(waiver, "object"), FINDING_WARNING,
				    "the waiver of %s expired on %s and does not count",
				    text_of(waiver, "object"), expires);
			continue;
		}
		json_array_foreach(checks, j, check) if (waiver_matches(waiver, check))
			waive(check, waiver);
	}
}

/* --- the verdict --- */

/* What is told first when several things failed: the data before what stands around it. */
static const char *const by_weight[] = { "coverage", "rows",     "repair",  "digest",
					 "counts",   "presence", "totals",  "schema",
					 "search",   "smoke",    "latency", "connection" };

static const char *first_sentence(const json_t *checks, const char *verdict, char *buf, size_t size)
{
	const json_t *check;
	size_t i;

	for (size_t g = 0; g < ARRAY_LEN(by_weight); g++)
		json_array_foreach(checks, i,
				   check) if (!strcmp(text_of(check, "verdict"), verdict) &&
					      !strcmp(text_of(check, "group"), by_weight[g]))
		{
			snprintf(buf, size, "%s: %s", text_of(check, "object"),
				 text_of(check, "sentence"));
			return buf;
		}
	return "";
}

enum verify_verdict judge_verdict(const json_t *checks, char *sentence, size_t size)
{
	int fails = finding_count(checks, NULL, FINDING_FAIL);
	int unknown = finding_count(checks, NULL, FINDING_UNKNOWN);
	int warnings = finding_count(checks, NULL, FINDING_WARNING);
	int passed = finding_count(checks, NULL, FINDING_PASS);
	char buf[400];

	if (fails > 0) {
		snprintf(sentence, size, "%d of %d checks failed; %s", fails,
			 fails + unknown + warnings + passed,
			 first_sentence(checks, "fail", buf, sizeof(buf)));
		return VERIFY_FAIL;
	}
	if (unknown > 0 || passed == 0) {
		snprintf(sentence, size, "%d things could not be looked at; %s", unknown,
			 first_sentence(checks, "unknown", buf, sizeof(buf)));
		return VERIFY_INCONCLUSIVE;
	}
	if (warnings > 0) {
		snprintf(sentence, size, "%d checks passed, %d with an exception; %s", passed,
			 warnings, first_sentence(checks, "warning", buf, sizeof(buf)));
		return VERIFY_PASS_WITH_EXCEPTIONS;
	}
	snprintf(sentence, size, "all %d checks passed", passed);
	return VERIFY_PASS;
}

/* --- the fingerprint --- */

static void hash_text(EVP_MD_CTX *h, const char *s)
{
	(void)EVP_DigestUpdate(h, s, strlen(s) + 1);
}

/* Name, and the digest's two sums; the count is implied by neither, so it is hashed too. */
static bool hash_table(EVP_MD_CTX *h, const json_t *table, enum pg_role role)
{
	const char *end = role == PG_SOURCE ? "source" : "target";
	const json_t *words = json_object_get(json_object_get(table, "digest"), end);
	json_int_t rows =
		json_integer_value(json_array_get(json_object_get(table, "rows"), (size_t)role));
	char buf[32];

	if (!json_is_array(words))
		return false;
	snprintf(buf, sizeof(buf), "%lld", (long long)rows);
	hash_text(h, text_of(table, "name"));
	hash_text(h, buf);
	hash_text(h, json_string_value(json_array_get(words, 0)));
	hash_text(h, json_string_value(json_array_get(words, 1)));
	return true;
}

json_t *judge_fingerprint(const json_t *tables, enum pg_role role)
{
	EVP_MD_CTX *h = EVP_MD_CTX_new();
	unsigned char md[EVP_MAX_MD_SIZE];
	char hex[2 * EVP_MAX_MD_SIZE + 1] = "";
	const json_t *table;
	unsigned len = 0;
	size_t i;
	bool any = false;

	if (h && EVP_DigestInit_ex(h, EVP_sha256(), NULL)) {
		json_array_foreach(tables, i, table) any |= hash_table(h, table, role);
		(void)EVP_DigestFinal_ex(h, md, &len);
	}
	EVP_MD_CTX_free(h);
	for (unsigned j = 0; j < len; j++)
		snprintf(hex + 2 * (size_t)j, 3, "%02x", md[j]);
	return any ? json_sprintf("sha256:%s", hex) : json_null();
}
