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

static void assert_gzip(const char *accept_encoding, bool expected)
{
    if (request_accepts_gzip(accept_encoding) != expected)
        fail_msg("Accept-Encoding: %s", accept_encoding ? accept_encoding : "(none)");
}

static void test_who_asks_for_gzip_gets_it(void **state)
{
    static const char *const good[] = {
        "gzip",
        "GZip",
        "x-gzip",
        "gzip, deflate, br, zstd",
        "br;q=1.0, gzip;q=0.8, *;q=0.1",
        "deflate,\tgzip",
        ",, gzip ,",
        "gzip;q=1",
        "gzip;q=1.",
        "gzip;q=1.000",
        "gzip;q=0.001",
        "gzip ; Q=0.5 , br",
        "*",
        "*;q=0.1",
        "*;q=0, gzip",
        "identity, gzip",
        "identity;q=0.5, gzip;q=0.5",
        "identity;q=0, *",
        "gzip;q=0.2, identity;q=0",
    };

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_gzip(good[i], true);
}

static void test_who_does_not_gets_the_response_as_it_is(void **state)
{
    static const char *const bad[] = {
        "",
        " \t",
        ",",
        "identity",
        "br",
        "deflate, br",
        "gzipped",
        "gzi",
        "x-gzip2",
        "gzip;q=0",
        "gzip;q=0.",
        "gzip;q=0.000",
        "gzip;q=0, *",
        "*;q=0",
        "*, gzip;q=0",
        "identity, gzip;q=0.9",
        "identity;q=0.6, *;q=0.5",
        "gzip, gzip;q=0",
        "gzip;q=0, x-gzip",
    };

    (void)state;
    assert_gzip(NULL, false);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_gzip(bad[i], false);
}

/* What a client may have meant is not guessed: it understands what is not compressed in any case. */
static void test_what_cannot_be_read_asks_for_nothing(void **state)
{
    static const char *const odd[] = {
        "gzip;q=2",       "gzip;q=1.001", "gzip;q=0.1234", "gzip;q=.5", "gzip;q=-1", "gzip;q=1e3",   "gzip;q=0x1",
        "gzip;q=",        "gzip;q",       "gzip;",         "gzip;q =1", "gzip;q= 1", "gzip;level=1", "gzip q=1",
        "gzip;q=1;q=0.5", "gzip;q=nan",   "\"gzip\"",      "gzip/1.0",  "gzip=1",    "gzip;q=1.0 x",
    };

    (void)state;
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
        assert_gzip(odd[i], false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_an_accept_header_anything_goes),
        cmocka_unit_test(test_ranges_that_cover_event_streams),
        cmocka_unit_test(test_ranges_that_exclude_event_streams),
        cmocka_unit_test(test_the_closest_range_decides_wherever_it_stands),
        cmocka_unit_test(test_who_asks_for_gzip_gets_it),
        cmocka_unit_test(test_who_does_not_gets_the_response_as_it_is),
        cmocka_unit_test(test_what_cannot_be_read_asks_for_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
