/* When the replay store gets what was numbered, and what has upkeep: bridge/appender.c over a store on a script. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/bridge_rig.h"
#include "support/fake_clock.h"

#define NOW INT64_C(1700000000000)

static struct bridge_rig rig;

static void begin(void)
{
    fake_clock_set_ms(NOW);
    bridge_rig_init(&rig, &(struct bridge_rig_options){.state = STORE_READY});
}

static int tear_down(void **state)
{
    (void)state;
    assert_false(fake_store_misused(rig.store));
    bridge_rig_release(&rig);
    return 0;
}

/* Two companies with an event each, and a store that had nothing to do for a while. */
static void begin_quietly(void)
{
    begin();
    bridge_rig_have(&rig, "acme", 1);
    bridge_rig_have(&rig, "beta", 1);
    fake_clock_advance_ms(BRIDGE_RIG_GATHER_MS);
}

static void what_comes_alone_is_appended_at_once_and_what_follows_gathers(void **state)
{
    (void)state;
    begin_quietly();
    bridge_rig_publish_all(&rig, "acme", 2, 2);
    bridge_rig_flush(&rig);
    assert_int_equal(fake_store_waiting(rig.store), 1);
    fake_store_answer(rig.store);
    bridge_rig_publish_all(&rig, "acme", 3, 4);
    bridge_rig_publish_all(&rig, "beta", 2, 2);
    fake_clock_advance_ms(19);
    bridge_rig_flush(&rig);
    assert_int_equal(fake_store_waiting(rig.store), 0);
    bridge_rig_publish_all(&rig, "beta", 3, 3);
    fake_clock_advance_ms(1);
    bridge_rig_flush(&rig);
    assert_int_equal(fake_store_waiting(rig.store), 2);
    fake_store_answer_all(rig.store);
    bridge_rig_assert_stored(&rig, "acme", 1, 4);
    bridge_rig_assert_stored(&rig, "beta", 1, 3);
}

static void much_at_once_does_not_gather(void **state)
{
    (void)state;
    begin_quietly();
    bridge_rig_publish_all(&rig, "beta", 2, 2);
    bridge_rig_flush(&rig);
    fake_store_answer(rig.store);
    while (company_backlog_bytes(bridge_rig_company(&rig, "acme")) < 255 * 1024)
        bridge_rig_publish_all(&rig, "acme", 2, 2);
    bridge_rig_flush(&rig);
    assert_int_equal(fake_store_waiting(rig.store), 0);
    while (company_backlog_bytes(bridge_rig_company(&rig, "acme")) < 256 * 1024)
        bridge_rig_publish_all(&rig, "acme", 2, 2);
    bridge_rig_flush(&rig);
    assert_int_equal(fake_store_waiting(rig.store), 1);
    bridge_rig_settle(&rig);
}

/* Else the store would take one append in each window, and fall behind. */
static void what_fills_another_append_does_not_gather(void **state)
{
    (void)state;
    begin_quietly();
    bridge_rig_publish_all(&rig, "acme", 2, 2 * STORE_APPEND_MAX + 11);
    for (int i = 0; i < 2; i++) {
        bridge_rig_flush(&rig);
        assert_int_equal(fake_store_waiting(rig.store), 1);
        fake_store_answer(rig.store);
    }
    /* The ten that are left are not many. */
    bridge_rig_flush(&rig);
    assert_int_equal(fake_store_waiting(rig.store), 0);
    fake_clock_advance_ms(BRIDGE_RIG_GATHER_MS);
    bridge_rig_flush(&rig);
    assert_int_equal(fake_store_waiting(rig.store), 1);
    fake_store_answer(rig.store);
    bridge_rig_assert_stored(&rig, "acme", 1, 2 * STORE_APPEND_MAX + 11);
}

/* An answer is seen by the window behind the one in which it came: a company may publish that much in two of them. */
static void fifty_thousand_events_a_second_of_one_company_leave_no_growing_backlog(void **state)
{
    enum { ROUND_MS = 7, IN_A_ROUND = 50 * ROUND_MS, ROUNDS = 20 };
    enum { GATHER_ROUNDS = BRIDGE_RIG_GATHER_MS / ROUND_MS };

    (void)state;
    begin_quietly();
    for (int i = 0; i < ROUNDS; i++) {
        bridge_rig_publish_all(&rig, "acme", 2 + i * IN_A_ROUND, 1 + (i + 1) * IN_A_ROUND);
        bridge_rig_flush(&rig);
        fake_store_answer_all(rig.store);
        fake_clock_advance_ms(ROUND_MS);
    }
    assert_in_range(appender_backlog_events(rig.appender), 0, (GATHER_ROUNDS + 1) * IN_A_ROUND);
    bridge_rig_settle(&rig);
    bridge_rig_assert_stored(&rig, "acme", 1, 1 + ROUNDS * IN_A_ROUND);
}

static void what_others_need_from_the_store_does_not_gather(void **state)
{
    struct company *company;

    (void)state;
    begin_quietly();
    company = bridge_rig_company(&rig, "acme");
    bridge_rig_publish_all(&rig, "acme", 2, 2);
    bridge_rig_flush(&rig);
    bridge_rig_publish_all(&rig, "acme", 3, 3);
    bridge_rig_publish_all(&rig, "beta", 2, 2);
    appender_hurry(company);
    bridge_rig_flush(&rig);
    assert_int_equal(fake_store_waiting(rig.store), 2);
    /* What stands behind an append under way is sent with its answer, without any wait. */
    fake_store_answer(rig.store);
    bridge_rig_flush(&rig);
    fake_store_answer_all(rig.store);
    bridge_rig_assert_stored(&rig, "acme", 1, 3);
    /* And that was it. */
    bridge_rig_publish_all(&rig, "acme", 4, 4);
    bridge_rig_flush(&rig);
    assert_int_equal(fake_store_waiting(rig.store), 0);
    bridge_rig_settle(&rig);
    appender_hurry(company);
    bridge_rig_publish_all(&rig, "acme", 5, 5);
    bridge_rig_flush(&rig);
    assert_int_equal(fake_store_waiting(rig.store), 0);
    bridge_rig_settle(&rig);
}

/* Publishes one event, and tells whether its append has upkeep. */
static bool next_has_upkeep(int number)
{
    bool upkeep;

    bridge_rig_publish_all(&rig, "acme", number, number);
    bridge_rig_flush_late(&rig);
    upkeep = fake_store_append_has_upkeep(rig.store);
    fake_store_answer(rig.store);
    return upkeep;
}

static void the_first_append_has_upkeep_and_then_one_at_least_so_often(void **state)
{
    (void)state;
    begin();
    bridge_rig_publish(&rig, "acme", 1);
    fake_store_answer(rig.store);
    bridge_rig_flush_late(&rig);
    assert_true(fake_store_append_has_upkeep(rig.store));
    fake_store_answer(rig.store);
    assert_false(next_has_upkeep(2));
    fake_clock_advance_ms(STORE_UPKEEP_MS - 1000);
    assert_false(next_has_upkeep(3));
    fake_clock_advance_ms(1000);
    assert_true(next_has_upkeep(4));
    assert_false(next_has_upkeep(5));
}

static void a_clock_that_was_set_back_brings_upkeep_at_once(void **state)
{
    (void)state;
    begin();
    bridge_rig_have(&rig, "acme", 1);
    assert_false(next_has_upkeep(2));
    fake_clock_set_ms(NOW - 3600000);
    assert_true(next_has_upkeep(3));
    assert_false(next_has_upkeep(4));
}

static void upkeep_that_may_not_have_been_done_is_repeated(void **state)
{
    (void)state;
    begin();
    bridge_rig_have(&rig, "acme", 1);
    assert_false(next_has_upkeep(2));
    bridge_rig_publish_all(&rig, "acme", 3, 3);
    bridge_rig_flush_late(&rig);
    fake_store_fail(rig.store, true, -EAGAIN);
    assert_true(next_has_upkeep(4));
    fake_store_lose(rig.store, 0);
    fake_store_restore(rig.store);
    bridge_rig_settle(&rig);
    assert_true(next_has_upkeep(5));
    assert_false(next_has_upkeep(6));
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_comes_alone_is_appended_at_once_and_what_follows_gathers),
        TEST(much_at_once_does_not_gather),
        TEST(what_fills_another_append_does_not_gather),
        TEST(fifty_thousand_events_a_second_of_one_company_leave_no_growing_backlog),
        TEST(what_others_need_from_the_store_does_not_gather),
        TEST(the_first_append_has_upkeep_and_then_one_at_least_so_often),
        TEST(a_clock_that_was_set_back_brings_upkeep_at_once),
        TEST(upkeep_that_may_not_have_been_done_is_repeated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
