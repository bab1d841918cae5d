#include "bridge/peers.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define S INT64_C(1000000000)

static const struct live_id first = {{1}};
static const struct live_id second = {{2}};
static const struct live_id third = {{3}};

static void hear(struct peers *peers, struct live_id id, uint64_t epoch, int64_t received_ns)
{
    struct live_header header = {.type = LIVE_PEER, .from = id, .epoch = epoch};

    peers_note(peers, &header, epoch, received_ns);
}

static void test_who_was_not_heard_for_a_while_is_forgotten(void **state)
{
    struct peers peers = {.count = 0};

    (void)state;
    hear(&peers, first, 7, 1 * S);
    hear(&peers, second, 7, 3 * S);
    hear(&peers, first, 7, 2 * S);
    assert_int_equal(peers.count, 2);
    peers_forget(&peers, 5 * S);
    assert_int_equal(peers.count, 2);
    peers_forget(&peers, 5 * S + S / 2);
    assert_int_equal(peers.count, 1);
    assert_true(live_id_equals(peers.list[0].id, second));
}

static void test_who_says_that_it_ends_is_forgotten_at_once(void **state)
{
    struct peers peers = {.count = 0};

    (void)state;
    hear(&peers, first, 7, 1 * S);
    hear(&peers, second, 7, 1 * S);
    peers_remove(&peers, first);
    assert_int_equal(peers.count, 1);
    assert_true(live_id_equals(peers.list[0].id, second));
    peers_remove(&peers, first);
    assert_int_equal(peers.count, 1);
    peers_remove(&peers, second);
    assert_int_equal(peers.count, 0);
}

static void test_without_a_lease_the_lowest_of_those_who_know_the_owner_goes_on(void **state)
{
    struct peers peers = {.count = 0};

    (void)state;
    assert_true(peers_are_behind(&peers, second, 0));
    /* One that has just come, with a lower id. */
    hear(&peers, first, 0, 1 * S);
    assert_true(peers_are_behind(&peers, second, 7));
    hear(&peers, third, 7, 1 * S);
    assert_true(peers_are_behind(&peers, second, 7));
    hear(&peers, first, 7, 2 * S);
    assert_false(peers_are_behind(&peers, second, 7));
    peers_remove(&peers, first);
    assert_true(peers_are_behind(&peers, second, 7));
    /* One that knows of a later owner. */
    hear(&peers, third, 8, 3 * S);
    assert_false(peers_are_behind(&peers, second, 7));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_was_not_heard_for_a_while_is_forgotten),
        cmocka_unit_test(test_who_says_that_it_ends_is_forgotten_at_once),
        cmocka_unit_test(test_without_a_lease_the_lowest_of_those_who_know_the_owner_goes_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
