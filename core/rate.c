#include "core/rate.h"

#define UNIT \
    INT64_C(1000000000) /* of the level, and nanoseconds in a second: a nanosecond adds per_second to the level */

static int64_t capacity(const struct rate_bucket *bucket)
{
    return bucket->per_second * RATE_BURST_SECONDS * UNIT;
}

static int64_t level_at(const struct rate_bucket *bucket, int64_t now_ns)
{
    int64_t missing = capacity(bucket) - bucket->level;
    int64_t elapsed_ns = now_ns - bucket->at_ns;

    if (elapsed_ns <= 0)
        return bucket->level;
    /* Compared before it is multiplied: after a long pause the product would not fit. */
    if (elapsed_ns > missing / bucket->per_second)
        return capacity(bucket);
    return bucket->level + elapsed_ns * bucket->per_second;
}

struct rate_bucket rate_bucket_make(int64_t per_second)
{
    struct rate_bucket bucket = {.per_second = per_second};

    bucket.level = capacity(&bucket);
    return bucket;
}

int64_t rate_bucket_wait_ns(const struct rate_bucket *bucket, int64_t amount, int64_t now_ns)
{
    int64_t needed = amount * UNIT;
    int64_t missing;

    if (bucket->per_second == 0)
        return 0;
    if (needed > capacity(bucket))
        needed = capacity(bucket);
    missing = needed - level_at(bucket, now_ns);
    return missing <= 0 ? 0 : (missing + bucket->per_second - 1) / bucket->per_second;
}

void rate_bucket_charge(struct rate_bucket *bucket, int64_t amount, int64_t now_ns)
{
    if (bucket->per_second == 0)
        return;
    bucket->level = level_at(bucket, now_ns) - amount * UNIT;
    /* No debt beyond the largest amount: charging without asking must not run out of the range. */
    if (bucket->level < -RATE_MAX * UNIT)
        bucket->level = -RATE_MAX * UNIT;
    if (now_ns > bucket->at_ns)
        bucket->at_ns = now_ns;
}

int64_t rate_bucket_take(struct rate_bucket *bucket, int64_t amount, int64_t now_ns)
{
    int64_t wait_ns = rate_bucket_wait_ns(bucket, amount, now_ns);

    if (wait_ns == 0)
        rate_bucket_charge(bucket, amount, now_ns);
    return wait_ns;
}

bool rate_bucket_is_full(const struct rate_bucket *bucket, int64_t now_ns)
{
    return bucket->per_second == 0 || level_at(bucket, now_ns) == capacity(bucket);
}
