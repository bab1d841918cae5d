/* What one company may publish: bridge/publish_rate.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bridge/publish_rate.h"

#define MS INT64_C(1000000)
#define NOW (1000000 * MS)

enum { PASSED, PASSED_BEHIND_HOLE, DROPPED, DROPPED_WITH_HOLE };

static int take_bytes(struct publish_rate *rate, size_t bytes, int64_t now_ns)
{
    struct publish_verdict verdict = publish_rate_take(rate, bytes, now_ns);

    if (verdict.dropped)
        return verdict.hole ? DROPPED_WITH_HOLE : DROPPED;
    return verdict.hole ? PASSED_BEHIND_HOLE : PASSED;
}

static int take(struct publish_rate *rate, int64_t now_ns)
{
    return take_bytes(rate, 100, now_ns);
}

/* A company of five events a second that has had its burst, and one event dropped. */
static struct publish_rate exhausted(void)
{
    struct publish_rate rate = publish_rate_make(5, 0);

    for (int i = 0; i < 10; i++)
        assert_int_equal(take(&rate, NOW), PASSED);
    assert_int_equal(take(&rate, NOW), DROPPED_WITH_HOLE);
    return rate;
}

static void without_a_limit_everything_passes(void **state)
{
    struct publish_rate rate = publish_rate_make(0, 0);

    (void)state;
    for (int i = 0; i < 100000; i++)
        assert_int_equal(take(&rate, NOW), PASSED);
    assert_true(publish_rate_is_new(&rate, NOW));
}

static void dropping_begins_with_one_hole(void **state)
{
    struct publish_rate rate = exhausted();

    (void)state;
    for (int i = 0; i < 499; i++)
        assert_int_equal(take(&rate, NOW + i * MS), DROPPED);
}

static void bytes_are_limited_too(void **state)
{
    struct publish_rate rate = publish_rate_make(0, 1000);

    (void)state;
    assert_int_equal(take_bytes(&rate, 1999, NOW), PASSED);
    assert_int_equal(take_bytes(&rate, 2, NOW), DROPPED_WITH_HOLE);
}

static void what_is_dropped_is_not_charged(void **state)
{
    struct publish_rate rate = publish_rate_make(100, 1000);

    (void)state;
    assert_int_equal(take_bytes(&rate, 2000, NOW), PASSED);
    for (int i = 0; i < 1000; i++)
        (void)take_bytes(&rate, 100, NOW);
    assert_int_equal(take_bytes(&rate, 500, NOW + 500 * MS), PASSED_BEHIND_HOLE);
}

static void an_event_above_the_burst_passes_full_buckets(void **state)
{
    struct publish_rate rate = publish_rate_make(0, 1000);

    (void)state;
    assert_int_equal(take_bytes(&rate, 5000, NOW), PASSED);
    assert_int_equal(take_bytes(&rate, 1, NOW + 3000 * MS), DROPPED_WITH_HOLE);
    assert_int_equal(take_bytes(&rate, 1, NOW + 3500 * MS), PASSED);
    assert_int_equal(take_bytes(&rate, SIZE_MAX, NOW + 6000 * MS), PASSED);
}

static void the_buckets_decide_again_after_half_a_second(void **state)
{
    struct publish_rate rate = exhausted();

    (void)state;
    assert_int_equal(take(&rate, NOW + 499 * MS), DROPPED);
    assert_int_equal(take(&rate, NOW + 500 * MS), PASSED_BEHIND_HOLE);
    assert_int_equal(take(&rate, NOW + 500 * MS), PASSED);
    assert_int_equal(take(&rate, NOW + 500 * MS), DROPPED_WITH_HOLE);
}

static void what_passes_behind_a_hole_needs_no_second_one(void **state)
{
    struct publish_rate rate = exhausted();

    (void)state;
    assert_int_equal(take(&rate, NOW + 500 * MS), PASSED);
}

static void a_company_at_twice_its_rate_has_few_holes(void **state)
{
    struct publish_rate rate = publish_rate_make(100, 0);
    int passed = 0;
    int holes = 0;

    (void)state;
    for (int i = 0; i < 200 * 60; i++) {
        int what = take(&rate, NOW + i * 5 * MS);

        passed += what == PASSED || what == PASSED_BEHIND_HOLE;
        holes += what == PASSED_BEHIND_HOLE || what == DROPPED_WITH_HOLE;
    }
    assert_true(passed >= 100 * 60 - 100 && passed <= 100 * 62);
    assert_true(holes <= 2 * 60);
}

static void what_was_dropped_last_is_told_when_nothing_follows(void **state)
{
    struct publish_rate rate = exhausted();

    (void)state;
    assert_int_equal(take(&rate, NOW + 100 * MS), DROPPED);
    assert_false(publish_rate_settle(&rate, NOW + 499 * MS));
    assert_true(publish_rate_settle(&rate, NOW + 500 * MS));
    assert_false(publish_rate_settle(&rate, NOW + 600 * MS));
    assert_int_equal(take(&rate, NOW + 600 * MS), PASSED);
}

static void a_single_dropped_event_needs_no_second_hole(void **state)
{
    struct publish_rate rate = exhausted();

    (void)state;
    assert_false(publish_rate_settle(&rate, NOW + 600 * MS));
}

static void it_is_new_again_when_it_has_told_all_and_is_full(void **state)
{
    struct publish_rate rate = exhausted();
    struct publish_rate huge = publish_rate_make(0, 1000);

    (void)state;
    (void)take(&rate, NOW);
    assert_false(publish_rate_is_new(&rate, NOW + 1999 * MS));
    assert_false(publish_rate_is_new(&rate, NOW + 9000 * MS));
    assert_true(publish_rate_settle(&rate, NOW + 9000 * MS));
    assert_true(publish_rate_is_new(&rate, NOW + 9000 * MS));
    assert_int_equal(take_bytes(&huge, 5000, NOW), PASSED);
    assert_false(publish_rate_is_new(&huge, NOW + 4999 * MS));
    assert_true(publish_rate_is_new(&huge, NOW + 5000 * MS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_limit_everything_passes),
        cmocka_unit_test(dropping_begins_with_one_hole),
        cmocka_unit_test(bytes_are_limited_too),
        cmocka_unit_test(what_is_dropped_is_not_charged),
        cmocka_unit_test(an_event_above_the_burst_passes_full_buckets),
        cmocka_unit_test(the_buckets_decide_again_after_half_a_second),
        cmocka_unit_test(what_passes_behind_a_hole_needs_no_second_one),
        cmocka_unit_test(a_company_at_twice_its_rate_has_few_holes),
        cmocka_unit_test(what_was_dropped_last_is_told_when_nothing_follows),
        cmocka_unit_test(a_single_dropped_event_needs_no_second_hole),
        cmocka_unit_test(it_is_new_again_when_it_has_told_all_and_is_full),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
