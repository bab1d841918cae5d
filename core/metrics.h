#ifndef SLUICE_CORE_METRICS_H
#define SLUICE_CORE_METRICS_H

#include <stdint.h>

#include "core/buffer.h"

/*
 * Counters, gauges and the delivery latency of one process. Any thread may add; hot paths add once per batch. The numbers
 * are independent of each other, so all accesses are relaxed atomics.
 */
struct metrics;

enum metric {
    METRIC_CONNECTIONS,
    METRIC_CONNECTIONS_OPENED,
    METRIC_CLOSED_CLIENT,
    METRIC_CLOSED_ERROR,
    METRIC_CLOSED_IDLE,
    METRIC_CLOSED_SHUTDOWN,
    METRIC_CLOSED_EXPIRED,
    METRIC_CLOSED_REVOKED,
    METRIC_CLOSED_DISABLED,
    METRIC_CLOSED_MAX_AGE,
    METRIC_ERROR_BAD_REQUEST,
    METRIC_ERROR_UNAUTHORIZED,
    METRIC_ERROR_FORBIDDEN,
    METRIC_ERROR_FULL,
    METRIC_ERROR_DISABLED,
    METRIC_ERROR_DRAINING,
    METRIC_ERROR_HEAD_TIMEOUT,
    METRIC_ERROR_RESOURCES,
    METRIC_ERROR_WRITE,
    METRIC_ERROR_COMPANY_LIMIT,
    METRIC_ERROR_USER_LIMIT,
    METRIC_ERROR_KEY_LIMIT,
    METRIC_ERROR_ADDRESS_LIMIT,
    METRIC_ERROR_RATE,
    METRIC_ERROR_ADDRESS_RATE,
    METRIC_ERROR_TICKET_IN_USE,
    METRIC_ERROR_TICKET_RATE,
    METRIC_ERROR_TOO_LARGE,
    METRIC_EVENTS_RECEIVED,
    METRIC_EVENTS_ACCEPTED,
    METRIC_REJECTED_NOT_JSON,
    METRIC_REJECTED_NOT_OBJECT,
    METRIC_REJECTED_MISSING_COMPANY,
    METRIC_REJECTED_BAD_COMPANY,
    METRIC_REJECTED_DUPLICATE_COMPANY,
    METRIC_REJECTED_TOO_LARGE,
    METRIC_REJECTED_NO_EVENT_NAME,
    METRIC_DEAD_LETTERS,
    METRIC_DEAD_LETTERS_FAILED,
    METRIC_EVENTS_DELIVERED,
    METRIC_DROPPED_SLOW_CONSUMER,
    METRIC_DROPPED_SOURCE,
    METRIC_DROPPED_MEMORY,
    METRIC_DROPPED_RATE_LIMITED,
    METRIC_REFILLS,
    METRIC_GAP_EXPIRED,
    METRIC_GAP_UNKNOWN_ID,
    METRIC_GAP_SLOW_CONSUMER,
    METRIC_GAP_SOURCE,
    METRIC_GAP_RATE_LIMITED,
    METRIC_GAP_REPLAY_UNAVAILABLE,
    METRIC_REPLAY_HITS,
    METRIC_REPLAY_MISSES,
    METRIC_REPLAY_EVENTS,
    METRIC_REPLAY_APPENDED,
    METRIC_REPLAY_BACKLOG_BYTES,
    METRIC_REPLAY_BACKLOG_DROPPED,
    METRIC_RECENT_BYTES,
    METRIC_NATS_CONNECTED,
    METRIC_NATS_DISCONNECTS,
    METRIC_NATS_ERRORS,
    METRIC_REDIS_CONNECTED,
    METRIC_REDIS_DISCONNECTS,
    METRIC_REDIS_ERRORS,
    METRIC_JWKS_REFRESHED,
    METRIC_JWKS_FAILED,
    METRIC_KEYS_RELOAD_FAILED,
    METRIC_TOKEN_CACHE_HITS,
    METRIC_TOKEN_CACHE_MISSES,
    METRIC_API_KEYS,
    METRIC_API_KEYS_ERRORS,
    METRIC_REVOCATIONS,
    METRIC_REVOCATION_ERRORS,
    METRIC_FEATURES_ERRORS,
    METRIC_SHARED_CONNECTED,
    METRIC_COUNT,
};

/* All zero. NULL: no memory. */
struct metrics *metrics_new(void);
void metrics_free(struct metrics *metrics);

void metrics_add(struct metrics *metrics, enum metric metric, int64_t amount);
void metrics_set(struct metrics *metrics, enum metric metric, int64_t value);
int64_t metrics_get(const struct metrics *metrics, enum metric metric);

/* Adds `deliveries` deliveries, each of which took latency_ns from receipt to socket write. */
void metrics_observe_latency(struct metrics *metrics, int64_t latency_ns, int64_t deliveries);

/* Appends all of it in the Prometheus text format, version 0.0.4. */
void metrics_write(const struct metrics *metrics, struct buffer *text);

#endif
