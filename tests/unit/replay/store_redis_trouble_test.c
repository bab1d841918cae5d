/* A Redis that is there, and does not do what it should. One that is away or full: store_redis_outage_test.c. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/replay/redis_server.h"
#include "tests/unit/replay/redis_store.h"
#include "tests/unit/replay/slow_redis.h"
#include "tests/unit/replay/store_client.h"

static struct metrics *metrics;
static const struct event_position beginning = {0, 0};

/* A Redis of each test's own, and what its store was told. */
static struct redis_server server;
static struct store *store;
static struct redis_told told;

static int set_up(void **state)
{
    (void)state;
    server = (struct redis_server){0};
    told = (struct redis_told){0};
    redis_server_start(&server);
    store = redis_store_connect(&server, &redis_roomy, 10000, metrics);
    store_observe(store, redis_store_tell, &told);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    store_free(store);
    redis_server_kill(&server);
    return 0;
}

/* An append fails for that reason, the store is lost and stays so until `cure`, and then takes the events. */
static void assert_refused_until(const char *reason, const char *const cure[])
{
    struct events events = events_of("acme");

    assert_int_equal(events_try_append(store, &events, 0, 10), -EAGAIN);
    while (told.lost == 0)
        store_pump(store);
    redis_store_attempt(store, 2);
    assert_int_equal(told.ready, 0);
    if (!strstr(told.reason, reason))
        fail_msg("told: %s", told.reason);
    redis_server_tell(&server, cure);
    store_wait_state(store, STORE_READY);
    assert_int_equal(events_try_append(store, &events, 0, 10), 0);
    assert_int_equal(read_all(store, "acme", beginning, 100, NULL), 10);
    assert_int_equal(told.ready, 1);
}

static void a_replica_of_redis_is_lost_until_it_takes_writes(void **state)
{
    (void)state;
    redis_server_tell(&server, REDIS_COMMAND("REPLICAOF", "127.0.0.1", "1"));
    assert_refused_until("READONLY", REDIS_COMMAND("REPLICAOF", "NO", "ONE"));
}

static void a_redis_with_too_few_replicas_is_lost(void **state)
{
    (void)state;
    redis_server_tell(&server, REDIS_COMMAND("CONFIG", "SET", "min-replicas-to-write", "1"));
    assert_refused_until("NOREPLICAS", REDIS_COMMAND("CONFIG", "SET", "min-replicas-to-write", "0"));
}

static void a_claim_that_is_refused_shows_it_too(void **state)
{
    struct answer claim;

    (void)state;
    redis_server_tell(&server, REDIS_COMMAND("REPLICAOF", "127.0.0.1", "1"));
    claim_start(store, &claim);
    store_wait(store, &claim);
    assert_int_equal(claim.status, -EAGAIN);
    store_wait_state(store, STORE_LOST);
    assert_non_null(strstr(told.reason, "READONLY"));
    redis_server_tell(&server, REDIS_COMMAND("REPLICAOF", "NO", "ONE"));
    store_wait_state(store, STORE_READY);
    assert_true(lease_claim(store, "a", 0).mine);
}

/* As a user of its own, whose password and rights change. */
static void log_in_as(const char *user, const char *password)
{
    char url[96];

    store_free(store);
    snprintf(url, sizeof url, "redis://%s:%s@127.0.0.1:%d", user, password, server.port);
    store = redis_store_new(url, &redis_roomy, 10000, metrics);
    store_wait_state(store, STORE_READY);
    store_set_epoch(store, 1);
    store_observe(store, redis_store_tell, &told);
}

static void a_password_that_was_changed_and_changed_back(void **state)
{
    struct events events = events_of("acme");

    (void)state;
    redis_server_tell(&server, REDIS_COMMAND("ACL", "SETUSER", "sluice", "on", ">old-secret", "~sluice:*", "+@all"));
    log_in_as("sluice", "old-secret");
    assert_int_equal(events_try_append(store, &events, 0, 10), 0);
    redis_server_tell(&server, REDIS_COMMAND("ACL", "SETUSER", "sluice", "resetpass", ">new-secret"));
    /* Who is in stays in; who comes again does not. */
    assert_int_equal(events_try_append(store, &events, 10, 10), 0);
    redis_server_tell(&server, REDIS_COMMAND("CLIENT", "KILL", "USER", "sluice"));
    store_wait_state(store, STORE_LOST);
    redis_store_attempt(store, 2);
    assert_non_null(strstr(told.reason, "WRONGPASS"));
    assert_null(strstr(told.reason, "secret"));
    assert_int_equal(events_try_append(store, &events, 20, 10), -EAGAIN);
    redis_server_tell(&server, REDIS_COMMAND("ACL", "SETUSER", "sluice", "resetpass", ">old-secret"));
    store_wait_state(store, STORE_READY);
    assert_int_equal(events_try_append(store, &events, 20, 10), 0);
    assert_int_equal(read_all(store, "acme", beginning, 100, NULL), 30);
}

static void a_right_that_was_taken_and_given_back(void **state)
{
    (void)state;
    redis_server_tell(&server, REDIS_COMMAND("ACL", "SETUSER", "sluice", "on", ">secret", "~sluice:*", "+@all"));
    log_in_as("sluice", "secret");
    redis_server_tell(&server, REDIS_COMMAND("ACL", "SETUSER", "sluice", "-@write"));
    assert_refused_until("permission", REDIS_COMMAND("ACL", "SETUSER", "sluice", "+@all"));
}

/* Appends of many companies are under way whenever Redis forgets its scripts. */
static void scripts_forgotten_again_and_again_change_no_order(void **state)
{
    enum { COMPANIES = 8, APPENDS = 12, EVENTS = 5 };
    char names[COMPANIES][8];
    struct answer answers[COMPANIES];
    size_t made[COMPANIES] = {0};
    size_t open = COMPANIES;

    (void)state;
    for (size_t i = 0; i < COMPANIES; i++)
        answers[i] = (struct answer){.calls = 1};
    for (size_t round = 0; open > 0; round++) {
        open = 0;
        for (size_t i = 0; i < COMPANIES; i++) {
            struct events events;

            snprintf(names[i], sizeof names[i], "c%zu", i);
            events = events_of(names[i]);
            assert_int_equal(answers[i].status, 0);
            open += made[i] < APPENDS || answers[i].calls == 0;
            if (answers[i].calls == 0 || made[i] == APPENDS)
                continue;
            events_start_append(store, &events, EVENTS * made[i]++, EVENTS, &answers[i]);
            if ((round + i) % 3 == 0) {
                store_run(store);
                redis_server_tell(&server, REDIS_COMMAND("SCRIPT", "FLUSH"));
            }
        }
        store_pump(store);
    }
    for (size_t i = 0; i < COMPANIES; i++)
        assert_int_equal(read_all(store, names[i], beginning, 100, NULL), APPENDS * EVENTS);
    assert_int_equal(store_state(store), STORE_READY);
    assert_int_equal(told.lost, 0);
}

/* What is asked at once takes longer than the time for one answer; each comes in time behind the one before. */
static void a_slow_redis_is_not_a_lost_one(void **state)
{
    enum { COMPANIES = 4, TIMEOUT_MS = 1000, DELAY_MS = 200 };
    struct slow_redis slow = {0};
    struct answer answers[COMPANIES];
    char url[64];

    (void)state;
    store_free(store);
    slow_redis_start(&slow, server.port, DELAY_MS);
    snprintf(url, sizeof url, "redis://127.0.0.1:%d", slow.port);
    store = redis_store_new(url, &redis_roomy, TIMEOUT_MS, metrics);
    store_observe(store, redis_store_tell, &told);
    store_wait_state(store, STORE_READY);
    store_set_epoch(store, 1);
    for (size_t i = 0; i < COMPANIES; i++) {
        char name[8];
        struct events events;

        snprintf(name, sizeof name, "c%zu", i);
        events = events_of(name);
        events_start_append(store, &events, 0, 10, &answers[i]);
    }
    assert_true(lease_claim(store, "a", 0).mine);
    for (size_t i = 0; i < COMPANIES; i++) {
        assert_int_equal(answers[i].calls, 1);
        assert_int_equal(answers[i].status, 0);
    }
    assert_int_equal(store_state(store), STORE_READY);
    assert_int_equal(told.lost, 0);
    store_free(store);
    store = NULL;
    slow_redis_stop(&slow);
}

static void an_empty_redis_in_its_place_gets_lease_and_events_again(void **state)
{
    struct events events = events_of("acme");
    struct store_lease lease = lease_claim(store, "a", 0);
    struct store *other;

    (void)state;
    store_set_epoch(store, lease.epoch);
    assert_int_equal(events_try_append(store, &events, 0, 10), 0);
    store_save_place(store, "EVENTS", 10);
    redis_server_kill(&server);
    store_wait_state(store, STORE_LOST);
    redis_server_start(&server);
    store_wait_state(store, STORE_READY);
    assert_false(head_load(store, "acme").exists);
    assert_int_equal(place_load(store, "EVENTS"), 0);
    /* The owner appends again what it still has, also before it has claimed the lease again. */
    assert_int_equal(events_try_append(store, &events, 0, 10), 0);
    assert_int_equal(lease_claim(store, "a", lease.epoch).epoch, lease.epoch);
    assert_int_equal(events_try_append(store, &events, 10, 10), 0);
    /* One from before it is as former as ever. */
    other = redis_store_connect(&server, &redis_roomy, 10000, metrics);
    store_set_epoch(other, lease.epoch - 1);
    assert_int_equal(events_try_append(other, &events, 20, 10), -EPERM);
    assert_int_equal(read_all(other, "acme", beginning, 100, NULL), 20);
    store_free(other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_replica_of_redis_is_lost_until_it_takes_writes),
        TEST(a_redis_with_too_few_replicas_is_lost),
        TEST(a_claim_that_is_refused_shows_it_too),
        TEST(a_password_that_was_changed_and_changed_back),
        TEST(a_right_that_was_taken_and_given_back),
        TEST(scripts_forgotten_again_and_again_change_no_order),
        TEST(a_slow_redis_is_not_a_lost_one),
        TEST(an_empty_redis_in_its_place_gets_lease_and_events_again),
    };
    int failed;

    metrics = metrics_new();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    metrics_free(metrics);
    return failed;
}
