#include "auth/token_cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/auth/token_maker.h"

#define NOW INT64_C(1800000000)

static struct key_set *keys_of(const char *secret)
{
    struct key_error error;
    struct key_set *keys = key_set_from_secret(secret, strlen(secret), &error);

    assert_non_null(keys);
    return keys;
}

static const char secret[] = "0123456789012345678901234567890123456789";

/* Claims that expire at that time, as jwt_verify() makes them. */
static struct jwt_claims *claims_until(const struct key_set *keys, int64_t expiry_s)
{
    const struct jwt_rules rules = {.company_claim = "c", .exp_is_required = true};
    char *payload = text_of("{\"c\":\"acme\",\"exp\":%lld}", (long long)expiry_s);
    char *token = sign_with_secret(secret, strlen(secret), "HS256", "{\"alg\":\"HS256\"}", payload);
    struct jwt_claims *claims = NULL;

    assert_int_equal(jwt_verify(&rules, keys, token, strlen(token), 0, &claims), JWT_OK);
    free(payload);
    free(token);
    return claims;
}

static bool is_held(struct token_cache *cache, const struct key_set *keys, const char *token, int64_t now_s)
{
    struct token_key key;
    struct jwt_claims *claims;

    assert_int_equal(token_cache_key(cache, keys, token, strlen(token), &key), 0);
    claims = token_cache_get(cache, &key, now_s);
    jwt_claims_unref(claims);
    return claims != NULL;
}

static void hold(struct token_cache *cache, const struct key_set *keys, const char *token, struct jwt_claims *claims)
{
    struct token_key key;

    assert_int_equal(token_cache_key(cache, keys, token, strlen(token), &key), 0);
    token_cache_put(cache, &key, claims);
}

static void test_a_token_is_held_until_it_expires(void **state)
{
    struct metrics *metrics = metrics_new();
    struct token_cache *cache = token_cache_new(8, metrics);
    struct key_set *keys = keys_of(secret);
    struct jwt_claims *claims = claims_until(keys, NOW + 10);

    (void)state;
    assert_false(is_held(cache, keys, "t", NOW));
    hold(cache, keys, "t", claims);
    hold(cache, keys, "t", claims);
    assert_int_equal(token_cache_count(cache), 1);
    assert_true(is_held(cache, keys, "t", NOW + 9));
    assert_false(is_held(cache, keys, "u", NOW));
    assert_false(is_held(cache, keys, "t", NOW + 10));
    assert_int_equal(token_cache_count(cache), 0);
    assert_int_equal(metrics_get(metrics, METRIC_TOKEN_CACHE_HITS), 1);
    assert_int_equal(metrics_get(metrics, METRIC_TOKEN_CACHE_MISSES), 3);
    jwt_claims_unref(claims);
    key_set_unref(keys);
    token_cache_free(cache);
    metrics_free(metrics);
}

static void test_other_keys_find_nothing(void **state)
{
    struct token_cache *cache = token_cache_new(8, NULL);
    struct key_set *keys = keys_of(secret);
    struct key_set *same = keys_of(secret);
    struct key_set *others = keys_of("another secret that is long enough for it");
    struct jwt_claims *claims = claims_until(keys, NOW + 10);

    (void)state;
    hold(cache, keys, "t", claims);
    assert_false(is_held(cache, others, "t", NOW));
    assert_true(is_held(cache, same, "t", NOW));
    jwt_claims_unref(claims);
    key_set_unref(keys);
    key_set_unref(same);
    key_set_unref(others);
    token_cache_free(cache);
}

static void test_the_oldest_makes_room(void **state)
{
    enum { CAPACITY = 64, TOKENS = 1000 };
    struct token_cache *cache = token_cache_new(CAPACITY, NULL);
    struct key_set *keys = keys_of(secret);
    struct jwt_claims *claims = claims_until(keys, NOW + 10);
    char token[32];

    (void)state;
    for (int i = 0; i < TOKENS; i++) {
        snprintf(token, sizeof token, "token-%d", i);
        hold(cache, keys, token, claims);
        /* Holes in the middle must not break the order. */
        if (i % 7 == 0)
            assert_false(is_held(cache, keys, token, NOW + 10));
        assert_true(token_cache_count(cache) <= CAPACITY);
    }
    for (int i = 0; i < TOKENS; i++) {
        snprintf(token, sizeof token, "token-%d", i);
        assert_int_equal(is_held(cache, keys, token, NOW), i >= TOKENS - CAPACITY && i % 7 != 0);
    }
    jwt_claims_unref(claims);
    key_set_unref(keys);
    token_cache_free(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_token_is_held_until_it_expires),
        cmocka_unit_test(test_other_keys_find_nothing),
        cmocka_unit_test(test_the_oldest_makes_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
