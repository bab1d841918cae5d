#include "auth/auth.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth/random_text.h"
#include "core/clock.h"
#include "core/log.h"
#include "tests/unit/auth/token_maker.h"

#define SECRET "a secret of these tests, 0123456789abcdef"

#define KEY_A "slk_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"
#define KEY_B "slk_1123456789abcdefghijklmnopqrstuvwxyzABCDEFG"

/* KEY_B as a token; as an API key it is another. */
static const char admin_setting[] = "ADMIN_KEY=" KEY_B;
static const char secret_setting[] = "JWT_SECRET=" SECRET;

/* An auth as the settings want it. */
struct fixture {
    struct config config;
    struct metrics *metrics;
    struct auth *auth;
    unsigned changes;
};

static const char *look_up(void *context, const char *name)
{
    size_t size = strlen(name);

    for (const char *const *variable = context; *variable; variable++)
        if (strncmp(*variable, name, size) == 0 && (*variable)[size] == '=')
            return *variable + size + 1;
    return NULL;
}

static void on_changed(void *context)
{
    struct fixture *fixture = context;

    fixture->changes++;
}

/* variables: a list of NAME=value that ends with NULL. */
static void set_up(struct fixture *fixture, const char *const *variables)
{
    struct buffer errors = buffer_make(65536);

    *fixture = (struct fixture){.metrics = metrics_new()};
    assert_int_equal(config_load(&fixture->config, 0, NULL, look_up, (void *)(uintptr_t)variables, &errors), 0);
    assert_int_equal(auth_new(&(struct auth_options){.config = &fixture->config,
                                                     .metrics = fixture->metrics,
                                                     .changed = on_changed,
                                                     .context = fixture},
                              &errors, &fixture->auth),
                     0);
    assert_int_equal(errors.size, 0);
    buffer_release(&errors);
}

#define SET_UP(fixture, ...) set_up(fixture, (const char *const[]){__VA_ARGS__, NULL})

static void tear_down(struct fixture *fixture)
{
    auth_free(fixture->auth);
    metrics_free(fixture->metrics);
    config_release(&fixture->config);
}

/* A request with those credentials; NULL: without. */
static struct auth_request ask_for(const char *company, const char *token, const char *api_key)
{
    return (struct auth_request){.company = company,
                                 .company_size = company ? strlen(company) : 0,
                                 .token = token,
                                 .token_size = token ? strlen(token) : 0,
                                 .api_key = api_key,
                                 .api_key_size = api_key ? strlen(api_key) : 0};
}

/* The status: 0 for who is let in. */
static unsigned status_of(struct fixture *fixture, const char *company, const char *token, const char *api_key)
{
    struct auth_request request = ask_for(company, token, api_key);
    struct identity *identity;
    struct refusal refusal = {0};

    int status = auth_identify(fixture->auth, &request, &identity, &refusal);

    if (status == 0 && company && *company)
        assert_string_equal(identity->company, company);
    identity_unref(identity);
    if (status == 0)
        return 0;
    assert_non_null(refusal.reason);
    assert_true(strlen(refusal.message) > 0);
    assert_int_equal(refusal.retry_after_seconds > 0, refusal.status == 503);
    return refusal.status;
}

static int64_t in_an_hour_s(void)
{
    return clock_unix_ms() / 1000 + 3600;
}

/* A good token with those claims in front of its expiry. */
static char *make_token(const char *claims)
{
    char *payload = text_of("{%s,\"exp\":%lld}", claims, (long long)in_an_hour_s());
    char *token = sign_with_secret(SECRET, strlen(SECRET), "HS256", "{\"alg\":\"HS256\"}", payload);

    free(payload);
    return token;
}

static char *make_line(const char *id, const char *key, const char *more)
{
    unsigned char hash[API_KEY_HASH_BYTES];
    char hex[2 * API_KEY_HASH_BYTES + 1];

    assert_int_equal(api_key_hash(key, strlen(key), hash), 0);
    hex_format(hash, sizeof hash, hex);
    return text_of("{\"id\":\"%s\",\"sha256\":\"%s\"%s}", id, hex, more);
}

/* Gives keys as Redis does: `more` holds the further members of the key A, NULL: there is none; likewise of B. */
static void give_keys(struct fixture *fixture, const char *more_a, const char *more_b)
{
    char *a = more_a ? make_line("a", KEY_A, more_a) : NULL;
    char *b = more_b ? make_line("b", KEY_B, more_b) : NULL;
    struct api_key_line lines[2] = {{.label = "a"}, {.label = "b"}};
    size_t count = 0;

    if (a)
        lines[count++] = (struct api_key_line){.label = "a", .text = a, .size = strlen(a)};
    if (b)
        lines[count++] = (struct api_key_line){.label = "b", .text = b, .size = strlen(b)};
    auth_take_keys(fixture->auth, lines, count);
    free(a);
    free(b);
}

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
    struct identity *identity;

    assert_int_equal(auth_identify(auth, &request, &identity, &refusal), 0);
    assert_string_equal(identity->company, company);
    identity_unref(identity);
    auth_free(auth);
}

static void assert_refused(const char *company, size_t size, int status)
{
    struct auth *auth = open_to_all();
    struct auth_request request = {.company = company, .company_size = size};
    struct refusal refusal = {0};
    struct identity *identity;
    int result = auth_identify(auth, &request, &identity, &refusal);

    auth_free(auth);
    if (result != -EACCES)
        fail_msg("%s (%zu bytes) was taken for %s", company ? company : "(none)", size, identity->company);
    assert_null(identity);
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

static void test_an_open_bridge_looks_at_no_credentials(void **state)
{
    struct fixture fixture;

    (void)state;
    SET_UP(&fixture, "AUTH_MODE=none");
    assert_int_equal(status_of(&fixture, "acme", "no token", "no key"), 0);
    assert_int_equal(status_of(&fixture, NULL, "no token", "no key"), 400);
    tear_down(&fixture);
}

static void test_a_mode_takes_its_credentials_alone(void **state)
{
    static const struct {
        const char *mode;
        unsigned by_none, by_token, by_key, by_both;
    } modes[] = {{"AUTH_MODE=jwt", 401, 0, 401, 0},
                 {"AUTH_MODE=apikey", 401, 401, 0, 0},
                 {"AUTH_MODE=jwt,apikey", 401, 0, 0, 400},
                 {"AUTH_MODE=apikey,jwt", 401, 0, 0, 400}};
    char *token = make_token("\"companyId\":\"acme\"");

    (void)state;
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        bool takes_tokens = strstr(modes[i].mode, "jwt") != NULL;
        struct fixture fixture;

        SET_UP(&fixture, modes[i].mode, takes_tokens ? secret_setting : "LOG_LEVEL=info");
        give_keys(&fixture, strstr(modes[i].mode, "apikey") ? ",\"companyId\":\"acme\"" : NULL, NULL);
        assert_int_equal(status_of(&fixture, "acme", NULL, NULL), modes[i].by_none);
        assert_int_equal(status_of(&fixture, "acme", token, NULL), modes[i].by_token);
        assert_int_equal(status_of(&fixture, "acme", NULL, KEY_A), modes[i].by_key);
        assert_int_equal(status_of(&fixture, "acme", token, KEY_A), modes[i].by_both);
        /* What was sent counts, not whether it was good. */
        assert_int_equal(status_of(&fixture, "acme", "", NULL), 401);
        assert_int_equal(status_of(&fixture, "acme", NULL, ""), 401);
        tear_down(&fixture);
    }
    free(token);
}

static void test_the_company_is_one_of_the_tokens(void **state)
{
    struct fixture fixture;
    char *one = make_token("\"companyId\":\"acme\"");
    char *two = make_token("\"companyId\":[\"acme\",\"b\"]");
    char *admin = make_token("\"role\":\"boss\"");
    char *admin_of_one = make_token("\"role\":\"boss\",\"companyId\":\"acme\"");

    (void)state;
    SET_UP(&fixture, "AUTH_MODE=jwt", secret_setting, "JWT_ADMIN_CLAIM=role", "JWT_ADMIN_VALUE=boss");
    assert_int_equal(status_of(&fixture, NULL, one, NULL), 0);
    assert_int_equal(status_of(&fixture, "", one, NULL), 0);
    assert_int_equal(status_of(&fixture, "acme", one, NULL), 0);
    assert_int_equal(status_of(&fixture, "acme2", one, NULL), 403);
    assert_int_equal(status_of(&fixture, "acm", one, NULL), 403);
    assert_int_equal(status_of(&fixture, "a*", one, NULL), 400);
    assert_int_equal(status_of(&fixture, NULL, two, NULL), 400);
    assert_int_equal(status_of(&fixture, "b", two, NULL), 0);
    assert_int_equal(status_of(&fixture, "c", two, NULL), 403);
    assert_int_equal(status_of(&fixture, NULL, admin, NULL), 400);
    assert_int_equal(status_of(&fixture, "any", admin, NULL), 0);
    assert_int_equal(status_of(&fixture, "a*", admin, NULL), 400);
    assert_int_equal(status_of(&fixture, NULL, admin_of_one, NULL), 0);
    assert_int_equal(status_of(&fixture, "any", admin_of_one, NULL), 0);
    tear_down(&fixture);
    free(one);
    free(two);
    free(admin);
    free(admin_of_one);
}

/* The leeway lets in, but what was let in ends with the token. */
static void test_a_token_gives_its_names_and_its_end(void **state)
{
    struct fixture fixture;
    struct auth_request request;
    struct identity *identity;
    struct refusal refusal;
    int64_t now_s = clock_unix_ms() / 1000;
    char *payload = text_of("{\"companyId\":\"acme\",\"sub\":\"u1\",\"sid\":\"s1\",\"jti\":\"t1\",\"exp\":%lld}",
                            (long long)now_s + 1000);
    char *late = text_of("{\"companyId\":\"acme\",\"exp\":%lld}", (long long)now_s - 100);
    char *token = sign_with_secret(SECRET, strlen(SECRET), "HS256", "{\"alg\":\"HS256\"}", payload);
    char *late_token = sign_with_secret(SECRET, strlen(SECRET), "HS256", "{\"alg\":\"HS256\"}", late);

    (void)state;
    SET_UP(&fixture, "AUTH_MODE=jwt", secret_setting, "JWT_LEEWAY_SECONDS=600");
    request = ask_for(NULL, token, NULL);
    assert_int_equal(auth_identify(fixture.auth, &request, &identity, &refusal), 0);
    assert_string_equal(identity->company, "acme");
    assert_string_equal(identity->user, "u1");
    assert_string_equal(identity->session, "s1");
    assert_string_equal(identity->token_id, "t1");
    assert_string_equal(identity->key_id, "");
    assert_int_equal(identity->expires_ms, (now_s + 1000) * 1000);
    assert_null(identity->filter);
    assert_null(identity->key_hash);
    identity_unref(identity);
    request = ask_for(NULL, late_token, NULL);
    assert_int_equal(auth_identify(fixture.auth, &request, &identity, &refusal), 0);
    assert_int_equal(identity->expires_ms, (now_s - 100 + 600) * 1000);
    identity_unref(identity);
    tear_down(&fixture);
    free(payload);
    free(late);
    free(token);
    free(late_token);
}

static void test_a_token_of_the_far_future_has_an_end_then(void **state)
{
    static const char *const far[] = {"9223372036854775807", "9999999999999999", "1e300", "1e16"};
    struct fixture fixture;

    (void)state;
    SET_UP(&fixture, "AUTH_MODE=jwt", secret_setting, "JWT_LEEWAY_SECONDS=600");
    for (size_t i = 0; i < sizeof far / sizeof far[0]; i++) {
        char *payload = text_of("{\"companyId\":\"acme\",\"exp\":%s}", far[i]);
        char *token = sign_with_secret(SECRET, strlen(SECRET), "HS256", "{\"alg\":\"HS256\"}", payload);
        struct auth_request request = ask_for(NULL, token, NULL);
        struct identity *identity;
        struct refusal refusal;

        assert_int_equal(auth_identify(fixture.auth, &request, &identity, &refusal), 0);
        assert_true(identity->expires_ms > INT64_C(253000000000000));
        identity_unref(identity);
        free(token);
        free(payload);
    }
    tear_down(&fixture);
}

static void test_a_key_is_of_one_company(void **state)
{
    struct fixture fixture;

    (void)state;
    SET_UP(&fixture, "AUTH_MODE=apikey");
    assert_int_equal(status_of(&fixture, "acme", NULL, KEY_A), 503); /* there are no keys yet */
    give_keys(&fixture, ",\"companyId\":\"acme\"", "");
    assert_int_equal(fixture.changes, 1);
    assert_int_equal(status_of(&fixture, NULL, NULL, KEY_A), 0);
    assert_int_equal(status_of(&fixture, "acme", NULL, KEY_A), 0);
    assert_int_equal(status_of(&fixture, "acme2", NULL, KEY_A), 403);
    assert_int_equal(status_of(&fixture, "a*", NULL, KEY_A), 403);
    assert_int_equal(status_of(&fixture, "acme", NULL, KEY_B), 403); /* of none */
    assert_int_equal(status_of(&fixture, NULL, NULL, KEY_B), 403);
    assert_int_equal(status_of(&fixture, "acme", NULL, KEY_A "x"), 401);
    give_keys(&fixture, ",\"companyId\":\"acme\",\"expires\":\"2020-01-01T00:00:00Z\"", NULL);
    assert_int_equal(status_of(&fixture, "acme", NULL, KEY_A), 401);
    assert_int_equal(status_of(&fixture, "acme", NULL, KEY_B), 401);
    give_keys(&fixture, NULL, NULL);
    assert_int_equal(status_of(&fixture, "acme", NULL, KEY_A), 401);
    tear_down(&fixture);
}

/* Whether who came with the key A of `before` may stay with that of `after`. */
static bool keeps(const char *before, const char *after)
{
    struct fixture fixture;
    struct auth_request request = ask_for(NULL, NULL, KEY_A);
    struct identity *identity;
    struct refusal refusal;
    bool kept;

    SET_UP(&fixture, "AUTH_MODE=apikey");
    give_keys(&fixture, before, NULL);
    assert_int_equal(auth_identify(fixture.auth, &request, &identity, &refusal), 0);
    assert_true(auth_keeps(fixture.auth, identity));
    give_keys(&fixture, after, "");
    kept = auth_keeps(fixture.auth, identity);
    identity_unref(identity);
    tear_down(&fixture);
    return kept;
}

#define ACME ",\"companyId\":\"acme\""
#define UNTIL(year) ",\"expires\":\"" year "-01-01T00:00:00Z\""

static void test_a_key_keeps_its_streams_while_it_may_as_much(void **state)
{
    (void)state;
    assert_true(keeps(ACME, ACME));
    assert_false(keeps(ACME, NULL));
    assert_false(keeps(ACME, ""));
    assert_false(keeps(ACME, ",\"companyId\":\"acme2\""));
    assert_true(keeps(ACME, ACME ",\"maxConnections\":1"));
    assert_false(keeps(ACME, ACME UNTIL("2020")));
    assert_false(keeps(ACME, ACME UNTIL("2200")));
    assert_true(keeps(ACME UNTIL("2200"), ACME UNTIL("2200")));
    assert_true(keeps(ACME UNTIL("2200"), ACME UNTIL("2201")));
    assert_true(keeps(ACME UNTIL("2200"), ACME));
    assert_false(keeps(ACME UNTIL("2201"), ACME UNTIL("2200")));
    assert_false(keeps(ACME, ACME ",\"events\":[\"a\"]"));
    assert_true(keeps(ACME ",\"events\":[\"a\",\"b\"]", ACME ",\"events\":[\"a\",\"b\"]"));
    assert_false(keeps(ACME ",\"events\":[\"a\",\"b\"]", ACME ",\"events\":[\"a\"]"));
    assert_false(keeps(ACME ",\"events\":[\"a\"]", ACME ",\"events\":[\"b\"]"));
    assert_true(keeps(ACME ",\"events\":[\"a\"]", ACME));
}

/* The status of who asks for numbers; 0 with `all`, or a company that the numbers must be of. */
static unsigned scope_of(struct fixture *fixture, const char *company, const char *token, const char *api_key,
                         const char *expected)
{
    struct auth_request request = ask_for(company, token, api_key);
    struct auth_scope scope;
    struct identity *identity;
    struct refusal refusal = {0};

    int status = auth_find_scope(fixture->auth, &request, &scope, &identity, &refusal);

    identity_unref(identity);
    if (status < 0) {
        assert_null(expected);
        assert_true(refusal.status >= 400);
        return refusal.status;
    }
    assert_non_null(expected);
    assert_string_equal(scope.is_admin ? "all" : scope.company, expected);
    return 0;
}

static void test_an_open_bridge_shows_all_numbers_unless_there_is_an_admin_key(void **state)
{
    struct fixture fixture;

    (void)state;
    SET_UP(&fixture, "AUTH_MODE=none");
    assert_int_equal(scope_of(&fixture, NULL, NULL, NULL, "all"), 0);
    assert_int_equal(scope_of(&fixture, "acme", "whatever", NULL, "all"), 0);
    tear_down(&fixture);
    SET_UP(&fixture, "AUTH_MODE=none", admin_setting);
    assert_int_equal(scope_of(&fixture, NULL, NULL, NULL, NULL), 401);
    assert_int_equal(scope_of(&fixture, "acme", NULL, KEY_B, NULL), 401);
    assert_int_equal(scope_of(&fixture, NULL, KEY_B "x", NULL, NULL), 401);
    assert_int_equal(scope_of(&fixture, NULL, "", NULL, NULL), 401);
    assert_int_equal(scope_of(&fixture, NULL, KEY_B, NULL, "all"), 0);
    tear_down(&fixture);
}

static void test_numbers_are_those_of_the_askers_company(void **state)
{
    struct fixture fixture;
    char *user = make_token("\"companyId\":\"acme\",\"role\":[\"bosses\"]");
    char *admin = make_token("\"role\":[\"user\",\"boss\"]");
    char *none = make_token("\"sub\":\"u1\"");

    (void)state;
    SET_UP(&fixture, "AUTH_MODE=jwt,apikey", secret_setting, "JWT_ADMIN_CLAIM=role", "JWT_ADMIN_VALUE=boss",
           admin_setting);
    give_keys(&fixture, ACME, NULL);
    assert_int_equal(scope_of(&fixture, NULL, KEY_B, NULL, "all"), 0);
    assert_int_equal(scope_of(&fixture, NULL, admin, NULL, "all"), 0);
    assert_int_equal(scope_of(&fixture, "other", admin, NULL, "all"), 0);
    assert_int_equal(scope_of(&fixture, NULL, user, NULL, "acme"), 0);
    assert_int_equal(scope_of(&fixture, "other", user, NULL, NULL), 403);
    assert_int_equal(scope_of(&fixture, NULL, NULL, KEY_A, "acme"), 0);
    assert_int_equal(scope_of(&fixture, "other", NULL, KEY_A, NULL), 403);
    assert_int_equal(scope_of(&fixture, NULL, NULL, KEY_B, NULL), 401);
    assert_int_equal(scope_of(&fixture, NULL, none, NULL, NULL), 401);
    assert_int_equal(scope_of(&fixture, NULL, NULL, NULL, NULL), 401);
    tear_down(&fixture);
    free(user);
    free(admin);
    free(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_open_bridge_gives_the_company_asked_for),
        cmocka_unit_test(test_no_company_is_refused),
        cmocka_unit_test(test_a_malformed_company_is_refused),
        cmocka_unit_test(test_a_nul_in_the_company_is_refused),
        cmocka_unit_test(test_an_open_bridge_looks_at_no_credentials),
        cmocka_unit_test(test_a_mode_takes_its_credentials_alone),
        cmocka_unit_test(test_the_company_is_one_of_the_tokens),
        cmocka_unit_test(test_a_token_gives_its_names_and_its_end),
        cmocka_unit_test(test_a_token_of_the_far_future_has_an_end_then),
        cmocka_unit_test(test_a_key_is_of_one_company),
        cmocka_unit_test(test_a_key_keeps_its_streams_while_it_may_as_much),
        cmocka_unit_test(test_an_open_bridge_shows_all_numbers_unless_there_is_an_admin_key),
        cmocka_unit_test(test_numbers_are_those_of_the_askers_company),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
