/*
 * Counts durations in log-linear buckets: 64 to each power of two of microseconds, so that a percentile is
 * exact to 1.6 % from a microsecond to hours, and recording is a handful of instructions.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

struct histogram;

/* Gives NULL without memory. The caller frees it. */
struct histogram *histogram_new(void);
void histogram_free(struct histogram *histogram);

/* Durations below zero count as zero. */
void histogram_record(struct histogram *histogram, int64_t duration_ns);

/* The duration that `share` (0 to 1) of the records do not exceed, in milliseconds; 0 without records. */
double histogram_percentile_ms(const struct histogram *histogram, double share);
double histogram_max_ms(const struct histogram *histogram);
uint64_t histogram_count(const struct histogram *histogram);

#endif
