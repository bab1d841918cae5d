#include "auth/key_source.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "tests/unit/auth/jwks_server.h"
#include "tests/unit/auth/token_maker.h"

#define SECRET "0123456789012345678901234567890123456789"
#define OTHER_SECRET "a123456789012345678901234567890123456789"

static void write_file(const char *path, const char *text)
{
    char *temporary = text_of("%s.new", path);
    FILE *file = fopen(temporary, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(rename(temporary, path), 0);
    free(temporary);
}

static char *new_path(void)
{
    char *path = strdup("/tmp/sluice-keys.XXXXXX");
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    close(fd);
    return path;
}

static struct key_source *start(enum key_source_kind kind, const char *where, struct metrics *metrics)
{
    struct key_source_options options = {.kind = kind, .where = where, .metrics = metrics};
    struct key_error error = {""};
    struct key_source *source;

    options.times = (struct key_source_times){.file_check_ms = 5,
                                              .least_refresh_ms = 20,
                                              .first_retry_ms = 10,
                                              .most_retry_ms = 40,
                                              .asked_refresh_ms = 100,
                                              .timeout_ms = 5000};
    source = key_source_new(&options, &error);
    if (!source)
        fail_msg("%s", error.text);
    return source;
}

static bool holds_secret(struct key_source *source, const char *secret)
{
    struct key_set *set = key_source_get(source);
    const struct key *key = key_set_at(set, 0);
    EVP_MAC_CTX *mac = EVP_MAC_CTX_dup(key->macs[ALGORITHM_HS256]);
    unsigned char expected[32];
    unsigned char made[32];
    size_t size;
    bool holds;

    assert_non_null(HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)"text", 4, expected, NULL));
    assert_true(EVP_MAC_update(mac, (const unsigned char *)"text", 4) && EVP_MAC_final(mac, made, &size, sizeof made));
    holds = memcmp(made, expected, sizeof made) == 0;
    EVP_MAC_CTX_free(mac);

    key_set_unref(set);
    return holds;
}

static void pause_briefly(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

static void await_metric(struct metrics *metrics, enum metric metric, int64_t value)
{
    int64_t end_ns = clock_monotonic_ns() + 10 * INT64_C(1000000000);

    while (metrics_get(metrics, metric) < value) {
        assert_true(clock_monotonic_ns() < end_ns);
        pause_briefly();
    }
}

static void await_secret(struct key_source *source, const char *secret)
{
    int64_t end_ns = clock_monotonic_ns() + 10 * INT64_C(1000000000);

    while (!holds_secret(source, secret)) {
        assert_true(clock_monotonic_ns() < end_ns);
        pause_briefly();
    }
}

static bool has_kid(struct key_source *source, const char *kid)
{
    struct key_set *set = key_source_get(source);
    bool has = set && strcmp(key_set_at(set, 0)->kid, kid) == 0;

    key_set_unref(set);
    return has;
}

static void await_kid(struct key_source *source, const char *kid)
{
    int64_t end_ns = clock_monotonic_ns() + 10 * INT64_C(1000000000);

    while (!has_kid(source, kid)) {
        assert_true(clock_monotonic_ns() < end_ns);
        pause_briefly();
    }
}

static char *set_with_kid(const char *kid)
{
    char *k = base64url(SECRET, strlen(SECRET));
    char *text = jwks("{\"kty\":\"oct\",\"kid\":\"%s\",\"k\":\"%s\"}", kid, k);

    free(k);
    return text;
}

static void test_a_secret_is_there_at_once(void **state)
{
    struct key_source *source = start(KEY_SOURCE_SECRET, SECRET, NULL);

    (void)state;
    assert_true(holds_secret(source, SECRET));
    key_source_ask_refresh(source);
    key_source_free(source);
}

static void test_a_changed_file_is_read_again(void **state)
{
    char *path = new_path();
    struct metrics *metrics = metrics_new();
    struct key_source *source;

    (void)state;
    write_file(path, SECRET "\n");
    source = start(KEY_SOURCE_SECRET_FILE, path, metrics);
    assert_true(holds_secret(source, SECRET));
    write_file(path, OTHER_SECRET "\r\n");
    await_secret(source, OTHER_SECRET);
    assert_int_equal(metrics_get(metrics, METRIC_KEYS_RELOAD_FAILED), 0);
    key_source_free(source);
    metrics_free(metrics);
    unlink(path);
    free(path);
}

static void test_a_bad_file_keeps_the_keys_before_it(void **state)
{
    char *path = new_path();
    struct metrics *metrics = metrics_new();
    struct key_source *source;

    (void)state;
    write_file(path, SECRET);
    source = start(KEY_SOURCE_SECRET_FILE, path, metrics);
    write_file(path, "short");
    await_metric(metrics, METRIC_KEYS_RELOAD_FAILED, 1);
    assert_true(holds_secret(source, SECRET));
    unlink(path);
    await_metric(metrics, METRIC_KEYS_RELOAD_FAILED, 2);
    assert_true(holds_secret(source, SECRET));
    write_file(path, OTHER_SECRET);
    await_secret(source, OTHER_SECRET);
    assert_int_equal(metrics_get(metrics, METRIC_KEYS_RELOAD_FAILED), 2);
    key_source_free(source);
    metrics_free(metrics);
    unlink(path);
    free(path);
}

static void test_a_bad_file_at_the_start_is_an_error(void **state)
{
    static const char *const paths[] = {"/nonexistent/keys", "/tmp", "/dev/zero", ""};

    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct key_source_options options = {.kind = KEY_SOURCE_JWKS_FILE, .where = paths[i]};
        struct key_error error = {""};

        assert_null(key_source_new(&options, &error));
        assert_non_null(strstr(error.text, "cannot be read"));
    }
}

static void test_a_url_is_asked_again_and_an_unchanged_answer_is_not_sent(void **state)
{
    struct jwks_server *server = jwks_server_new();
    struct metrics *metrics = metrics_new();
    char *a = set_with_kid("a");
    char *b = set_with_kid("b");
    struct key_source *source;

    (void)state;
    jwks_server_answer(server, "200 OK", "ETag: \"1\"\r\nCache-Control: max-age=0\r\n", a);
    source = start(KEY_SOURCE_JWKS_URL, jwks_server_url(server), metrics);
    await_kid(source, "a");
    jwks_server_await(server, 3);
    assert_true(jwks_server_unchanged(server) >= 2);
    jwks_server_answer(server, "200 OK", "ETag: \"2\"\r\nCache-Control: public, max-age=3600\r\n", b);
    await_kid(source, "b");
    assert_int_equal(metrics_get(metrics, METRIC_JWKS_FAILED), 0);
    key_source_free(source);
    metrics_free(metrics);
    jwks_server_free(server);
    free(a);
    free(b);
}

static void test_failures_keep_the_keys_and_are_tried_again(void **state)
{
    static char large[300001];
    static const struct {
        const char *status;
        const char *headers;
        const char *body;
    } bad[] = {{"500 Oops", "", ""},
               {"404 Not Found", "", "{}"},
               {"200 OK", "ETag: \"bad\"\r\n", "{\"keys\":[]}"},
               {"200 OK", "", "<html>"},
               {"304 Not Modified", "", ""},
               {"302 Found", "Location: file:///etc/passwd\r\n", ""},
               {"302 Found", "Location: https://127.0.0.1:1/\r\n", ""},
               {"302 Found", "Location: /jwks\r\n", ""},
               {"200 OK", "", large}};
    struct jwks_server *server = jwks_server_new();
    struct metrics *metrics = metrics_new();
    char *a = set_with_kid("a");
    char *b = set_with_kid("b");
    struct key_source *source;

    (void)state;
    memset(large, ' ', sizeof large - 1);
    jwks_server_answer(server, "200 OK", "Cache-Control: no-store\r\n", a);
    source = start(KEY_SOURCE_JWKS_URL, jwks_server_url(server), metrics);
    await_kid(source, "a");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int64_t before = metrics_get(metrics, METRIC_JWKS_FAILED);

        jwks_server_answer(server, bad[i].status, bad[i].headers, bad[i].body);
        await_metric(metrics, METRIC_JWKS_FAILED, before + 3);
        assert_true(has_kid(source, "a"));
    }
    jwks_server_answer(server, "200 OK", "", b);
    await_kid(source, "b");
    key_source_free(source);
    metrics_free(metrics);
    jwks_server_free(server);
    free(a);
    free(b);
}

static void test_asking_makes_one_request_in_its_time(void **state)
{
    struct jwks_server *server = jwks_server_new();
    char *a = set_with_kid("a");
    struct key_source *source;
    int64_t begun_ns = clock_monotonic_ns();
    int64_t passed_ms;

    (void)state;
    jwks_server_answer(server, "200 OK", "Cache-Control: max-age=3600\r\n", a);
    source = start(KEY_SOURCE_JWKS_URL, jwks_server_url(server), NULL);
    await_kid(source, "a");
    while (jwks_server_requests(server) < 4)
        key_source_ask_refresh(source);
    /* The first at once, each further one 100 ms after that before it. */
    passed_ms = (clock_monotonic_ns() - begun_ns) / 1000000;
    assert_true(passed_ms >= 300);
    key_source_free(source);
    jwks_server_free(server);
    free(a);
}

static void test_it_ends_at_once_in_the_middle_of_a_request(void **state)
{
    struct jwks_server *server = jwks_server_new();
    struct key_source *source;
    int64_t begun_ns;

    (void)state;
    jwks_server_answer(server, NULL, "", "");
    source = start(KEY_SOURCE_JWKS_URL, jwks_server_url(server), NULL);
    jwks_server_await(server, 1);
    assert_null(key_source_get(source));
    begun_ns = clock_monotonic_ns();
    key_source_free(source);
    assert_true(clock_monotonic_ns() - begun_ns < 2 * INT64_C(1000000000));
    jwks_server_free(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_secret_is_there_at_once),
        cmocka_unit_test(test_a_changed_file_is_read_again),
        cmocka_unit_test(test_a_bad_file_keeps_the_keys_before_it),
        cmocka_unit_test(test_a_bad_file_at_the_start_is_an_error),
        cmocka_unit_test(test_a_url_is_asked_again_and_an_unchanged_answer_is_not_sent),
        cmocka_unit_test(test_failures_keep_the_keys_and_are_tried_again),
        cmocka_unit_test(test_asking_makes_one_request_in_its_time),
        cmocka_unit_test(test_it_ends_at_once_in_the_middle_of_a_request),
    };

    /* A proxy of the machine that the test runs on is none of its business. */
    setenv("no_proxy", "*", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
