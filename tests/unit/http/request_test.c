#include "http/request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_accepts(const char *accept, bool expected)
{
    if (request_accepts_event_stream(accept) != expected)
        fail_msg("Accept: %s", accept ? accept : "(none)");
}

static void test_without_an_accept_header_anything_goes(void **state)
{
    (void)state;
    assert_accepts(NULL, true);
    assert_accepts("", true);
    assert_accepts(" \t", true);
}

static void test_ranges_that_cover_event_streams(void **state)
{
    static const char *const good[] = {
        "text/event-stream",
        "*/*",
        "text/*",
        "TEXT/Event-Stream",
        " text/event-stream ",
        "text/html, text/event-stream",
        "text/html,*/*;q=0.8",
        "text/event-stream;q=0.1",
        "text/event-stream ; q=1",
        "text/event-stream;charset=utf-8",
        "text/html;q=0, text/event-stream",
        "*/*;q=0, text/event-stream",
        "text/*;q=0, text/event-stream;q=0.001",
        ",, text/event-stream",
        "text/html;q=0,*/*",
    };

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_accepts(good[i], true);
}

static void test_ranges_that_exclude_event_streams(void **state)
{
    static const char *const bad[] = {
        "application/json",
        "text/html",
        "text/event-streams",
        "text/event-strea",
        "*",
        "image/*",
        "text",
        "text/event-stream;q=0",
        "text/event-stream;q=0.000",
        "text/event-stream; q=0",
        "text/event-stream;Q=0",
        "*/*;q=0",
        "text/*;q=0.0",
        "text/event-stream;charset=utf-8;q=0",
        "application/json;text/event-stream",
        "text/event-stream;q=0, application/json",
        "text/html, application/json;q=0.9",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_accepts(bad[i], false);
}

/* RFC 9110, 12.5.1: "the most specific reference has precedence". */
static void test_the_closest_range_decides_wherever_it_stands(void **state)
{
    (void)state;
    assert_accepts("text/event-stream;q=0, */*", false);
    assert_accepts("*/*, text/event-stream;q=0", false);
    assert_accepts("text/*;q=0, */*", false);
    assert_accepts("*/*;q=0, text/*", true);
    assert_accepts("text/*;q=0, text/event-stream", true);
    assert_accepts("text/event-stream, text/*;q=0", true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_an_accept_header_anything_goes),
        cmocka_unit_test(test_ranges_that_cover_event_streams),
        cmocka_unit_test(test_ranges_that_exclude_event_streams),
        cmocka_unit_test(test_the_closest_range_decides_wherever_it_stands),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
