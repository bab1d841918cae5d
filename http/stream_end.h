#ifndef SLUICE_HTTP_STREAM_END_H
#define SLUICE_HTTP_STREAM_END_H

#include "core/metrics.h"

/* Why a stream ends. */
enum stream_end {
    STREAM_END_CLIENT,
    STREAM_END_ERROR,
    STREAM_END_IDLE,
    STREAM_END_SHUTDOWN,
    STREAM_END_EXPIRED,
    STREAM_END_REVOKED,
    STREAM_END_DISABLED,
    STREAM_END_MAX_AGE
};

/* As clients, logs and metrics call it. */
const char *stream_end_text(enum stream_end end);

/* The counter of streams that ended so. */
enum metric stream_end_metric(enum stream_end end);

#endif
