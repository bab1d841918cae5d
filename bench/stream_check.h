/*
 * Checks one client's stream: decodes the response, compressed or not, and holds its events against what the publisher numbered.
 * Events carry "companyId", then "n" (dense per company, from 0) and "t" (CLOCK_MONOTONIC nanoseconds at publish).
 */
#ifndef BENCH_STREAM_CHECK_H
#define BENCH_STREAM_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "histogram.h"

struct stream_check;

/* What all streams together have seen. The streams add to it; whoever owns it reads it. */
struct tally {
    uint64_t deliveries;       /* events of the publisher, each counted once */
    uint64_t gap_events;       /* stream.gap */
    uint64_t missing_told;     /* events jumped over, or missing at the end, behind a stream.gap */
    uint64_t missing_untold;   /* jumped over without one: the fault that must not be */
    uint64_t missing_at_end;   /* missing at the end without one: late, or lost */
    uint64_t miscounted;       /* events behind gaps that told another number than is missing */
    uint64_t duplicates;       /* a number once more */
    uint64_t disorder;         /* a number that comes after a later one */
    uint64_t foreign;          /* another company's event */
    uint64_t unreadable;       /* an event that is neither the publisher's nor a control event */
    uint64_t heartbeats;       /* comments */
    uint64_t body_bytes;       /* without HTTP framing, as they came */
    int64_t warmup_ns;         /* set before: latencies of events published in this first part are left out */
    int64_t measured_from_ns;  /* 0 until the first event: its "t" plus warmup_ns */
    struct histogram *latency; /* publish to parsed event */
};

/*
 * Starts a stream of company c<company>, whose first event must be number `first` and which is complete with `expect`
 * events (0: never). The tally outlives it. Gives NULL without memory. The caller frees it.
 */
struct stream_check *stream_check_new(struct tally *tally, int company, int64_t first, int64_t expect);
void stream_check_free(struct stream_check *check);

/* Takes bytes read at now_ns. Gives 0 or -errno, after which the stream is of no more use. */
int stream_check_feed(struct stream_check *check, const char *bytes, size_t size, int64_t now_ns);

/* The response's status, 0 until its head is complete. */
int stream_check_status(const struct stream_check *check);

/* Whether stream.ready came: from here on the stream misses nothing that is published. */
bool stream_check_ready(const struct stream_check *check);

/* Whether the last expected event came. */
bool stream_check_complete(const struct stream_check *check);

/* At the end of the run: adds what is missing at the stream's end to the tally. */
void stream_check_finish(struct stream_check *check);

#endif
