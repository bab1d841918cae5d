#include "histogram.h"

#include <stdlib.h>

#define STEPS_BITS 6
#define STEPS (1u << STEPS_BITS)
#define POWERS 34 /* up to 2^40 microseconds, twelve days */
#define BUCKETS (STEPS * POWERS)

struct histogram {
    uint64_t buckets[BUCKETS];
    uint64_t count;
    int64_t max_ns;
};

struct histogram *histogram_new(void)
{
    return calloc(1, sizeof(struct histogram));
}

void histogram_free(struct histogram *histogram)
{
    free(histogram);
}

static unsigned bucket_of(uint64_t us)
{
    unsigned power, bucket;

    if (us < STEPS)
        return (unsigned)us;
    power = 63u - (unsigned)__builtin_clzll(us) - STEPS_BITS;
    bucket = (power + 1) * STEPS + (unsigned)((us >> power) & (STEPS - 1));
    return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

/* The first microsecond that lies above the bucket. */
static uint64_t bucket_end_us(unsigned bucket)
{
    unsigned power;

    if (bucket < STEPS)
        return bucket + 1;
    power = bucket / STEPS - 1;
    return ((uint64_t)STEPS + bucket % STEPS + 1) << power;
}

void histogram_record(struct histogram *histogram, int64_t duration_ns)
{
    if (duration_ns < 0)
        duration_ns = 0;
    histogram->buckets[bucket_of((uint64_t)duration_ns / 1000)]++;
    histogram->count++;
    if (duration_ns > histogram->max_ns)
        histogram->max_ns = duration_ns;
}

double histogram_percentile_ms(const struct histogram *histogram, double share)
{
    double wanted = share * (double)histogram->count;
    double end_ms;
    uint64_t passed = 0;

    if (histogram->count == 0)
        return 0;
    for (unsigned i = 0; i < BUCKETS; i++) {
        passed += histogram->buckets[i];
        if (histogram->buckets[i] == 0 || (double)passed < wanted)
            continue;
        end_ms = (double)bucket_end_us(i) / 1e3;
        return end_ms < histogram_max_ms(histogram) ? end_ms : histogram_max_ms(histogram);
    }
    return histogram_max_ms(histogram);
}

double histogram_max_ms(const struct histogram *histogram)
{
    return (double)histogram->max_ns / 1e6;
}

uint64_t histogram_count(const struct histogram *histogram)
{
    return histogram->count;
}
