#include "verify/finding.h"

#include "common/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const words[] = { "pass", "info", "warning", "fail", "unknown" };

const char *finding_word(enum finding_verdict v)
{
	return words[v];
}

bool finding_is_group(const char *word)
{
	static const char groups[] = FINDING_GROUPS;
	size_t n = strlen(word);

	for (const char *p = groups; *p; p += strspn(p, ", ")) {
		size_t len = strcspn(p, ",");

		if (len == n && !strncmp(p, word, n))
			return true;
		p += len;
	}
	return false;
}

json_t *finding_string(const char *s)
{
	json_t *value = json_string(s);
	char *copy;

	if (value || !s)
		return value ? value : json_null();
	copy = strdup(s);
	for (char *p = copy; p && *p; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	value = copy ? json_string(copy) : NULL;
	free(copy);
	return value ? value : json_null();
}

void finding_add(json_t *checks, const char *group, const char *object, enum finding_verdict v,
		 const char *fmt, ...)
{
	char sentence[1024], now[CLOCK_ISO_LEN];
	va_list ap;

	clock_iso(now);
	va_start(ap, fmt);
	vsnprintf(sentence, sizeof(sentence), fmt, ap);
	va_end(ap);
	json_array_append_new(checks,
			      json_pack("{s:s, s:o, s:s, s:o, s:s}", "group", group, "object",
					finding_string(object), "verdict", words[v], "sentence",
					finding_string(sentence), "at", now));
}

int finding_count(const json_t *checks, const char *group, enum finding_verdict v)
{
	const json_t *check;
	size_t i;
	int n = 0;

	json_array_foreach(checks, i, check)
	{
		const char *verdict = json_string_value(json_object_get(check, "verdict"));
		const char *in = json_string_value(json_object_get(check, "group"));

		if (verdict && !strcmp(verdict, words[v]) && (!group || (in && !strcmp(in, group))))
			n++;
	}
	return n;
}
