#include "schema/notify.h"

#include <curl/curl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_S 15L

AUTO_DEFINE(curl, CURL *, curl_easy_cleanup);
AUTO_DEFINE(slist, struct curl_slist *, curl_slist_free_all);

static size_t ignore(UNUSED char *data, size_t size, size_t n, UNUSED void *ctx)
{
	return size * n;
}

static char *body_of(const char *text)
{
	json_t *o = json_pack("{s:s}", "text", text);
	char *s = o ? json_dumps(o, JSON_COMPACT) : NULL;

	json_decref(o);
	return s;
}

/* Redirects are not followed: a secret is not carried to somewhere else. */
static void set_options(CURL *curl, const char *url, const char *body, struct curl_slist *headers)
{
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, TIMEOUT_S);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ignore);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "neonferry");
}

static int judge(CURL *curl, CURLcode code, struct err *e)
{
	long status = 0;

	/* curl_easy_strerror(), not the error buffer: that one may hold the host's name */
	if (code != CURLE_OK)
		return err_set(e, ERR_NETWORK, "the notification was not sent: %s", curl_easy_strerror(code));
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	if (status < 200 || status > 299)
		return err_set(e, ERR_NETWORK, "the notification was refused: HTTP status %ld", status);
	return 0;
}

int notify_post(const char *url, const char *text, struct err *e)
{
	AUTO(curl) CURL *curl = NULL;
	AUTO(slist) struct curl_slist *headers = NULL;
	AUTO(free) char *body = body_of(text);

	if (strncasecmp(url, "https://", 8) != 0 && strncasecmp(url, "http://", 7) != 0)
		return err_set(e, ERR_USAGE, "the notification was not sent: --notify wants an https:// address");
	curl = curl_easy_init();
	headers = curl_slist_append(NULL, "Content-Type: application/json");
	if (!curl || !headers || !body)
		return err_nomem(e);
	set_options(curl, url, body, headers);
	return judge(curl, curl_easy_perform(curl), e);
}
