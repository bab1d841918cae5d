#include "auth/auth.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct auth *open_to_all(void)
{
    static char none[] = "none";
    static char empty[] = "";
    static const struct config config = {.auth_mode = none, .admin_key = empty};
    struct buffer errors = buffer_make(65536);
    struct auth *auth = NULL;

    assert_int_equal(auth_new(&(struct auth_options){.config = &config}, &errors, &auth), 0);
    buffer_release(&errors);
    return auth;
}

static void assert_identified(const char *company)
{
    struct auth *auth = open_to_all();
    struct auth_request request = {.company = company, .company_size = strlen(company)};
    struct refusal refusal;
    struct identity identity;

    assert_int_equal(auth_identify(auth, &request, &identity, &refusal), 0);
    assert_string_equal(identity.company, company);
    auth_free(auth);
}

static void assert_refused(const char *company, size_t size, int status)
{
    struct auth *auth = open_to_all();
    struct auth_request request = {.company = company, .company_size = size};
    struct refusal refusal = {0};
    struct identity identity;
    int result = auth_identify(auth, &request, &identity, &refusal);

    auth_free(auth);
    if (result != -EACCES)
        fail_msg("%s (%zu bytes) was taken for %s", company ? company : "(none)", size, identity.company);
    assert_int_equal(refusal.status, status);
    assert_non_null(refusal.message);
    assert_true(strlen(refusal.message) > 0);
}

static void test_an_open_bridge_gives_the_company_asked_for(void **state)
{
    char longest[129];

    (void)state;
    assert_identified("acme");
    assert_identified("0");
    assert_identified("A.b_c:d-e");
    memset(longest, 'c', 128);
    longest[128] = '\0';
    assert_identified(longest);
}

static void test_no_company_is_refused(void **state)
{
    (void)state;
    assert_refused(NULL, 0, 400);
    assert_refused("", 0, 400);
}

static void test_a_malformed_company_is_refused(void **state)
{
    static const char *const malformed[] = {".acme",    "-acme",       "_acme", ":acme", "ac me", "acme ",
                                            "acme\n",   "ac/me",       "../x",  "a{b}",  "a*",    "a>",
                                            "\xc3\xa9", "acm\xc3\xa9", "a%00",  "a\"b"};
    char long_one[4096];

    (void)state;
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++)
        assert_refused(malformed[i], strlen(malformed[i]), 400);
    memset(long_one, 'c', sizeof long_one);
    assert_refused(long_one, 129, 400);
    assert_refused(long_one, sizeof long_one, 400);
}

/* `?companyId=acme%00x`: what stands in front of the NUL is another company's name. */
static void test_a_nul_in_the_company_is_refused(void **state)
{
    (void)state;
    assert_refused("acme\0x", 6, 400);
    assert_refused("acme\0", 5, 400);
    assert_refused("\0acme", 5, 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_open_bridge_gives_the_company_asked_for),
        cmocka_unit_test(test_no_company_is_refused),
        cmocka_unit_test(test_a_malformed_company_is_refused),
        cmocka_unit_test(test_a_nul_in_the_company_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
