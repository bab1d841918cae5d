#include "core/metrics.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S 1e9

/* Upper bounds of the latency buckets, in nanoseconds. */
static const int64_t latency_bounds_ns[] = {500000,     1000000,    2000000,   5000000,   10000000,
                                            20000000,   50000000,   100000000, 250000000, 500000000,
                                            1000000000, 2500000000, 5000000000};
enum { LATENCY_BUCKETS = sizeof latency_bounds_ns / sizeof latency_bounds_ns[0] };

struct metrics {
    _Atomic int64_t values[METRIC_COUNT];
    _Atomic int64_t latency_buckets[LATENCY_BUCKETS + 1];
    _Atomic int64_t latency_sum_ns;
};

struct description {
    const char *name;
    const char *label; /* of the form key="value", or NULL */
    const char *type;
    const char *help;
};

/* Metrics of one name stand together, the first of them with the help text. */
static const struct description descriptions[METRIC_COUNT] = {
    [METRIC_CONNECTIONS] = {"sluice_connections", NULL, "gauge", "Open streams."},
    [METRIC_CONNECTIONS_OPENED] = {"sluice_connections_opened_total", NULL, "counter", "Streams opened."},
    [METRIC_CLOSED_CLIENT] = {"sluice_connections_closed_total", "reason=\"client\"", "counter",
                              "Streams closed, by reason."},
    [METRIC_CLOSED_ERROR] = {"sluice_connections_closed_total", "reason=\"error\"", "counter", NULL},
    [METRIC_CLOSED_IDLE] = {"sluice_connections_closed_total", "reason=\"idle\"", "counter", NULL},
    [METRIC_CLOSED_SHUTDOWN] = {"sluice_connections_closed_total", "reason=\"shutdown\"", "counter", NULL},
    [METRIC_CLOSED_EXPIRED] = {"sluice_connections_closed_total", "reason=\"expired_token\"", "counter", NULL},
    [METRIC_CLOSED_REVOKED] = {"sluice_connections_closed_total", "reason=\"revoked\"", "counter", NULL},
    [METRIC_CLOSED_DISABLED] = {"sluice_connections_closed_total", "reason=\"disabled\"", "counter", NULL},
    [METRIC_CLOSED_MAX_AGE] = {"sluice_connections_closed_total", "reason=\"max_age\"", "counter", NULL},
    [METRIC_ERROR_BAD_REQUEST] = {"sluice_connection_errors_total", "reason=\"bad_request\"", "counter",
                                  "Requests and streams that failed, by reason."},
    [METRIC_ERROR_UNAUTHORIZED] = {"sluice_connection_errors_total", "reason=\"unauthorized\"", "counter", NULL},
    [METRIC_ERROR_FORBIDDEN] = {"sluice_connection_errors_total", "reason=\"forbidden\"", "counter", NULL},
    [METRIC_ERROR_FULL] = {"sluice_connection_errors_total", "reason=\"full\"", "counter", NULL},
    [METRIC_ERROR_DISABLED] = {"sluice_connection_errors_total", "reason=\"disabled\"", "counter", NULL},
    [METRIC_ERROR_DRAINING] = {"sluice_connection_errors_total", "reason=\"draining\"", "counter", NULL},
    [METRIC_ERROR_HEAD_TIMEOUT] = {"sluice_connection_errors_total", "reason=\"head_timeout\"", "counter", NULL},
    [METRIC_ERROR_RESOURCES] = {"sluice_connection_errors_total", "reason=\"resources\"", "counter", NULL},
    [METRIC_ERROR_WRITE] = {"sluice_connection_errors_total", "reason=\"write\"", "counter", NULL},
    [METRIC_ERROR_COMPANY_LIMIT] = {"sluice_connection_errors_total", "reason=\"company_limit\"", "counter", NULL},
    [METRIC_ERROR_USER_LIMIT] = {"sluice_connection_errors_total", "reason=\"user_limit\"", "counter", NULL},
    [METRIC_ERROR_KEY_LIMIT] = {"sluice_connection_errors_total", "reason=\"key_limit\"", "counter", NULL},
    [METRIC_ERROR_ADDRESS_LIMIT] = {"sluice_connection_errors_total", "reason=\"address_limit\"", "counter", NULL},
    [METRIC_ERROR_RATE] = {"sluice_connection_errors_total", "reason=\"rate\"", "counter", NULL},
    [METRIC_ERROR_ADDRESS_RATE] = {"sluice_connection_errors_total", "reason=\"address_rate\"", "counter", NULL},
    [METRIC_ERROR_TICKET_IN_USE] = {"sluice_connection_errors_total", "reason=\"ticket_in_use\"", "counter", NULL},
    [METRIC_ERROR_TICKET_RATE] = {"sluice_connection_errors_total", "reason=\"ticket_rate\"", "counter", NULL},
    [METRIC_ERROR_TOO_LARGE] = {"sluice_connection_errors_total", "reason=\"too_large\"", "counter", NULL},
    [METRIC_EVENTS_RECEIVED] = {"sluice_events_received_total", NULL, "counter", "Messages received from NATS."},
    [METRIC_EVENTS_ACCEPTED] = {"sluice_events_accepted_total", NULL, "counter",
                                "Messages that became events of a company."},
    [METRIC_EVENTS_DUPLICATE] = {"sluice_events_duplicate_total", NULL, "counter",
                                 "Messages of a stream that were read again and are events already."},
    [METRIC_REJECTED_NOT_JSON] = {"sluice_events_rejected_total", "reason=\"not_json\"", "counter",
                                  "Messages refused, by reason."},
    [METRIC_REJECTED_NOT_OBJECT] = {"sluice_events_rejected_total", "reason=\"not_object\"", "counter", NULL},
    [METRIC_REJECTED_MISSING_COMPANY] = {"sluice_events_rejected_total", "reason=\"missing_company\"", "counter", NULL},
    [METRIC_REJECTED_BAD_COMPANY] = {"sluice_events_rejected_total", "reason=\"bad_company\"", "counter", NULL},
    [METRIC_REJECTED_DUPLICATE_COMPANY] = {"sluice_events_rejected_total", "reason=\"duplicate_company\"", "counter",
                                           NULL},
    [METRIC_REJECTED_TOO_LARGE] = {"sluice_events_rejected_total", "reason=\"too_large\"", "counter", NULL},
    [METRIC_REJECTED_NO_EVENT_NAME] = {"sluice_events_rejected_total", "reason=\"no_event_name\"", "counter", NULL},
    [METRIC_DEAD_LETTERS] = {"sluice_dead_letters_total", NULL, "counter",
                             "Refused messages published to the dead-letter subject."},
    [METRIC_DEAD_LETTERS_FAILED] = {"sluice_dead_letters_failed_total", NULL, "counter",
                                    "Refused messages that could not be published to the dead-letter subject."},
    [METRIC_EVENTS_DELIVERED] = {"sluice_events_delivered_total", NULL, "counter",
                                 "Events written to streams, once for each stream."},
    [METRIC_COMPRESSION_INPUT_BYTES] = {"sluice_compression_input_bytes_total", NULL, "counter",
                                        "Bytes of text compressed for streams, once for all that share it."},
    [METRIC_COMPRESSION_OUTPUT_BYTES] = {"sluice_compression_output_bytes_total", NULL, "counter",
                                         "Bytes that it was compressed to."},
    [METRIC_DROPPED_SLOW_CONSUMER] = {"sluice_events_dropped_total", "reason=\"slow_consumer\"", "counter",
                                      "Events not delivered, by reason; each was told as a gap."},
    [METRIC_DROPPED_SOURCE] = {"sluice_events_dropped_total", "reason=\"source\"", "counter", NULL},
    [METRIC_DROPPED_MEMORY] = {"sluice_events_dropped_total", "reason=\"memory\"", "counter", NULL},
    [METRIC_DROPPED_RATE_LIMITED] = {"sluice_events_dropped_total", "reason=\"rate_limited\"", "counter", NULL},
    [METRIC_REFILLS] = {"sluice_refills_total", NULL, "counter",
                        "Streams that fell behind and began to be caught up from the replay (OVERFLOW=refill)."},
    [METRIC_GAP_EXPIRED] = {"sluice_gaps_total", "reason=\"expired\"", "counter",
                            "stream.gap events sent to streams, by reason."},
    [METRIC_GAP_UNKNOWN_ID] = {"sluice_gaps_total", "reason=\"unknown_id\"", "counter", NULL},
    [METRIC_GAP_SLOW_CONSUMER] = {"sluice_gaps_total", "reason=\"slow_consumer\"", "counter", NULL},
    [METRIC_GAP_SOURCE] = {"sluice_gaps_total", "reason=\"source\"", "counter", NULL},
    [METRIC_GAP_RATE_LIMITED] = {"sluice_gaps_total", "reason=\"rate_limited\"", "counter", NULL},
    [METRIC_GAP_REPLAY_UNAVAILABLE] = {"sluice_gaps_total", "reason=\"replay_unavailable\"", "counter", NULL},
    [METRIC_REPLAY_HITS] = {"sluice_replay_hits_total", NULL, "counter", "Resumes that missed nothing."},
    [METRIC_REPLAY_MISSES] = {"sluice_replay_misses_total", NULL, "counter", "Resumes that were told of a gap."},
    [METRIC_REPLAY_EVENTS] = {"sluice_replay_events_total", NULL, "counter", "Events replayed to streams."},
    [METRIC_REPLAY_APPENDED] = {"sluice_replay_appended_total", NULL, "counter",
                                "Events appended to the replay store."},
    [METRIC_REPLAY_BACKLOG_BYTES] = {"sluice_replay_backlog_bytes", NULL, "gauge",
                                     "Bytes of events that wait for the replay store."},
    [METRIC_REPLAY_BACKLOG_DROPPED] = {"sluice_replay_backlog_dropped_total", NULL, "counter",
                                       "Events delivered live that never reached the replay store."},
    [METRIC_RECENT_BYTES] = {"sluice_recent_bytes", NULL, "gauge", "Bytes of recent events kept in memory."},
    [METRIC_NATS_CONNECTED] = {"sluice_nats_connected", NULL, "gauge", "1 while NATS is connected."},
    [METRIC_NATS_DISCONNECTS] = {"sluice_nats_disconnects_total", NULL, "counter", "Connections to NATS lost."},
    [METRIC_NATS_ERRORS] = {"sluice_nats_errors_total", NULL, "counter", "Errors reported by NATS."},
    [METRIC_STREAM_CONNECTED] = {"sluice_stream_connected", NULL, "gauge",
                                 "1 while the stream of NATS_STREAM can be read."},
    [METRIC_STREAM_PENDING] = {"sluice_stream_pending", NULL, "gauge",
                               "Messages of the stream that were not read yet, when the last one was."},
    [METRIC_STREAM_RESTARTS] = {"sluice_stream_restarts_total", NULL, "counter",
                                "Times that reading of the stream began anew behind its last message."},
    [METRIC_OWNER] = {"sluice_intake_owner", NULL, "gauge", "1 while this replica numbers the events."},
    [METRIC_PEERS] = {"sluice_replica_peers", NULL, "gauge", "Other replicas that were heard lately."},
    [METRIC_TAKEOVERS] = {"sluice_intake_takeovers_total", NULL, "counter",
                          "Times that this replica began to number the events."},
    [METRIC_REPLICA_BREAKS] = {"sluice_replica_breaks_total", NULL, "counter",
                               "Places where events of the owner could not be had."},
    [METRIC_LIVE_REFUSED] = {"sluice_replica_messages_refused_total", NULL, "counter",
                             "Messages between replicas that were not understood."},
    [METRIC_LIVE_FOREIGN] = {"sluice_replica_messages_foreign_total", NULL, "counter",
                             "Messages of replicas with another Redis, which were ignored."},
    [METRIC_LIVE_DEAF] = {"sluice_replica_deaf", NULL, "gauge",
                          "1 while this replica does not hear what it says itself: permissions in NATS are missing."},
    [METRIC_LIVE_DEAFENED] = {"sluice_replica_deaf_total", NULL, "counter", "Times that this began."},
    [METRIC_REDIS_CONNECTED] = {"sluice_redis_connected", NULL, "gauge",
                                "1 while the replay store takes appends (in memory: always)."},
    [METRIC_REDIS_DISCONNECTS] = {"sluice_redis_disconnects_total", NULL, "counter", "Connections to Redis lost."},
    [METRIC_REDIS_ERRORS] = {"sluice_redis_errors_total", NULL, "counter", "Error replies from Redis."},
    [METRIC_JWKS_REFRESHED] = {"sluice_jwks_refreshes_total", "result=\"ok\"", "counter",
                               "Requests for the keys of JWT_JWKS_URL, by result."},
    [METRIC_JWKS_FAILED] = {"sluice_jwks_refreshes_total", "result=\"failed\"", "counter", NULL},
    [METRIC_KEYS_RELOAD_FAILED] = {"sluice_keys_reload_failed_total", NULL, "counter",
                                   "Changed key files that could not be used; the keys before them stay."},
    [METRIC_TOKEN_CACHE_HITS] = {"sluice_token_cache_hits_total", NULL, "counter",
                                 "Tokens that were verified before, with the same keys."},
    [METRIC_TOKEN_CACHE_MISSES] = {"sluice_token_cache_misses_total", NULL, "counter",
                                   "Tokens that had to be verified."},
    [METRIC_API_KEYS] = {"sluice_api_keys", NULL, "gauge", "API keys in use."},
    [METRIC_API_KEYS_ERRORS] = {"sluice_api_keys_errors_total", NULL, "counter",
                                "Changes of the API keys that could not be taken over."},
    [METRIC_REVOCATIONS] = {"sluice_revocations_total", NULL, "counter", "Revocations received by NATS."},
    [METRIC_REVOCATION_ERRORS] = {"sluice_revocation_errors_total", NULL, "counter",
                                  "Revocations and shared lists that could not be read or kept."},
    [METRIC_FEATURES_ERRORS] = {"sluice_features_errors_total", NULL, "counter",
                                "Fields of sluice:features that were not understood."},
    [METRIC_SHARED_CONNECTED] = {"sluice_shared_connected", NULL, "gauge",
                                 "1 while what replicas share (tickets, revocations, counts) can be had."},
};

struct metrics *metrics_new(void)
{
    return calloc(1, sizeof(struct metrics));
}

void metrics_free(struct metrics *metrics)
{
    free(metrics);
}

void metrics_add(struct metrics *metrics, enum metric metric, int64_t amount)
{
    atomic_fetch_add_explicit(&metrics->values[metric], amount, memory_order_relaxed);
}

void metrics_set(struct metrics *metrics, enum metric metric, int64_t value)
{
    atomic_store_explicit(&metrics->values[metric], value, memory_order_relaxed);
}

int64_t metrics_get(const struct metrics *metrics, enum metric metric)
{
    return atomic_load_explicit(&metrics->values[metric], memory_order_relaxed);
}

void metrics_observe_latency(struct metrics *metrics, int64_t latency_ns, int64_t deliveries)
{
    size_t bucket = 0;

    while (bucket < LATENCY_BUCKETS && latency_ns > latency_bounds_ns[bucket])
        bucket++;
    atomic_fetch_add_explicit(&metrics->latency_buckets[bucket], deliveries, memory_order_relaxed);
    atomic_fetch_add_explicit(&metrics->latency_sum_ns, latency_ns * deliveries, memory_order_relaxed);
}

static void write_latency(const struct metrics *metrics, struct buffer *text)
{
    static const char name[] = "sluice_delivery_latency_seconds";
    int64_t count = 0;

    buffer_printf(text, "# HELP %s From the receipt of an event from NATS to its socket write.\n", name);
    buffer_printf(text, "# TYPE %s histogram\n", name);
    for (size_t i = 0; i < LATENCY_BUCKETS; i++) {
        count += atomic_load_explicit(&metrics->latency_buckets[i], memory_order_relaxed);
        buffer_printf(text, "%s_bucket{le=\"%g\"} %" PRId64 "\n", name, (double)latency_bounds_ns[i] / NS_PER_S, count);
    }
    count += atomic_load_explicit(&metrics->latency_buckets[LATENCY_BUCKETS], memory_order_relaxed);
    buffer_printf(text, "%s_bucket{le=\"+Inf\"} %" PRId64 "\n", name, count);
    buffer_printf(text, "%s_sum %.9f\n", name,
                  (double)atomic_load_explicit(&metrics->latency_sum_ns, memory_order_relaxed) / NS_PER_S);
    buffer_printf(text, "%s_count %" PRId64 "\n", name, count);
}

void metrics_write(const struct metrics *metrics, struct buffer *text)
{
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        const struct description *description = &descriptions[i];

        if (description->help) {
            buffer_printf(text, "# HELP %s %s\n", description->name, description->help);
            buffer_printf(text, "# TYPE %s %s\n", description->name, description->type);
        }
        buffer_append_text(text, description->name);
        if (description->label)
            buffer_printf(text, "{%s}", description->label);
        buffer_printf(text, " %" PRId64 "\n", metrics_get(metrics, (enum metric)i));
    }
    write_latency(metrics, text);
}
