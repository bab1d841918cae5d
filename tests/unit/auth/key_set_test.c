#include "auth/key_set.h"

#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/auth/token_maker.h"

#define K32 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

/* Both take the text. */

static void assert_refused(struct key_set *(*make)(const char *, size_t, struct key_error *), char *text,
                           const char *said)
{
    struct key_error error = {""};
    struct key_set *set = make(text, strlen(text), &error);

    if (set || !strstr(error.text, said))
        fail_msg("%s: \"%s\" instead of \"%s\"", text, set ? "(accepted)" : error.text, said);
    free(text);
}

static struct key_set *good(struct key_set *(*make)(const char *, size_t, struct key_error *), char *text)
{
    struct key_error error = {""};
    struct key_set *set = make(text, strlen(text), &error);

    if (!set)
        fail_msg("%s: %s", text, error.text);
    free(text);
    return set;
}

static void assert_jwks_count(char *text, size_t count)
{
    struct key_set *set = good(key_set_from_jwks, text);

    assert_int_equal(key_set_count(set), count);
    key_set_unref(set);
}

static void test_a_secret_has_a_least_size(void **state)
{
    struct key_set *set;

    (void)state;
    assert_refused(key_set_from_secret, strdup(""), "0 bytes");
    assert_refused(key_set_from_secret, strdup("1234567890123456789012345678901"), "31 bytes");
    set = good(key_set_from_secret, strdup("12345678901234567890123456789012"));
    assert_int_equal(key_set_at(set, 0)->type, KEY_SECRET);
    assert_int_equal(key_set_at(set, 0)->algorithms, ALGORITHM_HMAC);
    key_set_unref(set);
}

static void test_pem_takes_public_keys_and_certificates(void **state)
{
    EVP_PKEY *rsa = make_rsa_key(2048);
    EVP_PKEY *weak = make_rsa_key(1024);
    EVP_PKEY *ec = make_ec_key("P-384");
    EVP_PKEY *odd = make_ec_key("secp256k1");
    char *first = public_pem(rsa);
    char *second = certificate_pem(ec);
    struct key_set *set = good(key_set_from_pem, text_of("Bag\n%s\n%s", first, second));

    (void)state;
    assert_int_equal(key_set_count(set), 2);
    assert_int_equal(key_set_at(set, 0)->type, KEY_RSA);
    assert_int_equal(key_set_at(set, 1)->type, KEY_EC_P384);
    assert_int_equal(key_set_at(set, 1)->algorithms, ALGORITHM_BIT(ALGORITHM_ES384));
    assert_false(key_set_has_kids(set));
    key_set_unref(set);
    assert_refused(key_set_from_pem, private_pem(rsa), "private key");
    assert_refused(key_set_from_pem, private_pem(ec), "private key");
    assert_refused(key_set_from_pem, public_pem(weak), "2048");
    assert_refused(key_set_from_pem, public_pem(odd), "P-256");
    assert_refused(key_set_from_pem, strdup(""), "no PEM text");
    assert_refused(key_set_from_pem, strndup(first, strlen(first) / 2), "whole");
    assert_refused(key_set_from_pem, text_of("%s-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", first),
                   "cannot be read");
    assert_refused(key_set_from_pem, text_of("%s%s%s%s%s", first, first, first, first, first), "more than 4");
    assert_refused(key_set_from_secret, strdup(first), "JWT_PUBLIC_KEY_FILE");
    free(first);
    free(second);
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(weak);
    EVP_PKEY_free(ec);
    EVP_PKEY_free(odd);
}

static void test_jwks_takes_every_kind(void **state)
{
    EVP_PKEY *made[] = {make_rsa_key(2048), make_ec_key("P-256"), make_ec_key("P-384"), make_ec_key("P-521"),
                        make_ed25519_key()};
    static const enum key_type types[] = {KEY_RSA, KEY_EC_P256, KEY_EC_P384, KEY_EC_P521, KEY_ED25519};

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        char *jwk = public_jwk(made[i], "\"kid\":\"k\",\"use\":\"sig\",\"key_ops\":[\"verify\"],");
        struct key_set *set = good(key_set_from_jwks, jwks("%s", jwk));

        assert_int_equal(key_set_at(set, 0)->type, types[i]);
        assert_string_equal(key_set_at(set, 0)->kid, "k");
        assert_true(EVP_PKEY_eq(key_set_at(set, 0)->public_key, made[i]) == 1);
        key_set_unref(set);
        free(jwk);
        EVP_PKEY_free(made[i]);
    }
    assert_jwks_count(jwks("{\"kty\":\"oct\",\"k\":\"" K32 "\"}"), 1);
}

static void test_jwks_skips_what_is_not_for_signatures(void **state)
{
    static const char good_key[] = "{\"kty\":\"oct\",\"k\":\"" K32 "\"}";
    static const char *const others[] = {"{\"kty\":\"new\"}",
                                         "{\"kty\":\"oct\",\"use\":\"enc\"}",
                                         "{\"kty\":\"RSA\",\"alg\":\"RSA-OAEP\"}",
                                         "{\"kty\":\"RSA\",\"alg\":\"none\"}",
                                         "{\"kty\":\"EC\",\"crv\":\"secp256k1\"}",
                                         "{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"AA\"}",
                                         "{\"kty\":\"oct\",\"key_ops\":[\"encrypt\"]}"};

    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_jwks_count(jwks("%s,%s", others[i], good_key), 1);
        assert_refused(key_set_from_jwks, jwks("%s", others[i]), "no key for signatures");
    }
}

static void test_a_keys_alg_restricts_it(void **state)
{
    EVP_PKEY *rsa = make_rsa_key(2048);
    char *restricted = public_jwk(rsa, "\"alg\":\"PS384\",");
    char *wrong = public_jwk(rsa, "\"alg\":\"HS256\",");
    struct key_set *set = good(key_set_from_jwks, jwks("%s", restricted));

    (void)state;
    assert_int_equal(key_set_at(set, 0)->algorithms, ALGORITHM_BIT(ALGORITHM_PS384));
    key_set_unref(set);
    assert_refused(key_set_from_jwks, jwks("%s", wrong), "does not fit");
    free(restricted);
    free(wrong);
    EVP_PKEY_free(rsa);
}

static void test_broken_jwks_are_refused(void **state)
{
    EVP_PKEY *weak = make_rsa_key(1024);
    char *weak_jwk = public_jwk(weak, "");
    char *many = strdup("{}");

    (void)state;
    assert_refused(key_set_from_jwks, strdup(""), "not JSON");
    assert_refused(key_set_from_jwks, strdup("{\"keys\":[]"), "not JSON");
    assert_refused(key_set_from_jwks, strdup("{\"keys\":[],\"keys\":[]}"), "not JSON");
    assert_refused(key_set_from_jwks, strdup("[]"), "no JWKS");
    assert_refused(key_set_from_jwks, strdup("{\"keys\":{}}"), "no JWKS");
    assert_refused(key_set_from_jwks, jwks("%s", ""), "no key for signatures");
    assert_refused(key_set_from_jwks, jwks("1"), "no object");
    assert_refused(key_set_from_jwks, jwks("{\"kty\":1}"), "no object");
    assert_refused(key_set_from_jwks, jwks("%s", weak_jwk), "1024 bits");
    assert_refused(key_set_from_jwks, jwks("{\"kty\":\"RSA\",\"n\":\"AQ\",\"e\":\"AQAB\",\"d\":\"AQ\"}"), "private");
    assert_refused(key_set_from_jwks, jwks("{\"kty\":\"RSA\",\"n\":\"AQ\"}"), "broken");
    assert_refused(key_set_from_jwks, jwks("{\"kty\":\"RSA\",\"n\":\"AQ==\",\"e\":\"AQAB\"}"), "broken");
    assert_refused(key_set_from_jwks, jwks("{\"kty\":\"oct\",\"k\":\"AAAA\"}"), "3 bytes");
    assert_refused(key_set_from_jwks, jwks("{\"kty\":\"oct\",\"kid\":1,\"k\":\"" K32 "\"}"), "kid");
    assert_refused(key_set_from_jwks, jwks("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAA\"}"), "broken");
    assert_refused(key_set_from_jwks, jwks("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" K32 "\",\"y\":\"" K32 "\"}"),
                   "not on the curve");
    assert_refused(key_set_from_jwks, jwks("{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"" K32 "\",\"y\":\"" K32 "\"}"),
                   "broken");
    assert_refused(
        key_set_from_jwks,
        jwks("{\"kty\":\"oct\",\"kid\":\"a\",\"k\":\"" K32 "\"},{\"kty\":\"oct\",\"kid\":\"a\",\"k\":\"" K32 "\"}"),
        "kid of its own");
    for (int i = 0; i < 100; i++) {
        char *longer = text_of("%s,{}", many);

        free(many);
        many = longer;
    }
    assert_refused(key_set_from_jwks, jwks("%s", many), "at most 100");
    assert_refused(key_set_from_jwks, text_of("%262145s", ""), "larger than");
    free(many);
    free(weak_jwk);
    EVP_PKEY_free(weak);
}

/* With an exponent of 1, anybody can sign. */
static void test_an_rsa_key_with_a_bad_exponent_is_refused(void **state)
{
    static const char *const exponents[] = {"AQ", "AA", "Ag", "AQABAQABAQABAQAB"};
    EVP_PKEY *rsa = make_rsa_key(2048);
    char *jwk = public_jwk(rsa, "");

    (void)state;
    *strstr(jwk, ",\"e\"") = '\0';
    for (size_t i = 0; i < sizeof exponents / sizeof exponents[0]; i++)
        assert_refused(key_set_from_jwks, jwks("%s,\"e\":\"%s\"}", jwk, exponents[i]), "broken");
    free(jwk);
    EVP_PKEY_free(rsa);
}

static void test_the_identity_is_that_of_the_text(void **state)
{
    struct key_set *a = good(key_set_from_jwks, jwks("{\"kty\":\"oct\",\"k\":\"" K32 "\"}"));
    struct key_set *b = good(key_set_from_jwks, jwks("{\"kty\":\"oct\",\"k\":\"" K32 "\"}"));
    struct key_set *c = good(key_set_from_jwks, jwks("{\"kty\":\"oct\",\"alg\":\"HS256\",\"k\":\"" K32 "\"}"));

    (void)state;
    assert_memory_equal(key_set_identity(a), key_set_identity(b), KEY_SET_IDENTITY_SIZE);
    assert_memory_not_equal(key_set_identity(a), key_set_identity(c), KEY_SET_IDENTITY_SIZE);
    key_set_unref(key_set_ref(a));
    key_set_unref(a);
    key_set_unref(b);
    key_set_unref(c);
    key_set_unref(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_secret_has_a_least_size),
        cmocka_unit_test(test_pem_takes_public_keys_and_certificates),
        cmocka_unit_test(test_jwks_takes_every_kind),
        cmocka_unit_test(test_jwks_skips_what_is_not_for_signatures),
        cmocka_unit_test(test_a_keys_alg_restricts_it),
        cmocka_unit_test(test_broken_jwks_are_refused),
        cmocka_unit_test(test_an_rsa_key_with_a_bad_exponent_is_refused),
        cmocka_unit_test(test_the_identity_is_that_of_the_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
