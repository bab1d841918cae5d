#ifndef SLUICE_AUTH_REFUSAL_H
#define SLUICE_AUTH_REFUSAL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/metrics.h"

/* Why somebody is refused: what the answer, the log and the counters say. The texts are constant. */
struct refusal {
    unsigned status;
    const char *reason; /* for the log: `no_credentials` */
    const char *message;
    enum metric metric;
    int64_t retry_after_seconds; /* 0: trying again would not help */
    bool come_back;              /* a browser must not give up: 200 and a retry: rather than an error */
};

/* Fills it in, counted as its status is by most. Returns -EACCES. Any thread. */
int refusal_set(struct refusal *ret_refusal, unsigned status, const char *reason, const char *message);

/* Likewise with 503, for what may be different in so many seconds. */
int refusal_set_for_now(struct refusal *ret_refusal, const char *reason, const char *message, int64_t seconds);

#endif
