#ifndef SLUICE_TESTS_UNIT_AUTH_TOKEN_MAKER_H
#define SLUICE_TESTS_UNIT_AUTH_TOKEN_MAKER_H

#include <openssl/types.h>
#include <stddef.h>

/*
 * What an issuer does: keys, made anew in each run, and tokens signed with them. All texts are to be freed by the caller;
 * a failure fails the test.
 */

EVP_PKEY *make_rsa_key(int bits);
EVP_PKEY *make_ec_key(const char *curve);
EVP_PKEY *make_ed25519_key(void);

char *public_pem(EVP_PKEY *key);
char *private_pem(EVP_PKEY *key);
char *certificate_pem(EVP_PKEY *key);

/* The public key as a JWK with `extra` in front of its members, such as "\"kid\":\"a\",". */
char *public_jwk(EVP_PKEY *key, const char *extra);

/* {"keys":[…]} around what snprintf() makes of it. */
char *jwks(const char *format, ...) __attribute__((format(printf, 1, 2)));

char *base64url(const void *bytes, size_t size);

/* header.payload.signature; `algorithm` says how it is signed, whatever the header says. */
char *sign_with_key(EVP_PKEY *key, const char *algorithm, const char *header, const char *payload);
char *sign_with_secret(const void *secret, size_t size, const char *algorithm, const char *header, const char *payload);

/* Any signature at all. */
char *token_of(const char *header, const char *payload, const void *signature, size_t signature_size);

/* What snprintf() makes of it. */
char *text_of(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
