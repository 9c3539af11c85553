/*
 * verify - compares two databases, whatever moved the data; thin over verify/verify.h.
 */
#include "cli/against.h"
#include "cli/choose.h"
#include "cli/command.h"
#include "cli/commandline.h"
#include "cli/endpoints.h"
#include "cli/exit.h"
#include "cli/runfacts.h"
#include "cli/say.h"
#include "cli/signals.h"
#include "cli/verdict.h"
#include "common/clock.h"
#include "common/file.h"
#include "verify/report.h"
#include "verify/verify.h"
#include "verify/waiver.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Everything of one call; all of it may be empty. */
struct call {
	const struct opts *o;
	struct endpoints ends;
	struct against against;
	struct events *events;
	struct stop stop;
	struct verify_settings settings;
	struct verify_repair repair;
	json_t *waivers;
	char *diff_file, *repair_file, *run_dir, *command;
	bool writes; /* a repair was confirmed */
};

/* --- settings --- */

static int read_above_zero(const struct opts *o, enum opt_id id, double below, const char *what,
			   double *ret, struct err *e)
{
	const char *text = opt_text(o, id);
	char *end;

	if (!text)
		return 0;
	*ret = strtod(text, &end);
	if (end == text || *end || !(*ret > 0) || !(*ret < below))
		return err_set(e, ERR_USAGE, "--%s is %s, not \"%s\"", opt_table[id].name, what,
			       text);
	return 0;
}

/* Both are judged by searches. */
static int read_limits(const struct opts *o, struct verify_settings *s, struct err *e)
{
	if (read_above_zero(o, OPT_ID_MAX_LATENCY_RATIO, INFINITY, "a number above 0",
			    &s->max_latency_ratio, e) ||
	    read_above_zero(o, OPT_ID_MARGIN, 1, "a share above 0 and below 1, such as 0.01",
			    &s->margin, e))
		return -1;
	if (s->max_latency_ratio > 0 && !(s->levels & VERIFY_SEARCH)) {
		err_set(e, ERR_USAGE,
			"--max-latency-ratio means nothing where nothing is searched");
		return err_hint(e, "add --level search");
	}
	return 0;
}

/* A search of a moving source would be judged by another source's neighbours. */
static bool is_live(const struct opts *o)
{
	return strcmp(opt_table[OPT_ID_AGAINST].choices[opt_number(o, OPT_ID_AGAINST)],
		      "snapshot") == 0;
}

static int read_level(const struct opts *o, unsigned *ret, struct err *e)
{
	const char *const *words = opt_table[OPT_ID_LEVEL].choices;

	if (opt_given(o, OPT_ID_LEVEL))
		*ret = verify_level(words[opt_number(o, OPT_ID_LEVEL)]);
	else
		*ret = is_live(o) ? verify_level("digest") : VERIFY_ALL;
	if (opt_flag(o, OPT_ID_SMOKE))
		*ret |= VERIFY_SMOKE;
	return *ret ? 0 : err_set(e, ERR_INTERNAL, "a level without meaning");
}

static int read_waivers(struct call *c, struct err *e)
{
	const char *path = opt_text(c->o, OPT_ID_WAIVERS);

	if (!path)
		return 0;
	if (file_read_json(path, &c->waivers, e))
		return err_hint(e, "--waivers names a JSON file: a list of objects with group, "
				   "object, reason, by and expires (YYYY-MM-DD)");
	if (waiver_check(c->waivers, path, e))
		return -1;
	c->settings.waivers = c->waivers;
	return 0;
}

/* Options that only mean something together, or never. */
static int check_options(const struct opts *o, struct err *e)
{
	bool repair = opt_flag(o, OPT_ID_REPAIR);

	if (opt_text(o, OPT_ID_AGAINST_RUN) && (repair || is_live(o))) {
		err_set(e, ERR_USAGE, "--against-run and %s do not go together",
			repair ? "--repair" : "--against snapshot");
		return err_hint(
			e, "a run keeps digests, no rows: leave --against-run out, so that the "
			   "source itself is read");
	}
	if (opt_flag(o, OPT_ID_DELETE_EXTRA) && !repair) {
		err_set(e, ERR_USAGE, "--delete-extra means nothing without --repair");
		return err_hint(e, "add --repair: it lists what it would write and delete, and asks");
	}
	if ((opt_given(o, OPT_ID_RECHECK_ROUNDS) || opt_given(o, OPT_ID_RECHECK_WAIT)) &&
	    !is_live(o))
		return err_set(e, ERR_USAGE,
			       "--recheck-rounds and --recheck-wait mean nothing without "
			       "--against snapshot");
	return 0;
}

/* The last word stands before hours of comparing, where nobody could say it afterwards. */
static int check_repair(const struct call *c, struct err *e)
{
	if (!opt_flag(c->o, OPT_ID_REPAIR))
		return 0;
	if (!(c->settings.levels & VERIFY_DIGEST)) {
		err_set(e, ERR_USAGE, "--repair needs to know which rows differ");
		return err_hint(e, "leave --level out, or give digest or more");
	}
	if (opt_flag(c->o, OPT_ID_YES) || say_can_ask())
		return 0;
	err_set(e, ERR_USAGE, "nobody is here to be asked before --repair writes");
	return err_hint(e, "give --yes; without --repair the same command shows what differs");
}

/* The file of all differing rows stands beside the report. */
static int prepare_report(struct call *c, struct err *e)
{
	const char *dir = opt_text(c->o, OPT_ID_REPORT);

	if (!dir)
		return 0;
	c->diff_file = file_path(dir, "differences.ndjson");
	c->settings.diff_file = c->diff_file;
	if (opt_flag(c->o, OPT_ID_REPAIR))
		c->repair_file = file_path(dir, "repaired.ndjson");
	c->repair.file = c->repair_file;
	if (!c->diff_file || (opt_flag(c->o, OPT_ID_REPAIR) && !c->repair_file))
		return err_nomem(e);
	if (file_mkdir(dir, e))
		return err_hint(e, "name a folder that can be made and written, with --report");
	return 0;
}

static int read_settings(struct call *c, struct err *e)
{
	const struct opt_value *v = c->o->values;
	struct verify_settings *s = &c->settings;

	*s = VERIFY_SETTINGS_INIT;
	s->filter = (struct catalog_filter){ v[OPT_ID_TABLE].list, v[OPT_ID_TABLE].n_list,
					     v[OPT_ID_EXCLUDE_TABLE].list,
					     v[OPT_ID_EXCLUDE_TABLE].n_list };
	s->collections = v[OPT_ID_COLLECTION].list;
	s->n_collections = v[OPT_ID_COLLECTION].n_list;
	s->division = v[OPT_ID_COLLECTION_COLUMN].list;
	s->n_division = v[OPT_ID_COLLECTION_COLUMN].n_list;
	if (opt_number(c->o, OPT_ID_JOBS))
		s->jobs = (int)opt_number(c->o, OPT_ID_JOBS);
	s->sample = (int)opt_number(c->o, OPT_ID_SAMPLE);
	s->max_rows = (int)opt_number(c->o, OPT_ID_MAX_ROWS);
	s->seed = opt_number(c->o, OPT_ID_SEED);
	s->include_values = opt_flag(c->o, OPT_ID_INCLUDE_VALUES);
	s->tool_version = NEONFERRY_VERSION;
	s->command = c->command = commandline("verify", c->o);
	s->stop = &c->stop;
	s->live = is_live(c->o);
	s->rounds = (int)opt_number(c->o, OPT_ID_RECHECK_ROUNDS);
	s->round_wait_ms = opt_number(c->o, OPT_ID_RECHECK_WAIT);
	if (check_options(c->o, e) || read_level(c->o, &s->levels, e) || check_repair(c, e) ||
	    read_limits(c->o, s, e) || read_waivers(c, e))
		return -1;
	return prepare_report(c, e);
}

/*
 * With --against-run the contents of the source are not asked for: what the run read is the
 * expectation. Given all the same, the source serves what the stream does not tell, as searches.
 */
static int find_ends(struct call *c, struct err *e)
{
	const char *run = opt_text(c->o, OPT_ID_AGAINST_RUN);
	struct err gone = ERR_INIT;

	if (!run)
		return endpoints_find(&c->ends, c->o, ENDPOINT_NEEDED, ENDPOINT_NEEDED, e);
	if (choose_named(&c->run_dir, run, e) || against_read(&c->against, c->run_dir, e))
		return -1;
	against_choose(&c->against, c->settings.collections, c->settings.n_collections);
	c->settings.expected = c->against.tables;
	c->settings.n_expected = c->against.n;
	c->settings.run = json_string_value(json_object_get(c->against.summary, "run"));
	if (endpoints_of_run(&c->ends, c->o, c->run_dir,
			     c->o->values[OPT_ID_SOURCE].origin == OPT_FROM_LINE, e))
		return -1;
	if (c->ends.source && !endpoints_source_answers(&c->ends, &c->stop, &gone)) {
		say_warning("%s; only the contents of the target are compared, with what the run read",
			    gone.text);
		conn_free(c->ends.source);
		c->ends.source = NULL;
	}
	return 0;
}

/* --- repair --- */

static void add_work(struct text *t, const json_t *plan, const char *key, const char *before,
		     const char *after)
{
	json_int_t n = json_integer_value(json_object_get(plan, key));

	if (n > 0)
		text_addf(t, "%s%s%lld%s", t->len > 0 ? ", " : "", before, (long long)n, after);
}

static void say_plan(const json_t *plan)
{
	AUTO_TEXT struct text t = TEXT_INIT;
	const char *why_not = json_string_value(json_object_get(plan, "why_not"));

	add_work(&t, plan, "insert", "insert ", "");
	add_work(&t, plan, "update", "write over ", "");
	add_work(&t, plan, "take_out", "take out ", " surplus copies");
	add_work(&t, plan, "delete", "delete ", " that the source does not have");
	add_work(&t, plan, "leave", "leave ",
		 " that the source does not have (--delete-extra deletes them)");
	if (why_not)
		text_addf(&t, "; cannot be repaired: %s", why_not);
	if (json_is_true(json_object_get(plan, "triggers_fire")))
		text_add(&t, "; its triggers fire, for the role does not own it");
	say_note("repair of %s: %s", json_string_value(json_object_get(plan, "table")),
		 text_str(&t));
}

static bool confirm(void *ctx, const json_t *plan, bool work)
{
	struct call *c = ctx;
	struct err e = ERR_INIT;
	const json_t *table;
	size_t i;

	json_array_foreach(plan, i, table) say_plan(table);
	if (!work) {
		say_note("nothing to repair");
		return false;
	}
	c->writes = say_ask(c->o, &e, "Write these rows into %s?", conn_label(c->ends.target));
	if (!c->writes)
		say_note("nothing was written");
	return c->writes;
}

static void want_repair(struct call *c)
{
	if (!opt_flag(c->o, OPT_ID_REPAIR))
		return;
	c->repair.delete_extra = opt_flag(c->o, OPT_ID_DELETE_EXTRA);
	c->repair.confirm = confirm;
	c->repair.confirm_ctx = c;
	c->settings.repair = &c->repair;
}

/* --- what is shown meanwhile --- */

static void hear(void *ctx, enum event_level level, const char *name, const char *sentence,
		 const json_t *facts)
{
	(void)ctx;
	(void)name;
	(void)facts;
	if (level >= EVENT_INFO)
		say_note("%s", sentence);
}

/* --- the end --- */

static int write_report(struct call *c, json_t *doc, struct err *e)
{
	const char *dir = opt_text(c->o, OPT_ID_REPORT);

	if (c->against.summary) {
		AUTO(pg) struct pg *pg = NULL;
		struct err ignored = ERR_INIT;
		(void)!pg_open(&pg, c->ends.target, "report", NULL, &ignored);
		json_t *rates = against_rates(pg, c->settings.run);
		json_t *facts = runfacts_read(c->run_dir);

		report_add_transfer(doc, c->against.summary, rates, facts);
		json_decref(facts);
		json_decref(rates);
	}
	return dir ? report_write(dir, doc, c->diff_file, c->repair_file, e) : 0;
}

static int verify(struct call *c, struct verify_result **ret, struct err *e)
{
	if (events_open(&c->events, NULL, hear, NULL, e))
		return -1;
	if (read_settings(c, e) || find_ends(c, e))
		return -1;
	want_repair(c);
	c->settings.events = c->events;
	if (verify_run(c->ends.source, c->ends.target, &c->settings, ret, e))
		return -1;
	return write_report(c, (*ret)->doc, e);
}

static int answer(const struct call *c, const struct verify_result *result)
{
	const char *dir = opt_text(c->o, OPT_ID_REPORT);

	verdict_print(result->doc);
	if (dir)
		say_out("Report: %s/report.html\n", dir);
	say_json(result->doc, false);
	return verify_exit_status(result->verdict);
}

static void release(struct call *c)
{
	events_close(c->events);
	endpoints_done(&c->ends);
	against_done(&c->against);
	json_decref(c->waivers);
	free(c->diff_file);
	free(c->repair_file);
	free(c->run_dir);
	free(c->command);
}

int cmd_verify(const struct opts *o)
{
	AUTO(verify_result) struct verify_result *result = NULL;
	struct call c = { .o = o };
	struct err e = ERR_INIT;
	int status;

	if (stop_init(&c.stop, &e)) {
		say_error(&e);
		return EXIT_INTERNAL;
	}
	signals_aim(&c.stop, NULL);
	if (verify(&c, &result, &e)) {
		say_error(&e);
		status = (int)exit_of_error(&e, c.writes);
	} else {
		status = answer(&c, result);
	}
	signals_aim(NULL, NULL);
	release(&c);
	stop_done(&c.stop);
	return status;
}
