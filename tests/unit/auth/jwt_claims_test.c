#include "auth/jwt_claims.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/auth/token_maker.h"

#define NOW INT64_C(1800000000)

static struct jwt_rules rules_of(void)
{
    return (struct jwt_rules){.leeway_seconds = 30,
                              .exp_is_required = true,
                              .company_claim = "companyId",
                              .user_claim = "sub",
                              .session_claim = "sid"};
}

static struct jwt_claims *read_good(const struct jwt_rules *rules, const char *payload)
{
    struct jwt_claims *claims = NULL;
    enum jwt_reason reason = jwt_claims_read(rules, payload, strlen(payload), NOW, &claims);

    if (reason != JWT_OK)
        fail_msg("%s for %s", jwt_reason_name(reason), payload);
    return claims;
}

static void assert_reason(const struct jwt_rules *rules, const char *payload, enum jwt_reason expected)
{
    struct jwt_claims *claims = NULL;
    enum jwt_reason reason = jwt_claims_read(rules, payload, strlen(payload), NOW, &claims);

    if (reason != expected)
        fail_msg("%s instead of %s for %s", jwt_reason_name(reason), jwt_reason_name(expected), payload);
    jwt_claims_unref(claims);
}

/* A token that is good but for the members given. */
static void assert_with(const struct jwt_rules *rules, const char *members, enum jwt_reason expected)
{
    char *payload = text_of("{\"companyId\":\"acme\",%s}", members);

    assert_reason(rules, payload, expected);
    free(payload);
}

static void test_a_payload_is_a_json_object_without_duplicates(void **state)
{
    static const char *const bad[] = {"",
                                      "x",
                                      "[]",
                                      "\"a\"",
                                      "{\"exp\":1900000000,\"companyId\":\"a\"",
                                      "{\"exp\":1900000000,\"companyId\":\"a\"} x",
                                      "{\"exp\":1900000000,\"companyId\":\"a\",\"companyId\":\"b\"}",
                                      "{\"exp\":1,\"exp\":1900000000,\"companyId\":\"a\"}",
                                      "{\"exp\":1900000000,\"companyId\":\"a\",\"x\":{\"y\":1,\"y\":2}}",
                                      "{\"exp\":99999999999999999999999999,\"companyId\":\"a\"}",
                                      "{\"exp\":1900000000,\"companyId\":\"a\\u0000b\"}"};
    struct jwt_rules rules = rules_of();

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_reason(&rules, bad[i], JWT_MALFORMED);
}

static void test_the_leeway_ends_to_the_second(void **state)
{
    static const struct {
        const char *members;
        enum jwt_reason expected;
    } cases[] = {{"\"exp\":1799999970", JWT_EXPIRED},
                 {"\"exp\":1799999971", JWT_OK},
                 {"\"exp\":1799999970.9", JWT_EXPIRED},
                 {"\"exp\":0", JWT_EXPIRED},
                 {"\"exp\":1900000000.5", JWT_OK},
                 {"\"exp\":9223372036854775807", JWT_OK},
                 {"\"exp\":1e300", JWT_OK},
                 {"\"exp\":1900000000,\"nbf\":1800000030", JWT_OK},
                 {"\"exp\":1900000000,\"nbf\":1800000031", JWT_NOT_YET_VALID},
                 {"\"exp\":1900000000,\"nbf\":9223372036854775807", JWT_NOT_YET_VALID},
                 {"\"exp\":1900000000,\"iat\":1800000030", JWT_OK},
                 {"\"exp\":1900000000,\"iat\":1800000031", JWT_NOT_YET_VALID},
                 {"\"exp\":1900000000,\"iat\":1e300", JWT_NOT_YET_VALID}};
    struct jwt_rules rules = rules_of();

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_with(&rules, cases[i].members, cases[i].expected);
}

static void test_times_are_numbers(void **state)
{
    static const char *const bad[] = {"\"1900000000\"", "null", "true", "[1900000000]", "{}", "-1", "-1.5", "-1e300"};
    struct jwt_rules rules = rules_of();

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char *exp = text_of("\"exp\":%s", bad[i]);
        char *nbf = text_of("\"exp\":1900000000,\"nbf\":%s", bad[i]);
        char *iat = text_of("\"exp\":1900000000,\"iat\":%s", bad[i]);

        assert_with(&rules, exp, JWT_CLAIMS);
        assert_with(&rules, nbf, JWT_CLAIMS);
        assert_with(&rules, iat, JWT_CLAIMS);
        free(exp);
        free(nbf);
        free(iat);
    }
}

static void test_an_expiry_is_required_unless_told_otherwise(void **state)
{
    struct jwt_rules rules = rules_of();
    struct jwt_claims *claims;

    (void)state;
    assert_with(&rules, "\"sub\":\"ann\"", JWT_CLAIMS);
    claims = read_good(&rules, "{\"companyId\":\"acme\",\"exp\":1800000100}");
    assert_int_equal(claims->expires_at_s, 1800000130);
    jwt_claims_unref(claims);
    rules.exp_is_required = false;
    claims = read_good(&rules, "{\"companyId\":\"acme\"}");
    assert_true(claims->expires_at_s == INT64_MAX);
    jwt_claims_unref(claims);
    assert_with(&rules, "\"exp\":\"never\"", JWT_CLAIMS);
    assert_with(&rules, "\"exp\":1", JWT_EXPIRED);
}

static void test_issuer_and_audience_must_be_those_asked_for(void **state)
{
    struct jwt_rules rules = rules_of();

    (void)state;
    rules.issuer = "https://login";
    assert_with(&rules, "\"exp\":1900000000", JWT_ISSUER);
    assert_with(&rules, "\"exp\":1900000000,\"iss\":\"https://login/\"", JWT_ISSUER);
    assert_with(&rules, "\"exp\":1900000000,\"iss\":[\"https://login\"]", JWT_ISSUER);
    assert_with(&rules, "\"exp\":1900000000,\"iss\":\"https://login\"", JWT_OK);
    rules = rules_of();
    rules.audience = "sluice";
    assert_with(&rules, "\"exp\":1900000000", JWT_AUDIENCE);
    assert_with(&rules, "\"exp\":1900000000,\"aud\":\"sluice2\"", JWT_AUDIENCE);
    assert_with(&rules, "\"exp\":1900000000,\"aud\":[\"a\",\"b\"]", JWT_AUDIENCE);
    assert_with(&rules, "\"exp\":1900000000,\"aud\":[[\"sluice\"]]", JWT_AUDIENCE);
    assert_with(&rules, "\"exp\":1900000000,\"aud\":{\"sluice\":1}", JWT_AUDIENCE);
    assert_with(&rules, "\"exp\":1900000000,\"aud\":[1,\"sluice\"]", JWT_OK);
    assert_with(&rules, "\"exp\":1900000000,\"aud\":\"sluice\"", JWT_OK);
}

static void test_companies_are_found_by_name_and_by_path(void **state)
{
    struct jwt_rules rules = rules_of();
    struct jwt_claims *claims;

    (void)state;
    rules.company_claim = "org.id";
    claims = read_good(&rules, "{\"exp\":1900000000,\"org\":{\"id\":\"path\"}}");
    assert_true(jwt_claims_has_company(claims, "path"));
    jwt_claims_unref(claims);
    claims = read_good(&rules, "{\"exp\":1900000000,\"org.id\":\"name\",\"org\":{\"id\":\"path\"}}");
    assert_true(jwt_claims_has_company(claims, "name"));
    assert_false(jwt_claims_has_company(claims, "path"));
    jwt_claims_unref(claims);
    claims = read_good(&rules, "{\"exp\":1900000000,\"org\":{\"id\":[\"a\",\"b\"]}}");
    assert_int_equal(claims->company_count, 2);
    assert_true(jwt_claims_has_company(claims, "b"));
    jwt_claims_unref(claims);
    assert_reason(&rules, "{\"exp\":1900000000,\"org\":\"id\"}", JWT_CLAIMS);
    assert_reason(&rules, "{\"exp\":1900000000,\"org\":{\"id\":{\"x\":1}}}", JWT_CLAIMS);
}

static void test_companies_must_be_company_ids(void **state)
{
    static const char *const bad[] = {"1",         "null",      "true",     "{}",     "[]",
                                      "\"\"",      "\"a b\"",   "\"../x\"", "\"*\"",  "[\"a\",\"*\"]",
                                      "[\"a\",1]", "[[\"a\"]]", "\"a\\n\"", "\".a\"", "\">\""};
    struct jwt_rules rules = rules_of();

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char *payload = text_of("{\"exp\":1900000000,\"companyId\":%s}", bad[i]);

        assert_reason(&rules, payload, JWT_CLAIMS);
        free(payload);
    }
    assert_reason(&rules, "{\"exp\":1900000000}", JWT_CLAIMS);
}

static void test_a_token_has_at_most_64_companies(void **state)
{
    struct jwt_rules rules = rules_of();

    (void)state;
    for (int count = 64; count <= 65; count++) {
        char list[512] = "\"c\"";
        char *payload;

        for (int i = 1; i < count; i++)
            strcat(list, ",\"c\"");
        payload = text_of("{\"exp\":1900000000,\"companyId\":[%s]}", list);
        assert_reason(&rules, payload, count <= 64 ? JWT_OK : JWT_CLAIMS);
        free(payload);
    }
}

static void test_names_are_short_and_printable(void **state)
{
    static const char *const bad[] = {"1.5",         "true",        "[]",          "{}",         "\"a\\nb\"",
                                      "\"\\u001b\"", "\"\\u007f\"", "\"\\u0085\"", "\"\\u009f\""};
    static const char *const members[] = {"sub", "sid", "jti"};
    struct jwt_rules rules = rules_of();
    struct jwt_claims *claims;
    char name[130];
    char *payload;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        for (size_t k = 0; k < 3; k++) {
            payload = text_of("\"exp\":1900000000,\"%s\":%s", members[k], bad[i]);
            assert_with(&rules, payload, JWT_CLAIMS);
            free(payload);
        }
    for (size_t size = 128; size <= 129; size++) {
        memset(name, 'n', size);
        name[size] = '\0';
        payload = text_of("\"exp\":1900000000,\"sub\":\"%s\"", name);
        assert_with(&rules, payload, size == 128 ? JWT_OK : JWT_CLAIMS);
        free(payload);
    }
    claims = read_good(&rules, "{\"exp\":1900000000,\"companyId\":\"a\",\"sub\":-42,\"sid\":\"\xc3\xa9\\u00a0\"}");
    assert_string_equal(claims->user, "-42");
    assert_string_equal(claims->session, "\xc3\xa9\xc2\xa0");
    assert_string_equal(claims->token_id, "");
    assert_false(claims->is_admin);
    jwt_claims_unref(claims);
}

static void test_an_administrator_has_the_claim_with_the_value(void **state)
{
    static const struct {
        const char *value; /* of JWT_ADMIN_VALUE */
        const char *claim;
        bool is_admin;
    } cases[] = {{"true", "true", true},       {"true", "\"true\"", true},        {"true", "1", false},
                 {"true", "false", false},     {"true", "null", false},           {"admin", "true", false},
                 {"admin", "\"admin\"", true}, {"admin", "\"Admin\"", false},     {"admin", "[\"x\",\"admin\"]", true},
                 {"admin", "[\"x\"]", false},  {"admin", "{\"admin\":1}", false}, {"true", "[true]", false},
                 {"", "\"\"", false}};
    struct jwt_rules rules = rules_of();

    (void)state;
    rules.admin_claim = "realm.roles";
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *payload = text_of("{\"exp\":1900000000,\"companyId\":\"a\",\"realm\":{\"roles\":%s}}", cases[i].claim);
        struct jwt_claims *claims;

        rules.admin_value = cases[i].value;
        claims = read_good(&rules, payload);
        if (claims->is_admin != cases[i].is_admin)
            fail_msg("%s with %s", cases[i].claim, cases[i].value);
        jwt_claims_unref(claims);
        free(payload);
    }
    /* An administrator needs no company; nobody is one where no claim is asked for. */
    rules.admin_value = "admin";
    assert_reason(&rules, "{\"exp\":1900000000,\"realm\":{\"roles\":[\"admin\"]}}", JWT_OK);
    rules.admin_claim = "";
    assert_reason(&rules, "{\"exp\":1900000000,\"realm\":{\"roles\":[\"admin\"]}}", JWT_CLAIMS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_payload_is_a_json_object_without_duplicates),
        cmocka_unit_test(test_the_leeway_ends_to_the_second),
        cmocka_unit_test(test_times_are_numbers),
        cmocka_unit_test(test_an_expiry_is_required_unless_told_otherwise),
        cmocka_unit_test(test_issuer_and_audience_must_be_those_asked_for),
        cmocka_unit_test(test_companies_are_found_by_name_and_by_path),
        cmocka_unit_test(test_companies_must_be_company_ids),
        cmocka_unit_test(test_a_token_has_at_most_64_companies),
        cmocka_unit_test(test_names_are_short_and_printable),
        cmocka_unit_test(test_an_administrator_has_the_claim_with_the_value),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
