#ifndef SLUICE_AUTH_TOKEN_CACHE_H
#define SLUICE_AUTH_TOKEN_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include "auth/jwt.h"
#include "auth/key_set.h"
#include "core/metrics.h"

/*
 * Tokens that were verified, so that a client's next request with the same token costs one hash and no signature. It holds
 * hashes of tokens, never tokens. What was verified with other keys than today's is not found; what has expired neither.
 * The oldest makes room for the newest. For one thread at a time, but where something else is said.
 */
struct token_cache;

/* Holds at most max_tokens (at least 1). metrics counts hits and misses, and may be NULL. NULL: no memory. */
struct token_cache *token_cache_new(size_t max_tokens, struct metrics *metrics);
void token_cache_free(struct token_cache *cache);

/* What a token is found by: a hash of it and of the keys' identity, so that other keys find nothing. */
struct token_key {
    unsigned char hash[32];
};

/* Makes it. Returns 0, or -ENOMEM. Any thread. */
int token_cache_key(const struct token_cache *cache, const struct key_set *keys, const char *token, size_t size,
                    struct token_key *ret_key);

/* The claims of a token that those keys have verified, with a reference for the caller; or NULL. */
struct jwt_claims *token_cache_get(struct token_cache *cache, const struct token_key *key, int64_t now_s);

/* Remembers what jwt_verify() gave for the token with those keys; takes a reference of its own. */
void token_cache_put(struct token_cache *cache, const struct token_key *key, struct jwt_claims *claims);

/* How many are held, expired ones that nobody asked for since included. */
size_t token_cache_count(const struct token_cache *cache);

#endif
