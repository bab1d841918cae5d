#include "replay/store_redis.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "tests/unit/replay/redis_server.h"
#include "tests/unit/replay/store_client.h"
#include "tests/unit/replay/store_suite.h"

static struct redis_server server;
static struct metrics *metrics;

static const struct store_limits limits = {.ttl_ms = 3600000, .max_events = 1000000, .max_bytes = 1 << 28};
static const struct event_position beginning = {0, 0};

/* What the observer was told last, and how often. */
struct told {
    int lost;
    int ready;
    int fenced;
    char reason[256];
};

static void on_state(void *context, enum store_state state, const char *reason)
{
    struct told *told = context;

    told->lost += state == STORE_LOST;
    told->ready += state == STORE_READY;
    told->fenced += state == STORE_FENCED;
    snprintf(told->reason, sizeof told->reason, "%s", reason);
}

static struct store *new_store(const char *url, const struct store_limits *store_limits, int timeout_ms)
{
    struct store_redis_options options = {
        .url = url, .limits = *store_limits, .timeout_ms = timeout_ms, .metrics = metrics, .holder = "test"};
    struct store *store = store_redis_new(&options);

    assert_non_null(store);
    return store;
}

static struct store *connect_to(const struct redis_server *to, const struct store_limits *store_limits, int timeout_ms)
{
    char url[64];
    struct store *store;

    snprintf(url, sizeof url, "redis://127.0.0.1:%d", to->port);
    store = new_store(url, store_limits, timeout_ms);
    assert_int_equal(store_state(store), STORE_LOST);
    store_wait_state(store, STORE_READY);
    return store;
}

static struct store *open_store(const struct store_limits *store_limits)
{
    redis_server_tell(&server, REDIS_COMMAND("FLUSHALL"));
    return connect_to(&server, store_limits, 10000);
}

static struct events events_of(const char *company)
{
    uint64_t ms = (uint64_t)clock_unix_ms() - 60000;

    return (struct events){.company = company, .first = {.ms = ms, .seq = 1}, .ms_step = 1, .since_ms = ms};
}

static int append_some(struct store *store, const struct events *events, size_t from, size_t count)
{
    struct answer answer;

    events_start_append(store, events, from, count, &answer);
    store_wait(store, &answer);
    return answer.status;
}

static void test_a_url_that_is_none_makes_no_store(void **state)
{
    struct store_redis_options options = {
        .url = "redis:///3", .limits = limits, .timeout_ms = 100, .metrics = metrics, .holder = "test"};

    (void)state;
    assert_null(store_redis_new(&options));
}

static void test_without_a_connection_requests_fail_at_once(void **state)
{
    struct store *store = new_store("redis://127.0.0.1:1", &limits, 1000);
    struct events events = events_of("acme");
    struct store_read read = {.company = "acme", .max_events = 10, .max_bytes = 1000};
    struct loaded_head head;
    struct answer append;
    struct answer count;
    struct page page;

    (void)state;
    assert_false(store_is_memory(store));
    assert_int_equal(store_state(store), STORE_LOST);
    events_start_append(store, &events, 0, 1, &append);
    head_start(store, "acme", &head);
    page_start(store, &read, &page);
    count_start(store, &count);
    store_wait(store, &append);
    assert_int_equal(append.status, -EAGAIN);
    assert_int_equal(head.answer.calls, 1);
    assert_int_equal(head.answer.status, -EAGAIN);
    assert_int_equal(page.answer.calls, 1);
    assert_int_equal(page.answer.status, -EAGAIN);
    assert_int_equal(count.calls, 1);
    assert_int_equal(count.status, -EAGAIN);
    store_free(store);
}

static void test_another_process_goes_on_with_what_was_stored(void **state)
{
    struct store *store = open_store(&limits);
    struct events events = events_of("acme");

    (void)state;
    events_append(store, &events, 100);
    store_free(store);
    store = connect_to(&server, &limits, 10000);
    assert_int_equal(head_load(store, "acme").position.seq, 100);
    assert_int_equal(read_all(store, "acme", beginning, 64, NULL), 100);
    assert_int_equal(append_some(store, &events, 100, 10), 0);
    assert_int_equal(read_all(store, "acme", beginning, 64, NULL), 110);
    store_free(store);
}

static void test_a_noted_hole_is_known_to_the_next_process(void **state)
{
    struct store *store = open_store(&limits);
    struct loaded_head head;

    (void)state;
    assert_int_equal(store_noted_hole(store), 0);
    store_note_hole(store, 123456);
    head_start(store, "acme", &head);
    store_wait(store, &head.answer);
    store_free(store);
    store = connect_to(&server, &limits, 10000);
    assert_int_equal(store_noted_hole(store), 123456);
    store_free(store);
}

static void test_every_key_has_a_bounded_life(void **state)
{
    static const char *const keys[] = {"sluice:{acme}:log", "sluice:{acme}:head", "sluice:{acme}:holes", "sluice:hole"};
    struct store *store = open_store(&limits);
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
    struct store *store = open_store(&limits);
    struct events events = events_of("acme");
    struct event_position middle = {.ms = events.first.ms + 9, .seq = 10};

    (void)state;
    assert_int_equal(append_some(store, &events, 0, 10), 0);
    redis_server_tell(&server, REDIS_COMMAND("SCRIPT", "FLUSH"));
    assert_int_equal(append_some(store, &events, 10, 10), 0);
    redis_server_tell(&server, REDIS_COMMAND("SCRIPT", "FLUSH"));
    assert_int_equal(read_all(store, "acme", middle, 100, NULL), 10);
    assert_int_equal(read_all(store, "acme", beginning, 100, NULL), 20);
    assert_int_equal(store_state(store), STORE_READY);
    store_free(store);
}

static void test_two_appends_under_way_survive_forgotten_scripts(void **state)
{
    struct store *store = open_store(&limits);
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

/* An append that is made by a callback, behind two that were made before. */
struct third_append {
    struct store *store;
    const struct events *events;
    struct answer answer;
};

static void append_third(void *context, int status, const struct store_head *head)
{
    struct third_append *third = context;

    (void)head;
    assert_int_equal(status, 0);
    events_start_append(third->store, third->events, 20, 10, &third->answer);
}

/* The replies: forgotten (first), the head, forgotten (second). What the head's callback appends must not overtake. */
static void test_no_append_overtakes_one_that_is_sent_again(void **state)
{
    struct store *store = open_store(&limits);
    struct events events = events_of("acme");
    struct third_append third = {.store = store, .events = &events};
    struct answer first;
    struct answer second;

    (void)state;
    redis_server_tell(&server, REDIS_COMMAND("SCRIPT", "FLUSH"));
    events_start_append(store, &events, 0, 10, &first);
    store_load(store, "acme", append_third, &third);
    events_start_append(store, &events, 10, 10, &second);
    while (third.answer.calls == 0 || second.calls == 0)
        store_pump(store);
    assert_int_equal(first.status, 0);
    assert_int_equal(second.status, 0);
    assert_int_equal(third.answer.status, 0);
    assert_int_equal(read_all(store, "acme", beginning, 100, NULL), 30);
    store_free(store);
}

static void test_an_append_of_the_former_owner_is_refused(void **state)
{
    struct store *former = open_store(&limits);
    struct events events = events_of("acme");
    struct told told = {0};
    struct store *owner;

    (void)state;
    store_observe(former, on_state, &told);
    assert_int_equal(append_some(former, &events, 0, 10), 0);
    owner = connect_to(&server, &limits, 10000);
    assert_int_equal(append_some(owner, &events, 10, 10), 0);
    assert_int_equal(append_some(former, &events, 20, 10), -EAGAIN);
    assert_int_equal(store_state(former), STORE_FENCED);
    assert_int_equal(told.fenced, 1);
    assert_int_equal(read_all(owner, "acme", beginning, 100, NULL), 20);
    /* Reading does no harm. */
    assert_int_equal(read_all(former, "acme", beginning, 100, NULL), 20);
    store_free(former);
    store_free(owner);
}

/* Also those for companies that the new owner has not written to yet. */
static void test_a_store_that_was_fenced_appends_nothing_any_more(void **state)
{
    struct store *former = open_store(&limits);
    struct store *owner = connect_to(&server, &limits, 10000);
    struct events events = events_of("acme");
    struct events others = events_of("other");

    (void)state;
    assert_int_equal(append_some(owner, &events, 0, 10), 0);
    assert_int_equal(append_some(former, &events, 10, 10), -EAGAIN);
    assert_int_equal(store_state(former), STORE_FENCED);
    assert_int_equal(append_some(former, &others, 0, 10), -EAGAIN);
    assert_false(head_load(owner, "other").exists);
    store_free(former);
    store_free(owner);
}

static void test_a_former_owner_that_reconnects_stays_fenced(void **state)
{
    struct store *former = open_store(&limits);
    struct store *owner = connect_to(&server, &limits, 10000);
    struct told told = {0};

    (void)state;
    store_observe(former, on_state, &told);
    redis_server_tell(&server, REDIS_COMMAND("CLIENT", "KILL", "TYPE", "normal"));
    store_wait_state(former, STORE_FENCED);
    assert_int_equal(told.ready, 0);
    assert_int_equal(told.lost, 1);
    store_free(former);
    store_free(owner);
}

static void test_a_lost_server_answers_every_request_and_comes_back(void **state)
{
    struct redis_server own = {0};
    struct events events = events_of("acme");
    struct store_read read = {.company = "acme", .max_events = 10, .max_bytes = 1000};
    struct told told = {0};
    struct answer append;
    struct answer count;
    struct loaded_head head;
    struct page page;
    struct store *store;

    (void)state;
    redis_server_start(&own);
    store = connect_to(&own, &limits, 10000);
    store_observe(store, on_state, &told);
    assert_int_equal(append_some(store, &events, 0, 10), 0);
    /* It hangs, is asked, and dies: what it was asked gets no other answer than this. */
    redis_server_pause(&own);
    events_start_append(store, &events, 10, 10, &append);
    head_start(store, "acme", &head);
    page_start(store, &read, &page);
    count_start(store, &count);
    store_run(store);
    redis_server_kill(&own);
    store_wait(store, &append);
    while (count.calls == 0)
        store_pump(store);
    assert_int_equal(append.status, -EAGAIN);
    assert_int_equal(head.answer.status, -EAGAIN);
    assert_int_equal(page.answer.status, -EAGAIN);
    assert_int_equal(count.status, -EAGAIN);
    assert_int_equal(store_state(store), STORE_LOST);
    assert_int_equal(told.lost, 1);
    assert_int_equal(append_some(store, &events, 10, 10), -EAGAIN);
    redis_server_start(&own);
    store_wait_state(store, STORE_READY);
    assert_int_equal(told.ready, 1);
    /* Its data is gone: the owner appends again what it still has, and no number changes. */
    assert_false(head_load(store, "acme").exists);
    assert_int_equal(append_some(store, &events, 0, 20), 0);
    assert_int_equal(head_load(store, "acme").position.seq, 20);
    assert_int_equal(append.calls + head.answer.calls + page.answer.calls + count.calls, 4);
    store_free(store);
    redis_server_kill(&own);
}

/* The epoch survives: after the loss of all data the former owner's is still the lower one. */
static void test_an_owner_that_lost_its_data_is_still_behind_a_later_one(void **state)
{
    struct store *former = open_store(&limits);
    struct store *owner;
    struct events events = events_of("acme");

    (void)state;
    redis_server_tell(&server, REDIS_COMMAND("FLUSHALL"));
    owner = connect_to(&server, &limits, 10000);
    assert_int_equal(append_some(owner, &events, 0, 10), 0);
    assert_int_equal(append_some(former, &events, 10, 10), -EAGAIN);
    store_free(former);
    store_free(owner);
}

static void test_a_server_that_hangs_counts_as_lost(void **state)
{
    struct redis_server own = {0};
    struct events events = events_of("acme");
    struct told told = {0};
    struct store *store;

    (void)state;
    redis_server_start(&own);
    store = connect_to(&own, &limits, 300);
    store_observe(store, on_state, &told);
    redis_server_pause(&own);
    assert_int_equal(append_some(store, &events, 0, 10), -EAGAIN);
    store_wait_state(store, STORE_LOST);
    assert_non_null(strstr(told.reason, "no answer in time"));
    redis_server_resume(&own);
    store_wait_state(store, STORE_READY);
    /* The server may have carried it out all the same: again, it changes nothing. */
    assert_int_equal(append_some(store, &events, 0, 10), 0);
    assert_int_equal(read_all(store, "acme", beginning, 100, NULL), 10);
    store_free(store);
    redis_server_kill(&own);
}

static void test_a_server_that_hangs_shows_also_when_nobody_asks(void **state)
{
    struct redis_server own = {0};
    struct store *store;

    (void)state;
    redis_server_start(&own);
    store = connect_to(&own, &limits, 300);
    redis_server_pause(&own);
    store_wait_state(store, STORE_LOST);
    store_free(store);
    redis_server_kill(&own);
}

/* Runs until the observer was told of a loss, or the store has made several attempts in vain: then it never will be. */
static void wait_for_loss(struct store *store, const struct told *told)
{
    int attempts = 0;
    bool was_connected = false;

    while (told->lost == 0 && attempts < 4) {
        short events;
        bool is_connected;

        store_pump(store);
        is_connected = store_poll_fd(store, &events) >= 0;
        attempts += was_connected && !is_connected;
        was_connected = is_connected;
    }
}

static void test_a_wrong_password_is_told_without_showing_it(void **state)
{
    struct redis_server own = {.password = "right"};
    struct told told = {0};
    struct store *store;
    char url[64];

    (void)state;
    redis_server_start(&own);
    snprintf(url, sizeof url, "redis://:wrong-secret@127.0.0.1:%d", own.port);
    store = new_store(url, &limits, 2000);
    store_observe(store, on_state, &told);
    wait_for_loss(store, &told);
    assert_int_equal(store_state(store), STORE_LOST);
    store_free(store);
    redis_server_kill(&own);
    assert_int_equal(told.lost, 1);
    assert_non_null(strstr(told.reason, "WRONGPASS"));
    assert_null(strstr(told.reason, "wrong-secret"));
}

static void test_users_and_odd_passwords_log_in(void **state)
{
    struct redis_server own = {.password = "right"};
    struct store *store;
    char url[128];

    (void)state;
    redis_server_start(&own);
    redis_server_tell(&own, REDIS_COMMAND("ACL", "SETUSER", "sluice", "on", ">p@ss:w/rd%", "~*", "+@all"));
    snprintf(url, sizeof url, "redis://sluice:p%%40ss%%3Aw%%2Frd%%25@127.0.0.1:%d/3", own.port);
    store = new_store(url, &limits, 2000);
    store_wait_state(store, STORE_READY);
    store_free(store);
    snprintf(url, sizeof url, "redis://:right@127.0.0.1:%d", own.port);
    store = new_store(url, &limits, 2000);
    store_wait_state(store, STORE_READY);
    store_free(store);
    redis_server_kill(&own);
}

static void test_the_database_of_the_url_is_used(void **state)
{
    struct events events = events_of("acme");
    struct store *store = open_store(&limits);
    struct store *other;
    char url[64];

    (void)state;
    events_append(store, &events, 10);
    snprintf(url, sizeof url, "redis://127.0.0.1:%d/5", server.port);
    other = new_store(url, &limits, 10000);
    store_wait_state(other, STORE_READY);
    assert_false(head_load(other, "acme").exists);
    store_free(other);
    store_free(store);
}

static void test_a_full_server_is_a_lost_store_until_it_has_room(void **state)
{
    struct redis_server own = {0};
    struct events events = events_of("acme");
    struct told told = {0};
    struct store *store;

    (void)state;
    redis_server_start(&own);
    store = connect_to(&own, &limits, 10000);
    store_observe(store, on_state, &told);
    events.payload_size = 10000;
    redis_server_tell(&own, REDIS_COMMAND("CONFIG", "SET", "maxmemory-policy", "noeviction", "maxmemory", "1mb"));
    assert_int_equal(append_some(store, &events, 0, 100), -EAGAIN);
    store_wait_state(store, STORE_LOST);
    assert_non_null(strstr(told.reason, "OOM"));
    redis_server_tell(&own, REDIS_COMMAND("CONFIG", "SET", "maxmemory", "0"));
    store_wait_state(store, STORE_READY);
    assert_int_equal(append_some(store, &events, 0, 100), 0);
    assert_int_equal(read_all(store, "acme", beginning, 100, NULL), 100);
    store_free(store);
    redis_server_kill(&own);
}

static void add_foreign_member(uint64_t ms, const char *member)
{
    char score[32];

    snprintf(score, sizeof score, "%llu", (unsigned long long)ms);
    redis_server_tell(&server, REDIS_COMMAND("ZADD", "sluice:{acme}:log", score, member));
}

static void test_foreign_members_are_left_out(void **state)
{
    struct store *store = open_store(&limits);
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

/* The place is looked for among the members of its millisecond. */
static void test_a_foreign_member_beside_the_place_asked_from_does_no_harm(void **state)
{
    struct store *store = open_store(&limits);
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
    assert_int_equal(append_some(store, &events, 0, 64), 0);
    assert_int_equal(append_some(store, &events, 64, 64), 0);
    assert_int_equal(store_state(store), STORE_READY);
    assert_int_equal(head_load(store, "acme").position.seq, 128);
    store_free(store);
}

static void test_two_holes_in_one_millisecond_are_two(void **state)
{
    struct store *store = open_store(&limits);
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

int main(void)
{
    struct store_suite suite = {.open = open_store, .trim_slack = 64 + STORE_APPEND_MAX};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_url_that_is_none_makes_no_store),
        cmocka_unit_test(test_without_a_connection_requests_fail_at_once),
        cmocka_unit_test(test_another_process_goes_on_with_what_was_stored),
        cmocka_unit_test(test_a_noted_hole_is_known_to_the_next_process),
        cmocka_unit_test(test_every_key_has_a_bounded_life),
        cmocka_unit_test(test_scripts_that_redis_forgot_are_sent_again),
        cmocka_unit_test(test_two_appends_under_way_survive_forgotten_scripts),
        cmocka_unit_test(test_no_append_overtakes_one_that_is_sent_again),
        cmocka_unit_test(test_an_append_of_the_former_owner_is_refused),
        cmocka_unit_test(test_a_store_that_was_fenced_appends_nothing_any_more),
        cmocka_unit_test(test_a_former_owner_that_reconnects_stays_fenced),
        cmocka_unit_test(test_a_lost_server_answers_every_request_and_comes_back),
        cmocka_unit_test(test_an_owner_that_lost_its_data_is_still_behind_a_later_one),
        cmocka_unit_test(test_a_server_that_hangs_counts_as_lost),
        cmocka_unit_test(test_a_server_that_hangs_shows_also_when_nobody_asks),
        cmocka_unit_test(test_a_wrong_password_is_told_without_showing_it),
        cmocka_unit_test(test_users_and_odd_passwords_log_in),
        cmocka_unit_test(test_the_database_of_the_url_is_used),
        cmocka_unit_test(test_a_full_server_is_a_lost_store_until_it_has_room),
        cmocka_unit_test(test_foreign_members_are_left_out),
        cmocka_unit_test(test_a_foreign_member_beside_the_place_asked_from_does_no_harm),
        cmocka_unit_test(test_a_foreign_member_that_is_trimmed_does_no_harm),
        cmocka_unit_test(test_two_holes_in_one_millisecond_are_two),
    };
    int failed;

    metrics = metrics_new();
    redis_server_start(&server);
    failed = store_suite_run("store_redis contract", &suite);
    failed += cmocka_run_group_tests(tests, NULL, NULL);
    redis_server_kill(&server);
    metrics_free(metrics);
    return failed;
}
