#include "bridge/kin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/clock.h"
#include "support/fake_clock.h"
#include "support/fake_store.h"

enum { OURS = 4711, OTHERS = 4712 };

static const struct live_id here = {{1}};
static const struct live_id peer = {{2}};

struct rig {
    struct fake_store *store;
    struct metrics *metrics;
    struct kin *kin;
};

static int set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);

    assert_non_null(rig);
    rig->store = fake_store_new(STORE_READY);
    fake_store_base(rig->store)->id = OURS;
    rig->metrics = metrics_new();
    rig->kin =
        kin_new(&(struct kin_options){.id = here, .store = fake_store_base(rig->store), .metrics = rig->metrics});
    assert_non_null(rig->kin);
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;

    kin_free(rig->kin);
    store_free(fake_store_base(rig->store));
    metrics_free(rig->metrics);
    free(rig);
    return 0;
}

static void set_own(struct rig *rig, uint64_t id)
{
    fake_store_base(rig->store)->id = id;
}

static bool hear_from(struct rig *rig, struct live_id from, uint64_t store, bool store_lost)
{
    struct live_header header = {.type = LIVE_PEER, .from = from, .store = store, .store_lost = store_lost};

    return kin_is_ours(rig->kin, &header, clock_monotonic_ns());
}

static bool hear(struct rig *rig, uint64_t store)
{
    return hear_from(rig, peer, store, false);
}

static void test_replicas_of_one_redis_are_ours(void **state)
{
    struct rig *rig = *state;

    assert_true(hear(rig, OURS));
    assert_int_equal(metrics_get(rig->metrics, METRIC_LIVE_FOREIGN), 0);
}

static void test_replicas_of_another_redis_are_not(void **state)
{
    struct rig *rig = *state;

    assert_false(hear(rig, OTHERS));
    assert_false(hear_from(rig, peer, OTHERS, true));
    fake_store_lose(rig->store, 0);
    assert_false(hear(rig, OTHERS));
    assert_int_equal(metrics_get(rig->metrics, METRIC_LIVE_FOREIGN), 3);
}

static void test_our_own_voice_is_ours(void **state)
{
    struct rig *rig = *state;

    assert_true(hear_from(rig, here, OTHERS, false));
}

/* Or two replicas that do not hear each other would number the same events. */
static void test_not_to_know_is_no_difference(void **state)
{
    struct rig *rig = *state;

    assert_true(hear_from(rig, peer, 0, true));
    set_own(rig, 0);
    assert_true(hear(rig, OTHERS));
    assert_true(hear(rig, 0));
}

static void test_who_turns_out_to_have_another_redis_is_not_ours_any_more(void **state)
{
    struct rig *rig = *state;

    assert_true(hear(rig, 0));
    fake_clock_advance_ms(11000);
    assert_false(hear(rig, OTHERS));
    /* For good: its Redis may go away again. */
    assert_false(hear_from(rig, peer, OTHERS, true));
}

static void test_while_an_id_changes_all_go_on_together(void **state)
{
    struct rig *rig = *state;

    assert_true(hear(rig, OURS));
    set_own(rig, OTHERS);
    fake_clock_advance_ms(5000);
    assert_true(hear(rig, OURS));
    fake_clock_advance_ms(4000);
    assert_true(hear(rig, OURS));
    assert_true(hear(rig, OTHERS));
    fake_clock_advance_ms(9000);
    assert_true(hear(rig, OURS));
    /* It never learns it: it has another Redis. */
    fake_clock_advance_ms(1000);
    assert_false(hear(rig, OURS));
    assert_false(hear(rig, OURS));
}

static void test_who_cannot_reach_redis_need_not_know_its_new_id(void **state)
{
    struct rig *rig = *state;

    assert_true(hear(rig, OURS));
    set_own(rig, OTHERS);
    for (int i = 0; i < 100; i++) {
        fake_clock_advance_ms(60000);
        assert_true(hear_from(rig, peer, OURS, true));
    }
    fake_clock_advance_ms(9000);
    assert_true(hear(rig, OURS));
    assert_true(hear(rig, OTHERS));
    /* The same the other way round. */
    set_own(rig, OURS);
    fake_store_lose(rig->store, 0);
    fake_clock_advance_ms(60000);
    assert_true(hear(rig, OTHERS));
}

static void test_many_are_remembered(void **state)
{
    struct rig *rig = *state;

    for (unsigned char i = 0; i < 200; i++) {
        fake_clock_advance_ms(1);
        assert_true(hear_from(rig, (struct live_id){{3, i}}, OURS, false));
    }
    set_own(rig, OTHERS);
    for (unsigned char i = 136; i < 200; i++)
        assert_true(hear_from(rig, (struct live_id){{3, i}}, OURS, false));
    assert_false(hear_from(rig, (struct live_id){{3, 135}}, OURS, false));
}

static void test_a_replica_joins_when_it_knows_its_redis(void **state)
{
    struct rig *rig = *state;

    set_own(rig, 0);
    assert_false(kin_may_join(rig->kin, clock_monotonic_ns()));
    assert_int_equal(kin_deadline_ns(rig->kin) - clock_monotonic_ns(), 1500 * INT64_C(1000000));
    set_own(rig, OURS);
    assert_int_equal(kin_deadline_ns(rig->kin), 0);
    assert_true(kin_may_join(rig->kin, clock_monotonic_ns()));
    assert_true(kin_deadline_ns(rig->kin) == INT64_MAX);
}

static void test_a_replica_joins_without_redis_when_that_does_not_come(void **state)
{
    struct rig *rig = *state;

    set_own(rig, 0);
    fake_clock_advance_ms(1499);
    assert_false(kin_may_join(rig->kin, clock_monotonic_ns()));
    fake_clock_advance_ms(1);
    assert_true(kin_may_join(rig->kin, clock_monotonic_ns()));
    assert_true(kin_deadline_ns(rig->kin) == INT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_replicas_of_one_redis_are_ours, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_replicas_of_another_redis_are_not, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_our_own_voice_is_ours, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_not_to_know_is_no_difference, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_who_turns_out_to_have_another_redis_is_not_ours_any_more, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_while_an_id_changes_all_go_on_together, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_who_cannot_reach_redis_need_not_know_its_new_id, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many_are_remembered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_replica_joins_when_it_knows_its_redis, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_replica_joins_without_redis_when_that_does_not_come, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
