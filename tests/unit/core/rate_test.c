#include "core/rate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define S INT64_C(1000000000)

static void test_no_rate_lets_everything_pass(void **state)
{
    struct rate_bucket bucket = rate_bucket_make(0);

    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(rate_bucket_take(&bucket, RATE_MAX, 0), 0);
    assert_true(rate_bucket_is_full(&bucket, 0));
}

static void test_a_burst_passes_and_then_the_rate(void **state)
{
    struct rate_bucket bucket = rate_bucket_make(10);

    (void)state;
    for (int i = 0; i < 20; i++)
        assert_int_equal(rate_bucket_take(&bucket, 1, 5 * S), 0);
    assert_int_equal(rate_bucket_take(&bucket, 1, 5 * S), S / 10);
    assert_int_equal(rate_bucket_take(&bucket, 1, 5 * S + S / 10 - 1), 1);
    assert_int_equal(rate_bucket_take(&bucket, 1, 5 * S + S / 10), 0);
    assert_int_equal(rate_bucket_take(&bucket, 1, 5 * S + S / 10), S / 10);
}

static void test_what_is_refused_costs_nothing(void **state)
{
    struct rate_bucket bucket = rate_bucket_make(1);

    (void)state;
    assert_int_equal(rate_bucket_take(&bucket, 2, 0), 0);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(rate_bucket_take(&bucket, 1, 0), S);
    assert_int_equal(rate_bucket_take(&bucket, 1, S), 0);
}

static void test_more_than_the_burst_passes_when_full_and_leaves_a_debt(void **state)
{
    struct rate_bucket bucket = rate_bucket_make(100);

    (void)state;
    assert_int_equal(rate_bucket_take(&bucket, 1000, 0), 0);
    assert_int_equal(rate_bucket_take(&bucket, 1, 0), 8 * S + S / 100);
    assert_int_equal(rate_bucket_take(&bucket, 1000, 9 * S), S);
    assert_int_equal(rate_bucket_take(&bucket, 1000, 10 * S), 0);
}

static void test_a_long_pause_fills_it_no_more_than_full(void **state)
{
    struct rate_bucket bucket = rate_bucket_make(RATE_MAX);

    (void)state;
    rate_bucket_charge(&bucket, RATE_MAX, 0);
    rate_bucket_charge(&bucket, RATE_MAX, 0);
    assert_false(rate_bucket_is_full(&bucket, S));
    assert_true(rate_bucket_is_full(&bucket, INT64_MAX));
    assert_int_equal(rate_bucket_take(&bucket, RATE_MAX, INT64_MAX), 0);
    assert_int_equal(rate_bucket_take(&bucket, RATE_MAX, INT64_MAX), 0);
    assert_int_equal(rate_bucket_take(&bucket, RATE_MAX, INT64_MAX), S);
}

static void test_a_debt_has_an_end(void **state)
{
    struct rate_bucket bucket = rate_bucket_make(RATE_MAX);

    (void)state;
    for (int i = 0; i < 100; i++)
        rate_bucket_charge(&bucket, RATE_MAX, 0);
    assert_int_equal(rate_bucket_wait_ns(&bucket, RATE_MAX, 0), 2 * S);
}

static void test_time_that_goes_back_adds_nothing(void **state)
{
    struct rate_bucket bucket = rate_bucket_make(1);

    (void)state;
    assert_int_equal(rate_bucket_take(&bucket, 2, 10 * S), 0);
    assert_int_equal(rate_bucket_take(&bucket, 1, 0), S);
    assert_int_equal(rate_bucket_take(&bucket, 1, 10 * S), S);
    assert_int_equal(rate_bucket_take(&bucket, 1, 11 * S), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_rate_lets_everything_pass),
        cmocka_unit_test(test_a_burst_passes_and_then_the_rate),
        cmocka_unit_test(test_what_is_refused_costs_nothing),
        cmocka_unit_test(test_more_than_the_burst_passes_when_full_and_leaves_a_debt),
        cmocka_unit_test(test_a_long_pause_fills_it_no_more_than_full),
        cmocka_unit_test(test_a_debt_has_an_end),
        cmocka_unit_test(test_time_that_goes_back_adds_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
