#include "tests/unit/replay/shared_suite.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"

enum { LONG_MS = 60000 };

static void open_two(void **state, struct replica *ret_replicas[2])
{
    ((const struct shared_suite *)*state)->open(ret_replicas);
}

void replicas_close(struct replica *const replicas[2])
{
    replica_free(replicas[0]);
    if (replicas[1] != replicas[0])
        replica_free(replicas[1]);
}

static void test_a_ticket_gives_its_value_once(void **state)
{
    struct replica *two[2];
    struct answer answer;
    struct shared_take take = {.ticket_hash = "t", .holder = "a-1", .fingerprint = "f", .resume_ms = LONG_MS};

    open_two(state, two);
    assert_int_equal(ticket_take(two[0], "t", "a-1", "f", LONG_MS), -ENOENT);
    assert_int_equal(ticket_put(two[0], "t", "{\"sub\":\"u1\"}", LONG_MS), 0);
    assert_int_equal(ticket_put(two[1], "t", "other", LONG_MS), -EEXIST);
    answer = answer_of(two[1]);
    assert_int_equal(shared_ticket_take(two[1]->shared, &take, on_ticket, &answer), 0);
    assert_int_equal(answer_wait(&answer), 0);
    assert_string_equal(answer.value, "{\"sub\":\"u1\"}");
    /* The same client too: while its stream is open, the ticket is of no use to anybody. */
    assert_int_equal(ticket_take(two[0], "t", "b-1", "f", LONG_MS), -EALREADY);
    assert_int_equal(ticket_take(two[0], "t", "b-1", "g", LONG_MS), -EPERM);
    assert_int_equal(ticket_take(two[1], "t", "a-1", "f", LONG_MS), 0);
    replicas_close(two);
}

static void test_of_two_that_take_one_ticket_one_wins(void **state)
{
    struct replica *two[2];

    open_two(state, two);
    for (int round = 0; round < 300; round++) {
        char hash[32];
        struct answer answers[2] = {answer_of(two[0]), answer_of(two[1])};
        int statuses[2];

        snprintf(hash, sizeof hash, "ticket-%d", round);
        assert_int_equal(ticket_put(two[0], hash, "v", LONG_MS), 0);
        for (int i = 0; i < 2; i++) {
            struct shared_take take = {
                .ticket_hash = hash, .holder = i == round % 2 ? "a" : "b", .fingerprint = "f", .resume_ms = LONG_MS};
            int who = (i + round) % 2;

            assert_int_equal(shared_ticket_take(two[who]->shared, &take, on_ticket, &answers[who]), 0);
        }
        statuses[0] = answer_wait(&answers[0]);
        statuses[1] = answer_wait(&answers[1]);
        assert_int_equal(statuses[0] + statuses[1], -EALREADY);
        assert_true(statuses[0] == 0 || statuses[1] == 0);
    }
    replicas_close(two);
}

static void test_only_the_same_client_resumes_and_only_after_the_release(void **state)
{
    struct replica *two[2];

    open_two(state, two);
    assert_int_equal(ticket_put(two[0], "t", "v", LONG_MS), 0);
    assert_int_equal(ticket_take(two[0], "t", "a-1", "f", LONG_MS), 0);
    /* A release by somebody else is none. */
    assert_int_equal(ticket_release(two[1], "t", "b-1"), 0);
    assert_int_equal(ticket_take(two[1], "t", "b-1", "f", LONG_MS), -EALREADY);
    assert_int_equal(ticket_release(two[0], "t", "a-1"), 0);
    assert_int_equal(ticket_take(two[1], "t", "b-1", "other", LONG_MS), -EPERM);
    assert_int_equal(ticket_take(two[1], "t", "b-1", "f", LONG_MS), 0);
    assert_int_equal(ticket_take(two[0], "t", "a-2", "f", LONG_MS), -EALREADY);
    assert_int_equal(ticket_release(two[0], "unknown", "a-1"), 0);
    replicas_close(two);
}

static void test_a_ticket_ends_with_its_time(void **state)
{
    struct replica *two[2];

    open_two(state, two);
    assert_int_equal(ticket_put(two[0], "unused", "v", 50), 0);
    /* Taking it would keep it: that it can be put anew tells that it has gone. */
    while (ticket_put(two[1], "unused", "w", LONG_MS) == -EEXIST)
        continue;
    assert_int_equal(ticket_put(two[0], "resumed", "v", LONG_MS), 0);
    assert_int_equal(ticket_take(two[0], "resumed", "a-1", "f", 1), 0);
    assert_int_equal(ticket_release(two[0], "resumed", "a-1"), 0);
    ticket_take_until(two[1], "resumed", "b-1", "other", -ENOENT);
    assert_int_equal(ticket_put(two[0], "once", "v", LONG_MS), 0);
    assert_int_equal(ticket_take(two[0], "once", "a-1", "f", 0), 0);
    assert_int_equal(ticket_release(two[0], "once", "a-1"), 0);
    assert_int_equal(ticket_take(two[1], "once", "b-1", "f", 0), -ENOENT);
    replicas_close(two);
}

static void test_revocations_are_seen_by_all(void **state)
{
    struct replica *two[2];
    int64_t until_ms = clock_unix_ms() + LONG_MS;
    char expected[512];

    open_two(state, two);
    assert_int_equal(revoke(two[0], SHARED_COMPANY, "acme", until_ms), 0);
    snprintf(expected, sizeof expected, "company|acme=%" PRId64 "\n", until_ms);
    replica_wait_text(two[0], two[0]->revoked, expected);
    replica_wait_text(two[1], two[1]->revoked, expected);
    /* A shorter one does not shorten it. What is over already is never seen. */
    assert_int_equal(revoke(two[0], SHARED_COMPANY, "acme", until_ms - 1000), 0);
    assert_int_equal(revoke(two[0], SHARED_TOKEN, "gone", clock_unix_ms() - 1), 0);
    assert_int_equal(revoke(two[1], SHARED_USER, "acme|u1", until_ms + 1), 0);
    assert_int_equal(revoke(two[1], SHARED_USER, "u{}1", until_ms + 2), 0);
    assert_int_equal(revoke(two[1], SHARED_KEY, "k1", until_ms + 3), 0);
    assert_int_equal(revoke(two[1], SHARED_TOKEN, "jti", until_ms + 4), 0);
    snprintf(expected, sizeof expected,
             "company|acme=%" PRId64 "\nuser|acme|u1=%" PRId64 "\nuser|u{}1=%" PRId64 "\nkey|k1=%" PRId64
             "\ntoken|jti=%" PRId64 "\n",
             until_ms, until_ms + 1, until_ms + 2, until_ms + 3, until_ms + 4);
    replica_wait_text(two[0], two[0]->revoked, expected);
    replica_wait_text(two[1], two[1]->revoked, expected);
    replicas_close(two);
}

static bool knows_a_revocation(struct replica *replica)
{
    return replica->revoked[0] != '\0';
}

static void test_a_revocation_ends(void **state)
{
    struct replica *two[2];

    open_two(state, two);
    assert_int_equal(revoke(two[0], SHARED_KEY, "k1", clock_unix_ms() + 1500), 0);
    replica_wait(two[1], knows_a_revocation);
    replica_wait_text(two[1], two[1]->revoked, "");
    replicas_close(two);
}

static void test_odd_values_come_back_byte_for_byte(void **state)
{
    struct replica *two[2];
    struct answer answer;
    char value[SHARED_VALUE_MAX + 1];
    struct shared_take take = {.ticket_hash = "{}t{", .holder = "a|{}\r\n", .fingerprint = "%s%n", .resume_ms = 1};

    open_two(state, two);
    for (size_t i = 0; i < sizeof value; i++)
        value[i] = (char)(i * 7);
    answer = answer_of(two[0]);
    assert_int_equal(shared_ticket_put(two[0]->shared, "{}t{", value, SHARED_VALUE_MAX, LONG_MS, on_answer, &answer),
                     0);
    assert_int_equal(answer_wait(&answer), 0);
    answer = answer_of(two[1]);
    assert_int_equal(shared_ticket_take(two[1]->shared, &take, on_ticket, &answer), 0);
    assert_int_equal(answer_wait(&answer), 0);
    assert_int_equal(answer.size, SHARED_VALUE_MAX);
    assert_memory_equal(answer.value, value, SHARED_VALUE_MAX);
    assert_int_equal(ticket_put(two[0], "empty", "", LONG_MS), 0);
    assert_int_equal(ticket_take(two[0], "empty", "a-1", "f", LONG_MS), 0);
    replicas_close(two);
}

static void test_what_is_out_of_bounds_is_refused_at_once(void **state)
{
    struct replica *two[2];
    struct shared *shared;
    char text[SHARED_VALUE_MAX + 2];
    struct shared_take take = {.ticket_hash = "t", .holder = "", .fingerprint = "f", .resume_ms = 1};

    open_two(state, two);
    shared = two[0]->shared;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_int_equal(shared_ticket_put(shared, "t", text, SHARED_VALUE_MAX + 1, 1, NULL, NULL), -EINVAL);
    assert_int_equal(shared_ticket_put(shared, "t", "v", 1, 0, NULL, NULL), -EINVAL);
    assert_int_equal(shared_ticket_put(shared, "", "v", 1, 1, NULL, NULL), -EINVAL);
    assert_int_equal(shared_ticket_put(shared, text, "v", 1, 1, NULL, NULL), -EINVAL);
    assert_int_equal(shared_ticket_take(shared, &take, NULL, NULL), -EINVAL);
    take.holder = "a";
    take.fingerprint = NULL;
    assert_int_equal(shared_ticket_take(shared, &take, NULL, NULL), -EINVAL);
    assert_int_equal(shared_slots_enter(shared, text, 1, 1, NULL, NULL), -EINVAL);
    assert_int_equal(shared_slots_enter(shared, "n", -1, 1, NULL, NULL), -EINVAL);
    assert_int_equal(shared_slots_enter(shared, "n", 1, -1, NULL, NULL), -EINVAL);
    assert_int_equal(shared_slots_leave(shared, ""), -EINVAL);
    assert_int_equal(shared_ticket_release(shared, "", "a", NULL, NULL), -EINVAL);
    assert_int_equal(shared_ticket_release(shared, "t", text, NULL, NULL), -EINVAL);
    assert_int_equal(shared_revoke(shared, SHARED_USER, "", 1, NULL, NULL), -EINVAL);
    assert_int_equal(shared_revoke(shared, SHARED_USER, "u", INT64_MAX, NULL, NULL), -EINVAL);
    /* The longest that is allowed works. */
    text[SHARED_NAME_MAX] = '\0';
    assert_int_equal(slots_enter(two[0], text, 1), 0);
    assert_int_equal(ticket_put(two[0], text, "v", LONG_MS), 0);
    assert_int_equal(ticket_take(two[1], text, text, text, LONG_MS), 0);
    assert_int_equal(revoke(two[0], SHARED_COMPANY, text, clock_unix_ms() + LONG_MS), 0);
    replicas_close(two);
}

static void test_behind_a_stop_every_request_has_one_answer(void **state)
{
    enum { COUNT = 2000 };
    struct replica *two[2];
    struct answer *answers = calloc(COUNT, sizeof *answers);
    int answered = 0;

    open_two(state, two);
    for (int i = 0; i < COUNT; i++) {
        answers[i] = answer_of(two[0]);
        assert_int_equal(shared_revoke(two[0]->shared, SHARED_KEY, "k", LONG_MS, on_answer, &answers[i]), 0);
    }
    shared_stop(two[0]->shared);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(answers[i].calls, 1);
        assert_false(answers[i].on_caller);
        assert_true(answers[i].status == 0 || answers[i].status == -ECANCELED);
        answered += answers[i].status == 0;
    }
    assert_true(answered <= COUNT);
    assert_int_equal(shared_slots_enter(two[0]->shared, "n", 1, 1, on_answer, &answers[0]), -ECANCELED);
    assert_int_equal(shared_slots_leave(two[0]->shared, "n"), -ECANCELED);
    assert_int_equal(answers[0].calls, 1);
    replicas_close(two);
    free(answers);
}

int shared_suite_run(const char *name, struct shared_suite *suite)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(test_a_ticket_gives_its_value_once, suite),
        cmocka_unit_test_prestate(test_of_two_that_take_one_ticket_one_wins, suite),
        cmocka_unit_test_prestate(test_only_the_same_client_resumes_and_only_after_the_release, suite),
        cmocka_unit_test_prestate(test_a_ticket_ends_with_its_time, suite),
        cmocka_unit_test_prestate(test_revocations_are_seen_by_all, suite),
        cmocka_unit_test_prestate(test_a_revocation_ends, suite),
        cmocka_unit_test_prestate(test_odd_values_come_back_byte_for_byte, suite),
        cmocka_unit_test_prestate(test_what_is_out_of_bounds_is_refused_at_once, suite),
        cmocka_unit_test_prestate(test_behind_a_stop_every_request_has_one_answer, suite),
    };

    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}
