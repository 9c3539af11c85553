#include "verify/objectname.h"

#include <string.h>

void objectname_plain(struct text *t, const char *name)
{
	bool quoted = false;
	const char *p = name;

	for (; *p && (quoted || *p != '('); p++) {
		if (*p != '"')
			text_addn(t, p, 1);
		else if (quoted && p[1] == '"')
			text_addn(t, p++, 1);
		else
			quoted = !quoted;
	}
	text_add(t, p);
}

const char *objectname_setting(const char *name)
{
	static const char prefix[] = "database: ";

	return strncmp(name, prefix, sizeof(prefix) - 1) ? name : name + sizeof(prefix) - 1;
}

void objectname_show(struct text *t, const struct model_object *o)
{
	bool is_part = !strcmp(o->kind, "constraint") || !strcmp(o->kind, "trigger") ||
		       !strcmp(o->kind, "policy") || !strcmp(o->kind, "rule");

	if (!strcmp(o->kind, "setting") || !strcmp(o->kind, "extension")) {
		text_add(t, objectname_setting(o->name));
	} else if (is_part) {
		objectname_plain(t, o->name + strlen(o->table) + 1);
		text_add(t, " on ");
		objectname_plain(t, o->table);
	} else {
		objectname_plain(t, o->name);
	}
}
