#include "core/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <time.h>

#include <cmocka.h>

static void assert_written(int64_t unix_ms, const char *expected)
{
    char text[CLOCK_RFC3339_SIZE];

    clock_format_rfc3339(unix_ms, text);
    assert_string_equal(text, expected);
}

static void test_times_are_written_as_rfc3339_in_utc(void **state)
{
    (void)state;
    assert_written(0, "1970-01-01T00:00:00.000Z");
    assert_written(999, "1970-01-01T00:00:00.999Z");
    assert_written(1699999999007, "2023-11-14T22:13:19.007Z");
    assert_written(951782400000, "2000-02-29T00:00:00.000Z");
    assert_written(253402300799999, "9999-12-31T23:59:59.999Z");
}

static void test_the_monotonic_clock_never_goes_back(void **state)
{
    int64_t last = clock_monotonic_ns();

    (void)state;
    for (int i = 0; i < 100000; i++) {
        int64_t now = clock_monotonic_ns();

        assert_true(now >= last);
        last = now;
    }
}

static void test_the_unix_clock_is_that_of_the_system(void **state)
{
    time_t before = time(NULL);
    int64_t now_ms = clock_unix_ms();

    (void)state;
    assert_true(now_ms / 1000 >= before);
    assert_true(now_ms / 1000 <= time(NULL) + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times_are_written_as_rfc3339_in_utc),
        cmocka_unit_test(test_the_monotonic_clock_never_goes_back),
        cmocka_unit_test(test_the_unix_clock_is_that_of_the_system),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
