/*
 * copyrow - the wire format of COPY: binary rows, and text rows, taken apart without copying.
 *
 * Binary: signature, flags, extension (19 bytes); then per row int16 field count and per field
 * int32 length (-1: NULL) and bytes; then int16 -1. All numbers big-endian.
 * Parses bytes of a peer: never reads outside [data, data+len), any input is safe (fuzzed).
 */
#ifndef COMMON_COPYROW_H
#define COMMON_COPYROW_H

#include "common/err.h"

#include <stdint.h>

#define COPYROW_HEADER_LEN 19
#define COPYROW_TRAILER_LEN 2
extern const char copyrow_header[COPYROW_HEADER_LEN];
extern const char copyrow_trailer[COPYROW_TRAILER_LEN];

struct copyrow_field {
	const char *data; /* into the row; NULL for SQL NULL */
	int32_t len;	  /* -1 for SQL NULL */
};

/*
 * Length of the file header at the start of data: COPYROW_HEADER_LEN plus its extension area.
 * 0: data does not begin with the signature. -1: damaged, or a critical flag we do not know.
 */
int copyrow_skip_header(const char *data, size_t len, size_t *ret_skip, struct err *e) MUST_CHECK;

/*
 * One binary row at the start of data: fills fields[0..n-1] and *ret_used. Returns the number of
 * fields (0..max), COPYROW_END for the trailer, or -1: cut short, more than max fields, bad length.
 */
#define COPYROW_END (-2)
int copyrow_binary(const char *data, size_t len, struct copyrow_field *fields, int max,
		   size_t *ret_used, struct err *e) MUST_CHECK;

/*
 * One text row (a line with or without its newline), unescaped into scratch, which must have at
 * least len bytes; fields point into scratch. Returns the number of fields, COPYROW_END for "\.",
 * or -1. With max 0 (a table without columns) only an empty line is right; else it is one empty field.
 */
int copyrow_text(const char *line, size_t len, char *scratch, struct copyrow_field *fields, int max,
		 struct err *e) MUST_CHECK;

#endif
