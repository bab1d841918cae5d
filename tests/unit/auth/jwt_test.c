#include "auth/jwt.h"

#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/auth/token_maker.h"

#define NOW INT64_C(1800000000)
#define PAYLOAD "{\"sub\":\"ann\",\"companyId\":\"acme\",\"exp\":1800000060}"

static const char secret[] = "a secret of more than thirty-two bytes, and of more than sixty-four too";
static const struct jwt_rules plain_rules = {
    .leeway_seconds = 30, .exp_is_required = true, .company_claim = "companyId", .user_claim = "sub"};

static struct {
    EVP_PKEY *rsa;
    EVP_PKEY *other_rsa;
    EVP_PKEY *p256;
    EVP_PKEY *p384;
    EVP_PKEY *p521;
    EVP_PKEY *ed25519;
} keys;

static int make_keys(void **state)
{
    (void)state;
    keys.rsa = make_rsa_key(2048);
    keys.other_rsa = make_rsa_key(2048);
    keys.p256 = make_ec_key("P-256");
    keys.p384 = make_ec_key("P-384");
    keys.p521 = make_ec_key("P-521");
    keys.ed25519 = make_ed25519_key();
    return 0;
}

static int free_keys(void **state)
{
    (void)state;
    EVP_PKEY_free(keys.rsa);
    EVP_PKEY_free(keys.other_rsa);
    EVP_PKEY_free(keys.p256);
    EVP_PKEY_free(keys.p384);
    EVP_PKEY_free(keys.p521);
    EVP_PKEY_free(keys.ed25519);
    return 0;
}

static struct key_set *set_of_pem(EVP_PKEY *key)
{
    struct key_error error = {""};
    char *pem = public_pem(key);
    struct key_set *set = key_set_from_pem(pem, strlen(pem), &error);

    assert_string_equal(error.text, "");
    assert_non_null(set);
    free(pem);
    return set;
}

static struct key_set *set_of_secret(void)
{
    struct key_error error = {""};
    struct key_set *set = key_set_from_secret(secret, strlen(secret), &error);

    assert_non_null(set);
    return set;
}

/* Takes the text. */
static struct key_set *set_of_jwks(char *text)
{
    struct key_error error = {""};
    struct key_set *set = key_set_from_jwks(text, strlen(text), &error);

    assert_string_equal(error.text, "");
    assert_non_null(set);
    free(text);
    return set;
}

static enum jwt_reason verify(const struct jwt_rules *rules, const struct key_set *set, const char *token)
{
    struct jwt_claims *claims = NULL;
    enum jwt_reason reason = jwt_verify(rules, set, token, strlen(token), NOW, &claims);

    assert_int_equal(claims != NULL, reason == JWT_OK);
    jwt_claims_unref(claims);
    return reason;
}

/* Takes the token. */
static void assert_reason(const struct jwt_rules *rules, const struct key_set *set, char *token,
                          enum jwt_reason expected)
{
    enum jwt_reason reason = verify(rules, set, token);

    if (reason != expected)
        fail_msg("%s instead of %s for %s", jwt_reason_name(reason), jwt_reason_name(expected), token);
    free(token);
}

static char *header_of(const char *algorithm)
{
    return text_of("{\"typ\":\"JWT\",\"alg\":\"%s\"}", algorithm);
}

static char *signed_as(EVP_PKEY *key, const char *algorithm, const char *said)
{
    char *header = header_of(said);
    char *token = key ? sign_with_key(key, algorithm, header, PAYLOAD)
                      : sign_with_secret(secret, strlen(secret), algorithm, header, PAYLOAD);

    free(header);
    return token;
}

static const struct {
    const char *name;
    EVP_PKEY **key;
} algorithms[] = {{"HS256", NULL},         {"HS384", NULL},       {"HS512", NULL},       {"RS256", &keys.rsa},
                  {"RS384", &keys.rsa},    {"RS512", &keys.rsa},  {"PS256", &keys.rsa},  {"PS384", &keys.rsa},
                  {"PS512", &keys.rsa},    {"ES256", &keys.p256}, {"ES384", &keys.p384}, {"ES512", &keys.p521},
                  {"EdDSA", &keys.ed25519}};
enum { ALGORITHMS = sizeof algorithms / sizeof algorithms[0] };

static struct key_set *set_for(size_t algorithm)
{
    return algorithms[algorithm].key ? set_of_pem(*algorithms[algorithm].key) : set_of_secret();
}

static EVP_PKEY *key_for(size_t algorithm)
{
    return algorithms[algorithm].key ? *algorithms[algorithm].key : NULL;
}

static void test_every_algorithm_is_verified(void **state)
{
    (void)state;
    assert_int_equal(ALGORITHMS, ALGORITHM_COUNT);
    for (size_t i = 0; i < ALGORITHMS; i++) {
        struct key_set *set = set_for(i);

        assert_reason(&plain_rules, set, signed_as(key_for(i), algorithms[i].name, algorithms[i].name), JWT_OK);
        key_set_unref(set);
    }
}

/* One bit at a time in the signature, and one in the payload. */
static void test_a_changed_token_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ALGORITHMS; i++) {
        struct key_set *set = set_for(i);
        char *token = signed_as(key_for(i), algorithms[i].name, algorithms[i].name);
        char *signature = strrchr(token, '.') + 1;
        char *payload = strchr(token, '.') + 1;

        for (char *at = signature; at < signature + 40; at += 13) {
            char before = *at;

            *at = before == 'A' ? 'B' : 'A';
            assert_int_equal(verify(&plain_rules, set, token), JWT_SIGNATURE);
            *at = before;
        }
        payload[20] = payload[20] == 'A' ? 'B' : 'A';
        assert_int_equal(verify(&plain_rules, set, token), JWT_SIGNATURE);
        free(token);
        key_set_unref(set);
    }
}

/* Every pair of a key and an algorithm that does not fit it is refused, whatever the token says. */
static void test_no_algorithm_is_taken_for_another(void **state)
{
    (void)state;
    for (size_t i = 0; i < ALGORITHMS; i++) {
        struct key_set *set = set_for(i);

        for (size_t k = 0; k < ALGORITHMS; k++)
            if (algorithms[k].key != algorithms[i].key)
                assert_reason(&plain_rules, set, signed_as(key_for(k), algorithms[k].name, algorithms[k].name),
                              JWT_ALGORITHM);
            else if (k != i)
                assert_reason(&plain_rules, set, signed_as(key_for(i), algorithms[i].name, algorithms[k].name),
                              JWT_SIGNATURE);
        key_set_unref(set);
    }
}

static void test_a_public_key_is_no_secret(void **state)
{
    struct key_set *set = set_of_pem(keys.rsa);
    char *pem = public_pem(keys.rsa);

    (void)state;
    assert_reason(&plain_rules, set, sign_with_secret(pem, strlen(pem), "HS256", "{\"alg\":\"HS256\"}", PAYLOAD),
                  JWT_ALGORITHM);
    assert_reason(&plain_rules, set, sign_with_secret("", 0, "HS256", "{\"alg\":\"HS256\"}", PAYLOAD), JWT_ALGORITHM);
    free(pem);
    key_set_unref(set);
}

static void test_the_curve_decides_the_algorithm(void **state)
{
    struct key_set *p256 = set_of_pem(keys.p256);
    struct key_set *p384 = set_of_pem(keys.p384);

    (void)state;
    assert_reason(&plain_rules, p384, signed_as(keys.p384, "ES256", "ES256"), JWT_ALGORITHM);
    assert_reason(&plain_rules, p256, signed_as(keys.p256, "ES384", "ES384"), JWT_ALGORITHM);
    assert_reason(&plain_rules, p256, signed_as(keys.p384, "ES256", "ES256"), JWT_SIGNATURE);
    key_set_unref(p256);
    key_set_unref(p384);
}

static void test_none_is_no_algorithm(void **state)
{
    static const char *const names[] = {"none", "None", "NONE", "nOnE", "", "hs256", "HS256 ", "RS1", "ES256K", "HS1"};
    struct key_set *set = set_of_secret();

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char *header = header_of(names[i]);

        assert_reason(&plain_rules, set, sign_with_secret(secret, strlen(secret), "HS256", header, PAYLOAD),
                      JWT_ALGORITHM);
        /* Without a signature it is no signed token at all. */
        assert_reason(&plain_rules, set, token_of(header, PAYLOAD, "", 0), JWT_MALFORMED);
        free(header);
    }
    key_set_unref(set);
}

static void test_only_allowed_algorithms_pass(void **state)
{
    struct jwt_rules rules = plain_rules;
    struct key_set *shared = set_of_secret();
    struct key_set *rsa = set_of_pem(keys.rsa);

    (void)state;
    rules.algorithms = algorithm_set_of("RS256, ES256");
    assert_reason(&rules, shared, signed_as(NULL, "HS256", "HS256"), JWT_ALGORITHM);
    assert_reason(&rules, rsa, signed_as(keys.rsa, "RS512", "RS512"), JWT_ALGORITHM);
    assert_reason(&rules, rsa, signed_as(keys.rsa, "PS256", "PS256"), JWT_ALGORITHM);
    assert_reason(&rules, rsa, signed_as(keys.rsa, "RS256", "RS256"), JWT_OK);
    key_set_unref(shared);
    key_set_unref(rsa);
}

static void test_a_signature_of_r_and_s_zero_is_refused(void **state)
{
    struct key_set *set = set_of_pem(keys.p256);
    static const unsigned char zeros[132];

    (void)state;
    assert_reason(&plain_rules, set, token_of("{\"alg\":\"ES256\"}", PAYLOAD, zeros, 64), JWT_SIGNATURE);
    assert_reason(&plain_rules, set, token_of("{\"alg\":\"ES256\"}", PAYLOAD, zeros, 1), JWT_SIGNATURE);
    assert_reason(&plain_rules, set, token_of("{\"alg\":\"ES256\"}", PAYLOAD, zeros, 132), JWT_SIGNATURE);
    key_set_unref(set);
}

static char *with_kid(EVP_PKEY *key, const char *kid)
{
    char *header = text_of("{\"alg\":\"RS256\",\"kid\":\"%s\"}", kid);
    char *token = sign_with_key(key, "RS256", header, PAYLOAD);

    free(header);
    return token;
}

static void test_the_kid_chooses_the_key(void **state)
{
    char *a = public_jwk(keys.rsa, "\"kid\":\"a\",");
    char *b = public_jwk(keys.other_rsa, "\"kid\":\"b\",");
    char *bare = public_jwk(keys.rsa, "");
    struct key_set *set = set_of_jwks(jwks("%s,%s", a, b));
    struct key_set *unnamed = set_of_jwks(jwks("%s", bare));

    (void)state;
    assert_reason(&plain_rules, set, with_kid(keys.rsa, "a"), JWT_OK);
    assert_reason(&plain_rules, set, with_kid(keys.other_rsa, "b"), JWT_OK);
    assert_reason(&plain_rules, set, with_kid(keys.rsa, "b"), JWT_SIGNATURE);
    assert_reason(&plain_rules, set, with_kid(keys.rsa, "c"), JWT_UNKNOWN_KEY);
    assert_reason(&plain_rules, set, with_kid(keys.rsa, ""), JWT_UNKNOWN_KEY);
    assert_reason(&plain_rules, set, with_kid(keys.rsa, "../../a"), JWT_UNKNOWN_KEY);
    assert_reason(&plain_rules, set, with_kid(keys.rsa, "/dev/null"), JWT_UNKNOWN_KEY);
    assert_reason(&plain_rules, set, signed_as(keys.other_rsa, "RS256", "RS256"), JWT_OK);
    assert_reason(&plain_rules, unnamed, with_kid(keys.rsa, "whatever"), JWT_OK);
    assert_reason(&plain_rules, unnamed, with_kid(keys.other_rsa, "whatever"), JWT_SIGNATURE);
    key_set_unref(set);
    key_set_unref(unnamed);
    free(a);
    free(b);
    free(bare);
}

static void test_after_a_rotation_the_new_key_counts_and_the_old_one_does_not(void **state)
{
    char *old_key = public_jwk(keys.rsa, "\"kid\":\"a\",");
    char *new_key = public_jwk(keys.other_rsa, "\"kid\":\"b\",");
    struct key_set *before = set_of_jwks(jwks("%s", old_key));
    struct key_set *after = set_of_jwks(jwks("%s", new_key));

    (void)state;
    assert_reason(&plain_rules, before, with_kid(keys.other_rsa, "b"), JWT_UNKNOWN_KEY);
    assert_reason(&plain_rules, after, with_kid(keys.other_rsa, "b"), JWT_OK);
    assert_reason(&plain_rules, after, with_kid(keys.rsa, "a"), JWT_UNKNOWN_KEY);
    key_set_unref(before);
    key_set_unref(after);
    free(old_key);
    free(new_key);
}

static void test_without_keys_each_key_is_unknown(void **state)
{
    (void)state;
    assert_reason(&plain_rules, NULL, signed_as(NULL, "HS256", "HS256"), JWT_UNKNOWN_KEY);
}

/* Each try costs a verification, and the token decides how many there are. */
static void test_a_token_without_a_kid_is_tried_with_four_keys(void **state)
{
    char *right = public_jwk(keys.rsa, "");
    char *wrong = public_jwk(keys.other_rsa, "");
    char *ec = public_jwk(keys.p256, "");
    struct key_set *fourth = set_of_jwks(jwks("%s,%s,%s,%s,%s", ec, wrong, wrong, wrong, right));
    struct key_set *fifth = set_of_jwks(jwks("%s,%s,%s,%s,%s", wrong, wrong, wrong, wrong, right));

    (void)state;
    assert_reason(&plain_rules, fourth, signed_as(keys.rsa, "RS256", "RS256"), JWT_OK);
    assert_reason(&plain_rules, fifth, signed_as(keys.rsa, "RS256", "RS256"), JWT_SIGNATURE);
    key_set_unref(fourth);
    key_set_unref(fifth);
    free(right);
    free(wrong);
    free(ec);
}

static void test_what_stands_behind_the_signature_is_refused(void **state)
{
    static const char *const junk[] = {".", ".x", "=", "==", " ", "\n", "A", "AA", ".eyJhIjoxfQ", "\xc3\xa9", "+", "/"};
    struct key_set *set = set_of_secret();
    char *token = signed_as(NULL, "HS256", "HS256");

    (void)state;
    for (size_t i = 0; i < sizeof junk / sizeof junk[0]; i++) {
        char *longer = text_of("%s%s", token, junk[i]);

        assert_int_not_equal(verify(&plain_rules, set, longer), JWT_OK);
        free(longer);
    }
    free(token);
    key_set_unref(set);
}

static void test_messages_are_constant_and_there_for_each_reason(void **state)
{
    (void)state;
    for (int i = 0; i < JWT_REASON_COUNT; i++) {
        assert_true(strlen(jwt_reason_message((enum jwt_reason)i)) > 10);
        assert_true(strlen(jwt_reason_name((enum jwt_reason)i)) > 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_algorithm_is_verified),
        cmocka_unit_test(test_a_changed_token_is_refused),
        cmocka_unit_test(test_no_algorithm_is_taken_for_another),
        cmocka_unit_test(test_a_public_key_is_no_secret),
        cmocka_unit_test(test_the_curve_decides_the_algorithm),
        cmocka_unit_test(test_none_is_no_algorithm),
        cmocka_unit_test(test_only_allowed_algorithms_pass),
        cmocka_unit_test(test_a_signature_of_r_and_s_zero_is_refused),
        cmocka_unit_test(test_the_kid_chooses_the_key),
        cmocka_unit_test(test_after_a_rotation_the_new_key_counts_and_the_old_one_does_not),
        cmocka_unit_test(test_without_keys_each_key_is_unknown),
        cmocka_unit_test(test_a_token_without_a_kid_is_tried_with_four_keys),
        cmocka_unit_test(test_what_stands_behind_the_signature_is_refused),
        cmocka_unit_test(test_messages_are_constant_and_there_for_each_reason),
    };

    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
