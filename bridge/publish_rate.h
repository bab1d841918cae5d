#ifndef SLUICE_BRIDGE_PUBLISH_RATE_H
#define SLUICE_BRIDGE_PUBLISH_RATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/rate.h"

/*
 * How much one company may publish: events and bytes a second. It only says what becomes of each event, and where a hole is
 * due; dropping and writing holes is the intake's. A plain value that knows no clock: every call is told the time, on
 * clock_monotonic_ns(). One owner.
 */
struct publish_rate {
    struct rate_bucket events;
    struct rate_bucket bytes;
    int64_t dropping_until_ns; /* what arrives before is dropped */
    bool untold;               /* something was dropped behind the last hole */
};

struct publish_verdict {
    bool dropped;
    bool hole; /* a hole is due here: in front of the event that passes, or in the place of the one that is dropped */
};

/* Full buckets. 0: no limit. */
struct publish_rate publish_rate_make(int64_t events_per_second, int64_t bytes_per_second);

/*
 * Decides on one event. Dropping begins with a hole, and then goes on for a while whatever comes; what passes behind dropped
 * events that no hole stands behind has a hole in front of it.
 */
struct publish_verdict publish_rate_take(struct publish_rate *rate, size_t bytes, int64_t now_ns);

/* Now and then: whether a hole is due because dropping ended, and nothing has come since to stand behind it. */
bool publish_rate_settle(struct publish_rate *rate, int64_t now_ns);

/* Whether it is as a new one, so that forgetting it changes nothing. */
bool publish_rate_is_new(const struct publish_rate *rate, int64_t now_ns);

#endif
