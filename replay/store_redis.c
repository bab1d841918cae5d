#include "replay/store_redis.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "replay/redis_connection.h"
#include "replay/redis_dial.h"
#include "replay/redis_handshake.h"
#include "replay/redis_request.h"
#include "replay/redis_tls.h"
#include "replay/redis_url.h"

#define NS_PER_MS INT64_C(1000000)

enum {
    BACKOFF_FIRST_MS = 100,
    BACKOFF_MAX_MS = 2000,
    PING_INTERVAL_MS = 1000,
    COMPANIES_COUNTED_MAX = 10000,
};

enum phase { PHASE_WAITING, PHASE_DIALING, PHASE_HANDSHAKE, PHASE_READY };

struct store_redis {
    struct store base;
    struct redis_requests requests; /* what commands need: connection, scripts, limits, epoch */
    struct redis_url url;
    struct redis_tls_options tls; /* its host is the URL's */
    int timeout_ms;
    struct metrics *metrics;
    char holder[64];
    enum phase phase;
    struct redis_dial *dial;
    int64_t retry_ns;
    int backoff_ms;
    int64_t next_ping_ns;
    unsigned jitter_seed;
    char failure[256];             /* why the connection has to end; set in callbacks, acted on behind them */
    struct redis_request *refused; /* asked while there was no connection; failed by the next run */
};

static struct store_redis *redis_of(struct store *store)
{
    return (struct store_redis *)(void *)store;
}

static void fail(struct store_redis *redis, const char *what, const char *detail)
{
    if (!redis->failure[0])
        snprintf(redis->failure, sizeof redis->failure, "%s: %s", what, detail);
}

/* A request's command got an error reply, or none. */
static void on_request_error(void *context, const char *error, bool is_write)
{
    struct store_redis *redis = context;

    metrics_add(redis->metrics, METRIC_REDIS_ERRORS, 1);
    /* A store that refuses writes (full, read-only, still loading) does not replay: the state must say so. */
    if (is_write)
        fail(redis, "Redis refused a write", error);
}

static void on_fenced(void *context)
{
    struct store_redis *redis = context;

    store_set_state(&redis->base, STORE_FENCED, "another process claimed the intake of this Redis");
}

static void refuse(struct store_redis *redis, struct redis_request *request)
{
    request->next = redis->refused;
    redis->refused = request;
}

static void submit(struct store_redis *redis, struct redis_request *request)
{
    if (redis->phase == PHASE_READY && redis_request_send(&redis->requests, request) == 0)
        return;
    refuse(redis, request);
}

static void redis_append(struct store *store, const struct store_append *append, store_append_done done, void *context)
{
    struct store_redis *redis = redis_of(store);

    struct redis_request *request = redis_request_append(append, done, context);

    /* The scripts would not refuse it for a company that the new owner has not written to yet. */
    if (store->state == STORE_FENCED) {
        refuse(redis, request);
        return;
    }
    submit(redis, request);
    if (append->list_company && redis->phase == PHASE_READY)
        redis_request_list_company(&redis->requests, append->company);
}

static void redis_load(struct store *store, const char *company, store_head_done done, void *context)
{
    submit(redis_of(store), redis_request_load(company, done, context));
}

static void redis_read(struct store *store, const struct store_read *read, store_page_done done, void *context)
{
    submit(redis_of(store), redis_request_read(read, done, context));
}

static void redis_count_events(struct store *store, store_count_done done, void *context)
{
    submit(redis_of(store), redis_request_count(COMPANIES_COUNTED_MAX, done, context));
}

static void redis_note_hole(struct store *store, uint64_t unix_ms)
{
    struct store_redis *redis = redis_of(store);

    if (redis->phase == PHASE_READY)
        redis_request_note_hole(&redis->requests, unix_ms);
}

static int redis_poll_fd(const struct store *store, short *ret_events)
{
    const struct store_redis *redis = (const struct store_redis *)(const void *)store;

    *ret_events = POLLIN;
    if (redis->dial)
        return redis_dial_fd(redis->dial);
    if (!redis->requests.connection)
        return -1;
    if (redis_connection_wants_write(redis->requests.connection))
        *ret_events = POLLIN | POLLOUT;
    return redis_connection_fd(redis->requests.connection);
}

static int64_t redis_deadline_ns(const struct store *store)
{
    const struct store_redis *redis = (const struct store_redis *)(const void *)store;

    if (redis->refused)
        return 0;
    if (redis->phase == PHASE_WAITING)
        return redis->retry_ns;
    if (redis->phase == PHASE_READY && !redis_connection_is_waiting(redis->requests.connection))
        return redis->next_ping_ns;
    return redis->requests.connection ? redis_connection_deadline_ns(redis->requests.connection) : INT64_MAX;
}

/* A Redis that hangs shows only in an answer that does not come: asks while nothing else does. */
static void ping_when_quiet(struct store_redis *redis)
{
    if (redis->phase != PHASE_READY || redis_connection_is_waiting(redis->requests.connection) ||
        clock_monotonic_ns() < redis->next_ping_ns)
        return;
    redis->next_ping_ns = clock_monotonic_ns() + PING_INTERVAL_MS * NS_PER_MS;
    redis_request_ping(&redis->requests);
}

/* Ends the connection, if there is one, and tries again later. */
static void lose(struct store_redis *redis, const char *reason)
{
    struct redis_connection *connection = redis->requests.connection;
    int jitter_ms;

    if (redis->phase == PHASE_READY)
        metrics_add(redis->metrics, METRIC_REDIS_DISCONNECTS, 1);
    redis->phase = PHASE_WAITING;
    redis->requests.connection = NULL;
    redis_connection_free(connection);
    redis_dial_free(redis->dial);
    redis->dial = NULL;
    jitter_ms = rand_r(&redis->jitter_seed) % redis->backoff_ms;
    redis->retry_ns = clock_monotonic_ns() + (redis->backoff_ms + jitter_ms) * NS_PER_MS;
    redis->backoff_ms = redis->backoff_ms * 2 < BACKOFF_MAX_MS ? redis->backoff_ms * 2 : BACKOFF_MAX_MS;
    metrics_set(redis->metrics, METRIC_REDIS_CONNECTED, 0);
    if (redis->base.state != STORE_FENCED)
        store_set_state(&redis->base, STORE_LOST, reason);
    redis->failure[0] = '\0';
}

static void on_handshake(void *context, const struct redis_handshake *result)
{
    struct store_redis *redis = context;

    if (result->error[0]) {
        fail(redis, "Redis refused the handshake", result->error);
        return;
    }
    redis->phase = PHASE_READY;
    redis->backoff_ms = BACKOFF_FIRST_MS;
    metrics_set(redis->metrics, METRIC_REDIS_CONNECTED, 1);
    if (result->noted_hole_ms > redis->base.noted_hole_ms)
        redis->base.noted_hole_ms = result->noted_hole_ms;
    else if (redis->base.noted_hole_ms > result->noted_hole_ms)
        redis_request_note_hole(&redis->requests, redis->base.noted_hole_ms);
    if (result->fenced)
        on_fenced(redis);
    else
        store_set_state(&redis->base, STORE_READY, "connected");
}

static void start_dial(struct store_redis *redis)
{
    redis->dial = redis_dial_new(&redis->url, redis->timeout_ms);
    redis->phase = PHASE_DIALING;
    if (!redis->dial)
        lose(redis, "no memory or thread for a connection to Redis");
}

/* Takes the socket over. False: the store has no connection, and said why. */
static bool make_connection(struct store_redis *redis, int fd)
{
    char reason[sizeof redis->failure];
    char error[REDIS_TLS_ERROR_SIZE];
    struct redis_tls *tls = redis->url.secure ? redis_tls_new(fd, &redis->tls, error) : NULL;

    if (redis->url.secure && !tls) {
        close(fd);
        snprintf(reason, sizeof reason, "TLS to Redis cannot begin: %s", error);
        lose(redis, reason);
        return false;
    }
    redis->requests.connection = redis_connection_new(fd, tls, redis->timeout_ms);
    if (!redis->requests.connection)
        lose(redis, "no memory for a connection to Redis");
    return redis->requests.connection != NULL;
}

static void finish_dial(struct store_redis *redis)
{
    int result = redis_dial_result(redis->dial);
    struct redis_handshake_options options = {
        .user = redis->url.user,
        .password = redis->url.password,
        .database = redis->url.database,
        .holder = redis->holder,
    };

    if (result == -EINPROGRESS)
        return;
    redis_dial_free(redis->dial);
    redis->dial = NULL;
    if (result < 0) {
        lose(redis, strerror(-result));
        return;
    }
    if (!make_connection(redis, result))
        return;
    redis->phase = PHASE_HANDSHAKE;
    if (redis_handshake_start(&redis->requests, &options, on_handshake, redis) < 0)
        lose(redis, "no memory for a connection to Redis");
}

static void fail_refused(struct store_redis *redis)
{
    struct redis_request *request = redis->refused;

    redis->refused = NULL;
    while (request) {
        struct redis_request *next = request->next;

        redis_request_fail(request);
        request = next;
    }
}

/* Why the connection ended, and what to do about it. */
static void fail_connection(struct store_redis *redis, int status)
{
    const char *detail = redis_connection_error(redis->requests.connection);

    if (status == -EPROTO && *detail)
        fail(redis, "compare REDIS_TLS_CA_FILE and the host in REDIS_URL with Redis's certificate", detail);
    else
        fail(redis, "the connection to Redis ended", status == -ETIMEDOUT ? "no answer in time" : strerror(-status));
}

static void redis_run(struct store *store)
{
    struct store_redis *redis = redis_of(store);

    fail_refused(redis);
    if (redis->phase == PHASE_WAITING && clock_monotonic_ns() >= redis->retry_ns)
        start_dial(redis);
    if (redis->phase == PHASE_DIALING)
        finish_dial(redis);
    if (redis->requests.connection) {
        int status;

        ping_when_quiet(redis);
        status = redis_connection_run(redis->requests.connection);
        if (status < 0)
            fail_connection(redis, status);
        if (redis->failure[0]) {
            char reason[sizeof redis->failure];

            strcpy(reason, redis->failure);
            lose(redis, reason);
        }
    }
}

static void redis_free(struct store *store)
{
    struct store_redis *redis = redis_of(store);

    redis->phase = PHASE_WAITING;
    redis_connection_free(redis->requests.connection);
    redis->requests.connection = NULL;
    redis_dial_free(redis->dial);
    while (redis->refused)
        fail_refused(redis);
    redis_url_release(&redis->url);
    free(redis);
}

static const struct store_operations operations = {
    .append = redis_append,
    .load = redis_load,
    .read = redis_read,
    .count_events = redis_count_events,
    .note_hole = redis_note_hole,
    .poll_fd = redis_poll_fd,
    .deadline_ns = redis_deadline_ns,
    .run = redis_run,
    .free = redis_free,
    .is_memory = false,
};

struct store *store_redis_new(const struct store_redis_options *options)
{
    struct store_redis *redis = calloc(1, sizeof *redis);

    if (!redis)
        return NULL;
    if (redis_url_parse(options->url, &redis->url) < 0) {
        free(redis);
        return NULL;
    }
    if (options->password && *options->password) {
        free(redis->url.password);
        redis->url.password = strdup(options->password);
        if (!redis->url.password) {
            redis_url_release(&redis->url);
            free(redis);
            return NULL;
        }
    }
    redis->tls = (struct redis_tls_options){.host = redis->url.host,
                                            .ca_file = options->tls_ca_file,
                                            .cert_file = options->tls_cert_file,
                                            .key_file = options->tls_key_file};
    redis->base.operations = &operations;
    redis->base.state = STORE_LOST;
    redis->requests.limits = options->limits;
    redis->requests.on_error = on_request_error;
    redis->requests.on_fenced = on_fenced;
    redis->requests.context = redis;
    redis->timeout_ms = options->timeout_ms;
    redis->metrics = options->metrics;
    redis->backoff_ms = BACKOFF_FIRST_MS;
    redis->jitter_seed = (unsigned)clock_monotonic_ns();
    snprintf(redis->holder, sizeof redis->holder, "%s", options->holder);
    return &redis->base;
}
