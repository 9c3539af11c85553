#include "verify/waiver.h"

#include "verify/finding.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static int refuse(const char *file, size_t i, const char *what, struct err *e)
{
	err_set(e, ERR_USAGE, "waiver %zu in %s: %s", i + 1, file, what);
	return err_hint(
		e, "each needs object, reason, by and expires, as in {\"group\": \"schema\", "
		   "\"object\": \"public.items_name\", \"reason\": \"built at night\", \"by\": "
		   "\"Kim\", \"expires\": \"2026-12-31\"}");
}

/* A day that the calendar has. */
static bool is_day(const char *s)
{
	static const char shape[] = "dddd-dd-dd";
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int year, month, day;

	if (strlen(s) != sizeof(shape) - 1)
		return false;
	for (size_t i = 0; shape[i]; i++)
		if (shape[i] == 'd' ? !isdigit((unsigned char)s[i]) : s[i] != '-')
			return false;
	year = (s[0] - '0') * 1000 + (s[1] - '0') * 100 + (s[2] - '0') * 10 + s[3] - '0';
	month = (s[5] - '0') * 10 + s[6] - '0';
	day = (s[8] - '0') * 10 + s[9] - '0';
	if (month < 1 || month > 12 || day < 1)
		return false;
	bool leap = month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
	return day <= days[month - 1] + (leap ? 1 : 0);
}

static int check_one(const json_t *waiver, const char *file, size_t i, struct err *e)
{
	static const char *const needed[] = { "object", "reason", "by", "expires" };
	const json_t *group = json_object_get(waiver, "group");
	char what[256];

	if (!json_is_object(waiver))
		return refuse(file, i, "it is no object", e);
	for (size_t k = 0; k < ARRAY_LEN(needed); k++) {
		const char *s = json_string_value(json_object_get(waiver, needed[k]));

		if (s && s[strspn(s, " \t\r\n")])
			continue;
		snprintf(what, sizeof(what), "%s is missing, or no text", needed[k]);
		return refuse(file, i, what, e);
	}
	if (!is_day(json_string_value(json_object_get(waiver, "expires")))) {
		snprintf(what, sizeof(what), "expires is \"%.40s\", which is no day (YYYY-MM-DD)",
			 json_string_value(json_object_get(waiver, "expires")));
		return refuse(file, i, what, e);
	}
	if (!group || (json_is_string(group) && finding_is_group(json_string_value(group))))
		return 0;
	snprintf(what, sizeof(what), "group is none of the groups of findings: %s", FINDING_GROUPS);
	return refuse(file, i, what, e);
}

int waiver_check(const json_t *list, const char *file, struct err *e)
{
	const json_t *waiver;
	size_t i;

	if (!json_is_array(list)) {
		err_set(e, ERR_USAGE, "%s is not a list of waivers", file);
		return err_hint(e, "a list of objects with group, object, reason, by and expires "
				   "(YYYY-MM-DD)");
	}
	json_array_foreach(list, i, waiver) if (check_one(waiver, file, i, e)) return -1;
	return 0;
}
