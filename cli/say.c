#include "cli/say.h"

#include "cli/help.h"
#include "cli/opt.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define HIDE_CURSOR "\033[?25l"
#define SHOW_CURSOR "\033[?25h"

static struct {
	pthread_mutex_t lock;
	bool quiet, json, utf8;
	bool color_err, color_out, can_redraw, can_ask;
	char *area; /* what is on the screen now, or NULL */
	int area_lines;
	int lost; /* errno of a failed write to standard output, or 0 */
} say = { .lock = PTHREAD_MUTEX_INITIALIZER };

static bool terminal(int fd)
{
	const char *term = getenv("TERM");

	return isatty(fd) && term && *term && strcmp(term, "dumb") != 0;
}

void say_init(const struct opts *o)
{
	const char *no_color = getenv("NO_COLOR");
	bool colors = !opt_flag(o, OPT_ID_NO_COLOR) && !(no_color && *no_color);

	setlocale(LC_CTYPE, "");
	say.utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	say.quiet = opt_flag(o, OPT_ID_QUIET);
	say.json = opt_flag(o, OPT_ID_JSON);
	say.color_err = colors && terminal(STDERR_FILENO);
	say.color_out = colors && terminal(STDOUT_FILENO);
	say.can_redraw = terminal(STDERR_FILENO) && !say.quiet;
	say.can_ask = isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

bool say_is_quiet(void)
{
	return say.quiet;
}

bool say_is_json(void)
{
	return say.json;
}

bool say_has_area(void)
{
	return say.can_redraw;
}

bool say_is_utf8(void)
{
	return say.utf8;
}

bool say_can_ask(void)
{
	return say.can_ask;
}

static const char *sequence(enum say_color color)
{
	static const char *const sequences[] = { "\033[0m",  "\033[1m",  "\033[2m",
						 "\033[31m", "\033[32m", "\033[33m" };
	return sequences[color];
}

const char *say_color(enum say_color color)
{
	return say.color_err ? sequence(color) : "";
}

const char *say_color_out(enum say_color color)
{
	return say.color_out ? sequence(color) : "";
}

/* Everything at once, so that lines of several threads never mix. */
static void put(int fd, const char *s, size_t len)
{
	while (len) {
		ssize_t n = write(fd, s, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) { /* nobody reads: nothing to be done about it */
			if (fd == STDOUT_FILENO && errno != EPIPE)
				say.lost = errno;
			return;
		}
		s += n;
		len -= (size_t)n;
	}
}

void say_add_clean(struct text *t, const char *s)
{
	for (const unsigned char *c = (const unsigned char *)s; *c; c++) {
		bool c1 = c[0] == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0;
		bool control = (*c < 0x20 && *c != '\n' && *c != '\t') || *c == 0x7f;

		if (control || c1)
			text_add(t, "?");
		else
			text_addn(t, (const char *)c, 1);
		c += c1;
	}
}

static void add_erase(struct text *t)
{
	if (say.area_lines > 0)
		text_addf(t, "\r\033[%dA\033[J", say.area_lines);
}

/* A finished message, above the live area. */
static void put_message(const char *message)
{
	AUTO_TEXT struct text t = TEXT_INIT;

	pthread_mutex_lock(&say.lock);
	add_erase(&t);
	text_add(&t, message);
	if (say.area)
		text_add(&t, say.area);
	put(STDERR_FILENO, text_str(&t), t.len);
	pthread_mutex_unlock(&say.lock);
}

/* Words on a terminal: broken between them, not in them. */
static void add_words(struct text *t, const char *s, int column, int indent)
{
	AUTO_TEXT struct text clean = TEXT_INIT;
	int columns, rows;

	say_add_clean(&clean, s);
	say_size(&columns, &rows);
	if (!isatty(STDERR_FILENO) || columns < 30 || strchr(text_str(&clean), '\n'))
		text_addf(t, "%s\n", text_str(&clean));
	else
		help_wrap(t, text_str(&clean), column, indent, columns);
}

static void message(enum say_color color, const char *word, const char *body, const char *hint)
{
	AUTO_TEXT struct text t = TEXT_INIT;

	if (word)
		text_addf(&t, "%sneonferry: %s:%s ", say_color(color), word, say_color(SAY_PLAIN));
	add_words(&t, body, word ? (int)strlen("neonferry: : ") + (int)strlen(word) : 0, 2);
	if (hint && *hint) {
		text_add(&t, "  hint: ");
		add_words(&t, hint, 8, 8);
	}
	put_message(text_str(&t));
}

void say_error(const struct err *e)
{
	message(SAY_RED, "error", e->text, e->hint);
}

void say_warning(const char *fmt, ...)
{
	AUTO_TEXT struct text t = TEXT_INIT;
	va_list ap;

	if (say.quiet)
		return;
	va_start(ap, fmt);
	text_addv(&t, fmt, ap);
	va_end(ap);
	message(SAY_YELLOW, "warning", text_str(&t), NULL);
}

void say_note(const char *fmt, ...)
{
	AUTO_TEXT struct text t = TEXT_INIT;
	va_list ap;

	if (say.quiet)
		return;
	va_start(ap, fmt);
	text_addv(&t, fmt, ap);
	va_end(ap);
	message(SAY_PLAIN, NULL, text_str(&t), NULL);
}

bool say_lost_output(struct err *e)
{
	char why[128];

	if (!say.lost)
		return false;
	err_set(e, ERR_DISK, "the result could not be written to standard output: %s",
		strerror_r(say.lost, why, sizeof(why)));
	err_hint(e, "give the command again with an output that can be written");
	return true;
}

void say_out(const char *fmt, ...)
{
	AUTO_TEXT struct text t = TEXT_INIT;
	va_list ap;

	if (say.json)
		return;
	va_start(ap, fmt);
	text_addv(&t, fmt, ap);
	va_end(ap);
	pthread_mutex_lock(&say.lock);
	put(STDOUT_FILENO, text_str(&t), t.len);
	pthread_mutex_unlock(&say.lock);
}

json_t *say_string(const char *s)
{
	json_t *value = json_string(s);
	char *plain = value ? NULL : strdup(s);

	for (char *c = plain; c && *c; c++)
		if ((unsigned char)*c >= 0x80)
			*c = '?';
	if (plain)
		value = json_string(plain);
	free(plain);
	return value;
}

void say_json(const json_t *value, bool compact)
{
	AUTO_TEXT struct text t = TEXT_INIT;

	if (!say.json)
		return;
	char *s = json_dumps(value, JSON_ENCODE_ANY | (compact ? JSON_COMPACT : JSON_INDENT(2)));
	if (!s)
		return;
	text_addf(&t, "%s\n", s);
	free(s);
	pthread_mutex_lock(&say.lock);
	put(STDOUT_FILENO, text_str(&t), t.len);
	pthread_mutex_unlock(&say.lock);
}

static int count_lines(const char *s)
{
	int n = 0;

	for (; *s; s++)
		n += *s == '\n';
	return n;
}

void say_area(const char *text)
{
	AUTO_TEXT struct text t = TEXT_INIT;

	if (!say.can_redraw)
		return;
	pthread_mutex_lock(&say.lock);
	if (text && !say.area)
		text_add(&t, HIDE_CURSOR);
	add_erase(&t);
	if (text)
		text_add(&t, text);
	else if (say.area)
		text_add(&t, SHOW_CURSOR);
	free(say.area);
	say.area = text ? strdup(text) : NULL;
	say.area_lines = say.area ? count_lines(say.area) : 0;
	put(STDERR_FILENO, text_str(&t), t.len);
	pthread_mutex_unlock(&say.lock);
}

void say_size(int *ret_columns, int *ret_rows)
{
	struct winsize size;
	bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0;

	*ret_columns = known && size.ws_col ? size.ws_col : 80;
	*ret_rows = known && size.ws_row ? size.ws_row : 24;
}

int say_out_columns(void)
{
	struct winsize size;

	if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0)
		return 0;
	return size.ws_col;
}

void say_restore(void)
{
	if (say.can_redraw && say.area_lines > 0)
		put(STDERR_FILENO, SHOW_CURSOR, strlen(SHOW_CURSOR));
}

bool say_ask(const struct opts *o, struct err *e, const char *fmt, ...)
{
	AUTO_TEXT struct text t = TEXT_INIT;
	char answer[64];
	va_list ap;

	if (opt_flag(o, OPT_ID_YES))
		return true;
	va_start(ap, fmt);
	text_addv(&t, fmt, ap);
	va_end(ap);
	if (!say.can_ask) {
		err_set(e, ERR_USAGE, "nobody is here to answer: %s", text_str(&t));
		err_hint(e, "give --yes to answer with yes");
		return false;
	}
	AUTO_TEXT struct text clean = TEXT_INIT;
	say_add_clean(&clean, text_str(&t));
	text_add(&clean, " [y/N] ");
	put_message(text_str(&clean));
	if (!fgets(answer, sizeof(answer), stdin))
		answer[0] = '\0';
	answer[strcspn(answer, "\r\n")] = '\0';
	if (strcasecmp(answer, "y") == 0 || strcasecmp(answer, "yes") == 0)
		return true;
	err_set(e, ERR_REFUSED, "not confirmed: nothing was done");
	return false;
}
