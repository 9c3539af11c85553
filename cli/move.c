#include "cli/move.h"

#include "cli/choose.h"
#include "cli/commandline.h"
#include "cli/display.h"
#include "cli/endpoints.h"
#include "cli/prove.h"
#include "cli/runreport.h"
#include "cli/say.h"
#include "cli/signals.h"
#include "cli/spillkey.h"
#include "cli/summary.h"
#include "cli/tell.h"
#include "common/clock.h"
#include "common/file.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct move {
	const struct opts *o;
	enum move_kind kind;
	uint64_t started_ms;
	char *dir;     /* resume: which run */
	char *dropped; /* a folder to be removed at the end, or NULL */
	struct endpoints ends;
	struct run_settings settings;
	struct seal_key *key;
	struct events *events;
	struct stop stop;
	bool has_stop;
	struct run *run;
	struct run_results *results;
	struct proof_table *proofs;
	/* timings: how long each phase took, as the events tell */
	json_t *timings;
	char phase[32];
	uint64_t phase_ms;
};

static const char *kind_name(enum move_kind kind)
{
	static const char *const names[] = { "run", "copy", "resume" };

	return names[kind];
}

/* The end of one phase, the beginning of the next ("" at the end). */
static void enter_phase(struct move *m, const char *phase)
{
	uint64_t now = clock_ms();
	json_int_t before = json_integer_value(json_object_get(m->timings, m->phase));

	if (m->phase[0])
		json_object_set_new(m->timings, m->phase,
				    json_integer(before + (json_int_t)(now - m->phase_ms)));
	snprintf(m->phase, sizeof(m->phase), "%s", phase);
	m->phase_ms = now;
}

static void on_event(void *ctx, enum event_level level, const char *name, const char *sentence,
		     const json_t *facts)
{
	const char *phase = json_string_value(json_object_get(facts, "phase"));

	if (strcmp(name, "phase") == 0 && phase)
		enter_phase(ctx, phase);
	display_event(NULL, level, name, sentence, facts);
}

/* A new run, or the one of the folder: it goes on. */
static int open_run(struct move *m, struct err *e)
{
	if (m->kind == MOVE_RESUME)
		return run_load(&m->run, m->dir, m->ends.source, m->ends.target, &m->settings,
				m->events, e);
	return run_create(&m->run, opt_text(m->o, OPT_ID_RUN_DIR), m->ends.source, m->ends.target,
			  &m->settings, m->events, e);
}

/* A run that goes on keeps the mode of its spill, whatever is asked for now. */
static void say_spill(const struct move *m)
{
	const char *asked = opt_text(m->o, OPT_ID_SPILL), *kept = run_spill_mode(m->run);

	if (!asked || strcmp(asked, kept) != 0)
		say_note("spill: %s, which the run was begun with", kept);
}

static int prepare(struct move *m, struct err *e)
{
	bool resume = m->kind == MOVE_RESUME;

	if (endpoints_settings(m->o, &m->settings, e) || spillkey_parse(&m->key, e))
		return -1;
	m->settings.spill_key = m->key;
	if (m->kind == MOVE_COPY)
		m->settings.schema = m->settings.post = false;
	if (resume && (choose_run(&m->dir, m->o, CHOOSE_UNFINISHED, e) ||
		       endpoints_of_run(&m->ends, m->o, m->dir, true, e)))
		return -1;
	if (!resume && endpoints_find(&m->ends, m->o, ENDPOINT_NEEDED, ENDPOINT_NEEDED, e))
		return -1;
	m->settings.pooler = m->ends.pooler;
	endpoints_say_settings(m->o);
	if (m->key)
		say_note("spill: encrypted (key from " SPILLKEY_VARIABLE ")");
	if (stop_init(&m->stop, e))
		return -1;
	m->has_stop = true;
	if (events_open(&m->events, NULL, on_event, m, e) || open_run(m, e))
		return -1;
	signals_aim(&m->stop, m->run);
	say_note("run: %s, in %s", run_name(m->run), run_dir(m->run));
	say_spill(m);
	return 0;
}

/* One step of a run, in a thread beside whatever comes next. */
struct beside {
	int (*step)(struct run *run, struct err *e);
	struct run *run;
	pthread_t thread;
	bool started;
	int failed;
	struct err err;
};

static void *beside_main(void *arg)
{
	struct beside *b = arg;

	b->failed = b->step(b->run, &b->err);
	return NULL;
}

static void beside_begin(struct beside *b, struct run *run, int (*step)(struct run *, struct err *))
{
	*b = (struct beside){ .step = step, .run = run, .err = ERR_INIT };
	b->started = pthread_create(&b->thread, NULL, beside_main, b) == 0;
	if (!b->started)
		beside_main(b);
}

static int beside_end(struct beside *b)
{
	if (b->started)
		pthread_join(b->thread, NULL);
	return b->failed;
}

/* Each leaves a processor to the other, and the second to come finds the pages in memory. */
static int vacuum_and_prove(struct move *m, struct err *e)
{
	struct beside vacuum;

	beside_begin(&vacuum, m->run, run_vacuum);
	int failed = prove_run(m->ends.target, m->results, m->settings.jobs, &m->stop, m->events,
			       run_progress(m->run), &m->proofs, e);
	if (beside_end(&vacuum) && !failed) {
		*e = vacuum.err;
		failed = -1;
	}
	return failed;
}

static int transfer_and_prove(struct move *m, struct err *e)
{
	if (run_transfer(m->run, e) || run_results(m->run, &m->results, e))
		return -1;
	if (m->kind == MOVE_COPY || !m->settings.data)
		return 0;
	return vacuum_and_prove(m, e);
}

static int transfer(struct move *m, struct err *e)
{
	struct progress *p = run_progress(m->run);

	if (display_start(p, run_name(m->run), e))
		return -1;
	int failed = transfer_and_prove(m, e);
	if (!failed)
		atomic_store(&p->phase, PHASE_DONE);
	display_end();
	return failed;
}

/* What is not there yet when a run could not be opened. */
static bool has_written(const struct move *m)
{
	return m->run && run_has_written(m->run);
}

static enum exit_status status_of(const struct move *m, const struct err *e)
{
	enum exit_status status = exit_of_error(e, has_written(m));

	/* A resume that is refused before it began is refused as a resume. */
	if (m->kind == MOVE_RESUME && e->kind == ERR_REFUSED && !m->run)
		return EXIT_RESUME;
	return status;
}

static struct summary summary_of(const struct move *m)
{
	return (struct summary){
		.command = kind_name(m->kind),
		.run = m->run ? run_name(m->run) : NULL,
		.dir = m->run ? run_dir(m->run) : NULL,
		.source = m->ends.source,
		.target = m->ends.target,
		.results = m->results,
		.proofs = m->proofs,
		.timings = m->timings,
		.ms = clock_ms() - m->started_ms,
	};
}

/* A folder that the program named itself is worth nothing where the run was refused. */
static void drop_folder(struct move *m, enum exit_status status)
{
	if (m->kind == MOVE_RESUME || opt_given(m->o, OPT_ID_RUN_DIR) || !m->run ||
	    status != EXIT_REFUSED || has_written(m))
		return;
	m->dropped = strdup(run_dir(m->run));
}

/* Beside the summary, where there is a proof to report. A run is no less proven without it. */
static enum exit_status add_report(struct move *m, json_t *document)
{
	AUTO(free) char *command = commandline(kind_name(m->kind), m->o);
	struct runreport report = { .ends = &m->ends,
				    .dir = run_dir(m->run),
				    .run = run_name(m->run),
				    .command = command,
				    .proofs = m->proofs,
				    .n = m->results->n_tables,
				    .stop = &m->stop };
	struct err e = ERR_INIT;

	if (m->proofs && runreport_write(&report, document, &e))
		say_warning("there is no report of this run: %s", e.text);
	return (enum exit_status)json_integer_value(json_object_get(document, "exit_status"));
}

static void post_result(const struct move *m, const struct summary *s, const json_t *document)
{
	AUTO_TEXT struct text t = TEXT_INIT;
	const char *means = json_string_value(json_object_get(document, "means"));

	text_addf(&t, "neonferry %s%s%s", s->command, s->run ? " " : "", s->run ? s->run : "");
	if (s->source && s->target)
		text_addf(&t, ", %s to %s", conn_label(s->source), conn_label(s->target));
	text_addf(&t, ": %s", means ? means : exit_table[s->status].means);
	if (s->error)
		text_addf(&t, " %s", s->error->text);
	text_addf(&t, " (exit status %d)", (int)s->status);
	tell_post(m->o, text_str(&t));
}

/*
 * What a run leaves: report (named in the summary) and summary, and its end in the ledger. status is that
 * of the rows; what the report found may make it worse.
 */
static int leave(struct move *m, enum exit_status *status, json_t *document, struct err *e)
{
	bool proven = *status == EXIT_DONE;
	struct beside drop;

	if (proven)
		beside_begin(&drop, m->run, run_drop_spill);
	*status = add_report(m, document);
	int failed = run_finish(m->run, proven, document, e);
	if (proven && beside_end(&drop) && !failed) {
		*e = drop.err;
		failed = -1;
	}
	return failed;
}

/* Says how it ended; keeps it in the folder where there is one. */
static int conclude(struct move *m, int failed, struct err *e)
{
	struct summary s = summary_of(m);
	int different, unproven;
	struct err late = ERR_INIT;

	enter_phase(m, "");
	summary_count(&s, &different, &unproven);
	s.error = failed ? e : NULL;
	s.status = failed ? status_of(m, e) : exit_of_proof(different, unproven);
	drop_folder(m, s.status);
	s.dir = m->dropped ? NULL : s.dir;
	json_t *document = summary_json(&s);
	if (!failed && leave(m, &s.status, document, &late)) {
		json_decref(document);
		s.error = &late;
		s.status = status_of(m, &late);
		document = summary_json(&s);
	}
	if (s.error)
		say_error(s.error);
	json_t *line = json_pack("{s:s, s:O}", "name", "summary", "facts", document);
	say_json(line, true);
	json_decref(line);
	if (m->run) /* without one the error has said all */
		summary_print(document);
	post_result(m, &s, document);
	json_decref(document);
	return (int)s.status;
}

static void release(struct move *m)
{
	signals_aim(NULL, NULL);
	if (m->results)
		prove_free(m->proofs, m->results->n_tables);
	run_results_free(m->results);
	run_free(m->run);
	events_close(m->events);
	if (m->has_stop)
		stop_done(&m->stop);
	endpoints_done(&m->ends);
	seal_key_free(m->key);
	json_decref(m->timings);
	struct err ignored = ERR_INIT;
	if (m->dropped && file_remove_tree(m->dropped, &ignored))
		say_warning("%s", ignored.text);
	free(m->dropped);
	free(m->dir);
}

int move(const struct opts *o, enum move_kind kind)
{
	struct move m = {
		.o = o, .kind = kind, .started_ms = clock_ms(), .timings = json_object()
	};
	struct err e = ERR_INIT;

	int failed = prepare(&m, &e) || transfer(&m, &e);
	int status = conclude(&m, failed, &e);
	release(&m);
	return status;
}
