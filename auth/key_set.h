#ifndef SLUICE_AUTH_KEY_SET_H
#define SLUICE_AUTH_KEY_SET_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>

#include "auth/algorithm.h"

/*
 * The keys that tokens are verified with. A set never changes once made, so any thread may use it; it is shared by an
 * atomic reference count. Only public keys and shared secrets: private keys have no business here and are refused.
 */
struct key_set;

enum {
    KEY_SET_MAX_KEYS = 100,
    KEY_SET_MAX_BYTES = 262144,
    KEY_SET_IDENTITY_SIZE = 32,
    KEY_MIN_SECRET_BYTES = 32,
    KEY_MIN_RSA_BITS = 2048,
    KEY_MAX_RSA_BITS = 16384,
};

enum key_type { KEY_SECRET, KEY_RSA, KEY_EC_P256, KEY_EC_P384, KEY_EC_P521, KEY_ED25519 };

/* One key, owned by its set. */
struct key {
    char *kid; /* NULL: none */
    enum key_type type;
    algorithm_set algorithms; /* those that fit the type and the curve, and that the key's own alg allows */
    EVP_PKEY *public_key;     /* NULL for a secret */
    /* Of a secret, for each HMAC algorithm of its own one that is keyed with it, to be copied (EVP_MAC_CTX_dup()); else NULL. */
    EVP_MAC_CTX *macs[ALGORITHM_HMAC_COUNT];
};

/* What is wrong with a key and what to do; without any of the key's bytes. */
struct key_error {
    char text[256];
};

/* Each makes a set with one reference, or returns NULL and says why in ret_error. */

/* For HS256, HS384 and HS512. */
struct key_set *key_set_from_secret(const char *secret, size_t size, struct key_error *ret_error);

/* Public keys or certificates (of which only the key counts, not names and dates), up to four of them. */
struct key_set *key_set_from_pem(const char *text, size_t size, struct key_error *ret_error);

/*
 * A JSON Web Key Set (RFC 7517). Keys that are not for signatures, or of a kind this program does not know, are skipped;
 * a broken one, a weak one or a private one refuses the whole set.
 */
struct key_set *key_set_from_jwks(const char *text, size_t size, struct key_error *ret_error);

struct key_set *key_set_ref(struct key_set *set);
void key_set_unref(struct key_set *set);

size_t key_set_count(const struct key_set *set);
const struct key *key_set_at(const struct key_set *set, size_t index);

/* Whether any of the keys has a kid. */
bool key_set_has_kids(const struct key_set *set);

/* KEY_SET_IDENTITY_SIZE bytes: equal for sets that were made of the same text, and otherwise different. */
const unsigned char *key_set_identity(const struct key_set *set);

#endif
