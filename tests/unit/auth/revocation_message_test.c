/* What back ends publish to revoke access: auth/revocation_message.c. */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "auth/revocation_message.h"

#define NOW INT64_C(1700000000000)
#define DAY_MS INT64_C(86400000)

static struct revocation_message message;

static void assert_good(const char *text, enum shared_subject subject, const char *value, int64_t until_ms)
{
    const char *problem = NULL;

    if (revocation_message_parse(text, strlen(text), NOW, &message, &problem) != 0)
        fail_msg("%s is refused: %s", text, problem);
    assert_int_equal(message.subject, subject);
    assert_string_equal(message.value, value);
    assert_int_equal(message.until_ms, until_ms);
}

/* Refused, for a reason in which `why` stands; nothing is written then. */
static void assert_bad_bytes(const char *text, size_t size, const char *why)
{
    struct revocation_message before;
    const char *problem = NULL;

    memset(&message, 'x', sizeof message);
    before = message;
    if (revocation_message_parse(text, size, NOW, &message, &problem) != -EINVAL)
        fail_msg("%.*s is accepted", (int)size, text);
    if (!strstr(problem, why))
        fail_msg("%.*s: %s", (int)size, text, problem);
    assert_memory_equal(&message, &before, sizeof message);
}

static void assert_bad(const char *text, const char *why)
{
    assert_bad_bytes(text, strlen(text), why);
}

static void each_subject_has_its_value(void **state)
{
    (void)state;
    assert_good("{\"companyId\":\"acme\"}", SHARED_COMPANY, "acme", NOW + DAY_MS);
    assert_good("{\"userId\":\"u1\"}", SHARED_USER, "|u1", NOW + DAY_MS);
    assert_good("{\"keyId\":\"k_1\"}", SHARED_KEY, "k_1", NOW + DAY_MS);
    assert_good("{\"tokenId\":\"t-1\"}", SHARED_TOKEN, "t-1", NOW + DAY_MS);
}

static void a_company_and_a_user_are_the_user_of_that_company(void **state)
{
    (void)state;
    assert_good("{\"companyId\":\"acme\",\"userId\":\"u1\"}", SHARED_USER, "acme|u1", NOW + DAY_MS);
    assert_good(" { \"userId\" : \"u1\" , \"companyId\" : \"acme\" } ", SHARED_USER, "acme|u1", NOW + DAY_MS);
}

static void ids_of_users_and_tokens_may_hold_what_issuers_put_there(void **state)
{
    (void)state;
    assert_good("{\"userId\":\"auth0|5f7c\"}", SHARED_USER, "|auth0|5f7c", NOW + DAY_MS);
    assert_good("{\"userId\":\"J\\u00f6rg Ö <j@example.com>\"}", SHARED_USER, "|Jörg Ö <j@example.com>", NOW + DAY_MS);
    assert_good("{\"tokenId\":\" /\\\\\\\"\"}", SHARED_TOKEN, " /\\\"", NOW + DAY_MS);
}

static void the_end_can_be_given(void **state)
{
    (void)state;
    assert_good("{\"companyId\":\"acme\",\"until\":1700000000001}", SHARED_COMPANY, "acme", NOW + 1);
    assert_good("{\"until\":1731622400000,\"keyId\":\"k\"}", SHARED_KEY, "k", NOW + 366 * DAY_MS);
}

static void an_end_that_cannot_be_meant_is_refused(void **state)
{
    (void)state;
    assert_bad("{\"keyId\":\"k\",\"until\":1700000000000}", "in the past");
    assert_bad("{\"keyId\":\"k\",\"until\":1700003600}", "in the past");
    assert_bad("{\"keyId\":\"k\",\"until\":0}", "in the past");
    assert_bad("{\"keyId\":\"k\",\"until\":-1}", "in the past");
    assert_bad("{\"keyId\":\"k\",\"until\":1731622400001}", "366 days");
    assert_bad("{\"keyId\":\"k\",\"until\":9223372036854775807}", "366 days");
    assert_bad("{\"keyId\":\"k\",\"until\":1700000001000.0}", "whole number");
    assert_bad("{\"keyId\":\"k\",\"until\":1.7e12}", "whole number");
    assert_bad("{\"keyId\":\"k\",\"until\":\"1700000001000\"}", "whole number");
    assert_bad("{\"keyId\":\"k\",\"until\":null}", "whole number");
    assert_bad("{\"keyId\":\"k\",\"until\":true}", "whole number");
    assert_bad("{\"keyId\":\"k\",\"until\":[1700000001000]}", "whole number");
    /* Beyond 64 bits the parser itself gives up. */
    assert_bad("{\"keyId\":\"k\",\"until\":9223372036854775808}", "no JSON object");
}

static void what_is_no_single_object_is_refused(void **state)
{
    static const char *const bad[] = {"",
                                      " ",
                                      "{",
                                      "}",
                                      "null",
                                      "[]",
                                      "\"acme\"",
                                      "1",
                                      "[{\"keyId\":\"k\"}]",
                                      "{\"keyId\":\"k\"}x",
                                      "{\"keyId\":\"k\"}{\"keyId\":\"k\"}",
                                      "{\"keyId\":\"k\",}",
                                      "{'keyId':'k'}",
                                      "{\"keyId\":\"\\x\"}",
                                      "{\"keyId\":\"\xff\"}",
                                      "{\"keyId\":\"\xc0\xaf\"}",
                                      "{\"keyId\":\"\\ud800\"}",
                                      "\xef\xbb\xbf{\"keyId\":\"k\"}"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_bad(bad[i], "no JSON object");
}

static void a_member_twice_is_refused(void **state)
{
    (void)state;
    assert_bad("{\"keyId\":\"a\",\"keyId\":\"b\"}", "twice");
    assert_bad("{\"keyId\":\"a\",\"until\":1700000001000,\"until\":1700000001000}", "twice");
    assert_bad("{\"keyId\":\"a\",\"key\\u0049d\":\"b\"}", "twice");
}

static void unknown_members_are_refused(void **state)
{
    (void)state;
    assert_bad("{\"keyId\":\"k\",\"reason\":\"lost\"}", "unknown");
    assert_bad("{\"keyid\":\"k\"}", "unknown");
    assert_bad("{\"keyId\":\"k\",\"Until\":1700000001000}", "unknown");
    assert_bad("{\"\":1}", "unknown");
}

static void exactly_one_subject_must_be_there(void **state)
{
    (void)state;
    assert_bad("{}", "one of");
    assert_bad("{\"until\":1700000001000}", "one of");
    assert_bad("{\"companyId\":\"acme\",\"keyId\":\"k\"}", "one of");
    assert_bad("{\"companyId\":\"acme\",\"tokenId\":\"t\"}", "one of");
    assert_bad("{\"userId\":\"u\",\"keyId\":\"k\"}", "one of");
    assert_bad("{\"userId\":\"u\",\"tokenId\":\"t\"}", "one of");
    assert_bad("{\"keyId\":\"k\",\"tokenId\":\"t\"}", "one of");
    assert_bad("{\"companyId\":\"acme\",\"userId\":\"u\",\"keyId\":\"k\"}", "one of");
    assert_bad("{\"companyId\":\"a\",\"userId\":\"u\",\"keyId\":\"k\",\"tokenId\":\"t\"}", "one of");
    /* One that is null is there all the same: what it means is not guessed. */
    assert_bad("{\"companyId\":null,\"userId\":\"u\"}", "company");
    assert_bad("{\"companyId\":\"acme\",\"userId\":null}", "texts");
}

static void companies_must_have_the_form_of_one(void **state)
{
    static const char *const bad[] = {"\"\"", "\"-a\"", "\"a b\"", "\"a|b\"", "\"*\"", "5", "null", "[\"acme\"]"};
    char text[64];

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(text, sizeof text, "{\"companyId\":%s}", bad[i]);
        assert_bad(text, "no company's id");
    }
}

static void names_are_bounded_texts_without_control_characters(void **state)
{
    static const char *const names[] = {"userId", "keyId", "tokenId"};
    static const char *const bad[] = {"\"\"", "\"a\\u0001\"", "\"a\\nb\"", "\"\\u007f\"", "\"a\\u001f\"", "\"\\tabc\"",
                                      "5",    "null",         "{}",        "[\"a\"]"};
    char text[64];

    (void)state;
    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++)
        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
            snprintf(text, sizeof text, "{\"%s\":%s}", names[n], bad[i]);
            assert_bad(text, "texts of 1 to 128 bytes");
        }
}

static void a_nul_is_refused_wherever_it_stands(void **state)
{
    static const char raw[] = "{\"keyId\":\"a\0b\"}";
    static const char behind[] = "{\"keyId\":\"a\"}\0";
    static const char in_name[] = "{\"keyId\0\":\"a\"}";

    (void)state;
    assert_bad_bytes(raw, sizeof raw - 1, "no JSON object");
    assert_bad_bytes(behind, sizeof behind - 1, "no JSON object");
    assert_bad_bytes(in_name, sizeof in_name - 1, "no JSON object");
    assert_bad("{\"keyId\":\"a\\u0000b\"}", "no JSON object");
    assert_bad("{\"keyId\\u0000\":\"a\"}", "no JSON object");
}

static void sizes_are_bounded(void **state)
{
    static char text[REVOCATION_MESSAGE_MAX_BYTES + 2];
    char name[130];

    (void)state;
    memset(name, 'n', sizeof name);
    snprintf(text, sizeof text, "{\"companyId\":\"%.128s\",\"userId\":\"%.128s\"}", name, name);
    assert_int_equal(revocation_message_parse(text, strlen(text), NOW, &message, &(const char *){NULL}), 0);
    assert_int_equal(strlen(message.value), 257);
    snprintf(text, sizeof text, "{\"userId\":\"%.129s\"}", name);
    assert_bad(text, "texts of 1 to 128 bytes");
    snprintf(text, sizeof text, "{\"companyId\":\"%.129s\"}", name);
    assert_bad(text, "no company's id");
    /* Bytes, not characters: 64 of two bytes fill it. */
    memset(text, 0, sizeof text);
    strcpy(text, "{\"tokenId\":\"");
    for (int i = 0; i < 65; i++)
        strcat(text, "\xc3\xa4");
    strcat(text, "\"}");
    assert_bad(text, "texts of 1 to 128 bytes");
    memset(text, ' ', sizeof text);
    memcpy(text, "{\"keyId\":\"k\"}", 13);
    assert_int_equal(revocation_message_parse(text, 4096, NOW, &message, &(const char *){NULL}), 0);
    assert_bad_bytes(text, 4097, "too long");
    memset(text, '[', sizeof text);
    assert_bad_bytes(text, 4096, "no JSON object");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_subject_has_its_value),
        cmocka_unit_test(a_company_and_a_user_are_the_user_of_that_company),
        cmocka_unit_test(ids_of_users_and_tokens_may_hold_what_issuers_put_there),
        cmocka_unit_test(the_end_can_be_given),
        cmocka_unit_test(an_end_that_cannot_be_meant_is_refused),
        cmocka_unit_test(what_is_no_single_object_is_refused),
        cmocka_unit_test(a_member_twice_is_refused),
        cmocka_unit_test(unknown_members_are_refused),
        cmocka_unit_test(exactly_one_subject_must_be_there),
        cmocka_unit_test(companies_must_have_the_form_of_one),
        cmocka_unit_test(names_are_bounded_texts_without_control_characters),
        cmocka_unit_test(a_nul_is_refused_wherever_it_stands),
        cmocka_unit_test(sizes_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
