#include "replay/store_redis.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/replay/redis_server.h"
#include "tests/unit/replay/redis_store.h"
#include "tests/unit/replay/store_client.h"
#include "tests/unit/replay/store_suite.h"

static struct redis_server server;
static struct metrics *metrics;
static const struct event_position beginning = {0, 0};

/*
 * Redis takes over the language of who starts it, and its scripts compare texts by that: a server on which our own order must
 * come from elsewhere.
 */
static void choose_language(void)
{
    char folder[] = "/tmp/sluice-language-XXXXXX";
    char command[128];

    assert_non_null(mkdtemp(folder));
    snprintf(command, sizeof command, "localedef -i en_US -f UTF-8 %s/en_US.UTF-8", folder);
    assert_int_equal(system(command), 0);
    setenv("LOCPATH", folder, 1);
    setenv("LC_ALL", "en_US.UTF-8", 1);
    redis_server_start(&server);
    unsetenv("LOCPATH");
    unsetenv("LC_ALL");
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

static void test_its_redis_does_not_compare_bytes(void **state)
{
    char reply[16];

    (void)state;
    redis_server_ask(&server, reply, sizeof reply, REDIS_COMMAND("EVAL", "return ('B' < 'a') and 1 or 0", "0"));
    assert_string_equal(reply, ":0");
}

static struct store *open_store(const struct store_limits *store_limits)
{
    redis_server_tell(&server, REDIS_COMMAND("FLUSHALL"));
    return redis_store_connect(&server, store_limits, 10000, metrics);
}

static void test_a_url_that_is_none_makes_no_store(void **state)
{
    struct store_redis_options options = {
        .redis = {.url = "redis:///3", .timeout_ms = 100}, .limits = redis_roomy, .metrics = metrics};

    (void)state;
    assert_null(store_redis_new(&options));
}

static void test_another_process_goes_on_with_what_was_stored(void **state)
{
    struct store *store = open_store(&redis_roomy);
    struct events events = events_of("acme");

    (void)state;
    events_append(store, &events, 100);
    store_free(store);
    store = redis_store_connect(&server, &redis_roomy, 10000, metrics);
    assert_int_equal(head_load(store, "acme").position.seq, 100);
    assert_int_equal(read_all(store, "acme", beginning, 64, NULL), 100);
    assert_int_equal(events_try_append(store, &events, 100, 10), 0);
    assert_int_equal(read_all(store, "acme", beginning, 64, NULL), 110);
    store_free(store);
}

static void test_a_noted_hole_is_known_to_the_next_process(void **state)
{
    struct store *store = open_store(&redis_roomy);
    struct loaded_head head;

    (void)state;
    assert_int_equal(store_noted_hole(store), 0);
    store_note_hole(store, 123456);
    head_start(store, "acme", &head);
    store_wait(store, &head.answer);
    store_free(store);
    store = redis_store_connect(&server, &redis_roomy, 10000, metrics);
    assert_int_equal(store_noted_hole(store), 123456);
    store_free(store);
}

static void test_of_the_holes_that_two_processes_note_the_later_one_stays(void **state)
{
    struct store *a = open_store(&redis_roomy);
    struct store *b = redis_store_connect(&server, &redis_roomy, 10000, metrics);

    (void)state;
    store_note_hole(a, 5000);
    head_load(a, "acme");
    store_note_hole(b, 4000);
    head_load(b, "acme");
    store_free(b);
    b = redis_store_connect(&server, &redis_roomy, 10000, metrics);
    assert_int_equal(store_noted_hole(b), 5000);
    store_note_hole(b, 6000);
    head_load(b, "acme");
    store_free(a);
    a = redis_store_connect(&server, &redis_roomy, 10000, metrics);
    assert_int_equal(store_noted_hole(a), 6000);
    store_free(a);
    store_free(b);
}

static void test_a_place_is_known_to_the_next_process_and_saved_by_the_later_owner(void **state)
{
    struct store *former = open_store(&redis_roomy);
    struct store *owner;

    (void)state;
    store_save_place(former, "EVENTS", 5);
    assert_int_equal(place_load(former, "EVENTS"), 5);
    owner = redis_store_connect(&server, &redis_roomy, 10000, metrics);
    assert_int_equal(place_load(owner, "EVENTS"), 5);
    store_set_epoch(owner, 2);
    store_save_place(owner, "EVENTS", 6);
    assert_int_equal(place_load(owner, "EVENTS"), 6);
    store_save_place(former, "EVENTS", 7);
    assert_int_equal(place_load(former, "EVENTS"), 6);
    store_save_place(owner, "EVENTS", 7);
    assert_int_equal(place_load(owner, "EVENTS"), 7);
    store_free(former);
    store_free(owner);
}

static void test_every_key_has_a_bounded_life(void **state)
{
    static const char *const keys[] = {"sluice:{acme}:log", "sluice:{acme}:head", "sluice:{acme}:holes", "sluice:hole"};
    struct store *store = open_store(&redis_roomy);
    struct events events = events_of("acme");
    struct frame *hole = hole_frame((struct event_position){.ms = events.first.ms + 10, .seq = 11});
    char reply[64];

    (void)state;
    events_append(store, &events, 10);
    assert_int_equal(frames_append(store, "acme", &hole, 1), 0);
    store_note_hole(store, 123456);
    head_load(store, "acme");
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        redis_server_ask(&server, reply, sizeof reply, REDIS_COMMAND("PTTL", keys[i]));
        if (reply[0] != ':' || reply[1] == '-')
            fail_msg("%s lives for ever: PTTL %s", keys[i], reply);
    }
    store_free(store);
}

static void test_scripts_that_redis_forgot_are_sent_again(void **state)
{
    struct store *store = open_store(&redis_roomy);
    struct events events = events_of("acme");
    struct event_position middle = {.ms = events.first.ms + 9, .seq = 10};

    (void)state;
    assert_int_equal(events_try_append(store, &events, 0, 10), 0);
    redis_server_tell(&server, REDIS_COMMAND("SCRIPT", "FLUSH"));
    assert_int_equal(events_try_append(store, &events, 10, 10), 0);
    redis_server_tell(&server, REDIS_COMMAND("SCRIPT", "FLUSH"));
    assert_int_equal(read_all(store, "acme", middle, 100, NULL), 10);
    assert_int_equal(read_all(store, "acme", beginning, 100, NULL), 20);
    assert_int_equal(store_state(store), STORE_READY);
    store_free(store);
}

static void test_two_appends_under_way_survive_forgotten_scripts(void **state)
{
    struct store *store = open_store(&redis_roomy);
    struct events events = events_of("acme");
    struct answer first;
    struct answer second;

    (void)state;
    redis_server_tell(&server, REDIS_COMMAND("SCRIPT", "FLUSH"));
    events_start_append(store, &events, 0, 10, &first);
    events_start_append(store, &events, 10, 10, &second);
    store_wait(store, &second);
    assert_int_equal(first.calls, 1);
    assert_int_equal(first.status, 0);
    assert_int_equal(second.status, 0);
    assert_int_equal(read_all(store, "acme", beginning, 100, NULL), 20);
    store_free(store);
}

static void test_the_database_of_the_url_is_used(void **state)
{
    struct events events = events_of("acme");
    struct store *store = open_store(&redis_roomy);
    struct store *other;
    char url[64];

    (void)state;
    events_append(store, &events, 10);
    snprintf(url, sizeof url, "redis://127.0.0.1:%d/5", server.port);
    other = redis_store_new(url, &redis_roomy, 10000, metrics);
    store_wait_state(other, STORE_READY);
    assert_false(head_load(other, "acme").exists);
    store_free(other);
    store_free(store);
}

static void add_foreign_member(uint64_t ms, const char *member)
{
    char score[32];

    snprintf(score, sizeof score, "%llu", (unsigned long long)ms);
    redis_server_tell(&server, REDIS_COMMAND("ZADD", "sluice:{acme}:log", score, member));
}

static void test_foreign_members_are_left_out(void **state)
{
    struct store *store = open_store(&redis_roomy);
    struct events events = events_of("acme");

    (void)state;
    events.ms_step = 10;
    events_append(store, &events, 10);
    add_foreign_member(events.first.ms - 5, "foreign");
    add_foreign_member(events.first.ms + 15, "");
    add_foreign_member(events.first.ms + 25, "0000000000000003|s|bad\nname|x");
    add_foreign_member(events.first.ms + 200, "x|y|z");
    assert_int_equal(read_all(store, "acme", beginning, 100, NULL), 10);
    assert_int_equal(store_state(store), STORE_READY);
    store_free(store);
}

/* Whoever asks for what follows each page would ask for ever. */
static void test_a_page_of_foreign_members_alone_is_the_last(void **state)
{
    struct store *store = open_store(&redis_roomy);
    struct events events = events_of("acme");
    struct page page;

    (void)state;
    events_append(store, &events, 1);
    for (int i = 0; i < 20; i++) {
        char member[32];

        snprintf(member, sizeof member, "foreign%d", i);
        add_foreign_member(events.first.ms + 10, member);
    }
    page_read(store, "acme", events.first, 10, 1 << 20, &page);
    assert_int_equal(page.page.count, 0);
    assert_true(page.page.last);
    page_release(&page);
    store_free(store);
}

/* The place is looked for among the members of its millisecond. */
static void test_a_foreign_member_beside_the_place_asked_from_does_no_harm(void **state)
{
    struct store *store = open_store(&redis_roomy);
    struct events events = events_of("acme");

    (void)state;
    events.ms_step = 0;
    events_append(store, &events, 10);
    add_foreign_member(events.first.ms, "foreign");
    add_foreign_member(events.first.ms, "");
    for (uint64_t seq = 0; seq <= 10; seq++) {
        struct store_read read = {
            .company = "acme", .after = {.ms = events.first.ms, .seq = seq}, .max_events = 100, .max_bytes = 1 << 20};
        struct page page;

        page_start(store, &read, &page);
        store_wait(store, &page.answer);
        assert_int_equal(page.answer.status, 0);
        assert_int_equal(page.page.count, 10 - seq);
        page_release(&page);
    }
    store_free(store);
}

static void test_a_foreign_member_that_is_trimmed_does_no_harm(void **state)
{
    struct store_limits few = {.ttl_ms = 3600000, .max_events = 10, .max_bytes = 1 << 28};
    struct store *store = open_store(&few);
    struct events events = events_of("acme");

    (void)state;
    add_foreign_member(events.first.ms + 53, "foreign");
    assert_int_equal(events_try_append(store, &events, 0, 64), 0);
    assert_int_equal(events_try_append(store, &events, 64, 64), 0);
    assert_int_equal(store_state(store), STORE_READY);
    assert_int_equal(head_load(store, "acme").position.seq, 128);
    store_free(store);
}

static void test_two_holes_in_one_millisecond_are_two(void **state)
{
    struct store *store = open_store(&redis_roomy);
    struct events events = events_of("acme");
    struct frame *frames[4];

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        events.ms_step = 0;
        frames[i] = i % 2 == 0 ? events_frame(&events, i)
                               : hole_frame((struct event_position){.ms = events.first.ms, .seq = i + 1});
    }
    assert_int_equal(frames_append(store, "acme", frames, 4), 0);
    assert_int_equal(events_count(store, "acme"), 2);
    store_free(store);
}

static void test_holes_behind_the_same_event_are_all_kept(void **state)
{
    struct store *store = open_store(&redis_roomy);
    struct events events = events_of("acme");
    struct frame *frames[3];
    struct page page;

    (void)state;
    frames[0] = events_frame(&events, 0);
    for (uint64_t i = 1; i < 3; i++)
        frames[i] = hole_frame((struct event_position){.ms = events.first.ms + i, .seq = events.first.seq});
    assert_int_equal(frames_append(store, "acme", frames, 3), 0);
    page_read(store, "acme", beginning, 10, 1 << 20, &page);
    assert_int_equal(page.page.count, 3);
    page_release(&page);
    page_read(store, "acme", (struct event_position){.ms = events.first.ms + 1, .seq = events.first.seq}, 10, 1 << 20,
              &page);
    assert_true(page.page.exact);
    assert_int_equal(page.page.count, 1);
    page_release(&page);
    assert_int_equal(events_count(store, "acme"), 1);
    store_free(store);
}

int main(void)
{
    struct store_suite suite = {.open = open_store, .trim_slack = 64 + STORE_APPEND_MAX};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_url_that_is_none_makes_no_store),
        cmocka_unit_test(test_another_process_goes_on_with_what_was_stored),
        cmocka_unit_test(test_a_noted_hole_is_known_to_the_next_process),
        cmocka_unit_test(test_of_the_holes_that_two_processes_note_the_later_one_stays),
        cmocka_unit_test(test_a_place_is_known_to_the_next_process_and_saved_by_the_later_owner),
        cmocka_unit_test(test_every_key_has_a_bounded_life),
        cmocka_unit_test(test_scripts_that_redis_forgot_are_sent_again),
        cmocka_unit_test(test_two_appends_under_way_survive_forgotten_scripts),
        cmocka_unit_test(test_the_database_of_the_url_is_used),
        cmocka_unit_test(test_foreign_members_are_left_out),
        cmocka_unit_test(test_a_page_of_foreign_members_alone_is_the_last),
        cmocka_unit_test(test_a_foreign_member_beside_the_place_asked_from_does_no_harm),
        cmocka_unit_test(test_a_foreign_member_that_is_trimmed_does_no_harm),
        cmocka_unit_test(test_holes_behind_the_same_event_are_all_kept),
        cmocka_unit_test(test_its_redis_does_not_compare_bytes),
        cmocka_unit_test(test_two_holes_in_one_millisecond_are_two),
    };
    int failed;

    metrics = metrics_new();
    choose_language();
    failed = store_suite_run("store_redis contract", &suite);
    failed += store_source_suite_run("store_redis and streams", &suite);
    failed += cmocka_run_group_tests(tests, NULL, NULL);
    redis_server_kill(&server);
    metrics_free(metrics);
    return failed;
}
