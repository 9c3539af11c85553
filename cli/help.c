#include "cli/help.h"

#include "cli/exit.h"
#include "cli/human.h"
#include "cli/say.h"

#include <stdio.h>
#include <string.h>

#define WIDTH  80
#define INDENT 6

void help_option_head(struct text *t, const struct opt_spec *spec)
{
	text_addf(t, "--%s", spec->name);
	if (spec->value)
		text_addf(t, " %s", spec->value);
}

const char *help_default(const struct opt_spec *spec)
{
	return spec->preset ? spec->preset : spec->preset_text;
}

const char *help_environment(const struct opt_spec *spec)
{
	return spec->env ? spec->env : spec->env_text;
}

void help_range(struct text *t, const struct opt_spec *spec)
{
	char low[HUMAN_LEN], high[HUMAN_LEN];

	switch (spec->type) {
	case OPT_COUNT:
		text_addf(t, "%llu to %llu", (unsigned long long)spec->min,
			  (unsigned long long)spec->max);
		break;
	case OPT_BYTES:
		text_addf(t, "%s to %s", human_exact_bytes(low, spec->min),
			  human_exact_bytes(high, spec->max));
		break;
	case OPT_DURATION:
		text_addf(t, "%s to %s", human_exact_duration(low, spec->min),
			  human_exact_duration(high, spec->max));
		break;
	case OPT_CHOICE:
		for (int i = 0; spec->choices[i]; i++)
			text_addf(t, "%s%s",
				  i == 0                 ? ""
				  : spec->choices[i + 1] ? ", "
							 : " or ",
				  spec->choices[i]);
		break;
	default:
		break;
	}
}

void help_wrap(struct text *t, const char *s, int column, int indent, int width)
{
	bool first = true;

	while (*s) {
		size_t word = strcspn(s, " \n");
		if (!first && column + 1 + (int)word > width) {
			text_addf(t, "\n%*s", indent, "");
			column = indent;
		} else if (!first) {
			text_add(t, " ");
			column++;
		}
		text_addn(t, s, word);
		column += (int)word;
		first = false;
		s += word;
		s += strspn(s, " \n");
	}
	text_add(t, "\n");
}

static void paragraphs(struct text *t, const char *s)
{
	while (*s) {
		const char *end = strstr(s, "\n\n");
		AUTO_TEXT struct text one = TEXT_INIT;

		text_addn(&one, s, end ? (size_t)(end - s) : strlen(s));
		help_wrap(t, text_str(&one), 0, 0, WIDTH);
		text_add(t, "\n");
		s = end ? end + 2 : s + strlen(s);
	}
}

static void examples(struct text *t, const char *lines)
{
	if (!lines)
		return;
	text_add(t, "Examples:\n");
	while (*lines) {
		size_t len = strcspn(lines, "\n");
		text_addf(t, "  %.*s\n", (int)len, lines);
		lines += len;
		lines += *lines == '\n';
	}
	text_add(t, "\n");
}

/* "Default 16M; 64k to 1G; environment variable NEONFERRY_CHUNK_SIZE." */
static void option_facts(struct text *t, const struct opt_spec *spec)
{
	AUTO_TEXT struct text facts = TEXT_INIT, range = TEXT_INIT;

	help_range(&range, spec);
	if (range.len)
		text_addf(&facts, "%s. ", text_str(&range));
	if (help_default(spec))
		text_addf(&facts, "Default: %s. ", help_default(spec));
	if (help_environment(spec))
		text_addf(&facts, "Environment: %s.", help_environment(spec));
	if (!facts.len)
		return;
	text_addf(t, "%*s", INDENT, "");
	help_wrap(t, text_str(&facts), INDENT, INDENT, WIDTH);
}

static void option(struct text *t, const struct opt_spec *spec)
{
	text_add(t, "  ");
	help_option_head(t, spec);
	text_addf(t, "\n%*s", INDENT, "");
	help_wrap(t, spec->help, INDENT, INDENT, WIDTH);
	option_facts(t, spec);
}

static void option_group(struct text *t, const struct command *c, enum opt_group group)
{
	bool any = false;

	for (int id = 0; id < OPT_N; id++) {
		const struct opt_spec *spec = &opt_table[id];
		if (spec->group != group || !(spec->commands & command_bit(c)))
			continue;
		if (!any)
			text_addf(t, "%s:\n", opt_group_names[group]);
		any = true;
		option(t, spec);
	}
	if (any)
		text_add(t, "\n");
}

static void exit_statuses(struct text *t)
{
	text_add(t, "Exit status:\n");
	for (int i = 0; i < EXIT_N; i++)
		text_addf(t, "  %d  %s\n", i, exit_table[i].means);
}

void help_command(const struct command *c)
{
	AUTO_TEXT struct text t = TEXT_INIT;

	AUTO_TEXT struct text head = TEXT_INIT;
	text_addf(&head, "neonferry %s - %s", c->name, c->summary);
	help_wrap(&t, text_str(&head), 0, 4, WIDTH);
	text_add(&t, "\n");
	text_addf(&t, "Usage: neonferry %s%s%s [OPTION...]\n\n", c->name, *c->args ? " " : "",
		  c->args);
	paragraphs(&t, c->about);
	examples(&t, c->examples);
	for (int group = 0; group < OPT_N_GROUPS; group++)
		option_group(&t, c, (enum opt_group)group);
	exit_statuses(&t);
	say_out("%s", text_str(&t));
}

void help_overview(void)
{
	AUTO_TEXT struct text t = TEXT_INIT;

	text_add(&t, "neonferry - moves a PostgreSQL database with pgvector to Neon and proves "
		     "it arrived\n\nUsage: neonferry COMMAND [OPTION...]\n\nCommands:\n");
	for (int i = 0; i < COMMAND_N; i++)
		text_addf(&t, "  %-15s  %s\n", command_table[i].name, command_table[i].summary);
	text_add(&t, "\n`neonferry COMMAND --help` shows everything about a command.\n\n");
	exit_statuses(&t);
	say_out("%s", text_str(&t));
}
