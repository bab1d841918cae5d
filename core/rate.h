#ifndef SLUICE_CORE_RATE_H
#define SLUICE_CORE_RATE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A token bucket: so much a second, and what RATE_BURST_SECONDS bring at once. It knows no clock: every call is told the
 * time, of any clock that rarely goes back (then nothing is added). A plain value to be embedded; one owner, or its lock.
 */
enum { RATE_BURST_SECONDS = 2 };

/* The highest rate, and the largest amount of one call: keeps all sums within 64 bits. */
#define RATE_MAX INT64_C(1000000000)

struct rate_bucket {
    int64_t per_second; /* 0: no limit */
    int64_t level;      /* in billionths, so that slow rates lose nothing to rounding; negative: a debt */
    int64_t at_ns;      /* when level was reckoned */
};

/* A full bucket. per_second: 0 (everything passes) to RATE_MAX. */
struct rate_bucket rate_bucket_make(int64_t per_second);

/*
 * How long until amount passes: 0 when it would now. An amount above the burst passes when the bucket is full, and leaves a
 * debt: otherwise it never could.
 */
int64_t rate_bucket_wait_ns(const struct rate_bucket *bucket, int64_t amount, int64_t now_ns);

/* Takes amount without asking, for those who asked several buckets first. */
void rate_bucket_charge(struct rate_bucket *bucket, int64_t amount, int64_t now_ns);

/* Takes amount and returns 0; or takes nothing and returns how long to wait. */
int64_t rate_bucket_take(struct rate_bucket *bucket, int64_t amount, int64_t now_ns);

/* Whether it is as full as a new one, so that forgetting it changes nothing. */
bool rate_bucket_is_full(const struct rate_bucket *bucket, int64_t now_ns);

#endif
