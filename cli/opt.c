#include "cli/opt.h"

#include "cli/human.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct parser {
	struct opts *o;
	opt_commands command;
	const char *command_name;
	int max_args;
	struct err *e;
};

/* --- messages --- */

const char *opt_public(const char *arg)
{
	if (strstr(arg, "://") || strcasestr(arg, "password"))
		return "(a connection string)";
	return arg;
}

const char *opt_origin_text(const struct opts *o, enum opt_id id, char *buf, size_t len)
{
	switch (o->values[id].origin) {
	case OPT_FROM_LINE:
		snprintf(buf, len, "--%s", opt_table[id].name);
		break;
	case OPT_FROM_ENV:
		snprintf(buf, len, "environment variable %s", opt_table[id].env);
		break;
	case OPT_FROM_DEFAULT:
	default:
		snprintf(buf, len, "default");
	}
	return buf;
}

/* Where a value came from, for a message about it. */
static const char *place(const struct opt_spec *spec, enum opt_origin origin, char buf[96])
{
	if (origin == OPT_FROM_ENV)
		snprintf(buf, 96, "environment variable %s", spec->env);
	else
		snprintf(buf, 96, "option --%s", spec->name);
	return buf;
}

/* --- spelling --- */

/* Edit distance with neighbours swapped counting once. Words longer than the table are far. */
static int distance(const char *a, const char *b)
{
	enum { MAX = 31 };
	int d[MAX + 1][MAX + 1];
	int n = (int)strlen(a), m = (int)strlen(b);

	if (n > MAX || m > MAX)
		return MAX;
	for (int i = 0; i <= n; i++)
		d[i][0] = i;
	for (int j = 0; j <= m; j++)
		d[0][j] = j;
	for (int i = 1; i <= n; i++) {
		for (int j = 1; j <= m; j++) {
			int best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
			if (d[i - 1][j] + 1 < best)
				best = d[i - 1][j] + 1;
			if (d[i][j - 1] + 1 < best)
				best = d[i][j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    d[i - 2][j - 2] + 1 < best)
				best = d[i - 2][j - 2] + 1;
			d[i][j] = best;
		}
	}
	return d[n][m];
}

const char *opt_nearest(const char *word, const char *(*next)(const void *ctx, int i),
			const void *ctx)
{
	const char *candidate, *found = NULL;
	int best = 0;

	for (int i = 0; (candidate = next(ctx, i)); i++) {
		int d = distance(word, candidate);
		/* "tables" for "table", "jbos" for "jobs", "schema" for "schema-only" */
		bool near = d <= 1 + (int)strlen(candidate) / 4 ||
			    (strlen(word) >= 3 && strncmp(word, candidate, strlen(word)) == 0);
		if (near && (!found || d < best)) {
			found = candidate;
			best = d;
		}
	}
	return found;
}

/* ctx: opt_commands. Skips what the command does not take. */
static const char *option_word(const void *ctx, int i)
{
	opt_commands command = *(const opt_commands *)ctx;

	for (int id = 0; id < OPT_N; id++)
		if ((opt_table[id].commands & command) && i-- == 0)
			return opt_table[id].name;
	return NULL;
}

static const char *choice_word(const void *ctx, int i)
{
	return ((const struct opt_spec *)ctx)->choices[i];
}

static int help_hint(const struct parser *p)
{
	return err_hint(p->e, "`neonferry %s --help` lists the options", p->command_name);
}

static int unknown(const struct parser *p, const char *name)
{
	const char *other = NULL;
	const char *nearest = opt_nearest(name, option_word, &p->command);

	for (int id = 0; id < OPT_N; id++)
		if (strcmp(opt_table[id].name, name) == 0)
			other = name;
	if (other)
		err_set(p->e, ERR_USAGE, "`neonferry %s` does not take the option --%s",
			p->command_name, other);
	else
		err_set(p->e, ERR_USAGE, "unknown option --%s", opt_public(name));
	if (nearest && !other)
		return err_hint(p->e, "did you mean --%s? `neonferry %s --help` lists the options",
				nearest, p->command_name);
	return help_hint(p);
}

/* --- values --- */

static int bad_number(const struct opt_spec *spec, const char *where, const char *text,
		      struct err *e)
{
	char low[HUMAN_LEN], high[HUMAN_LEN];

	switch (spec->type) {
	case OPT_BYTES:
		err_set(e, ERR_USAGE, "%s: \"%s\" is no size from %s to %s", where,
			opt_public(text), human_exact_bytes(low, spec->min),
			human_exact_bytes(high, spec->max));
		return err_hint(e, "give a whole number of bytes, or one with k, M, G or T (powers "
				   "of 1024), for example 64M");
	case OPT_DURATION:
		err_set(e, ERR_USAGE, "%s: \"%s\" is no time from %s to %s", where,
			opt_public(text), human_exact_duration(low, spec->min),
			human_exact_duration(high, spec->max));
		return err_hint(e, "give a whole number with ms, s, m, h or d, for example 90m or "
				   "1h30m");
	default:
		err_set(e, ERR_USAGE, "%s: \"%s\" is no whole number from %llu to %llu", where,
			opt_public(text), (unsigned long long)spec->min,
			(unsigned long long)spec->max);
		return err_hint(e, "give digits only, for example %llu",
				(unsigned long long)spec->min);
	}
}

static int bad_choice(const struct opt_spec *spec, const char *where, const char *text,
		      struct err *e)
{
	const char *nearest = opt_nearest(text, choice_word, spec);
	char words[128] = "";
	size_t len = 0;

	for (int i = 0; spec->choices[i] && len < sizeof(words); i++)
		len += (size_t)snprintf(words + len, sizeof(words) - len, "%s%s",
					i == 0                 ? ""
					: spec->choices[i + 1] ? ", "
							       : " or ",
					spec->choices[i]);
	err_set(e, ERR_USAGE, "%s: \"%s\" is not %s", where, opt_public(text), words);
	if (nearest)
		return err_hint(e, "did you mean %s?", nearest);
	return err_hint(e, "give one of these words");
}

static int parse_choice(const struct opt_spec *spec, const char *where, const char *text,
			uint64_t *ret, struct err *e)
{
	for (uint64_t i = 0; spec->choices[i]; i++) {
		if (strcmp(spec->choices[i], text) == 0) {
			*ret = i;
			return 0;
		}
	}
	return bad_choice(spec, where, text, e);
}

/* The number behind a text, for the types that have one. */
static int parse_number(const struct opt_spec *spec, const char *where, const char *text,
			uint64_t *ret, struct err *e)
{
	uint64_t n = 0;
	bool ok = true;

	if (spec->type == OPT_CHOICE)
		return parse_choice(spec, where, text, ret, e);
	if (spec->type == OPT_COUNT)
		ok = human_parse_count(text, &n);
	else if (spec->type == OPT_BYTES)
		ok = human_parse_bytes(text, &n);
	else if (spec->type == OPT_DURATION)
		ok = human_parse_duration(text, &n);
	else
		return 0;
	if (!ok || n < spec->min || n > spec->max)
		return bad_number(spec, where, text, e);
	*ret = n;
	return 0;
}

static int append(const char ***list, int *n, const char *item, struct err *e)
{
	const char **bigger = realloc(*list, ((size_t)*n + 1) * sizeof(*bigger));

	if (!bigger)
		return err_nomem(e);
	*list = bigger;
	bigger[(*n)++] = item;
	return 0;
}

/* A copy of a secret; the original is overwritten, for the list of processes. */
static int take_secret(struct opts *o, char *text, const char **ret, struct err *e)
{
	char **bigger = realloc(o->copies, ((size_t)o->n_copies + 1) * sizeof(*bigger));

	if (!bigger)
		return err_nomem(e);
	o->copies = bigger;
	char *copy = strdup(text);
	if (!copy)
		return err_nomem(e);
	bigger[o->n_copies++] = copy;
	memset(text, '*', strlen(text));
	*ret = copy;
	return 0;
}

static int set_value(const struct parser *p, enum opt_id id, char *text)
{
	const struct opt_spec *spec = &opt_table[id];
	struct opt_value *v = &p->o->values[id];
	const char *kept = text;
	char where[96];

	if (spec->type == OPT_LIST) {
		v->origin = OPT_FROM_LINE;
		return append(&v->list, &v->n_list, text, p->e);
	}
	if (v->origin == OPT_FROM_LINE) {
		err_set(p->e, ERR_USAGE, "option --%s is given twice", spec->name);
		return err_hint(p->e, "give it once");
	}
	if (spec->type == OPT_SECRET && take_secret(p->o, text, &kept, p->e))
		return -1;
	if (!*kept) {
		err_set(p->e, ERR_USAGE, "option --%s has an empty value", spec->name);
		return err_hint(p->e, "give %s, or leave the option out", spec->value);
	}
	if (parse_number(spec, place(spec, OPT_FROM_LINE, where), kept, &v->number, p->e))
		return -1;
	v->origin = OPT_FROM_LINE;
	v->text = kept;
	return 0;
}

/* --- arguments --- */

static int find_option(const struct parser *p, const char *name)
{
	for (int id = 0; id < OPT_N; id++)
		if ((opt_table[id].commands & p->command) && strcmp(opt_table[id].name, name) == 0)
			return id;
	return -1;
}

/* One "--name[=value]"; next is the following argument or NULL. *ret_used: 1 where it was taken. */
static int parse_option(const struct parser *p, char *arg, char *next, int *ret_used)
{
	char name[64];
	char *value = strchr(arg, '=');
	size_t len = value ? (size_t)(value - arg) : strlen(arg);

	snprintf(name, sizeof(name), "%.*s", (int)(len < sizeof(name) ? len : sizeof(name) - 1),
		 arg);
	int id = len < sizeof(name) ? find_option(p, name) : -1;
	if (id < 0)
		return unknown(p, name);
	if (opt_table[id].type == OPT_FLAG) {
		if (value) {
			err_set(p->e, ERR_USAGE, "option --%s takes no value", name);
			return err_hint(p->e, "write --%s alone, or leave it out", name);
		}
		p->o->values[id].number = 1;
		p->o->values[id].origin = OPT_FROM_LINE;
		return 0;
	}
	if (value)
		return set_value(p, (enum opt_id)id, value + 1);
	if (!next || strncmp(next, "--", 2) == 0) {
		err_set(p->e, ERR_USAGE, "option --%s needs a value", name);
		return err_hint(p->e, "write --%s %s", name, opt_table[id].value);
	}
	*ret_used = 1;
	return set_value(p, (enum opt_id)id, next);
}

static int parse_argument(const struct parser *p, char *arg)
{
	if (p->o->n_args < p->max_args)
		return append(&p->o->args, &p->o->n_args, arg, p->e);
	err_set(p->e, ERR_USAGE, "`neonferry %s` does not take the argument \"%s\"",
		p->command_name, opt_public(arg));
	if (strstr(arg, "://"))
		return err_hint(p->e, "name the databases with --source URI and --target URI");
	return help_hint(p);
}

static int short_option(const struct parser *p, const char *arg)
{
	err_set(p->e, ERR_USAGE, "unknown option %s", opt_public(arg));
	err_hint(p->e, "options have long names, such as --jobs; `neonferry %s --help` lists them",
		 p->command_name);
	return -1;
}

static int parse_line(const struct parser *p, int argc, char **argv)
{
	bool options = true;

	for (int i = 0; i < argc; i++) {
		char *arg = argv[i];
		int used = 0;

		if (options && strcmp(arg, "--") == 0) {
			options = false;
		} else if (options && strcmp(arg, "-h") == 0) {
			p->o->values[OPT_ID_HELP].number = 1;
		} else if (options && strncmp(arg, "--", 2) == 0) {
			if (parse_option(p, arg + 2, i + 1 < argc ? argv[i + 1] : NULL, &used))
				return -1;
		} else if (options && arg[0] == '-' && arg[1]) {
			return short_option(p, arg);
		} else if (parse_argument(p, arg)) {
			return -1;
		}
		i += used;
	}
	return 0;
}

/* What the line left open: the environment, then the preset. */
static int fill(const struct parser *p, enum opt_id id)
{
	const struct opt_spec *spec = &opt_table[id];
	struct opt_value *v = &p->o->values[id];
	const char *env = spec->env ? getenv(spec->env) : NULL;
	char where[96];

	if (!(spec->commands & p->command) || v->origin == OPT_FROM_LINE)
		return 0;
	if (env && *env) {
		if (parse_number(spec, place(spec, OPT_FROM_ENV, where), env, &v->number, p->e))
			return -1;
		v->origin = OPT_FROM_ENV;
		v->text = env;
	} else if (spec->preset) {
		v->text = spec->preset;
		return parse_number(spec, "preset", spec->preset, &v->number, p->e);
	}
	return 0;
}

int opt_parse(struct opts *o, opt_commands command, const char *command_name, int max_args,
	      int argc, char **argv, struct err *e)
{
	struct parser p = { o, command, command_name, max_args, e };

	if (parse_line(&p, argc, argv))
		return -1;
	if (opt_flag(o, OPT_ID_HELP)) /* help is given whatever the environment holds */
		return 0;
	for (int id = 0; id < OPT_N; id++)
		if (fill(&p, (enum opt_id)id))
			return -1;
	if (opt_flag(o, OPT_ID_SCHEMA_ONLY) && opt_flag(o, OPT_ID_DATA_ONLY)) {
		err_set(e, ERR_USAGE, "--schema-only and --data-only exclude each other");
		return err_hint(e, "leave both out to carry everything");
	}
	return 0;
}

void opts_done(struct opts *o)
{
	for (int id = 0; id < OPT_N; id++)
		free(o->values[id].list);
	for (int i = 0; i < o->n_copies; i++) {
		explicit_bzero(o->copies[i], strlen(o->copies[i]));
		free(o->copies[i]);
	}
	free(o->copies);
	free(o->args);
	*o = OPTS_INIT;
}
