#include "replay/redis_url.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/config_value.h"

static void assert_text(const char *text, const char *expected)
{
    if (!expected) {
        assert_null(text);
        return;
    }
    assert_non_null(text);
    assert_string_equal(text, expected);
}

static void test_the_parts_of_a_url(void **state)
{
    static const struct {
        const char *url;
        const char *host;
        const char *port;
        const char *user;
        const char *password;
        int database;
    } cases[] = {
        {"redis://localhost", "localhost", "6379", NULL, NULL, 0},
        {"redis://localhost/", "localhost", "6379", NULL, NULL, 0},
        {"redis://localhost:1234", "localhost", "1234", NULL, NULL, 0},
        {"redis://10.0.0.1:1234/15", "10.0.0.1", "1234", NULL, NULL, 15},
        {"redis://user:secret@h", "h", "6379", "user", "secret", 0},
        {"redis://:secret@h:1/2", "h", "1", "", "secret", 2},
        {"redis://user@h", "h", "6379", "user", NULL, 0},
        {"redis://u%40x:p%40s%3Aw%2Frd%25@h", "h", "6379", "u@x", "p@s:w/rd%", 0},
        {"redis://u:p:q@h", "h", "6379", "u", "p:q", 0},
        {"redis://[::1]:1234/3", "::1", "1234", NULL, NULL, 3},
        {"redis://[2001:db8::1]", "2001:db8::1", "6379", NULL, NULL, 0},
        {"redis://:p@[::1]:1", "::1", "1", "", "p", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct redis_url url;

        if (redis_url_parse(cases[i].url, &url) != 0)
            fail_msg("refused: %s", cases[i].url);
        assert_string_equal(url.servers[0].host, cases[i].host);
        assert_string_equal(url.servers[0].port, cases[i].port);
        assert_text(url.password, cases[i].password);
        if (cases[i].user && *cases[i].user)
            assert_text(url.user, cases[i].user);
        else
            assert_true(!url.user || !*url.user);
        assert_int_equal(url.database, cases[i].database);
        redis_url_release(&url);
        assert_null(url.password);
        redis_url_release(&url);
    }
}

static void test_tls_and_sockets(void **state)
{
    static const struct {
        const char *url;
        bool secure;
        const char *path;
        const char *password;
        int database;
    } cases[] = {
        {"rediss://u:p%40q@h:7000/3", true, "", "p@q", 3},
        {"unix:///run/redis.sock", false, "/run/redis.sock", NULL, 0},
        {"unix:///run/redis.sock?db=3", false, "/run/redis.sock", NULL, 3},
        {"redis+unix://u:p%2Fq@/run/redis.sock?db=12", false, "/run/redis.sock", "p/q", 12},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct redis_url url;

        assert_null(config_check_redis_url(cases[i].url));
        assert_int_equal(redis_url_parse(cases[i].url, &url), 0);
        assert_int_equal(url.secure, cases[i].secure);
        assert_string_equal(url.servers[0].path, cases[i].path);
        assert_text(url.password, cases[i].password);
        assert_int_equal(url.database, cases[i].database);
        redis_url_release(&url);
    }
}

static void assert_servers(const struct redis_url *url, const char *expected)
{
    char text[1024] = "";

    for (size_t i = 0; i < url->server_count; i++) {
        const struct redis_endpoint *server = &url->servers[i];
        size_t size = strlen(text);

        snprintf(text + size, sizeof text - size, "%s%s;%s", i > 0 ? " " : "", server->host, server->port);
    }
    assert_string_equal(text, expected);
}

static void test_sentinels_and_clusters(void **state)
{
    static const struct {
        const char *url;
        enum redis_topology topology;
        bool secure;
        const char *servers;
        const char *master;
        const char *user;
        const char *password;
        int database;
    } cases[] = {
        {"redis+sentinel://h/m", REDIS_SENTINEL, false, "h;26379", "m", NULL, NULL, 0},
        {"redis+sentinel://h:1,i,[::1]:3/my-Master.1_/7", REDIS_SENTINEL, false, "h;1 i;26379 ::1;3", "my-Master.1_",
         NULL, NULL, 7},
        {"rediss+sentinel://u:p%40,q@h,i:2/m", REDIS_SENTINEL, true, "h;26379 i;2", "m", "u", "p@,q", 0},
        {"redis+cluster://h", REDIS_CLUSTER, false, "h;6379", "", NULL, NULL, 0},
        {"redis+cluster://:p@h:7000,i:7001/", REDIS_CLUSTER, false, "h;7000 i;7001", "", NULL, "p", 0},
        {"rediss+cluster://h,h2", REDIS_CLUSTER, true, "h;6379 h2;6379", "", NULL, NULL, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct redis_url url;

        assert_null(config_check_redis_url(cases[i].url));
        assert_int_equal(redis_url_parse(cases[i].url, &url), 0);
        assert_int_equal(url.topology, cases[i].topology);
        assert_int_equal(url.secure, cases[i].secure);
        assert_servers(&url, cases[i].servers);
        assert_string_equal(url.master, cases[i].master);
        if (cases[i].user)
            assert_text(url.user, cases[i].user);
        assert_text(url.password, cases[i].password);
        assert_int_equal(url.database, cases[i].database);
        redis_url_release(&url);
    }
}

static const char *const bad[] = {
    "",
    "localhost",
    "localhost:6379",
    "redis:",
    "redis://",
    "redis:///3",
    "redis:////h",
    "http://h",
    "rediss://",
    "rediss:///3",
    "REDISS://h",
    "unix://",
    "unix://h",
    "unix:///",
    "unix://h/path",
    "unix:///a?db=x",
    "unix:///a?db=1&x=2",
    "unix:///a?x=2",
    "unix:///a%20b",
    "unix://u:p%00@/a",
    "unix:///12345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567",
    "redis://h:port",
    "redis://h:65536",
    "redis://h:-1",
    "redis://h/x",
    "redis://h/3x",
    "redis://h/3/4",
    "redis://h/-1",
    "redis://h/99999999999999999999",
    "redis://h/9999999",
    "redis://:@",
    "redis://u:p@",
    "redis://u:p@/3",
    "redis://[::1",
    "redis://[nonsense]",
    "redis://h h",
    "redis://u:p%00q@h",
    "redis://u%00:p@h",
    "redis://h%00.evil",
    "redis://h/3%00",
    "redis://u:p\nq@h",
    "redis://h\n",
    "redis+sentinel://h",
    "redis+sentinel://h/",
    "redis+sentinel://h/m/",
    "redis+sentinel://h/m/x",
    "redis+sentinel://h/m/3/4",
    "redis+sentinel://h/m m",
    "redis+sentinel://h/m?db=3",
    "redis+sentinel:///m",
    "redis+sentinel://,h/m",
    "redis+sentinel://h,/m",
    "redis+sentinel://h,,i/m",
    "redis+sentinel://h, i/m",
    "redis+sentinel://u:p@h,u:p@i/m",
    "redis+sentinel://h:0x1/m",
    "redis+sentinel://1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17/m",
    "redis+cluster://",
    "redis+cluster:///",
    "redis+cluster://h/0",
    "redis+cluster://h,i:65536",
    "redis+cluster://h?x",
    "redis+cluster://u:p@",
    "redis+sentinels://h/m",
    "unix+sentinel://h/m",
    "redis://u:p@q@h", /* an @ in a password is written %40 */
};

static void test_what_is_no_such_url_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct redis_url url = {.database = 77};
        int status = redis_url_parse(bad[i], &url);

        if (status != -EINVAL)
            fail_msg("\"%s\" gives %d, host \"%s\"", bad[i], status, url.servers[0].host);
        assert_int_equal(url.database, 77);
    }
}

/* A start with a bad URL must fail with a message that names the setting: the check of the settings is never laxer. */
static void test_the_check_of_the_settings_refuses_them_too(void **state)
{
    static const char *const doubtful[] = {"redis://h/+3",
                                           "redis://h?db=3",
                                           "redis://h/?db=3",
                                           "redis://h#3",
                                           "redis://h/3?x=y",
                                           "redis://a/b@c",
                                           "redis://:p/w@h",
                                           "redis://u:p#q@h",
                                           "redis://[]",
                                           "redis://[x]:1",
                                           "redis://h:6379:1",
                                           "redis://h:0006379",
                                           "redis://h:",
                                           "redis://\xc3\xa9",
                                           "redis://h%zz",
                                           "redis://h\\i",
                                           "redis://u:p%0aq@h",
                                           "redis://h/0000001",
                                           "redis://h%20i",
                                           "unix://@/a",
                                           "unix://u@/a",
                                           "unix://:p@/a",
                                           "unix:///a?",
                                           "unix:///a?db=",
                                           "unix:///a?db=+1",
                                           "unix:///a/../b",
                                           "unix:///a?db=1?",
                                           "unix://u@v@/a",
                                           "redis+unix://u:p@/a?db=1000000"};
    size_t wrong = 0;

    (void)state;
    for (size_t i = 1; i < sizeof bad / sizeof bad[0]; i++)
        if (!config_check_redis_url(bad[i])) {
            print_error("the settings accept \"%s\"\n", bad[i]);
            wrong++;
        }
    for (size_t i = 0; i < sizeof doubtful / sizeof doubtful[0]; i++) {
        struct redis_url url;

        if (redis_url_parse(doubtful[i], &url) == 0) {
            redis_url_release(&url);
        } else if (!config_check_redis_url(doubtful[i])) {
            print_error("the settings accept \"%s\"\n", doubtful[i]);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

/* Nobody who writes ?db=3 means database 0. */
static void test_a_query_or_fragment_is_not_ignored(void **state)
{
    static const char *const urls[] = {"redis://h?db=3", "redis://h/?db=3", "redis://h/3?x=y", "redis://h#3",
                                       "redis://h/#3"};

    (void)state;
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        struct redis_url url;

        if (config_check_redis_url(urls[i]))
            continue;
        if (redis_url_parse(urls[i], &url) == 0) {
            redis_url_release(&url);
            fail_msg("accepted: %s", urls[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_parts_of_a_url),
        cmocka_unit_test(test_tls_and_sockets),
        cmocka_unit_test(test_sentinels_and_clusters),
        cmocka_unit_test(test_what_is_no_such_url_is_refused),
        cmocka_unit_test(test_the_check_of_the_settings_refuses_them_too),
        cmocka_unit_test(test_a_query_or_fragment_is_not_ignored),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
