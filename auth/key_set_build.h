#ifndef SLUICE_AUTH_KEY_SET_BUILD_H
#define SLUICE_AUTH_KEY_SET_BUILD_H

#include "auth/key_set.h"

/* How key_set.c, key_pem.c and key_jwks.c put a set together, before anybody else sees it. One owner. */

/* An empty set whose identity is made of the maker's name and the text. NULL: no memory; ret_error says it. */
struct key_set *key_set_begin(const char *maker, const char *text, size_t size, struct key_error *ret_error);

/*
 * Adds a public key, which the set then owns (also upon failure). kid may be NULL; `allowed` restricts the algorithms.
 * Returns 0, -EINVAL or -ENOMEM, with ret_error.
 */
int key_set_add_public(struct key_set *set, EVP_PKEY *public_key, const char *kid, algorithm_set allowed,
                       struct key_error *ret_error);

/* Likewise for a secret, which is copied. */
int key_set_add_secret(struct key_set *set, const unsigned char *secret, size_t size, const char *kid,
                       algorithm_set allowed, struct key_error *ret_error);

/* Writes the text and returns -EINVAL. */
int key_error_set(struct key_error *ret_error, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
