#include "auth/refusal.h"

#include <errno.h>

static enum metric metric_of(unsigned status)
{
    switch (status) {
    case 401:
        return METRIC_ERROR_UNAUTHORIZED;
    case 403:
        return METRIC_ERROR_FORBIDDEN;
    case 503:
        return METRIC_ERROR_RESOURCES;
    default:
        return METRIC_ERROR_BAD_REQUEST;
    }
}

int refusal_set(struct refusal *ret_refusal, unsigned status, const char *reason, const char *message)
{
    *ret_refusal =
        (struct refusal){.status = status, .reason = reason, .message = message, .metric = metric_of(status)};
    return -EACCES;
}

int refusal_set_for_now(struct refusal *ret_refusal, const char *reason, const char *message, int64_t seconds)
{
    (void)refusal_set(ret_refusal, 503, reason, message);
    ret_refusal->retry_after_seconds = seconds;
    return -EACCES;
}
