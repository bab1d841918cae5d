/* What an append does in Redis when it only has to add its events, and when it must do more. */
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

/* Lives that no append gives to the log: one is longer, one shorter. */
#define LONG_LIFE "72000000"
#define SHORT_LIFE "600000"
enum { LIFE_MS = 3600000 + STORE_UPKEEP_MS, TEN_HOURS_MS = 36000000 };

static struct redis_server server;
static struct metrics *metrics;
static const struct event_position beginning = {0, 0};
static struct store *store;
static struct events events;

static void open_store(const struct store_limits *limits)
{
    redis_server_tell(&server, REDIS_COMMAND("FLUSHALL"));
    store = redis_store_connect(&server, limits, 10000, metrics);
    events = events_of("acme");
}

static int set_up(void **state)
{
    (void)state;
    open_store(&redis_roomy);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    store_free(store);
    return 0;
}

static void reopen(const struct store_limits *limits)
{
    store_free(store);
    open_store(limits);
}

/* An append without upkeep. */
static int try_add(struct store *to, size_t from, size_t count)
{
    struct frame *frames[STORE_APPEND_MAX];
    struct store_append append = {
        .company = events.company, .frames = frames, .count = count, .since_ms = events.since_ms};
    struct answer answer;

    for (size_t i = 0; i < count; i++)
        frames[i] = events_frame(&events, from + i);
    frames_start_append(to, &append, &answer);
    for (size_t i = 0; i < count; i++)
        frame_unref(frames[i]);
    store_wait(to, &answer);
    return answer.status;
}

static void add(size_t from, size_t count)
{
    assert_int_equal(try_add(store, from, count), 0);
}

static void set_life(const char *key, const char *ms)
{
    redis_server_tell(&server, REDIS_COMMAND("PEXPIRE", key, ms));
}

static long long life_of(const char *key)
{
    char reply[64];

    redis_server_ask(&server, reply, sizeof reply, REDIS_COMMAND("PTTL", key));
    assert_int_equal(reply[0], ':');
    return strtoll(reply + 1, NULL, 10);
}

/* Whether the appends since the last call did nothing but add: they left the log the life that it was given then. */
static bool only_added(void)
{
    bool untouched = life_of("sluice:{acme}:log") > TEN_HOURS_MS;

    set_life("sluice:{acme}:log", LONG_LIFE);
    return untouched;
}

static size_t held(void)
{
    return read_all(store, "acme", beginning, 100, NULL);
}

static void what_is_right_behind_the_head_is_only_added(void **state)
{
    struct store_head head;

    (void)state;
    events_append(store, &events, 10);
    assert_false(only_added());
    add(10, 5);
    add(15, 1);
    assert_true(only_added());
    head = head_load(store, "acme");
    assert_int_equal(head.position.seq, 16);
    assert_int_equal(head.position.ms, events.first.ms + 15);
    assert_int_equal(head.since_ms, events.since_ms);
    assert_string_equal(head.subject, "metrics.test");
    assert_int_equal(held(), 16);
    assert_int_equal(events_count(store, "acme"), 16);
}

static void of_one_millisecond_the_number_tells_what_is_behind_the_head(void **state)
{
    (void)state;
    events.ms_step = 0;
    events.first.seq = 95; /* 99 and 100 have another number of digits */
    events_append(store, &events, 5);
    (void)only_added();
    add(5, 5);
    assert_true(only_added());
    add(7, 6);
    assert_false(only_added());
    assert_int_equal(held(), 13);
    assert_int_equal(head_load(store, "acme").position.seq, 95 + 12);
}

static void what_is_held_already_is_not_added_again(void **state)
{
    (void)state;
    events_append(store, &events, 10);
    (void)only_added();
    add(9, 1);
    assert_false(only_added());
    add(4, 10);
    assert_false(only_added());
    assert_int_equal(held(), 14);
    add(14, 1);
    assert_true(only_added());
    assert_int_equal(held(), 15);
}

static void a_company_that_the_store_does_not_know_begins_with_all_it_needs(void **state)
{
    struct store_head head;

    (void)state;
    add(0, 3);
    head = head_load(store, "acme");
    assert_int_equal(head.position.seq, 3);
    assert_int_equal(head.since_ms, events.since_ms);
    assert_true(life_of("sluice:{acme}:log") > 0);
    assert_true(life_of("sluice:{acme}:head") > 0);
    assert_int_equal(held(), 3);
}

static void a_store_that_lost_everything_begins_anew(void **state)
{
    (void)state;
    events_append(store, &events, 3);
    redis_server_tell(&server, REDIS_COMMAND("FLUSHALL"));
    add(3, 2);
    assert_true(life_of("sluice:{acme}:log") > 0);
    assert_int_equal(held(), 2);
    assert_int_equal(head_load(store, "acme").since_ms, events.since_ms);
}

static void another_epoch_is_entered_or_refused(void **state)
{
    struct store *later = redis_store_connect(&server, &redis_roomy, 10000, metrics);

    (void)state;
    events_append(store, &events, 3);
    store_set_epoch(later, 2);
    (void)only_added();
    assert_int_equal(try_add(later, 3, 1), 0);
    assert_false(only_added());
    assert_int_equal(try_add(store, 4, 1), -EPERM);
    assert_int_equal(try_add(later, 4, 1), 0);
    assert_true(only_added());
    assert_int_equal(held(), 5);
    store_free(later);
}

static void a_hole_is_kept_as_one(void **state)
{
    struct frame *frames[2];
    struct store_append append = {.company = "acme", .frames = frames, .count = 2};
    struct answer answer;

    (void)state;
    events_append(store, &events, 3);
    frames[0] = hole_frame((struct event_position){.ms = events.first.ms + 3, .seq = 4});
    frames[1] = events_frame(&events, 4);
    frames_start_append(store, &append, &answer);
    store_wait(store, &answer);
    frame_unref(frames[0]);
    frame_unref(frames[1]);
    assert_int_equal(answer.status, 0);
    assert_int_equal(held(), 5);
    assert_int_equal(events_count(store, "acme"), 4);
}

static void too_many_bytes_are_trimmed_at_once(void **state)
{
    (void)state;
    reopen(&(struct store_limits){.ttl_ms = 3600000, .max_events = 1000000, .max_bytes = 20000});
    events.payload_size = 2000;
    events_append(store, &events, 1);
    for (size_t i = 1; i < 60; i++)
        add(i, 1);
    assert_in_range(held(), 8, 10);
    assert_int_equal(head_load(store, "acme").position.seq, 60);
}

static void too_many_events_are_trimmed_with_every_64th(void **state)
{
    (void)state;
    reopen(&(struct store_limits){.ttl_ms = 3600000, .max_events = 10, .max_bytes = 1 << 28});
    events_append(store, &events, 1);
    for (size_t i = 1; i < 63; i++)
        add(i, 1);
    assert_int_equal(held(), 63);
    add(63, 1);
    assert_int_equal(held(), 10);
    add(64, 62);
    assert_int_equal(held(), 72);
    add(126, 4); /* 128 is among them */
    assert_int_equal(held(), 10);
}

/* Else a log that is too long would stay so under a flood of one company. */
static void a_full_append_trims_more_than_it_adds(void **state)
{
    static const struct store_limits few = {.ttl_ms = 3600000, .max_events = 10, .max_bytes = 1 << 28};
    enum { FULL = STORE_APPEND_MAX };

    (void)state;
    events_append(store, &events, 4 * (size_t)FULL);
    store_free(store);
    store = redis_store_connect(&server, &few, 10000, metrics);
    add(4 * (size_t)FULL, FULL);
    assert_int_equal(held(), 3 * FULL);
    add(5 * (size_t)FULL, FULL);
    assert_int_equal(held(), 2 * FULL);
}

static void assert_prolonged(void)
{
    /* All that come without upkeep until the next one that has it find a log that outlives them by the retention. */
    assert_in_range(life_of("sluice:{acme}:log"), 3600000 + 1, LIFE_MS);
    assert_true(life_of("sluice:{acme}:head") > LIFE_MS);
}

static void upkeep_prolongs_what_is_held_even_if_nothing_is_new(void **state)
{
    (void)state;
    events_append(store, &events, 3);
    assert_prolonged();
    set_life("sluice:{acme}:log", SHORT_LIFE);
    set_life("sluice:{acme}:head", SHORT_LIFE);
    events_append(store, &events, 3);
    assert_prolonged();
    assert_int_equal(held(), 3);
}

static void upkeep_trims(void **state)
{
    (void)state;
    reopen(&(struct store_limits){.ttl_ms = 3600000, .max_events = 10, .max_bytes = 1 << 28});
    events_append(store, &events, 1);
    add(1, 30);
    assert_int_equal(held(), 31);
    events.first = (struct event_position){.ms = events.first.ms + 31, .seq = 32};
    events_append(store, &events, 1);
    assert_int_equal(held(), 10);
}

/* Appends without upkeep, of events of a stream. */
static void add_places(size_t from, size_t count, const uint64_t *places)
{
    struct frame *frames[STORE_APPEND_MAX];
    struct store_append append = {.company = "acme", .frames = frames, .sources = places, .count = count};
    struct answer answer;

    for (size_t i = 0; i < count; i++)
        frames[i] = events_frame(&events, from + i);
    frames_start_append(store, &append, &answer);
    for (size_t i = 0; i < count; i++)
        frame_unref(frames[i]);
    store_wait(store, &answer);
    assert_int_equal(answer.status, 0);
}

static void of_a_stream_the_place_tells_too_what_is_behind_the_head(void **state)
{
    (void)state;
    events_append(store, &events, 1);
    (void)only_added();
    add_places(1, 2, (const uint64_t[]){1000, 1001});
    assert_int_equal(head_load(store, "acme").source, 1001);
    add_places(3, 3, (const uint64_t[]){0, 1002, 0});
    assert_int_equal(head_load(store, "acme").source, 1002);
    add_places(6, 1, (const uint64_t[]){0});
    assert_int_equal(head_load(store, "acme").source, 1002);
    assert_true(only_added());
    assert_int_equal(held(), 7);
    add_places(7, 3, (const uint64_t[]){1001, 1002, 1003});
    assert_false(only_added());
    assert_int_equal(head_load(store, "acme").source, 1003);
    assert_int_equal(held(), 8);
}

static void a_script_that_redis_forgot_is_sent_again_and_then_the_other(void **state)
{
    (void)state;
    events_append(store, &events, 3);
    redis_server_tell(&server, REDIS_COMMAND("SCRIPT", "FLUSH"));
    (void)only_added();
    add(3, 1);
    assert_true(only_added());
    redis_server_tell(&server, REDIS_COMMAND("SCRIPT", "FLUSH"));
    add(2, 4);
    assert_false(only_added());
    assert_int_equal(held(), 6);
    assert_int_equal(store_state(store), STORE_READY);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_right_behind_the_head_is_only_added),
        TEST(of_one_millisecond_the_number_tells_what_is_behind_the_head),
        TEST(what_is_held_already_is_not_added_again),
        TEST(a_company_that_the_store_does_not_know_begins_with_all_it_needs),
        TEST(a_store_that_lost_everything_begins_anew),
        TEST(another_epoch_is_entered_or_refused),
        TEST(a_hole_is_kept_as_one),
        TEST(too_many_bytes_are_trimmed_at_once),
        TEST(too_many_events_are_trimmed_with_every_64th),
        TEST(a_full_append_trims_more_than_it_adds),
        TEST(upkeep_prolongs_what_is_held_even_if_nothing_is_new),
        TEST(upkeep_trims),
        TEST(of_a_stream_the_place_tells_too_what_is_behind_the_head),
        TEST(a_script_that_redis_forgot_is_sent_again_and_then_the_other),
    };
    int failed;

    metrics = metrics_new();
    redis_server_start(&server);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    redis_server_kill(&server);
    metrics_free(metrics);
    return failed;
}
