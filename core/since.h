#ifndef SLUICE_CORE_SINCE_H
#define SLUICE_CORE_SINCE_H

#include <stddef.h>
#include <stdint.h>

/*
 * Reads the time that a client wants events from (`?since=`): RFC 3339 (2026-01-31T12:00:00Z, 2026-01-31T13:00:00.5+01:00),
 * Unix milliseconds (1769860800000), or how long before now_ms (30s, 15m, 2h, 1d). Gives Unix milliseconds, 0 for all times
 * before 1970, and at most EVENT_NUMBER_MAX. Returns 0, or -EINVAL for anything else. Any thread.
 */
int since_parse(const char *text, size_t size, int64_t now_ms, int64_t *ret_unix_ms);

/* What since_parse() takes, for people. */
#define SINCE_EXPECTED "a time (2026-01-31T12:00:00Z), Unix milliseconds, or how long ago (30s, 15m, 2h, 1d)"

#endif
