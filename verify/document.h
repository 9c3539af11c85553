/*
 * document - parts of the report's document that are made of the rest of it: scope, provenance, the
 * register of exceptions.
 */
#ifndef VERIFY_DOCUMENT_H
#define VERIFY_DOCUMENT_H

#include "verify/verify.h"

/* "settings": all that was asked for, so that it can be asked for again. New reference. */
json_t *document_settings(const struct verify_settings *s);

/* "tool": name, version, and the SHA-256 of the program that ran. New reference. */
json_t *document_tool(const struct verify_settings *s);

/* "operator": {user, host}: the account and machine the verification ran on. New reference. */
json_t *document_operator(void);

/*
 * "coverage": tables, rows, rows_content_checked, skipped: the tables whose contents were not
 * compared. New reference.
 */
json_t *document_coverage(const json_t *tables);

/*
 * "exceptions": one entry for each finding that is no pass: {id, object, group, description,
 * classification, disposition, at} and, where it was waived, {by, reason, expires}. The disposition
 * is open (failed or unknown), accepted (waived) or noted (the data are right). New reference.
 */
json_t *document_exceptions(const json_t *checks);

#endif
