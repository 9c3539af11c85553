/*
 * notify - one message to a web address, as JSON that Slack and those that copy it accept.
 *
 * INVARIANT	The address is a secret: it is in no message and no file.
 */
#ifndef SCHEMA_NOTIFY_H
#define SCHEMA_NOTIFY_H

#include "common/err.h"

/*
 * POSTs {"text": text} to url (https, or http) and waits up to 15 s for an answer of 2xx. ERR_USAGE:
 * no web address. ERR_NETWORK: no such answer; its text names the status, never the address.
 */
int notify_post(const char *url, const char *text, struct err *e) MUST_CHECK;

#endif
