/*
 * reread - the document of a report, read again from its folder: only as it was written.
 *
 * Whoever renders a report again signs for it: it gets new checksums. So what is read must be what
 * SHA256SUMS says of it, and the verdict what its findings give. (Who writes both anew is found by
 * a signature over SHA256SUMS, not here.)
 */
#ifndef VERIFY_REREAD_H
#define VERIFY_REREAD_H

#include "common/err.h"

#include <jansson.h>

/*
 * report.json of the folder. ERR_USAGE where it, or a file of rows beside it, is not what
 * SHA256SUMS says, where it is no report, or where its verdict does not follow from its findings.
 * The sentence and the exit status are those of the findings. New reference.
 */
int reread_document(const char *dir, json_t **ret, struct err *e) MUST_CHECK;

#endif
