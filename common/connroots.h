/*
 * connroots - sslmode=require on Neon, with the certificate checked.
 *
 * libpq's `require` encrypts but asks nobody who is at the other end, unless a file with root
 * certificates is named. Neon's certificates are signed by a public authority, and this machine
 * most often knows those: then `require` to a host of Neon means verify-full with the system's
 * roots. A sslrootcert of the user's, any other sslmode, and other hosts are left as they are, and
 * so is what people are shown and what the run folder remembers.
 *
 * The roots are in the file that SSL_CERT_FILE names, or where distributions have them.
 */
#ifndef COMMON_CONNROOTS_H
#define COMMON_CONNROOTS_H

#include "common/conn.h"

/* The file with the roots where they are to be used for c, or NULL. Valid until the process ends.
 */
const char *connroots_file(const struct conn *c);

/* What libpq is to be given for a setting of c, roots included; "" where nothing. */
const char *connroots_value(const struct conn *c, const char *key);

/*
 * conn_params() with the roots: NULL-terminated arrays, each to be freed by the caller; the strings
 * are c's.
 */
int connroots_params(const struct conn *c, const char ***ret_keys, const char ***ret_values,
		     struct err *e) MUST_CHECK;

#endif
