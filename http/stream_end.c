#include "http/stream_end.h"

const char *stream_end_text(enum stream_end end)
{
    switch (end) {
    case STREAM_END_CLIENT:
        return "client";
    case STREAM_END_ERROR:
        return "error";
    case STREAM_END_IDLE:
        return "idle";
    case STREAM_END_SHUTDOWN:
        return "shutdown";
    case STREAM_END_EXPIRED:
        return "expired_token";
    case STREAM_END_REVOKED:
        return "revoked";
    case STREAM_END_DISABLED:
        return "disabled";
    case STREAM_END_MAX_AGE:
        return "max_age";
    }
    return "";
}

enum metric stream_end_metric(enum stream_end end)
{
    switch (end) {
    case STREAM_END_CLIENT:
        return METRIC_CLOSED_CLIENT;
    case STREAM_END_IDLE:
        return METRIC_CLOSED_IDLE;
    case STREAM_END_SHUTDOWN:
        return METRIC_CLOSED_SHUTDOWN;
    case STREAM_END_EXPIRED:
        return METRIC_CLOSED_EXPIRED;
    case STREAM_END_REVOKED:
        return METRIC_CLOSED_REVOKED;
    case STREAM_END_DISABLED:
        return METRIC_CLOSED_DISABLED;
    case STREAM_END_MAX_AGE:
        return METRIC_CLOSED_MAX_AGE;
    case STREAM_END_ERROR:
        break;
    }
    return METRIC_CLOSED_ERROR;
}
