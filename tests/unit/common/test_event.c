#include "unit.h"

#include "common/event.h"
#include "common/file.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/neonferry-event-XXXXXX";
static char log_path[64];

static int begin(void **state)
{
	(void)state;
	strcpy(dir + sizeof(dir) - 7, "XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(log_path, sizeof(log_path), "%s/events.jsonl", dir);
	return 0;
}

static int finish(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	return file_remove_tree(dir, &e);
}

static struct events *open_log(event_listener *listener, void *ctx)
{
	struct events *ev = NULL;

	assert_ok(events_open(&ev, log_path, listener, ctx, E));
	return ev;
}

/* Line n of the log, as JSON. */
static json_t *line(int n)
{
	AUTO(free) char *text = NULL;
	char *at, *end;
	json_t *value;

	assert_ok(file_read(log_path, 100 << 20, &text, NULL, E));
	at = text;
	while (n-- > 0)
		at = strchr(at, '\n') + 1;
	end = strchr(at, '\n');
	if (!end)
		return NULL;
	value = json_loadb(at, (size_t)(end - at), 0, NULL);
	assert_non_null(value);
	return value;
}

static const char *field(json_t *event, const char *name)
{
	return json_string_value(json_object_get(event, name));
}

static void an_event_is_one_line_of_json(void **state)
{
	struct events *ev = open_log(NULL, NULL);
	json_t *event, *facts = json_pack("{s:i}", "rows", 7);

	(void)state;
	json_incref(facts);
	event_emit(ev, EVENT_NOTICE, "chunk.loaded", facts, "%d rows\nof \"%s\"", 7, "t");
	assert_int_equal(facts->refcount, 1);
	json_decref(facts);
	events_close(ev);
	event = line(0);
	assert_string_equal(field(event, "level"), "notice");
	assert_string_equal(field(event, "name"), "chunk.loaded");
	assert_string_equal(field(event, "text"), "7 rows\nof \"t\"");
	assert_int_equal(strlen(field(event, "time")), 24);
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(event, "facts"), "rows")), 7);
	json_decref(event);
	assert_null(line(1));
}

static void the_log_is_private_and_appended_to(void **state)
{
	static const char *const levels[] = { "debug", "info", "notice", "warning" };
	struct stat st;

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct events *ev = open_log(NULL, NULL);

		event_emit(ev, (enum event_level)i, "x", NULL, "%d", i);
		events_close(ev);
	}
	for (int i = 0; i < 4; i++) {
		json_t *event = line(i);

		assert_string_equal(field(event, "level"), levels[i]);
		assert_null(json_object_get(event, "facts"));
		json_decref(event);
	}
	assert_int_equal(stat(log_path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_sentence_that_is_not_utf8_is_kept_readable(void **state)
{
	struct events *ev = open_log(NULL, NULL);
	json_t *event;

	(void)state;
	event_emit(ev, EVENT_INFO, "x", NULL, "gr\374n %s", "\xE2\x82\xAC");
	event_emit(ev, EVENT_INFO, "x", NULL, "gr\303\274n");
	events_close(ev);
	event = line(0);
	assert_string_equal(field(event, "text"), "gr?n ???");
	json_decref(event);
	event = line(1);
	assert_string_equal(field(event, "text"), "gr\303\274n");
	json_decref(event);
}

struct heard {
	int n;
	enum event_level level;
	char name[32], sentence[64];
	bool facts;
};

static void listen(void *ctx, enum event_level level, const char *name, const char *sentence,
		   const json_t *facts)
{
	struct heard *h = ctx;

	h->n++;
	h->level = level;
	snprintf(h->name, sizeof(h->name), "%s", name);
	snprintf(h->sentence, sizeof(h->sentence), "%s", sentence);
	h->facts = facts && json_object_get(facts, "a");
}

static void the_listener_hears_without_a_file(void **state)
{
	struct heard h = { 0 };
	struct events *ev = NULL;

	(void)state;
	assert_ok(events_open(&ev, NULL, listen, &h, E));
	event_emit(ev, EVENT_WARNING, "a.b", json_pack("{s:b}", "a", 1), "hello %s", "you");
	assert_int_equal(h.n, 1);
	assert_int_equal(h.level, EVENT_WARNING);
	assert_string_equal(h.name, "a.b");
	assert_string_equal(h.sentence, "hello you");
	assert_true(h.facts);
	event_emit(ev, EVENT_DEBUG, "c", NULL, "x");
	assert_int_equal(h.n, 2);
	assert_false(h.facts);
	events_close(ev);
}

static void without_a_log_facts_are_still_released(void **state)
{
	json_t *facts = json_object();

	(void)state;
	json_incref(facts);
	event_emit(NULL, EVENT_INFO, "x", facts, "x");
	assert_int_equal(facts->refcount, 1);
	json_decref(facts);
	event_emit(NULL, EVENT_INFO, "x", NULL, "x");
	events_close(NULL);
}

static void a_log_that_cannot_be_opened_is_an_error(void **state)
{
	struct events *ev = NULL;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(events_open(&ev, "/nowhere/events", NULL, NULL, &e), -1);
	assert_int_equal(e.kind, ERR_DISK);
	assert_has(e.text, "/nowhere/events");
	assert_null(ev);
}

static void the_log_can_begin_after_the_first_event(void **state)
{
	struct events *ev = NULL;
	struct err e = ERR_INIT;
	json_t *event;

	(void)state;
	assert_ok(events_open(&ev, NULL, NULL, NULL, E));
	event_emit(ev, EVENT_INFO, "before", NULL, "x");
	assert_int_equal(events_log_to(ev, "/nowhere/events", &e), -1);
	assert_ok(events_log_to(ev, log_path, E));
	event_emit(ev, EVENT_INFO, "after", NULL, "x");
	assert_ok(events_log_to(ev, log_path, E));
	event_emit(ev, EVENT_INFO, "again", NULL, "x");
	events_close(ev);
	event = line(0);
	assert_string_equal(field(event, "name"), "after");
	json_decref(event);
	event = line(1);
	assert_string_equal(field(event, "name"), "again");
	json_decref(event);
}

static void a_full_disk_does_not_end_the_run(void **state)
{
	struct heard h = { 0 };
	struct events *ev = NULL;

	(void)state;
	if (access("/dev/full", W_OK) != 0)
		skip();
	assert_ok(events_open(&ev, "/dev/full", listen, &h, E));
	event_emit(ev, EVENT_INFO, "x", NULL, "x");
	assert_int_equal(h.n, 1);
	events_close(ev);
}

enum { THREADS = 4, EVENTS = 300 };

struct crowd {
	int n; /* not atomic: the log promises one event at a time */
	atomic_bool busy, overlapped;
};

static void count(void *ctx, enum event_level level, const char *name, const char *sentence,
		  const json_t *facts)
{
	struct crowd *c = ctx;

	(void)level, (void)name, (void)sentence, (void)facts;
	if (atomic_exchange(&c->busy, true))
		c->overlapped = true;
	c->n++;
	sched_yield();
	c->busy = false;
}

static void *emit_many(void *arg)
{
	for (int i = 0; i < EVENTS; i++)
		event_emit(arg, EVENT_INFO, "x", json_pack("{s:i}", "i", i), "number %d", i);
	return NULL;
}

static void lines_of_many_threads_do_not_mix(void **state)
{
	struct crowd c = { 0 };
	struct events *ev = open_log(count, &c);
	pthread_t threads[THREADS];
	json_t *event;

	(void)state;
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, emit_many, ev);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	events_close(ev);
	assert_int_equal(c.n, THREADS * EVENTS);
	assert_false(c.overlapped);
	for (int i = 0; i < THREADS * EVENTS; i += 97) {
		event = line(i);
		assert_has(field(event, "text"), "number ");
		json_decref(event);
	}
	assert_null(line(THREADS * EVENTS));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_event_is_one_line_of_json),
		TEST(the_log_is_private_and_appended_to),
		TEST(a_sentence_that_is_not_utf8_is_kept_readable),
		TEST(the_listener_hears_without_a_file),
		TEST(without_a_log_facts_are_still_released),
		TEST(a_log_that_cannot_be_opened_is_an_error),
		TEST(the_log_can_begin_after_the_first_event),
		TEST(a_full_disk_does_not_end_the_run),
		TEST(lines_of_many_threads_do_not_mix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
