/*
 * seal - bytes on disk that only the key's owner can read, or change unseen: AES-256-GCM.
 *
 * The key is the user's, 32 random bytes. It never encrypts anything itself: each file has a salt
 * of 32 random bytes, and HKDF-SHA256(key, salt) gives that file's own key and a check value, which
 * tells another key from damage. Within a file each piece is sealed under a nonce made of its part
 * and its number, so that a nonce never comes twice under a key, and a piece cannot stand in
 * another place, another file or another role without its tag failing.
 *
 *   seal_start() or seal_resume() for a file, then seal_close() or seal_open() for its pieces
 *
 * OWNER	seal_key_free() and seal_free() wipe what they hold.
 * THREADS	A key is read only and may be shared; a seal belongs to one thread.
 */
#ifndef TRANSFER_SEAL_H
#define TRANSFER_SEAL_H

#include "common/err.h"

#include <stdint.h>

#define SEAL_TAG   ((size_t)16) /* what a sealed piece is longer */
#define SEAL_SALT  ((size_t)32)
#define SEAL_CHECK ((size_t)16)
#define SEAL_MARK  (2 * (SEAL_SALT + SEAL_CHECK) + 1) /* hexadecimal, with NUL */

/* What a piece is: part of its nonce. */
enum seal_part { SEAL_HEADER = 0, SEAL_FRAME = 1, SEAL_TRAILER = 2, SEAL_BLOCK = 3 };

struct seal_key;
struct seal;

/* 32 bytes as 64 hexadecimal digits or as base64. Anything else: ERR_USAGE, which does not show it.
 */
int seal_key_parse(struct seal_key **ret, const char *text, struct err *e) MUST_CHECK;
void seal_key_free(struct seal_key *key);

/* By what a key is known again, without giving anything of it away. */
int seal_key_mark(const struct seal_key *key, char ret[SEAL_MARK], struct err *e) MUST_CHECK;
/* 1: the mark is of this key. 0: of another, or no mark at all. -1: error. */
int seal_key_is(const struct seal_key *key, const char *mark, struct err *e) MUST_CHECK;

int seal_new(struct seal **ret, struct err *e) MUST_CHECK;
void seal_free(struct seal *s);

/* A new file: fills salt, which must be kept with the file, and check. */
int seal_start(struct seal *s, const struct seal_key *key, char salt[SEAL_SALT],
	       char check[SEAL_CHECK], struct err *e) MUST_CHECK;
/* An existing file. Returns 1, 0 where it was sealed with another key, or -1. */
int seal_resume(struct seal *s, const struct seal_key *key, const char salt[SEAL_SALT],
		const char check[SEAL_CHECK], struct err *e) MUST_CHECK;

/* What a piece is, and what is bound to it without being hidden (aad, len may be 0). */
struct seal_piece {
	enum seal_part part;
	uint64_t no;
	const void *aad;
	size_t aad_len;
};

/* In place: data[0..len) becomes unreadable, and its tag follows it. */
int seal_close(struct seal *s, const struct seal_piece *p, char *data, size_t len,
	       struct err *e) MUST_CHECK;
/* len readable bytes into out, from in, which has len bytes and a tag. ERR_DISK: not what was
 * sealed. */
int seal_open(struct seal *s, const struct seal_piece *p, const char *in, size_t len, char *out,
	      struct err *e) MUST_CHECK;

UNUSED static inline void auto_seal(struct seal **s)
{
	seal_free(*s);
}
UNUSED static inline void auto_seal_key(struct seal_key **key)
{
	seal_key_free(*key);
}

#endif
