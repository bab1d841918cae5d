#include "bridge/publish_rate.h"

/*
 * Once it begins, dropping lasts this long, and only then do the buckets decide again. A company that goes on at twice its
 * rate would otherwise have every other event dropped, each behind a hole of its own; so it has whole stretches of events
 * with few holes between them. Half a second is short enough for what comes behind a single burst.
 */
#define DROPPING_NS INT64_C(500000000)

struct publish_rate publish_rate_make(int64_t events_per_second, int64_t bytes_per_second)
{
    return (struct publish_rate){
        .events = rate_bucket_make(events_per_second),
        .bytes = rate_bucket_make(bytes_per_second),
        .dropping_until_ns = INT64_MIN,
    };
}

struct publish_verdict publish_rate_take(struct publish_rate *rate, size_t bytes, int64_t now_ns)
{
    int64_t amount = bytes < (size_t)RATE_MAX ? (int64_t)bytes : RATE_MAX;
    struct publish_verdict verdict = {.dropped = true, .hole = true};

    if (now_ns < rate->dropping_until_ns) {
        rate->untold = true;
        return (struct publish_verdict){.dropped = true};
    }
    if (rate_bucket_wait_ns(&rate->events, 1, now_ns) > 0 || rate_bucket_wait_ns(&rate->bytes, amount, now_ns) > 0) {
        rate->dropping_until_ns = now_ns + DROPPING_NS;
    } else {
        rate_bucket_charge(&rate->events, 1, now_ns);
        rate_bucket_charge(&rate->bytes, amount, now_ns);
        verdict = (struct publish_verdict){.hole = rate->untold};
    }
    rate->untold = false;
    return verdict;
}

bool publish_rate_settle(struct publish_rate *rate, int64_t now_ns)
{
    bool due = rate->untold && now_ns >= rate->dropping_until_ns;

    if (due)
        rate->untold = false;
    return due;
}

bool publish_rate_is_new(const struct publish_rate *rate, int64_t now_ns)
{
    return !rate->untold && now_ns >= rate->dropping_until_ns && rate_bucket_is_full(&rate->events, now_ns) &&
           rate_bucket_is_full(&rate->bytes, now_ns);
}
