#include "core/event_filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char *const few[] = {"metric_updated", "vis_*"};

static void test_only_matching_names_pass(void **state)
{
    struct event_filter *filter = event_filter_new(few, 2);

    (void)state;
    assert_non_null(filter);
    assert_true(event_filter_passes(filter, "metric_updated"));
    assert_true(event_filter_passes(filter, "vis_updated"));
    assert_true(event_filter_passes(filter, "vis_"));
    assert_false(event_filter_passes(filter, "metric_updated2"));
    assert_false(event_filter_passes(filter, "metric_update"));
    assert_false(event_filter_passes(filter, "Metric_updated"));
    assert_false(event_filter_passes(filter, "a_vis_updated"));
    assert_false(event_filter_passes(filter, ""));
    event_filter_unref(filter);
}

static void test_a_star_stays_within_its_token(void **state)
{
    static const char *const patterns[] = {"vis.*"};
    struct event_filter *filter = event_filter_new(patterns, 1);

    (void)state;
    assert_true(event_filter_passes(filter, "vis.updated"));
    assert_false(event_filter_passes(filter, "vis.updated.twice"));
    assert_false(event_filter_passes(filter, "vis"));
    event_filter_unref(filter);
}

static void test_without_a_filter_or_a_pattern_all_pass(void **state)
{
    struct event_filter *filter = event_filter_new(NULL, 0);

    (void)state;
    assert_true(event_filter_passes(NULL, "anything"));
    assert_non_null(filter);
    assert_true(event_filter_passes(filter, "anything"));
    assert_int_equal(event_filter_count(filter), 0);
    event_filter_unref(filter);
}

static void test_the_patterns_are_copies(void **state)
{
    char text[] = "vis_*";
    const char *const patterns[] = {"metric_updated", text};
    struct event_filter *filter = event_filter_new(patterns, 2);

    (void)state;
    memset(text, 'x', sizeof text - 1);
    assert_int_equal(event_filter_count(filter), 2);
    assert_string_equal(event_filter_pattern(filter, 0), "metric_updated");
    assert_string_equal(event_filter_pattern(filter, 1), "vis_*");
    assert_true(event_filter_passes(filter, "vis_updated"));
    event_filter_unref(filter);
}

static void test_a_filter_lives_as_long_as_its_last_reference(void **state)
{
    struct event_filter *filter = event_filter_new(few, 2);
    struct event_filter *other = event_filter_ref(filter);

    (void)state;
    assert_ptr_equal(other, filter);
    event_filter_unref(filter);
    assert_true(event_filter_passes(other, "vis_updated"));
    event_filter_unref(other);
    assert_null(event_filter_ref(NULL));
    event_filter_unref(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_matching_names_pass),
        cmocka_unit_test(test_a_star_stays_within_its_token),
        cmocka_unit_test(test_without_a_filter_or_a_pattern_all_pass),
        cmocka_unit_test(test_the_patterns_are_copies),
        cmocka_unit_test(test_a_filter_lives_as_long_as_its_last_reference),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
