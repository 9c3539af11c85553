#include "cli/commandline.h"

#include "common/text.h"

#include <ctype.h>
#include <string.h>

/* As a shell takes it. */
static void add_word(struct text *t, const char *s)
{
	bool plain = *s != '\0';

	for (const char *p = s; *p; p++)
		plain = plain && (isalnum((unsigned char)*p) || strchr("-._/=:,+@", *p));
	if (plain) {
		text_add(t, s);
		return;
	}
	text_add(t, "'");
	for (; *s; s++)
		text_addn(t, *s == '\'' ? "'\\''" : s, *s == '\'' ? 4 : 1);
	text_add(t, "'");
}

static void add_value(struct text *t, enum opt_id id, const char *value)
{
	const struct opt_spec *spec = &opt_table[id];

	text_addf(t, " --%s", spec->name);
	if (spec->type == OPT_FLAG)
		return;
	text_add(t, " ");
	if (id == OPT_ID_SOURCE)
		text_add(t, "\"$SOURCE_DATABASE_URL\"");
	else if (id == OPT_ID_TARGET)
		text_add(t, "\"$NEON_DATABASE_URL\"");
	else if (spec->type == OPT_SECRET)
		text_add(t, "(secret)");
	else
		add_word(t, value);
}

char *commandline(const char *command, const struct opts *o)
{
	AUTO_TEXT struct text t = TEXT_INIT;
	struct err ignored = ERR_INIT;

	text_addf(&t, "neonferry %s", command);
	for (int id = 0; id < OPT_N; id++) {
		const struct opt_value *v = &o->values[id];

		if (v->origin != OPT_FROM_LINE)
			continue;
		for (int i = 0; i < v->n_list; i++)
			add_value(&t, (enum opt_id)id, v->list[i]);
		if (opt_table[id].type != OPT_LIST)
			add_value(&t, (enum opt_id)id, v->text ? v->text : "");
	}
	for (int i = 0; i < o->n_args; i++) {
		text_add(&t, " ");
		add_word(&t, opt_public(o->args[i]));
	}
	return text_take(&t, &ignored);
}
