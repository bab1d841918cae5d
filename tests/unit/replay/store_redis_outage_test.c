#include "replay/store_redis.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/replay/redis_server.h"
#include "tests/unit/replay/redis_store.h"
#include "tests/unit/replay/store_client.h"

/* What the store says while Redis is away, hangs, is full, or lets nobody in. */
static struct metrics *metrics;
static const struct event_position beginning = {0, 0};

static void test_a_lost_server_answers_every_request_and_comes_back(void **state)
{
    struct redis_server own = {0};
    struct events events = events_of("acme");
    struct store_read read = {.company = "acme", .max_events = 10, .max_bytes = 1000};
    struct redis_told told = {0};
    struct answer append;
    struct answer count;
    struct loaded_head head;
    struct page page;
    struct store *store;

    (void)state;
    redis_server_start(&own);
    store = redis_store_connect(&own, &redis_roomy, 10000, metrics);
    store_observe(store, redis_store_tell, &told);
    assert_int_equal(events_try_append(store, &events, 0, 10), 0);
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
    assert_int_equal(events_try_append(store, &events, 10, 10), -EAGAIN);
    redis_server_start(&own);
    store_wait_state(store, STORE_READY);
    assert_int_equal(told.ready, 1);
    /* Its data is gone: the owner appends again what it still has, and no number changes. */
    assert_false(head_load(store, "acme").exists);
    assert_int_equal(events_try_append(store, &events, 0, 20), 0);
    assert_int_equal(head_load(store, "acme").position.seq, 20);
    assert_int_equal(append.calls + head.answer.calls + page.answer.calls + count.calls, 4);
    store_free(store);
    redis_server_kill(&own);
}

static void test_a_server_that_hangs_counts_as_lost(void **state)
{
    struct redis_server own = {0};
    struct events events = events_of("acme");
    struct redis_told told = {0};
    struct store_lease lease;
    struct answer append;
    struct answer claim;
    struct store *store;

    (void)state;
    redis_server_start(&own);
    store = redis_store_connect(&own, &redis_roomy, 300, metrics);
    store_observe(store, redis_store_tell, &told);
    lease = lease_claim(store, "a", 0);
    store_set_epoch(store, lease.epoch);
    redis_server_pause(&own);
    events_start_append(store, &events, 0, 10, &append);
    claim_start(store, &claim);
    store_wait(store, &append);
    assert_int_equal(append.status, -EAGAIN);
    assert_int_equal(claim.status, -EAGAIN);
    store_wait_state(store, STORE_LOST);
    assert_non_null(strstr(told.reason, "no answer in time"));
    redis_server_resume(&own);
    store_wait_state(store, STORE_READY);
    /* The server may have carried it out all the same: again, it changes nothing. */
    assert_int_equal(events_try_append(store, &events, 0, 10), 0);
    assert_int_equal(read_all(store, "acme", beginning, 100, NULL), 10);
    assert_int_equal(lease_claim(store, "a", lease.epoch).epoch, lease.epoch);
    store_free(store);
    redis_server_kill(&own);
}

static void test_a_server_that_hangs_shows_also_when_nobody_asks(void **state)
{
    struct redis_server own = {0};
    struct store *store;

    (void)state;
    redis_server_start(&own);
    store = redis_store_connect(&own, &redis_roomy, 300, metrics);
    redis_server_pause(&own);
    store_wait_state(store, STORE_LOST);
    store_free(store);
    redis_server_kill(&own);
}

static void test_a_wrong_password_is_told_without_showing_it(void **state)
{
    struct redis_server own = {.password = "right"};
    struct redis_told told = {0};
    struct store *store;
    char url[64];

    (void)state;
    redis_server_start(&own);
    snprintf(url, sizeof url, "redis://:wrong-secret@127.0.0.1:%d", own.port);
    store = redis_store_new(url, &redis_roomy, 2000, metrics);
    store_observe(store, redis_store_tell, &told);
    /* It is lost from the start; what is told is why. */
    redis_store_attempt(store, 1);
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
    store = redis_store_new(url, &redis_roomy, 2000, metrics);
    store_wait_state(store, STORE_READY);
    store_free(store);
    snprintf(url, sizeof url, "redis://:right@127.0.0.1:%d", own.port);
    store = redis_store_new(url, &redis_roomy, 2000, metrics);
    store_wait_state(store, STORE_READY);
    store_free(store);
    redis_server_kill(&own);
}

static void test_a_full_server_is_a_lost_store_until_it_has_room(void **state)
{
    struct redis_server own = {0};
    struct events events = events_of("acme");
    struct redis_told told = {0};
    struct store *store;

    (void)state;
    redis_server_start(&own);
    store = redis_store_connect(&own, &redis_roomy, 10000, metrics);
    store_observe(store, redis_store_tell, &told);
    events.payload_size = 10000;
    redis_server_tell(&own, REDIS_COMMAND("CONFIG", "SET", "maxmemory-policy", "noeviction", "maxmemory", "1mb"));
    assert_int_equal(events_try_append(store, &events, 0, 100), -EAGAIN);
    store_wait_state(store, STORE_LOST);
    assert_non_null(strstr(told.reason, "OOM"));
    /* It lets the store in, and takes nothing: that is not ready, and not told again and again. */
    redis_store_attempt(store, 2);
    assert_int_equal(told.ready, 0);
    assert_non_null(strstr(told.reason, "OOM"));
    redis_server_tell(&own, REDIS_COMMAND("CONFIG", "SET", "maxmemory", "0"));
    store_wait_state(store, STORE_READY);
    assert_int_equal(events_try_append(store, &events, 0, 100), 0);
    assert_int_equal(read_all(store, "acme", beginning, 100, NULL), 100);
    store_free(store);
    redis_server_kill(&own);
}

static void test_without_a_connection_requests_fail_at_once(void **state)
{
    struct store *store = redis_store_new("redis://127.0.0.1:1", &redis_roomy, 1000, metrics);
    struct events events = events_of("acme");
    struct store_read read = {.company = "acme", .max_events = 10, .max_bytes = 1000};
    struct loaded_head head;
    struct answer append;
    struct answer claim;
    struct answer place;
    struct answer count;
    struct page page;

    (void)state;
    assert_false(store_is_memory(store));
    assert_int_equal(store_state(store), STORE_LOST);
    store_set_epoch(store, 1);
    store_release(store, "test");
    store_save_place(store, "EVENTS", 1);
    claim_start(store, &claim);
    place_start(store, "EVENTS", &place);
    events_start_append(store, &events, 0, 1, &append);
    head_start(store, "acme", &head);
    page_start(store, &read, &page);
    count_start(store, &count);
    store_wait(store, &append);
    assert_int_equal(append.status, -EAGAIN);
    assert_int_equal(claim.calls, 1);
    assert_int_equal(claim.status, -EAGAIN);
    assert_int_equal(place.calls, 1);
    assert_int_equal(place.status, -EAGAIN);
    assert_int_equal(head.answer.calls, 1);
    assert_int_equal(head.answer.status, -EAGAIN);
    assert_int_equal(page.answer.calls, 1);
    assert_int_equal(page.answer.status, -EAGAIN);
    assert_int_equal(count.calls, 1);
    assert_int_equal(count.status, -EAGAIN);
    store_free(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_lost_server_answers_every_request_and_comes_back),
        cmocka_unit_test(test_a_server_that_hangs_counts_as_lost),
        cmocka_unit_test(test_a_server_that_hangs_shows_also_when_nobody_asks),
        cmocka_unit_test(test_a_wrong_password_is_told_without_showing_it),
        cmocka_unit_test(test_users_and_odd_passwords_log_in),
        cmocka_unit_test(test_a_full_server_is_a_lost_store_until_it_has_room),
        cmocka_unit_test(test_without_a_connection_requests_fail_at_once),
    };
    int failed;

    metrics = metrics_new();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    metrics_free(metrics);
    return failed;
}
