#include "replay/shared.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "tests/unit/replay/redis_server.h"
#include "tests/unit/replay/shared_client.h"

/* How replicas that share a Redis count streams together. */
enum { LONG_LEASE_MS = 60000 /* longer than a test is patient */, SHORT_LEASE_MS = 300 };

static struct redis_server server;

static struct replica *connect_to(const struct redis_server *to, int64_t lease_ms)
{
    char url[64];
    struct replica_options options = {.url = url, .timeout_ms = 10000, .lease_ms = lease_ms};

    snprintf(url, sizeof url, "redis://127.0.0.1:%d", to->port);
    return replica_new(&options);
}

/*
 * Until the second one counts what the first one has. The first, alone when it looked, went on under another id; the second
 * may have read the one before, and knows the new one only from its next look on.
 */
static void make_counted(struct replica *first, struct replica *second)
{
    assert_int_equal(slots_enter(first, "met", 1), 0);
    slots_enter_until(second, "met", 1, -EDQUOT);
    slots_leave(first, "met");
    /* Behind its answer the leaving is done. */
    assert_int_equal(ticket_release(first, "t", "a"), 0);
}

/* Two that know each other. */
static void connect_two(struct replica *ret_replicas[2])
{
    for (int i = 0; i < 2; i++)
        ret_replicas[i] = connect_to(&server, LONG_LEASE_MS);
    for (int i = 0; i < 2; i++)
        replica_wait_replicas(ret_replicas[i], 2);
    for (int i = 0; i < 2; i++)
        make_counted(ret_replicas[i], ret_replicas[1 - i]);
}

static void free_two(struct replica *const replicas[2])
{
    replica_free(replicas[0]);
    replica_free(replicas[1]);
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

static int64_t ask_number(struct redis_server *to, const char *const arguments[])
{
    char reply[64];

    redis_server_ask(to, reply, sizeof reply, arguments);
    assert_int_equal(reply[0], ':');
    return strtoll(reply + 1, NULL, 10);
}

/* Enters a replica that nobody renews, as a killed one leaves itself behind. */
static void enter_killed(const char *id, int64_t lease_ms, const char *slots, const char *count)
{
    char until[32];

    snprintf(until, sizeof until, "%" PRId64, clock_unix_ms() + lease_ms);
    redis_server_tell(&server, REDIS_COMMAND("HSET", slots, id, count));
    redis_server_tell(&server, REDIS_COMMAND("ZADD", "sluice:replicas", until, id));
}

static void test_alone_nothing_is_asked_and_nothing_told(void **state)
{
    struct replica *replica = connect_to(&server, SHORT_LEASE_MS);

    (void)state;
    replica_wait_replicas(replica, 1);
    assert_int_equal(ask_number(&server, REDIS_COMMAND("ZCARD", "sluice:replicas")), 1);
    for (int i = 0; i < 5; i++)
        assert_int_equal(slots_enter(replica, "n", 1), 0);
    slots_leave(replica, "n");
    /* Behind an answer of Redis all that was sent before is there. */
    assert_int_equal(ticket_put(replica, "t", "v", 1000), 0);
    assert_int_equal(ask_number(&server, REDIS_COMMAND("EXISTS", "sluice:slots:n")), 0);
    replica_free(replica);
    assert_int_equal(ask_number(&server, REDIS_COMMAND("EXISTS", "sluice:replicas")), 0);
}

static void test_slots_are_taken_up_to_their_number(void **state)
{
    static const char *const names[] = {"user:acme|u1", "{}", "{}x{", "a{b}c", "\xff\x01 \r\n"};
    struct replica *two[2];

    (void)state;
    connect_two(two);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(slots_enter(two[0], names[i], 2), 0);
        assert_int_equal(slots_enter(two[1], names[i], 2), 0);
        assert_int_equal(slots_enter(two[1], names[i], 2), -EDQUOT);
        assert_int_equal(slots_enter(two[0], names[i], 2), -EDQUOT);
        slots_leave(two[0], names[i]);
        slots_enter_until(two[1], names[i], 2, 0);
        assert_int_equal(slots_enter(two[0], names[i], 2), -EDQUOT);
        assert_int_equal(slots_enter(two[0], names[i], 0), -EDQUOT);
    }
    free_two(two);
}

static void test_of_those_that_come_at_once_as_many_get_in_as_there_is_room_for(void **state)
{
    enum { COMING = 5, ROOM = 3 };
    struct replica *two[2];

    (void)state;
    connect_two(two);
    for (int round = 0; round < 100; round++) {
        struct answer answers[COMING];
        char name[16];
        int entered = 0;

        snprintf(name, sizeof name, "n%d", round);
        hold(two[0], name, 1);
        assert_int_equal(slots_enter(two[0], name, COMING), 0);
        hold(two[1], name, COMING);
        for (int i = 0; i < COMING; i++) {
            answers[i] = answer_of(two[1]);
            assert_int_equal(shared_slots_enter(two[1]->shared, name, i + 1, 2 + ROOM, on_answer, &answers[i]), 0);
        }
        for (int i = 0; i < COMING; i++)
            entered += answer_wait(&answers[i]) == 0;
        assert_int_equal(entered, ROOM);
    }
    free_two(two);
}

static void test_who_leaves_before_the_answer_is_out(void **state)
{
    struct replica *two[2];

    (void)state;
    connect_two(two);
    for (int round = 0; round < 200; round++) {
        struct answer answer = answer_of(two[0]);

        hold(two[0], "n", 1);
        assert_int_equal(shared_slots_enter(two[0]->shared, "n", 1, 1, on_answer, &answer), 0);
        slots_leave(two[0], "n");
        assert_int_equal(answer_wait(&answer), 0);
        /* Answered behind it. */
        assert_int_equal(ticket_release(two[0], "t", "a"), 0);
        assert_int_equal(slots_enter(two[1], "n", 1), 0);
        slots_leave(two[1], "n");
        assert_int_equal(ticket_release(two[1], "t", "a"), 0);
    }
    free_two(two);
}

static void test_what_was_counted_alone_counts_for_the_second_one(void **state)
{
    enum { NAMES = 2000 };
    struct replica *first = connect_to(&server, LONG_LEASE_MS);
    struct replica *second;
    char name[16];

    (void)state;
    replica_wait_replicas(first, 1);
    for (int i = 0; i < NAMES; i++) {
        snprintf(name, sizeof name, "n%d", i);
        hold(first, name, 2);
    }
    second = connect_to(&server, LONG_LEASE_MS);
    replica_wait_replicas(second, 2);
    for (int i = NAMES - 1; i >= 0; i -= 100) {
        snprintf(name, sizeof name, "n%d", i);
        slots_enter_until(second, name, 2, -EDQUOT);
        assert_int_equal(slots_enter(second, name, 3), 0);
    }
    replica_free(second);
    replica_free(first);
}

/* It left when nobody was told. */
static void test_counts_of_before_a_time_alone_are_not_believed(void **state)
{
    struct replica *two[2];
    struct replica *third;

    (void)state;
    connect_two(two);
    assert_int_equal(slots_enter(two[0], "n", 1), 0);
    assert_int_equal(slots_enter(two[1], "n", 1), -EDQUOT);
    replica_free(two[1]);
    replica_wait_replicas(two[0], 1);
    slots_leave(two[0], "n");
    hold(two[0], "m", 1);
    third = connect_to(&server, LONG_LEASE_MS);
    replica_wait_replicas(third, 2);
    slots_enter_until(third, "m", 1, -EDQUOT);
    slots_enter_until(third, "n", 1, 0);
    assert_int_equal(slots_enter(two[0], "n", 1), -EDQUOT);
    replica_free(third);
    replica_free(two[0]);
}

static void test_the_slots_of_a_killed_replica_heal(void **state)
{
    enum { LEASE_MS = 2000 };
    struct replica *replica = connect_to(&server, SHORT_LEASE_MS);
    int64_t killed_ns = clock_monotonic_ns();

    (void)state;
    enter_killed("killed.1", LEASE_MS, "sluice:slots:n", "2");
    replica_wait_replicas(replica, 2);
    assert_int_equal(slots_enter(replica, "n", 2), -EDQUOT);
    slots_enter_until(replica, "n", 2, 0);
    assert_true(clock_monotonic_ns() - killed_ns >= LEASE_MS * INT64_C(1000000) - INT64_C(50000000));
    replica_wait_replicas(replica, 1);
    /* What it had is nobody's to delete. */
    assert_int_equal(ask_number(&server, REDIS_COMMAND("HEXISTS", "sluice:slots:n", "killed.1")), 1);
    replica_free(replica);
}

static void test_one_that_lives_goes_on_counting(void **state)
{
    struct replica *two[2] = {connect_to(&server, SHORT_LEASE_MS), connect_to(&server, SHORT_LEASE_MS)};
    int64_t entered_ns;

    (void)state;
    replica_wait_replicas(two[0], 2);
    replica_wait_replicas(two[1], 2);
    assert_int_equal(slots_enter(two[0], "n", 1), 0);
    entered_ns = clock_monotonic_ns();
    while (clock_monotonic_ns() - entered_ns < 5 * SHORT_LEASE_MS * INT64_C(1000000))
        assert_int_equal(slots_enter(two[1], "n", 1), -EDQUOT);
    free_two(two);
}

/* Long before its lease is over, and although it gave nothing back. */
static void test_one_that_stops_counts_no_more(void **state)
{
    struct replica *two[2];

    (void)state;
    connect_two(two);
    assert_int_equal(slots_enter(two[0], "n", 1), 0);
    assert_int_equal(slots_enter(two[1], "n", 1), -EDQUOT);
    replica_free(two[0]);
    slots_enter_until(two[1], "n", 1, 0);
    replica_wait_replicas(two[1], 1);
    replica_free(two[1]);
}

static void test_a_redis_that_comes_back_empty_is_told_all(void **state)
{
    struct redis_server own = {0};
    struct replica *two[2];

    (void)state;
    redis_server_start(&own);
    for (int i = 0; i < 2; i++)
        two[i] = connect_to(&own, LONG_LEASE_MS);
    for (int i = 0; i < 2; i++)
        replica_wait_replicas(two[i], 2);
    assert_int_equal(slots_enter(two[0], "n", 3), 0);
    assert_int_equal(slots_enter(two[0], "gone", 1), 0);
    redis_server_kill(&own);
    for (int i = 0; i < 2; i++) {
        replica_wait(two[i], is_lost);
        replica_wait_replicas(two[i], 0);
    }
    assert_int_equal(slots_enter(two[0], "n", 3), -EAGAIN);
    assert_int_equal(slots_enter(two[0], "n", 3), -EAGAIN);
    slots_leave(two[0], "n");
    slots_leave(two[0], "gone");
    redis_server_start(&own);
    for (int i = 0; i < 2; i++) {
        replica_wait(two[i], is_connected);
        replica_wait_replicas(two[i], 2);
    }
    /* What was held before, and what was let in meanwhile. */
    slots_enter_until(two[1], "n", 2, -EDQUOT);
    slots_enter_until(two[1], "gone", 1, 0);
    slots_leave(two[0], "n");
    slots_enter_until(two[1], "n", 2, 0);
    assert_int_equal(slots_enter(two[1], "n", 2), -EDQUOT);
    free_two(two);
    redis_server_kill(&own);
}

static void test_a_count_that_redis_did_not_take_is_told_again(void **state)
{
    struct replica *two[2] = {connect_to(&server, SHORT_LEASE_MS), connect_to(&server, SHORT_LEASE_MS)};

    (void)state;
    replica_wait_replicas(two[0], 2);
    replica_wait_replicas(two[1], 2);
    redis_server_tell(&server, REDIS_COMMAND("SET", "sluice:slots:n", "text"));
    assert_int_equal(slots_enter(two[0], "n", 1), -EAGAIN);
    assert_int_equal(slots_enter(two[0], "m", 1), 0);
    redis_server_tell(&server, REDIS_COMMAND("DEL", "sluice:slots:n"));
    slots_enter_until(two[1], "n", 1, -EDQUOT);
    pthread_mutex_lock(&two[0]->lock);
    assert_int_equal(two[0]->downs, 0);
    pthread_mutex_unlock(&two[0]->lock);
    free_two(two);
}

static void test_counts_that_nobody_tells_again_end(void **state)
{
    struct replica *two[2];
    int64_t left_ms;

    (void)state;
    connect_two(two);
    assert_int_equal(slots_enter(two[0], "n", 2), 0);
    left_ms = ask_number(&server, REDIS_COMMAND("PTTL", "sluice:slots:n"));
    assert_in_range(left_ms, 1, 2 * 60 * 60 * 1000);
    left_ms = ask_number(&server, REDIS_COMMAND("PTTL", "sluice:replicas"));
    assert_in_range(left_ms, 1, LONG_LEASE_MS);
    slots_leave(two[0], "n");
    assert_int_equal(ticket_release(two[0], "t", "a"), 0);
    assert_int_equal(ask_number(&server, REDIS_COMMAND("EXISTS", "sluice:slots:n")), 0);
    free_two(two);
}

/* Long before its lease would have been renewed. */
static void test_one_that_redis_forgot_enters_itself_again_and_its_counts(void **state)
{
    struct replica *two[2];
    int64_t forgot_ns;

    (void)state;
    connect_two(two);
    assert_int_equal(slots_enter(two[0], "n", 1), 0);
    redis_server_tell(&server, REDIS_COMMAND("FLUSHALL"));
    forgot_ns = clock_monotonic_ns();
    while (ask_number(&server, REDIS_COMMAND("ZCARD", "sluice:replicas")) < 2)
        assert_true(clock_monotonic_ns() - forgot_ns < INT64_C(10000000000));
    slots_enter_until(two[1], "n", 1, -EDQUOT);
    assert_true(clock_monotonic_ns() - forgot_ns < INT64_C(10000000000));
    free_two(two);
}

static void test_ids_that_are_odd_harm_nobody(void **state)
{
    struct replica *replica = connect_to(&server, LONG_LEASE_MS);
    char id[300];

    (void)state;
    memset(id, 'x', sizeof id - 1);
    id[sizeof id - 1] = '\0';
    for (int i = 0; i < 150; i++) {
        char other[32];

        snprintf(other, sizeof other, "other%d.1", i);
        redis_server_tell(&server, REDIS_COMMAND("ZADD", "sluice:replicas", "9e15", other));
    }
    redis_server_tell(&server, REDIS_COMMAND("ZADD", "sluice:replicas", "inf", id, "9e15", "", "9e15", "%s%n"));
    assert_int_equal(slots_enter(replica, "n", 1), 0);
    slots_enter_until(replica, "n", 1, -EDQUOT);
    slots_leave(replica, "n");
    redis_server_tell(&server, REDIS_COMMAND("SET", "sluice:replicas", "text"));
    slots_enter_until(replica, "m", 1, 0);
    replica_free(replica);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_alone_nothing_is_asked_and_nothing_told, empty_server),
        cmocka_unit_test_setup(test_slots_are_taken_up_to_their_number, empty_server),
        cmocka_unit_test_setup(test_of_those_that_come_at_once_as_many_get_in_as_there_is_room_for, empty_server),
        cmocka_unit_test_setup(test_who_leaves_before_the_answer_is_out, empty_server),
        cmocka_unit_test_setup(test_what_was_counted_alone_counts_for_the_second_one, empty_server),
        cmocka_unit_test_setup(test_counts_of_before_a_time_alone_are_not_believed, empty_server),
        cmocka_unit_test_setup(test_the_slots_of_a_killed_replica_heal, empty_server),
        cmocka_unit_test_setup(test_one_that_lives_goes_on_counting, empty_server),
        cmocka_unit_test_setup(test_one_that_stops_counts_no_more, empty_server),
        cmocka_unit_test_setup(test_a_count_that_redis_did_not_take_is_told_again, empty_server),
        cmocka_unit_test_setup(test_counts_that_nobody_tells_again_end, empty_server),
        cmocka_unit_test_setup(test_one_that_redis_forgot_enters_itself_again_and_its_counts, empty_server),
        cmocka_unit_test_setup(test_ids_that_are_odd_harm_nobody, empty_server),
        cmocka_unit_test(test_a_redis_that_comes_back_empty_is_told_all),
    };
    int failed;

    redis_server_start(&server);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    redis_server_kill(&server);
    return failed;
}
