#include "http/cors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void assert_allowed(const struct cors *cors, const char *origin, const char *expected)
{
    const char *allowed = cors_allowed_origin(cors, origin);

    if (expected) {
        assert_non_null(allowed);
        assert_string_equal(allowed, expected);
    } else {
        assert_null(allowed);
    }
}

static void test_a_star_allows_every_page_alike(void **state)
{
    struct cors *cors = cors_new("*", false);

    (void)state;
    assert_allowed(cors, "https://any.example", "*");
    assert_allowed(cors, "null", "*");
    assert_allowed(cors, NULL, "*");
    assert_false(cors_varies(cors));
    cors_free(cors);
    cors_free(NULL);
}

static void test_a_list_allows_exactly_its_origins(void **state)
{
    struct cors *cors = cors_new("https://a.example, http://localhost:5173", false);

    (void)state;
    assert_allowed(cors, "https://a.example", "https://a.example");
    assert_allowed(cors, "http://localhost:5173", "http://localhost:5173");
    assert_allowed(cors, NULL, NULL);
    assert_allowed(cors, "", NULL);
    assert_allowed(cors, "null", NULL);
    assert_allowed(cors, "http://a.example", NULL);
    assert_allowed(cors, "https://a.example:443", NULL);
    assert_allowed(cors, "https://a.example.evil", NULL);
    assert_allowed(cors, "https://a.exampl", NULL);
    assert_allowed(cors, "https://evil.a.example", NULL);
    assert_allowed(cors, "https://a.example, http://localhost:5173", NULL);
    assert_allowed(cors, "http://localhost:51730", NULL);
    assert_true(cors_varies(cors));
    cors_free(cors);
}

static void test_a_star_among_others_allows_all(void **state)
{
    struct cors *cors = cors_new("https://a.example,*", false);

    (void)state;
    assert_allowed(cors, "https://b.example", "*");
    assert_false(cors_varies(cors));
    cors_free(cors);
}

static void test_a_wildcard_stands_for_the_hosts_below(void **state)
{
    struct cors *cors = cors_new("https://*.example.com,http://*.local:5173", false);

    (void)state;
    assert_allowed(cors, "https://a.example.com", "https://a.example.com");
    assert_allowed(cors, "https://a-1.b.example.com", "https://a-1.b.example.com");
    assert_allowed(cors, "http://dev.local:5173", "http://dev.local:5173");
    assert_allowed(cors, "https://example.com", NULL);
    assert_allowed(cors, "https://.example.com", NULL);
    assert_allowed(cors, "https://a..example.com", NULL);
    assert_allowed(cors, "https://..example.com", NULL);
    assert_allowed(cors, "https://evilexample.com", NULL);
    assert_allowed(cors, "http://a.example.com", NULL);
    assert_allowed(cors, "https://a.example.com:8443", NULL);
    assert_allowed(cors, "https://a.example.com.evil", NULL);
    assert_allowed(cors, "https://evil/x.example.com", NULL);
    assert_allowed(cors, "https://evil:1@a.example.com", NULL);
    assert_allowed(cors, "https://a\r\nb.example.com", NULL);
    assert_allowed(cors, "http://dev.local", NULL);
    assert_allowed(cors, NULL, NULL);
    assert_true(cors_varies(cors));
    cors_free(cors);
}

/* Fetch, "CORS protocol and credentials": never together with `*`. */
static void test_credentials_go_with_named_origins_alone(void **state)
{
    static const struct {
        const char *origins;
        bool wanted;
        bool allowed;
    } cases[] = {{"https://a.example", true, true},
                 {"https://a.example", false, false},
                 {"*", true, false},
                 {"https://a.example,*", true, false}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cors *cors = cors_new(cases[i].origins, cases[i].wanted);

        assert_int_equal(cors_allows_credentials(cors), cases[i].allowed);
        cors_free(cors);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_star_allows_every_page_alike),
        cmocka_unit_test(test_a_list_allows_exactly_its_origins),
        cmocka_unit_test(test_a_wildcard_stands_for_the_hosts_below),
        cmocka_unit_test(test_a_star_among_others_allows_all),
        cmocka_unit_test(test_credentials_go_with_named_origins_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
