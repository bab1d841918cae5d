#include "replay/shared.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "core/clock.h"
#include "tests/unit/replay/redis_server.h"
#include "tests/unit/replay/shared_client.h"

/* What replicas that share a Redis see of each other, of operators, and of a Redis that is away. */
enum { LONG_MS = 60000 };

static struct redis_server server;

static struct replica *connect_with(const struct redis_server *to, int timeout_ms, int64_t lease_ms)
{
    char url[64];
    struct replica_options options = {.url = url, .timeout_ms = timeout_ms, .lease_ms = lease_ms};

    snprintf(url, sizeof url, "redis://127.0.0.1:%d", to->port);
    return replica_new(&options);
}

static struct replica *connect_to(const struct redis_server *to)
{
    return connect_with(to, 10000, 0);
}

static int empty_server(void **state)
{
    (void)state;
    redis_server_tell(&server, REDIS_COMMAND("FLUSHALL"));
    return 0;
}

static bool is_connected(struct replica *replica)
{
    return replica->connected;
}

static bool is_lost(struct replica *replica)
{
    return !replica->connected && replica->downs > 0;
}

static bool knows_all(struct replica *replica)
{
    return replica->revoked_calls > 0 && replica->features_calls > 0 && replica->keys_calls > 0;
}

static bool found_unreadable(struct replica *replica)
{
    return replica->unreadable_calls > 0;
}

static bool has_thousand_keys(struct replica *replica)
{
    return replica->keys_count == 1000;
}

static void pause_ms(long ms)
{
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    nanosleep(&pause, NULL);
}

static void test_the_ticket_of_a_killed_replica_is_free_after_its_lease(void **state)
{
    struct replica *killed = connect_with(&server, 10000, 300);
    struct replica *other = connect_with(&server, 10000, 300);
    int64_t taken_ns;

    (void)state;
    assert_int_equal(ticket_put(killed, "t", "v", LONG_MS), 0);
    assert_int_equal(ticket_take(killed, "t", "a-1", "f", LONG_MS), 0);
    /* While it lives its lease is renewed: many leases later the ticket is still its own. */
    taken_ns = clock_monotonic_ns();
    while (clock_monotonic_ns() < taken_ns + INT64_C(1500000000)) {
        assert_int_equal(ticket_take(other, "t", "b-1", "f", LONG_MS), -EALREADY);
        pause_ms(10);
    }
    /* Ending without a release is what a killed process does. */
    replica_free(killed);
    ticket_take_until(other, "t", "b-1", "f", 0);
    assert_int_equal(ticket_take(other, "t", "b-2", "other", LONG_MS), -EPERM);
    replica_free(other);
}

static void test_a_replica_that_starts_later_sees_revocations_and_hashes(void **state)
{
    struct replica *first = connect_to(&server);
    struct replica *later;
    char expected[64];
    int64_t until_ms = clock_unix_ms() + LONG_MS;

    (void)state;
    assert_int_equal(revoke(first, SHARED_TOKEN, "jti", until_ms), 0);
    redis_server_tell(&server, REDIS_COMMAND("HSET", "sluice:features", "acme", "on"));
    redis_server_tell(&server, REDIS_COMMAND("HSET", "sluice:keys", "k1", "{\"a\":1}"));
    later = connect_to(&server);
    snprintf(expected, sizeof expected, "token|jti=%" PRId64 "\n", until_ms);
    replica_wait_text(later, later->revoked, expected);
    replica_wait_text(later, later->features, "acme=on/2\n");
    replica_wait_text(later, later->keys, "k1={\"a\":1}/7\n");
    replica_free(later);
    replica_free(first);
}

static void test_changes_of_the_hashes_are_seen_and_nothing_else_is_told(void **state)
{
    struct replica *replica = connect_to(&server);

    (void)state;
    replica_wait(replica, knows_all);
    redis_server_tell(&server, REDIS_COMMAND("HSET", "sluice:features", "acme", "on"));
    replica_wait_text(replica, replica->features, "acme=on/2\n");
    redis_server_tell(&server, REDIS_COMMAND("HSET", "sluice:features", "acme", "off"));
    replica_wait_text(replica, replica->features, "acme=off/3\n");
    redis_server_tell(&server, REDIS_COMMAND("DEL", "sluice:features"));
    replica_wait_text(replica, replica->features, "");
    redis_server_tell(&server, REDIS_COMMAND("HSET", "sluice:keys", "k1", ""));
    replica_wait_text(replica, replica->keys, "k1=/0\n");
    pthread_mutex_lock(&replica->lock);
    assert_int_equal(replica->features_calls, 4);
    assert_int_equal(replica->keys_calls, 2);
    assert_int_equal(replica->revoked_calls, 1);
    assert_int_equal(replica->unreadable_calls, 0);
    pthread_mutex_unlock(&replica->lock);
    replica_free(replica);
}

static void test_large_hashes_are_seen_to_change_too(void **state)
{
    struct replica *replica = connect_to(&server);
    static const char fill[] = "for i = 1, 1000 do\n"
                               "  redis.call('HSET', KEYS[1], i, string.rep(ARGV[1], 10000))\n"
                               "end\n"
                               "return 'OK'\n";
    int64_t changed_ns;

    (void)state;
    replica_wait(replica, knows_all);
    redis_server_tell(&server, REDIS_COMMAND("EVAL", fill, "1", "sluice:keys", "x"));
    replica_wait(replica, has_thousand_keys);
    /* 10 MB are read anew only because they were touched: unread else for as many seconds. */
    redis_server_tell(&server, REDIS_COMMAND("DEL", "sluice:keys"));
    changed_ns = clock_monotonic_ns();
    replica_wait_text(replica, replica->keys, "");
    assert_true(clock_monotonic_ns() - changed_ns < INT64_C(6000000000));
    replica_free(replica);
}

static void test_what_cannot_be_read_keeps_its_last_content(void **state)
{
    struct replica *replica;
    static const char fill[] = "for i = 1, 100001 do redis.call('HSET', KEYS[1], i, '') end return 'OK'";

    (void)state;
    redis_server_tell(&server, REDIS_COMMAND("HSET", "sluice:features", "acme", "on"));
    replica = connect_to(&server);
    replica_wait_text(replica, replica->features, "acme=on/2\n");
    redis_server_tell(&server, REDIS_COMMAND("EVAL", fill, "1", "sluice:features"));
    replica_wait(replica, found_unreadable);
    pthread_mutex_lock(&replica->lock);
    assert_non_null(strstr(replica->unreadable, "sluice:features: "));
    assert_non_null(strstr(replica->unreadable, "TOOLARGE"));
    assert_string_equal(replica->features, "acme=on/2\n");
    pthread_mutex_unlock(&replica->lock);
    redis_server_tell(&server, REDIS_COMMAND("SET", "sluice:features", "no hash"));
    redis_server_tell(&server, REDIS_COMMAND("DEL", "sluice:features"));
    replica_wait_text(replica, replica->features, "");
    replica_free(replica);
}

static void test_keys_of_another_type_harm_nobody_else(void **state)
{
    struct replica *replica = connect_to(&server);

    (void)state;
    redis_server_tell(&server, REDIS_COMMAND("SET", "sluice:ticket:t", "text"));
    assert_int_equal(ticket_take(replica, "t", "a-1", "f", 1), -EAGAIN);
    assert_int_equal(ticket_put(replica, "u", "v", LONG_MS), 0);
    redis_server_tell(&server,
                      REDIS_COMMAND("ZADD", "sluice:revoked", "inf", "user|u1", "9e15", "nothing", "9e15", "key|"));
    replica_wait_text(replica, replica->revoked, "user|u1=9007199254740992\n");
    pthread_mutex_lock(&replica->lock);
    assert_int_equal(replica->downs, 0);
    pthread_mutex_unlock(&replica->lock);
    replica_free(replica);
}

static void test_scripts_that_redis_forgets_do_not_matter(void **state)
{
    struct replica *replica = connect_to(&server);

    (void)state;
    assert_int_equal(ticket_put(replica, "t", "v", LONG_MS), 0);
    assert_int_equal(ticket_take(replica, "t", "a-1", "f", LONG_MS), 0);
    redis_server_tell(&server, REDIS_COMMAND("SCRIPT", "FLUSH"));
    assert_int_equal(ticket_take(replica, "t", "a-2", "f", LONG_MS), -EALREADY);
    assert_int_equal(ticket_release(replica, "t", "a-1"), 0);
    assert_int_equal(ticket_take(replica, "t", "a-2", "f", LONG_MS), 0);
    replica_free(replica);
}

static void test_a_killed_redis_is_away_and_comes_back(void **state)
{
    struct redis_server own = {0};
    struct replica *replica;
    struct replica *other;

    (void)state;
    redis_server_start(&own);
    redis_server_tell(&own, REDIS_COMMAND("HSET", "sluice:features", "acme", "on"));
    replica = connect_to(&own);
    other = connect_to(&own);
    replica_wait_text(replica, replica->features, "acme=on/2\n");
    redis_server_kill(&own);
    replica_wait(replica, is_lost);
    assert_int_equal(ticket_put(replica, "t", "v", LONG_MS), -EAGAIN);
    assert_int_equal(ticket_take(replica, "t", "a-1", "f", LONG_MS), -EAGAIN);
    assert_int_equal(revoke(replica, SHARED_USER, "u1", clock_unix_ms() + LONG_MS), -EAGAIN);
    replica_wait_text(replica, replica->features, "acme=on/2\n");
    redis_server_start(&own);
    replica_wait(replica, is_connected);
    replica_wait(other, is_connected);
    assert_int_equal(ticket_put(other, "t", "v", LONG_MS), 0);
    assert_int_equal(ticket_take(replica, "t", "a-1", "f", LONG_MS), 0);
    replica_wait_text(replica, replica->features, "");
    replica_free(other);
    replica_free(replica);
    redis_server_kill(&own);
}

static void test_a_redis_that_hangs_is_answered_for_in_time(void **state)
{
    struct redis_server own = {0};
    struct replica *replica;
    int64_t asked_ns;

    (void)state;
    redis_server_start(&own);
    replica = connect_with(&own, 300, 0);
    redis_server_pause(&own);
    for (int i = 0; i < 5; i++) {
        asked_ns = clock_monotonic_ns();
        assert_int_equal(ticket_put(replica, "t", "v", LONG_MS), -EAGAIN);
        assert_true(clock_monotonic_ns() - asked_ns < INT64_C(5000000000));
    }
    replica_wait(replica, is_lost);
    redis_server_resume(&own);
    replica_wait(replica, is_connected);
    assert_int_equal(ticket_put(replica, "u", "v", LONG_MS), 0);
    replica_free(replica);
    redis_server_kill(&own);
}

/* A request left in the mailbox waits for whatever wakes the thread next, which is up to a second of idle ticking. */
static void test_requests_that_come_while_others_wait_are_not_left_behind(void **state)
{
    enum { REQUESTS = 50, ROUNDS = 500, SLOW_MAX = 8 };
    struct replica *replica = connect_with(&server, 60000, 0);
    struct answer *answers = calloc(REQUESTS, sizeof *answers);
    int slow = 0;

    (void)state;
    assert_non_null(answers);
    for (int round = 0; round < ROUNDS; round++) {
        int64_t asked_ns = clock_monotonic_ns();

        for (int i = 0; i < REQUESTS; i++) {
            answers[i] = answer_of(replica);
            assert_int_equal(shared_ticket_release(replica->shared, "t", "a-1", on_answer, &answers[i]), 0);
            /* Behind the first ones it comes while they wait for Redis, and now and then right behind an answer. */
            if (i == round % REQUESTS)
                assert_int_equal(answer_wait(&answers[0]), 0);
        }
        for (int i = 0; i < REQUESTS; i++)
            assert_int_equal(answer_wait(&answers[i]), 0);
        slow += clock_monotonic_ns() - asked_ns > INT64_C(200000000);
    }
    /* A busy machine has a slow round too. */
    assert_true(slow < SLOW_MAX);
    free(answers);
    replica_free(replica);
}

static void test_without_a_redis_requests_fail_and_it_ends_cleanly(void **state)
{
    struct replica_options options = {.url = "redis://127.0.0.1:1", .timeout_ms = -1000};
    struct replica *replica = replica_new(&options);

    (void)state;
    assert_int_equal(slots_enter(replica, "n", 1), -EAGAIN);
    replica_wait(replica, is_lost);
    replica_free(replica);
    assert_null(shared_new(&(struct shared_options){.redis = {.url = "http://nowhere", .timeout_ms = 100}}));
}

/* With a Redis that hangs, all of them wait: the one beyond the bound is refused, and a stop answers the rest. */
static void test_so_many_wait_and_a_stop_answers_each_of_them_once(void **state)
{
    struct redis_server own = {0};
    struct answer *answers = calloc(SHARED_WAITING_MAX, sizeof *answers);
    struct answer leaving;
    struct replica *replica;
    struct shared *shared;

    (void)state;
    redis_server_start(&own);
    replica = connect_with(&own, 60000, 0);
    shared = replica->shared;
    redis_server_pause(&own);
    for (int i = 0; i < SHARED_WAITING_MAX; i++) {
        answers[i] = answer_of(replica);
        assert_int_equal(shared_ticket_put(shared, "t", "v", 1, LONG_MS, on_answer, &answers[i]), 0);
    }
    assert_int_equal(shared_ticket_put(shared, "t", "v", 1, LONG_MS, on_answer, &answers[0]), -EBUSY);
    assert_int_equal(shared_slots_enter(shared, "n", 1, 1, on_answer, &answers[0]), -EBUSY);
    leaving = answer_of(replica);
    assert_int_equal(shared_slots_leave(shared, "n"), 0);
    assert_int_equal(shared_ticket_release(shared, "t", "a-1", on_answer, &leaving), 0);
    shared_stop(shared);
    for (int i = 0; i < SHARED_WAITING_MAX; i++) {
        assert_int_equal(answers[i].calls, 1);
        assert_int_equal(answers[i].status, -ECANCELED);
        assert_false(answers[i].on_caller);
    }
    assert_int_equal(leaving.calls, 1);
    assert_int_equal(leaving.status, -ECANCELED);
    replica_free(replica);
    redis_server_kill(&own);
    free(answers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_the_ticket_of_a_killed_replica_is_free_after_its_lease, empty_server),
        cmocka_unit_test_setup(test_a_replica_that_starts_later_sees_revocations_and_hashes, empty_server),
        cmocka_unit_test_setup(test_changes_of_the_hashes_are_seen_and_nothing_else_is_told, empty_server),
        cmocka_unit_test_setup(test_large_hashes_are_seen_to_change_too, empty_server),
        cmocka_unit_test_setup(test_what_cannot_be_read_keeps_its_last_content, empty_server),
        cmocka_unit_test_setup(test_keys_of_another_type_harm_nobody_else, empty_server),
        cmocka_unit_test_setup(test_scripts_that_redis_forgets_do_not_matter, empty_server),
        cmocka_unit_test_setup(test_requests_that_come_while_others_wait_are_not_left_behind, empty_server),
        cmocka_unit_test(test_a_killed_redis_is_away_and_comes_back),
        cmocka_unit_test(test_a_redis_that_hangs_is_answered_for_in_time),
        cmocka_unit_test(test_without_a_redis_requests_fail_and_it_ends_cleanly),
        cmocka_unit_test(test_so_many_wait_and_a_stop_answers_each_of_them_once),
    };
    int failed;

    redis_server_start(&server);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    redis_server_kill(&server);
    return failed;
}
