/* The load generator's result, one line of JSON. */
#ifndef BENCH_LOAD_REPORT_H
#define BENCH_LOAD_REPORT_H

#include "histogram.h"
#include "stream_check.h"

struct load_result {
    long streams;
    long connected;       /* got 200 and stream.ready (slow ones, and plain servers': 200) */
    long failed;          /* did not */
    long closed;          /* ended by the server after that */
    long protocol_errors; /* HTTP or SSE that could not be read; among failed or closed too */
    long complete;        /* got their last expected event */
    int failed_status;    /* of the first failed stream that got an answer, 0 if none did */
    double connect_seconds;
    double complete_seconds; /* from start to the last completion, 0 unless all are complete: null in the report */
    const struct histogram *catch_up; /* connect to complete, for resuming streams */
};

/* Prints to stdout, with this process's own CPU time. Gives 0 or -errno. */
int load_report_print(const struct load_result *result, const struct tally *tally);

#endif
