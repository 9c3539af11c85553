#include "transfer/seal.h"

#include <endian.h>
#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY   ((size_t)32)
#define NONCE ((size_t)12)

struct seal_key {
	unsigned char bytes[KEY];
};

struct seal {
	EVP_CIPHER *aes;
	EVP_CIPHER_CTX *out, *in; /* each with the file's key; a piece sets only the nonce */
};

static int failed(struct err *e, const char *what)
{
	return err_set(e, ERR_INTERNAL, "the cryptographic library could not %s", what);
}

/* --- keys --- */

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Exactly len bytes of twice as many digits. */
static bool unhex(const char *text, unsigned char *ret, size_t len)
{
	if (strlen(text) != 2 * len)
		return false;
	for (size_t i = 0; i < len; i++) {
		int high = nibble(text[2 * i]), low = nibble(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		ret[i] = (unsigned char)(high << 4 | low);
	}
	return true;
}

/* 43 letters and a padding sign, which may be left out. */
static bool unbase64(const char *text, unsigned char ret[KEY])
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned char padded[45], plain[33];
	size_t len = strlen(text);
	bool ok;

	if (strspn(text, letters) != 43 || len > 44 || (len == 44 && text[43] != '='))
		return false;
	memcpy(padded, text, 43);
	memcpy(padded + 43, "=", 2);
	ok = EVP_DecodeBlock(plain, padded, 44) == 33 && !plain[32];
	if (ok)
		memcpy(ret, plain, KEY);
	OPENSSL_cleanse(padded, sizeof(padded));
	OPENSSL_cleanse(plain, sizeof(plain));
	return ok;
}

int seal_key_parse(struct seal_key **ret, const char *text, struct err *e)
{
	struct seal_key *key = calloc(1, sizeof(*key));

	if (!key)
		return err_nomem(e);
	if (!unhex(text, key->bytes, KEY) && !unbase64(text, key->bytes)) {
		seal_key_free(key);
		err_set(e, ERR_USAGE,
			"the key is not 32 bytes as 64 hexadecimal digits or in base64");
		return err_hint(e, "make one with `openssl rand -hex 32`, and keep it where a "
				   "resume finds it");
	}
	*ret = key;
	return 0;
}

void seal_key_free(struct seal_key *key)
{
	if (!key)
		return;
	OPENSSL_cleanse(key, sizeof(*key));
	free(key);
}

/* --- a file's own key --- */

/* The file's key, then the check value. */
static int derive(const struct seal_key *key, const char salt[SEAL_SALT],
		  unsigned char ret[KEY + SEAL_CHECK], struct err *e)
{
	static char info[] = "neonferry spill";
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char[]){ "SHA256" }, 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)key->bytes,
						  KEY),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)salt,
						  SEAL_SALT),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, sizeof(info) - 1),
		OSSL_PARAM_construct_end(),
	};
	bool ok = ctx && EVP_KDF_derive(ctx, ret, KEY + SEAL_CHECK, params) > 0;

	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return ok ? 0 : failed(e, "derive a key");
}

int seal_new(struct seal **ret, struct err *e)
{
	struct seal *s = calloc(1, sizeof(*s));

	if (!s)
		return err_nomem(e);
	s->aes = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	s->out = EVP_CIPHER_CTX_new();
	s->in = EVP_CIPHER_CTX_new();
	if (!s->aes || !s->out || !s->in) {
		seal_free(s);
		return failed(e, "offer AES-256-GCM");
	}
	*ret = s;
	return 0;
}

void seal_free(struct seal *s)
{
	if (!s)
		return;
	EVP_CIPHER_CTX_free(s->out); /* both wipe the key */
	EVP_CIPHER_CTX_free(s->in);
	EVP_CIPHER_free(s->aes);
	free(s);
}

static int set_key(struct seal *s, const unsigned char key[KEY], struct err *e)
{
	if (!EVP_EncryptInit_ex2(s->out, s->aes, key, NULL, NULL) ||
	    !EVP_DecryptInit_ex2(s->in, s->aes, key, NULL, NULL))
		return failed(e, "set a key");
	return 0;
}

int seal_start(struct seal *s, const struct seal_key *key, char salt[SEAL_SALT],
	       char check[SEAL_CHECK], struct err *e)
{
	unsigned char derived[KEY + SEAL_CHECK];
	int rc;

	if (RAND_bytes((unsigned char *)salt, SEAL_SALT) != 1)
		return failed(e, "give random bytes");
	rc = derive(key, salt, derived, e) || set_key(s, derived, e);
	memcpy(check, derived + KEY, SEAL_CHECK);
	OPENSSL_cleanse(derived, sizeof(derived));
	return rc ? -1 : 0;
}

int seal_resume(struct seal *s, const struct seal_key *key, const char salt[SEAL_SALT],
		const char check[SEAL_CHECK], struct err *e)
{
	unsigned char derived[KEY + SEAL_CHECK];
	int rc = derive(key, salt, derived, e);

	if (!rc)
		rc = CRYPTO_memcmp(derived + KEY, check, SEAL_CHECK) ? 0
		     : set_key(s, derived, e)                        ? -1
								     : 1;
	OPENSSL_cleanse(derived, sizeof(derived));
	return rc;
}

/* --- marks --- */

int seal_key_mark(const struct seal_key *key, char ret[SEAL_MARK], struct err *e)
{
	unsigned char derived[KEY + SEAL_CHECK], mark[SEAL_SALT + SEAL_CHECK];
	int rc;

	if (RAND_bytes(mark, SEAL_SALT) != 1)
		return failed(e, "give random bytes");
	rc = derive(key, (char *)mark, derived, e);
	memcpy(mark + SEAL_SALT, derived + KEY, SEAL_CHECK);
	OPENSSL_cleanse(derived, sizeof(derived));
	for (size_t i = 0; i < sizeof(mark); i++)
		(void)snprintf(ret + 2 * i, 3, "%02x", mark[i]);
	return rc;
}

int seal_key_is(const struct seal_key *key, const char *mark, struct err *e)
{
	unsigned char derived[KEY + SEAL_CHECK], then[SEAL_SALT + SEAL_CHECK];
	int rc;

	if (!mark || !unhex(mark, then, sizeof(then)))
		return 0;
	rc = derive(key, (char *)then, derived, e);
	if (!rc)
		rc = !CRYPTO_memcmp(derived + KEY, then + SEAL_SALT, SEAL_CHECK);
	OPENSSL_cleanse(derived, sizeof(derived));
	return rc;
}

/* --- pieces --- */

static void nonce_of(const struct seal_piece *p, unsigned char ret[NONCE])
{
	uint32_t part = htole32((uint32_t)p->part);
	uint64_t no = htole64(p->no);

	memcpy(ret, &part, sizeof(part));
	memcpy(ret + sizeof(part), &no, sizeof(no));
}

int seal_close(struct seal *s, const struct seal_piece *p, char *data, size_t len, struct err *e)
{
	unsigned char nonce[NONCE], *at = (unsigned char *)data;
	int n = 0, end = 0;

	nonce_of(p, nonce);
	if (len > INT_MAX || p->aad_len > INT_MAX ||
	    !EVP_EncryptInit_ex2(s->out, NULL, NULL, nonce, NULL) ||
	    (p->aad_len && !EVP_EncryptUpdate(s->out, NULL, &n, p->aad, (int)p->aad_len)) ||
	    !EVP_EncryptUpdate(s->out, at, &n, at, (int)len) ||
	    !EVP_EncryptFinal_ex(s->out, at + n, &end) || (size_t)n + (size_t)end != len ||
	    !EVP_CIPHER_CTX_ctrl(s->out, EVP_CTRL_AEAD_GET_TAG, (int)SEAL_TAG, data + len))
		return failed(e, "encrypt");
	return 0;
}

int seal_open(struct seal *s, const struct seal_piece *p, const char *in, size_t len, char *out,
	      struct err *e)
{
	unsigned char nonce[NONCE], tag[SEAL_TAG], *to = (unsigned char *)out;
	int n = 0, end = 0;

	nonce_of(p, nonce);
	memcpy(tag, in + len, SEAL_TAG);
	if (len > INT_MAX || p->aad_len > INT_MAX ||
	    !EVP_DecryptInit_ex2(s->in, NULL, NULL, nonce, NULL) ||
	    (p->aad_len && !EVP_DecryptUpdate(s->in, NULL, &n, p->aad, (int)p->aad_len)) ||
	    !EVP_DecryptUpdate(s->in, to, &n, (const unsigned char *)in, (int)len) ||
	    !EVP_CIPHER_CTX_ctrl(s->in, EVP_CTRL_AEAD_SET_TAG, (int)SEAL_TAG, tag))
		return failed(e, "decrypt");
	if (EVP_DecryptFinal_ex(s->in, to + n, &end) <= 0 || (size_t)n + (size_t)end != len) {
		OPENSSL_cleanse(out, len);
		return err_set(e, ERR_DISK, "it was changed since it was encrypted");
	}
	return 0;
}
