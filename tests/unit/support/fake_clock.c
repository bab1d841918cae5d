#include "support/fake_clock.h"

#include <inttypes.h>
#include <stdio.h>

#include "core/clock.h"

#define NS_PER_MS INT64_C(1000000)

static int64_t unix_ms_now = INT64_C(1700000000000);
static int64_t skew_ms_now;
static int64_t monotonic_ns_now = INT64_C(1000000000000);

void fake_clock_set_ms(int64_t unix_ms)
{
    unix_ms_now = unix_ms;
}

void fake_clock_advance_ms(int64_t ms)
{
    unix_ms_now += ms;
    monotonic_ns_now += ms * NS_PER_MS;
}

void fake_clock_set_skew_ms(int64_t ms)
{
    skew_ms_now = ms;
}

int64_t fake_clock_true_ms(void)
{
    return unix_ms_now;
}

int64_t clock_monotonic_ns(void)
{
    return monotonic_ns_now;
}

int64_t clock_unix_ms(void)
{
    return unix_ms_now + skew_ms_now;
}

void clock_format_rfc3339(int64_t unix_ms, char ret_text[CLOCK_RFC3339_SIZE])
{
    snprintf(ret_text, CLOCK_RFC3339_SIZE, "%" PRId64, unix_ms);
}
