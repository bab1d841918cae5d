#ifndef SLUICE_CORE_CLOCK_H
#define SLUICE_CORE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

/* Nanoseconds of the monotonic clock: for durations and deadlines. Any thread. */
int64_t clock_monotonic_ns(void);

/* Milliseconds since the Unix epoch: for ids and for people. May step. Any thread. */
int64_t clock_unix_ms(void);

enum { CLOCK_RFC3339_SIZE = 32 };

/* Writes unix_ms as RFC 3339 in UTC with milliseconds, such as 2026-01-02T03:04:05.678Z. Any thread. */
void clock_format_rfc3339(int64_t unix_ms, char ret_text[CLOCK_RFC3339_SIZE]);

#endif
