/* Times that clients want events from: core/since.c. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/event_id.h"
#include "core/since.h"

#define NOW INT64_C(1769860800000) /* 2026-01-31T12:00:00Z */

static void assert_since(const char *text, int64_t expected)
{
    int64_t unix_ms = -1;

    if (since_parse(text, strlen(text), NOW, &unix_ms) < 0)
        fail_msg("%s is refused", text);
    if (unix_ms != expected)
        fail_msg("%s is %lld, not %lld", text, (long long)unix_ms, (long long)expected);
}

static void assert_refused(const char *text)
{
    int64_t unix_ms = 77;

    if (since_parse(text, strlen(text), NOW, &unix_ms) != -EINVAL)
        fail_msg("%s is %lld", text, (long long)unix_ms);
    assert_int_equal(unix_ms, 77);
}

static void test_a_number_is_unix_milliseconds(void **state)
{
    (void)state;
    assert_since("1769860800000", NOW);
    assert_since("0", 0);
    assert_since("1", 1);
    assert_since("0001769860800000", NOW);
    assert_since("9007199254740991", (int64_t)EVENT_NUMBER_MAX);
    assert_since("9999999999999999", (int64_t)EVENT_NUMBER_MAX);
}

static void test_a_duration_is_counted_back_from_now(void **state)
{
    (void)state;
    assert_since("0s", NOW);
    assert_since("30s", NOW - 30 * 1000);
    assert_since("15m", NOW - 15 * 60 * 1000);
    assert_since("2h", NOW - 2 * 3600 * 1000);
    assert_since("1d", NOW - 86400 * 1000);
    assert_since("9999999999d", 0);
}

static void test_a_time_is_rfc3339(void **state)
{
    (void)state;
    assert_since("2026-01-31T12:00:00Z", NOW);
    assert_since("2026-01-31t12:00:00z", NOW);
    assert_since("2026-01-31 12:00:00Z", NOW);
    assert_since("2026-01-31T12:00:00+00:00", NOW);
    assert_since("2026-01-31T12:00:00-00:00", NOW);
    assert_since("2026-01-31T13:30:00+01:30", NOW);
    assert_since("2026-01-31T13:30:00 01:30", NOW);
    assert_since("2026-01-31T07:00:00-05:00", NOW);
    assert_since("2026-02-01T11:59:00+23:59", NOW);
    assert_since("2026-01-31T11:59:60Z", NOW);
}

static void test_fractions_are_cut_to_milliseconds(void **state)
{
    (void)state;
    assert_since("2026-01-31T12:00:00.5Z", NOW + 500);
    assert_since("2026-01-31T12:00:00.05Z", NOW + 50);
    assert_since("2026-01-31T12:00:00.678Z", NOW + 678);
    assert_since("2026-01-31T12:00:00.6789Z", NOW + 678);
    assert_since("2026-01-31T12:00:00.999999999+00:00", NOW + 999);
}

static void test_the_calendar_is_known(void **state)
{
    (void)state;
    assert_since("1970-01-01T00:00:00Z", 0);
    assert_since("1969-12-31T23:59:59Z", 0);
    assert_since("0001-01-01T00:00:00Z", 0);
    assert_since("2000-02-29T00:00:00Z", INT64_C(951782400000));
    assert_since("2024-02-29T00:00:00Z", INT64_C(1709164800000));
    assert_since("2100-03-01T00:00:00Z", INT64_C(4107542400000));
    assert_since("9999-12-31T23:59:59.999Z", INT64_C(253402300799999));
    assert_refused("2026-02-29T00:00:00Z");
    assert_refused("2100-02-29T00:00:00Z");
    assert_refused("2026-04-31T00:00:00Z");
    assert_refused("2026-00-01T00:00:00Z");
    assert_refused("2026-13-01T00:00:00Z");
    assert_refused("2026-01-00T00:00:00Z");
    assert_refused("0000-01-01T00:00:00Z");
}

static void test_what_the_clock_writes_is_read(void **state)
{
    (void)state;
    for (int64_t unix_ms = 1; unix_ms < INT64_C(4200000000000); unix_ms += INT64_C(40007003001)) {
        char text[CLOCK_RFC3339_SIZE];

        clock_format_rfc3339(unix_ms, text);
        assert_since(text, unix_ms);
    }
}

static void test_all_else_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        " ",
        "x",
        "-1",
        "+1",
        "1.5",
        "1e3",
        "s",
        "15 m",
        "15mm",
        "15M",
        "15ms",
        "15m ",
        " 15m",
        "-15m",
        "1h30m",
        "1w",
        "m15",
        "99999999999s",
        "now",
        "today",
        "null",
        "NaN",
        "0x10",
        "2026-01",
        "12m5",
        "1,5h",
        "17698608000000000",
        "2026-01-31",
        "2026-01-31T12:00:00",
        "2026-01-31T12:00Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T12:60:00Z",
        "2026-01-31T12:00:61Z",
        "2026-01-31T12:00:00.Z",
        "2026-01-31T12:00:00,5Z",
        "2026-01-31T12:00:00+01",
        "2026-01-31T12:00:00+0100",
        "2026-01-31T12:00:00+24:00",
        "2026-01-31T12:00:00+01:60",
        "2026-01-31T12:00:00Zx",
        "26-01-31T12:00:00Z",
        "2026-1-31T12:00:00Z",
        "2026/01/31T12:00:00Z",
        "2026-01-31T12:00:00.0123456789Z",
        "2026-01-31_12:00:00Z",
        "Sat, 31 Jan 2026 12:00:00 GMT",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_refused(texts[i]);
}

static void test_a_nul_ends_nothing(void **state)
{
    int64_t unix_ms = 77;

    (void)state;
    assert_int_equal(since_parse("15m\0", 4, NOW, &unix_ms), -EINVAL);
    assert_int_equal(since_parse("15\0m", 4, NOW, &unix_ms), -EINVAL);
    assert_int_equal(since_parse("15mx", 3, NOW, &unix_ms), 0);
    assert_int_equal(unix_ms, NOW - 15 * 60 * 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_number_is_unix_milliseconds),
        cmocka_unit_test(test_a_duration_is_counted_back_from_now),
        cmocka_unit_test(test_a_time_is_rfc3339),
        cmocka_unit_test(test_fractions_are_cut_to_milliseconds),
        cmocka_unit_test(test_the_calendar_is_known),
        cmocka_unit_test(test_what_the_clock_writes_is_read),
        cmocka_unit_test(test_all_else_is_refused),
        cmocka_unit_test(test_a_nul_ends_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
