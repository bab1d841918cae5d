#include "auth/token_cache.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define NOWHERE UINT32_MAX

struct entry {
    struct token_key key;
    struct jwt_claims *claims; /* NULL: free */
    uint32_t next;             /* in the same bucket */
};

struct token_cache {
    struct metrics *metrics;
    EVP_MD *sha256;        /* fetched once: OpenSSL 3 searches its providers for EVP_sha256() each time */
    struct entry *entries; /* a ring: the oldest is replaced */
    uint32_t *buckets;     /* the first entry of each */
    uint32_t capacity;
    uint32_t oldest;
    size_t count;
};

struct token_cache *token_cache_new(size_t max_tokens, struct metrics *metrics)
{
    struct token_cache *cache = calloc(1, sizeof *cache);

    if (!cache)
        return NULL;
    cache->metrics = metrics;
    cache->capacity = max_tokens < 1 ? 1 : max_tokens < NOWHERE ? (uint32_t)max_tokens : NOWHERE - 1;
    cache->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    cache->entries = calloc(cache->capacity, sizeof *cache->entries);
    cache->buckets = malloc(cache->capacity * sizeof *cache->buckets);
    if (!cache->sha256 || !cache->entries || !cache->buckets) {
        token_cache_free(cache);
        return NULL;
    }
    memset(cache->buckets, 0xff, cache->capacity * sizeof *cache->buckets);
    return cache;
}

void token_cache_free(struct token_cache *cache)
{
    if (!cache)
        return;
    for (uint32_t i = 0; cache->entries && i < cache->capacity; i++)
        jwt_claims_unref(cache->entries[i].claims);
    EVP_MD_free(cache->sha256);
    free(cache->entries);
    free(cache->buckets);
    free(cache);
}

int token_cache_key(const struct token_cache *cache, const struct key_set *keys, const char *token, size_t size,
                    struct token_key *ret_key)
{
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    bool made = digest && EVP_DigestInit_ex(digest, cache->sha256, NULL) == 1 &&
                EVP_DigestUpdate(digest, key_set_identity(keys), KEY_SET_IDENTITY_SIZE) == 1 &&
                EVP_DigestUpdate(digest, token, size) == 1 && EVP_DigestFinal_ex(digest, ret_key->hash, NULL) == 1;

    EVP_MD_CTX_free(digest);
    return made ? 0 : -ENOMEM;
}

static uint32_t *bucket_of(struct token_cache *cache, const struct token_key *key)
{
    uint64_t number;

    memcpy(&number, key->hash, sizeof number);
    return &cache->buckets[number % cache->capacity];
}

/* What refers to the entry of that key, or the bucket's end. */
static uint32_t *find(struct token_cache *cache, const struct token_key *key)
{
    uint32_t *link = bucket_of(cache, key);

    while (*link != NOWHERE && memcmp(&cache->entries[*link].key, key, sizeof *key) != 0)
        link = &cache->entries[*link].next;
    return link;
}

static void drop(struct token_cache *cache, uint32_t *link)
{
    struct entry *entry = &cache->entries[*link];

    *link = entry->next;
    jwt_claims_unref(entry->claims);
    entry->claims = NULL;
    cache->count--;
}

static void count(struct token_cache *cache, enum metric metric)
{
    if (cache->metrics)
        metrics_add(cache->metrics, metric, 1);
}

struct jwt_claims *token_cache_get(struct token_cache *cache, const struct token_key *key, int64_t now_s)
{
    uint32_t *link = find(cache, key);

    if (*link != NOWHERE && cache->entries[*link].claims->expires_at_s > now_s) {
        count(cache, METRIC_TOKEN_CACHE_HITS);
        return jwt_claims_ref(cache->entries[*link].claims);
    }
    if (*link != NOWHERE)
        drop(cache, link);
    count(cache, METRIC_TOKEN_CACHE_MISSES);
    return NULL;
}

void token_cache_put(struct token_cache *cache, const struct token_key *key, struct jwt_claims *claims)
{
    struct entry *entry = &cache->entries[cache->oldest];
    uint32_t *link;

    if (*find(cache, key) != NOWHERE)
        return;
    if (entry->claims)
        drop(cache, find(cache, &entry->key));
    entry->key = *key;
    entry->claims = jwt_claims_ref(claims);
    link = bucket_of(cache, key);
    entry->next = *link;
    *link = cache->oldest;
    cache->oldest = (cache->oldest + 1) % cache->capacity;
    cache->count++;
}

size_t token_cache_count(const struct token_cache *cache)
{
    return cache->count;
}
