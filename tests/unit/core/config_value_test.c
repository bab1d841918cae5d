#include "core/config_value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_patterns_match_token_by_token(void **state)
{
    static const struct {
        const char *pattern;
        const char *subject;
        bool expected;
    } cases[] = {
        {"metrics.a", "metrics.a", true},
        {"metrics.a", "metrics.b", false},
        {"metrics.a", "metrics.a.b", false},
        {"metrics.a", "metrics", false},
        {"metrics.a", "metricsXa", false},
        {"metrics.*", "metrics.calculated", true},
        {"metrics.*", "metrics", false},
        {"metrics.*", "metrics.a.b", false},
        {"*.*", "a.b", true},
        {"*", "a.b", false},
        {"metrics.sroi*", "metrics.sroi", true},
        {"metrics.sroi*", "metrics.sroi_done", true},
        {"metrics.sroi*", "metrics.sro", false},
        {"metrics.sroi*", "metrics.sroi.done", false},
        {"metrics.*roi*", "metrics.sroi_v2", true},
        {"a*b*c.d", "aXXbYYc.d", true},
        {"a*b*c.d", "abbc.d", true},
        {"a*b*c.d", "acb.d", false},
        {"a**b", "ab", true},
        {"a**b", "aXb", true},
        {"*a", "aaa", true},
        {"*a", "aab", false},
        {"*ab", "aaab", true},
        {">", "a", true},
        {">", "a.b.c", true},
        {"a.>", "a.b", true},
        {"a.>", "a.b.c", true},
        {"a.>", "a", false},
        {"a.>", "b.c", false},
        {"*.>", "a.b", true},
        {"a.b>", "a.b", false},
        {"a.b>", "a.b>", true},
        {"a.>.c", "a.b.c", false},
        {"Metrics.*", "metrics.a", false},
        {"metrics.*_v2", "metrics.a_v2", true},
        {"metrics.*_v2", "metrics.a_v2x", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (config_pattern_matches(cases[i].pattern, strlen(cases[i].pattern), cases[i].subject) != cases[i].expected)
            fail_msg("%s on %s", cases[i].pattern, cases[i].subject);
}

static void test_the_size_of_a_pattern_ends_it(void **state)
{
    (void)state;
    assert_true(config_pattern_matches("metrics.*=name", 9, "metrics.a"));
    assert_true(config_pattern_matches("a.>,b.c", 3, "a.x.y"));
    assert_false(config_pattern_matches("ab", 1, "ab"));
}

/* The textbook backtracking takes for ever on this; the test's time limit shows it. */
static void test_a_hostile_subject_takes_no_time(void **state)
{
    static const char pattern[] = "*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b";
    char subject[4096];

    (void)state;
    memset(subject, 'a', sizeof subject - 1);
    subject[sizeof subject - 1] = '\0';
    assert_false(config_pattern_matches(pattern, strlen(pattern), subject));
}

static void test_lists_skip_blanks_and_empty_items(void **state)
{
    const char *cursor = " ,a, b c ,\t,,d\t, ";
    const char *expected[] = {"a", "b c", "d"};
    const char *item;
    size_t size;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_true(config_list_next(&cursor, &item, &size));
        assert_int_equal(size, strlen(expected[i]));
        assert_memory_equal(item, expected[i], size);
    }
    assert_false(config_list_next(&cursor, &item, &size));
    cursor = "";
    assert_false(config_list_next(&cursor, &item, &size));
}

static void test_the_divider_is_the_first_equals_sign_within_the_item(void **state)
{
    const char *item = "a=b=c";

    (void)state;
    assert_ptr_equal(config_item_divider(item, 5), item + 1);
    assert_null(config_item_divider(item, 1));
}

static void assert_check(const char *(*check)(const char *), const char *value, bool good)
{
    if ((check(value) == NULL) != good)
        fail_msg("\"%s\" was %s", value, good ? "refused" : "accepted");
}

static void assert_checks(const char *(*check)(const char *), const char *const good[], const char *const bad[])
{
    for (; *good; good++)
        assert_check(check, *good, true);
    for (; *bad; bad++)
        assert_check(check, *bad, false);
}

static void test_event_names_collide_with_nothing(void **state)
{
    static const char *const good[] = {"a.*=x",  "a.*=x,b.>=y",     "a=streamed", "a=opened",
                                       "a=Open", "a=A-Za-z0-9._:-", NULL};
    static const char *const bad[] = {"",           ",",           "a",         "a=",           "=x",
                                      "a=open",     "a=error",     "a=message", "a=stream.gap", "a=stream.ready",
                                      "a=stream.x", "a=x y",       "a=x\ny",    "a=x\r",        "a=x=y",
                                      "a=\xc3\xa9", "a..b=x",      ".a=x",      "a.=x",         "a b=x",
                                      "a=x,b",      "a=x,b=error", NULL};
    char value[100] = "a=";

    (void)state;
    assert_checks(config_check_event_names, good, bad);
    memset(value + 2, 'n', 64);
    assert_check(config_check_event_names, value, true);
    memset(value + 2, 'n', 65);
    assert_check(config_check_event_names, value, false);
}

static void test_subscriptions_are_subjects_of_nats_and_not_ours(void **state)
{
    static const char *const good[] = {"metrics.*", "metrics.*,journey.>", "a", " a , b ", "sluiced.a", NULL};
    static const char *const bad[] = {"",    ",",   ".a",   "a.",          "a..b",     "a b",   "a\tb", ">",
                                      "a,>", "a\n", "a,.b", "sluice.live", "sluice.>", "a\x7f", NULL};
    char value[300];

    (void)state;
    assert_checks(config_check_subjects, good, bad);
    memset(value, 'a', 200);
    value[200] = '\0';
    assert_check(config_check_subjects, value, true);
    memset(value, 'a', 201);
    value[201] = '\0';
    assert_check(config_check_subjects, value, false);
}

/* The NATS server refuses such a subscription: nothing would ever come. */
static void test_a_full_wildcard_stands_only_at_the_end_of_a_subscription(void **state)
{
    static const char *const good[] = {"a.>", NULL};
    static const char *const bad[] = {"a.>.b", ">.a", NULL};

    (void)state;
    assert_checks(config_check_subjects, good, bad);
}

/* `sluice.>` is what replicas tell each other: as input it would feed on itself. */
static void test_no_subscription_with_wildcards_covers_our_own_subjects(void **state)
{
    static const char *const good[] = {"a.*", "*", NULL};
    static const char *const bad[] = {"*.live", "*.>", "*.*", NULL};

    (void)state;
    assert_checks(config_check_subjects, good, bad);
}

static void test_too_many_items_are_refused(void **state)
{
    char subjects[200] = "";
    char names[400] = "";

    (void)state;
    for (int i = 0; i < 64; i++) {
        strcat(subjects, "a,");
        strcat(names, "a=b,");
    }
    assert_check(config_check_subjects, subjects, true);
    assert_check(config_check_event_names, names, true);
    strcat(subjects, "a");
    strcat(names, "a=b");
    assert_check(config_check_subjects, subjects, false);
    assert_check(config_check_event_names, names, false);
}

static void test_a_dead_letter_subject_is_one_plain_subject(void **state)
{
    static const char *const good[] = {"", "dead.letters", NULL};
    static const char *const bad[] = {"dead.*", "dead.>", "a b", "sluice.dead", "a..b", "dead.", NULL};

    (void)state;
    assert_checks(config_check_subject, good, bad);
}

static void test_the_name_of_a_group_is_a_token(void **state)
{
    static const char longest[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";
    static const char *const good[] = {"default", "a", "green_2-", longest, NULL};
    static const char *const bad[] = {"", "a.b", "*", ">", "a b", "a\n", "\xc3\xa4", NULL};
    char longer[sizeof longest + 1] = "x";

    (void)state;
    assert_checks(config_check_group, good, bad);
    assert_check(config_check_group, strcat(longer, longest), false);
}

static void test_nats_urls(void **state)
{
    static const char *const good[] = {"nats://h", "nats://u:p@h:4222,nats://i:4223", "nats://[::1]:4222", NULL};
    static const char *const bad[] = {"", "h:4222", "nats://", "http://h", "nats://h,i", NULL};

    (void)state;
    assert_checks(config_check_nats_url, good, bad);
}

static void test_redis_urls(void **state)
{
    static const char *const good[] = {"",
                                       "redis://h",
                                       "redis://h:6379/3",
                                       "redis://u:p@h",
                                       "redis://:p@h:1/0",
                                       "redis://[::1]:6379/1",
                                       "redis://u:p%40@h",
                                       NULL};
    static const char *const bad[] = {
        "h",           "redis://",    "redis:///3",      "http://h",    "redis://h:0",
        "redis://h:x", "redis://h/x", "redis://h:65536", "redis://h h", "redis://u:p%00@h",
        "redis://@",   "redis://u@",  "redis://[::1",    NULL};

    (void)state;
    assert_checks(config_check_redis_url, good, bad);
}

static void test_origins(void **state)
{
    static const char *const good[] = {"*",
                                       "https://a.example.com",
                                       "http://localhost:5173, https://b",
                                       "https://*.example.com",
                                       "http://*.local:5173",
                                       NULL};
    static const char *const bad[] = {
        "a.example.com", "https://",     "https://a/",       "https://a/b", "https://*", "https://*.",
        "https://a.*.b", "https://*a.b", "https://*.*.b",    "*://a",       "://a",      "https://a b",
        "https://a\"",   "https://a,b",  "https://\xc3\xa9", NULL};

    (void)state;
    assert_checks(config_check_origins, good, bad);
}

static void test_addresses(void **state)
{
    static const char *const good[] = {"0.0.0.0", "127.0.0.1", "::", "::1", NULL};
    static const char *const bad[] = {"", "localhost", "1.2.3", "1.2.3.4:80", "[::]", "256.1.1.1", NULL};

    (void)state;
    assert_checks(config_check_address, good, bad);
}

static void test_trusted_proxies_are_prefixes(void **state)
{
    static const char *const good[] = {"", "10.0.0.0/8", "10.0.0.0/8, ::1", "::1/128,192.0.2.7", NULL};
    static const char *const bad[] = {"10.0.0.1/8", "10.0.0.0/8;::1", "proxy.example", "*", "10.0.0.0/33", NULL};

    (void)state;
    assert_checks(config_check_prefixes, good, bad);
}

static void assert_company(const char *text, size_t size, bool good)
{
    if (config_is_company_id(text, size) != good)
        fail_msg("%.*s (%zu bytes) was %s", (int)size, text, size, good ? "refused" : "accepted");
}

static void test_company_ids(void **state)
{
    static const char *const good[] = {"a", "0", "acme", "A.b_c:d-e", "9-", NULL};
    static const char *const bad[] = {"",    ".a",  "_a",  "-a",       ":a",        "a b", "a/b",
                                      "a{b", "a}b", "a\n", "\xc3\xa9", "a\xc3\xa9", "a*",  NULL};
    char longest[129];

    (void)state;
    for (size_t i = 0; good[i]; i++)
        assert_company(good[i], strlen(good[i]), true);
    for (size_t i = 0; bad[i]; i++)
        assert_company(bad[i], strlen(bad[i]), false);
    memset(longest, 'c', sizeof longest);
    assert_company(longest, 128, true);
    assert_company(longest, 129, false);
}

/* As C text it would end at the NUL, and stand for another company. */
static void test_a_company_id_with_a_nul_is_none(void **state)
{
    (void)state;
    assert_company("acme\0evil", 9, false);
    assert_company("acme\0", 5, false);
    assert_company("\0", 1, false);
}

static void assert_redacted(const char *value, const char *expected)
{
    char text[256];

    config_redact(value, text, sizeof text);
    assert_string_equal(text, expected);
}

static void test_users_and_passwords_are_redacted(void **state)
{
    (void)state;
    assert_redacted("nats://h:4222", "nats://h:4222");
    assert_redacted("nats://u:secret@h:4222", "nats://***@h:4222");
    assert_redacted("redis://:secret@h/3", "redis://***@h/3");
    assert_redacted("nats://token@h", "nats://***@h");
    assert_redacted("nats://u:s@cret@h", "nats://***@h");
    assert_redacted("u:secret@h", "***@h");
    assert_redacted("nats://a:secret@h,nats://b:secret@i", "nats://***@h,nats://***@i");
    assert_redacted("", "");
}

static void test_no_part_of_a_password_with_odd_characters_is_shown(void **state)
{
    static const char *const values[] = {
        "redis://u:sec,ret@h",        "redis://u:sec/ret@h",    "redis://u:sec?ret@h", "redis://u:sec#ret@h",
        "redis://u:sec://ret@h",      "rediss://:sec,r://et@h", "redis://:sec,@h",     "nats://u:sec,ret@h,nats://i",
        "nats://i,nats://u:sec,re@h", "redis://u:sec ret@h",    "redis://sec,ret@h",   "//u:sec@h",
    };
    size_t wrong = 0;

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char text[256];

        config_redact(values[i], text, sizeof text);
        if (strstr(text, "sec") || strstr(text, "ret")) {
            print_error("%s is shown as %s\n", values[i], text);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

/* The sanitizer sees a write behind the room given. */
static void test_redacting_keeps_within_its_room(void **state)
{
    static const char value[] = "nats://user:secret@first.example.com:4222,nats://user:secret@second.example.com:4222";

    (void)state;
    for (size_t size = 1; size < sizeof value + 10; size++) {
        char text[sizeof value + 10];

        memset(text, 'x', sizeof text);
        config_redact(value, text, size);
        assert_non_null(memchr(text, '\0', size));
        assert_null(strstr(text, "secret"));
        for (size_t i = size; i < sizeof text; i++)
            assert_int_equal(text[i], 'x');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_patterns_match_token_by_token),
        cmocka_unit_test(test_the_size_of_a_pattern_ends_it),
        cmocka_unit_test(test_a_hostile_subject_takes_no_time),
        cmocka_unit_test(test_lists_skip_blanks_and_empty_items),
        cmocka_unit_test(test_the_divider_is_the_first_equals_sign_within_the_item),
        cmocka_unit_test(test_event_names_collide_with_nothing),
        cmocka_unit_test(test_subscriptions_are_subjects_of_nats_and_not_ours),
        cmocka_unit_test(test_a_full_wildcard_stands_only_at_the_end_of_a_subscription),
        cmocka_unit_test(test_no_subscription_with_wildcards_covers_our_own_subjects),
        cmocka_unit_test(test_too_many_items_are_refused),
        cmocka_unit_test(test_a_dead_letter_subject_is_one_plain_subject),
        cmocka_unit_test(test_the_name_of_a_group_is_a_token),
        cmocka_unit_test(test_nats_urls),
        cmocka_unit_test(test_redis_urls),
        cmocka_unit_test(test_origins),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_trusted_proxies_are_prefixes),
        cmocka_unit_test(test_company_ids),
        cmocka_unit_test(test_a_company_id_with_a_nul_is_none),
        cmocka_unit_test(test_users_and_passwords_are_redacted),
        cmocka_unit_test(test_no_part_of_a_password_with_odd_characters_is_shown),
        cmocka_unit_test(test_redacting_keeps_within_its_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
