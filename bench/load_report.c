#include "load_report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>

static double own_cpu_seconds(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void print_percentiles(const char *name, const struct histogram *histogram)
{
    printf("\"%s\":{\"count\":%" PRIu64 ",\"p50\":%.3f,\"p95\":%.3f,\"p99\":%.3f,\"max\":%.3f},", name,
           histogram_count(histogram), histogram_percentile_ms(histogram, 0.50),
           histogram_percentile_ms(histogram, 0.95), histogram_percentile_ms(histogram, 0.99),
           histogram_max_ms(histogram));
}

int load_report_print(const struct load_result *result, const struct tally *tally)
{
    printf("{\"streams\":%ld,\"connected\":%ld,\"failed\":%ld,\"failed_status\":%d,\"closed\":%ld,"
           "\"protocol_errors\":%ld,\"complete\":%ld,\"connect_seconds\":%.3f,",
           result->streams, result->connected, result->failed, result->failed_status, result->closed,
           result->protocol_errors, result->complete, result->connect_seconds);
    if (result->complete_seconds > 0)
        printf("\"complete_seconds\":%.3f,", result->complete_seconds);
    else
        printf("\"complete_seconds\":null,");
    print_percentiles("latency_ms", tally->latency);
    print_percentiles("catch_up_ms", result->catch_up);
    printf("\"deliveries\":%" PRIu64 ",\"gap_events\":%" PRIu64 ",\"missing_told\":%" PRIu64
           ",\"missing_untold\":%" PRIu64 ",\"missing_at_end\":%" PRIu64 ",\"miscounted\":%" PRIu64
           ",\"duplicates\":%" PRIu64 ",\"disorder\":%" PRIu64 ",\"foreign\":%" PRIu64 ",\"unreadable\":%" PRIu64
           ",\"heartbeats\":%" PRIu64 ",\"body_bytes\":%" PRIu64 ",\"cpu_seconds\":%.3f}\n",
           tally->deliveries, tally->gap_events, tally->missing_told, tally->missing_untold, tally->missing_at_end,
           tally->miscounted, tally->duplicates, tally->disorder, tally->foreign, tally->unreadable, tally->heartbeats,
           tally->body_bytes, own_cpu_seconds());
    return fflush(stdout) == 0 ? 0 : -errno;
}
