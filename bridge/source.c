#include "bridge/source.h"

#include <errno.h>
#include <nats/nats.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/source_lanes.h"
#include "bridge/source_library.h"
#include "bridge/source_options.h"
#include "bridge/source_report.h"
#include "bridge/source_subscriptions.h"
#include "bridge/stream_link.h"
#include "core/clock.h"
#include "core/thread.h"

enum {
    REBUILD_WAIT_MS = 1000,
    REBUILD_WAIT_MAX_MS = 10000,
    LOOK_INTERVAL_MS = 5000,
    ABANDON_TIMEOUT_MS = 5000,
    CONFIRM_TIMEOUT_MS = 5000,
    CLOSE_TIMEOUT_MS = 2000,
    REST_MARGIN_NS = 300000,
};

struct source {
    struct source_identity identity;
    const char *subjects;
    struct source_control control;
    const char *live_subject;
    struct stream_reader *stream; /* NULL: none */
    struct log *log;
    struct metrics *metrics;
    struct source_report report;      /* of our thread alone */
    struct log_limiter error_limiter; /* used under the lock */
    pthread_t thread;
    /* Connections made or lost since the last confirmation; unless 0, a message may be the first of a new one.
       The library waits much longer before it connects again than this takes to be seen, so relaxed will do. */
    atomic_int unsettled;
    atomic_int_fast64_t rest_until_ns;   /* source_rest(); it only saves work, so relaxed */
    atomic_bool connected;               /* and the server has our subscriptions; it stands alone, so relaxed */
    natsStatistics *delivery_statistics; /* of the delivery thread alone */
    natsStatistics *confirm_statistics;  /* of our thread alone */
    struct source_subscriptions subscriptions;
    int first_of_events; /* among them; they are the last */
    /* Guards what follows, between the threads of NATS, ours, and the taker of the inbox. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    natsConnection *connection; /* NULL while there is none */
    struct source_lanes lanes;
    bool unconfirmed; /* connected anew: the server has not yet said that it has our subscriptions */
    bool confirmed;   /* the present connection was of use once */
    bool closed;      /* the present connection ended for good */
    bool useless;     /* the present connection is to be given up; nothing more is taken from it */
    bool stopping;
    bool draining;
    bool drained;
    int drain_ms; /* the time that a drain has */
    bool ended;   /* our thread is done */
    /* Nobody but our thread knows the source any more, and log and metrics are gone. Never reset. */
    atomic_bool abandoned;
};

static void set_connected(struct source *source, bool connected)
{
    atomic_store_explicit(&source->connected, connected, memory_order_relaxed);
    metrics_set(source->metrics, METRIC_NATS_CONNECTED, connected);
}

static void take_message(struct source *source, natsConnection *connection, natsMsg *message, enum source_lane lane)
{
    size_t size = (size_t)natsMsg_GetDataLength(message);
    struct source_item item = {.message = (struct source_message *)message, .received_ns = clock_monotonic_ns()};
    bool unsettled = atomic_load_explicit(&source->unsettled, memory_order_relaxed) != 0;
    /* Not asked for each message: the library's lock is what its reader needs. */
    int64_t connects = unsettled ? source_library_connects(connection, source->delivery_statistics) : 0;
    bool useless;
    bool kept;

    pthread_mutex_lock(&source->lock);
    useless = source->useless;
    /* What was published before the first message of each connection was missed. */
    if (unsettled && !useless && connects != source->lanes.seen_connects)
        source_lanes_begin(&source->lanes, connects);
    kept = !useless && source_lanes_add(&source->lanes, lane, &item, size);
    lane_unlock(source->lanes.list[lane], &source->lock);
    if (!kept)
        natsMsg_Destroy(message);
    if (useless || lane == SOURCE_LIVE)
        return;
    metrics_add(source->metrics, METRIC_EVENTS_RECEIVED, 1);
    if (!kept)
        metrics_add(source->metrics, METRIC_DROPPED_SOURCE, 1);
}

/*
 * Sleeps through what is left of a rest, on the library's delivery thread: its queue grows meanwhile without a wake-up for
 * each message. A little is left for moving what has gathered to the lane before it is looked at.
 */
static void rest(const struct source *source)
{
    thread_sleep_until(atomic_load_explicit(&source->rest_until_ns, memory_order_relaxed) - REST_MARGIN_NS);
}

static void on_message(natsConnection *connection, natsSubscription *subscription, natsMsg *message, void *context)
{
    (void)subscription;
    take_message(context, connection, message, SOURCE_EVENTS);
    rest(context);
}

static void on_live(natsConnection *connection, natsSubscription *subscription, natsMsg *message, void *context)
{
    (void)subscription;
    take_message(context, connection, message, SOURCE_LIVE);
}

/* The library has connected again. Our thread goes on from here. */
static void on_reconnected(natsConnection *connection, void *context)
{
    struct source *source = context;

    (void)connection;
    pthread_mutex_lock(&source->lock);
    source->unconfirmed = true;
    pthread_cond_broadcast(&source->changed);
    pthread_mutex_unlock(&source->lock);
    if (source->stream)
        stream_link_renew(source->stream);
}

/* Gives the present connection up: another one is made, and begins with a hole. */
static void give_up(struct source *source, const char *reason)
{
    log_write(source->log, LOG_LEVEL_WARN, "NATS connection given up", LOG_FIELDS(log_text("reason", reason)));
    pthread_mutex_lock(&source->lock);
    source->useless = true;
    pthread_cond_broadcast(&source->changed);
    pthread_mutex_unlock(&source->lock);
}

/*
 * Waits until the server has our subscriptions, and only then counts as connected. What was published before that moment
 * was missed, so the hole is written then; should messages have come already, another hole stands in front of them.
 */
static void confirm(struct source *source, natsConnection *connection)
{
    /* Asked before the answer: should the connection be lost right behind that, the next has a hole of its own. */
    int64_t connects = source_library_connects(connection, source->confirm_statistics);
    int unsettled = atomic_load_explicit(&source->unsettled, memory_order_relaxed);

    if (natsConnection_FlushTimeout(connection, CONFIRM_TIMEOUT_MS) != NATS_OK ||
        source_library_is_unread(connection)) {
        /* Lost again: the next connection has its own confirmation. Else it is the server that is mute, or the library, which does not read
           where it had no memory to begin with. */
        if (natsConnection_Status(connection) == NATS_CONN_STATUS_CONNECTED)
            give_up(source, "no answer came");
        return;
    }
    pthread_mutex_lock(&source->lock);
    source_lanes_begin(&source->lanes, connects);
    source->confirmed = true;
    pthread_mutex_unlock(&source->lock);
    if (!atomic_compare_exchange_strong_explicit(&source->unsettled, &unsettled, 0, memory_order_relaxed,
                                                 memory_order_relaxed))
        return;
    set_connected(source, true);
    log_write(source->log, LOG_LEVEL_INFO, "NATS connected", NULL);
}

static bool is_ending(struct source *source)
{
    bool ending;

    pthread_mutex_lock(&source->lock);
    ending = source->stopping || source->draining;
    pthread_mutex_unlock(&source->lock);
    return ending;
}

static void on_disconnected(natsConnection *connection, void *context)
{
    struct source *source = context;

    (void)connection;
    atomic_fetch_add_explicit(&source->unsettled, 1, memory_order_relaxed);
    set_connected(source, false);
    if (is_ending(source))
        return;
    metrics_add(source->metrics, METRIC_NATS_DISCONNECTS, 1);
    log_write(source->log, LOG_LEVEL_WARN, "NATS connection lost: reconnecting", NULL);
}

static void on_closed(natsConnection *connection, void *context)
{
    struct source *source = context;

    (void)connection;
    set_connected(source, false);
    pthread_mutex_lock(&source->lock);
    source->closed = true;
    pthread_cond_broadcast(&source->changed);
    pthread_mutex_unlock(&source->lock);
}

static void on_error(natsConnection *connection, natsSubscription *subscription, natsStatus status, void *context)
{
    struct source *source = context;
    int64_t suppressed = 0;
    bool allowed;

    (void)connection;
    (void)subscription;
    /* The library's own queue is unlimited, ours is the limit. Should it drop all the same, only a new connection's hole has its place. */
    if (status == NATS_SLOW_CONSUMER)
        give_up(source, "messages were dropped");
    metrics_add(source->metrics, METRIC_NATS_ERRORS, 1);
    pthread_mutex_lock(&source->lock);
    allowed = log_limiter_allow(&source->error_limiter, &suppressed);
    pthread_mutex_unlock(&source->lock);
    if (allowed)
        log_write(source->log, LOG_LEVEL_ERROR, "NATS reported an error",
                  LOG_FIELDS(log_text("error", natsStatus_GetText(status)),
                             log_text("detail", source_library_words(status)), log_number("suppressed", suppressed)));
}

static natsStatus connect_nats(struct source *source, natsConnection **ret_connection)
{
    natsOptions *options = NULL;
    natsStatus status = source_options_make(&source->identity, &options);

    if (status == NATS_OK)
        status = natsOptions_SetDisconnectedCB(options, on_disconnected, source);
    if (status == NATS_OK)
        status = natsOptions_SetReconnectedCB(options, on_reconnected, source);
    if (status == NATS_OK)
        status = natsOptions_SetClosedCB(options, on_closed, source);
    if (status == NATS_OK)
        status = natsOptions_SetErrorHandler(options, on_error, source);
    /* The library may never come back from there, and the settings go: asked here, the lock tells that they are not read any more. */
    if (status == NATS_OK && is_ending(source))
        status = NATS_CONNECTION_CLOSED;
    if (status == NATS_OK)
        status = natsConnection_Connect(ret_connection, options);
    natsOptions_Destroy(options);
    return status;
}

static natsStatus subscribe_all(struct source *source, natsConnection *connection)
{
    struct source_subscriptions *subscriptions = &source->subscriptions;
    natsStatus status = NATS_OK;

    if (source->control.subject)
        status = source_subscriptions_add_control(subscriptions, connection, &source->control);
    if (status == NATS_OK && source->live_subject)
        status = source_subscriptions_add(subscriptions, connection, source->live_subject, on_live, source);
    source->first_of_events = subscriptions->count;
    if (status == NATS_OK && source->stream)
        return stream_link_attach(source->stream, connection, subscriptions);
    if (status == NATS_OK)
        status = source_subscriptions_add_list(subscriptions, connection, source->subjects, on_message, source);
    return status;
}

/*
 * Looks how the connection is: the library tells by callbacks, but where memory runs out it may fail to. Tells why there is no
 * connection.
 */
static void look_after(struct source *source, natsConnection *connection)
{
    int64_t connects = source_library_connects(connection, source->confirm_statistics);
    natsConnStatus status = natsConnection_Status(connection);

    pthread_mutex_lock(&source->lock);
    if (status == NATS_CONN_STATUS_CLOSED)
        source->closed = true;
    else if (status == NATS_CONN_STATUS_CONNECTED && connects != source->lanes.seen_connects)
        source->unconfirmed = true;
    pthread_mutex_unlock(&source->lock);
    if (source_library_is_unread(connection))
        give_up(source, "nobody reads it");
    source_report_absence(&source->report, connection);
}

/*
 * Waits until the connection ended for good or is of no use (NATS_CONNECTION_CLOSED), or a stop is wanted (NATS_OK); meanwhile confirms
 * connections, and drains if wanted.
 */
static natsStatus wait_for_end(struct source *source, natsConnection *connection)
{
    bool refused;

    pthread_mutex_lock(&source->lock);
    while (!source->closed && !source->useless && !source->stopping) {
        if (source->unconfirmed) {
            source->unconfirmed = false;
            pthread_mutex_unlock(&source->lock);
            confirm(source, connection);
            pthread_mutex_lock(&source->lock);
            continue;
        }
        if (source->draining && !source->drained) {
            pthread_mutex_unlock(&source->lock);
            source_subscriptions_drain(&source->subscriptions, connection, source->first_of_events, source->drain_ms);
            pthread_mutex_lock(&source->lock);
            source->drained = true;
            pthread_cond_broadcast(&source->changed);
            continue;
        }
        if (!thread_wait_until(&source->changed, &source->lock, thread_deadline_ns(LOOK_INTERVAL_MS))) {
            pthread_mutex_unlock(&source->lock);
            look_after(source, connection);
            pthread_mutex_lock(&source->lock);
        }
    }
    refused = (source->closed || source->useless) && !source->stopping && !source->draining;
    pthread_mutex_unlock(&source->lock);
    return refused ? NATS_CONNECTION_CLOSED : NATS_OK;
}

static void set_connection(struct source *source, natsConnection *connection)
{
    pthread_mutex_lock(&source->lock);
    source->connection = connection;
    source->closed = false;
    source->useless = false;
    source->confirmed = false;
    source_lanes_reset(&source->lanes);
    atomic_store_explicit(&source->unsettled, 1, memory_order_relaxed);
    source->unconfirmed = true;
    pthread_mutex_unlock(&source->lock);
}

/* Closes the connection, and waits for the last of its callbacks, which the library fails to call only where it has no memory. */
static void close_connection(struct source *source, natsConnection *connection)
{
    int64_t until_ns = thread_deadline_ns(CLOSE_TIMEOUT_MS);

    natsConnection_Close(connection);
    pthread_mutex_lock(&source->lock);
    while (!source->closed)
        if (!thread_wait_until(&source->changed, &source->lock, until_ns))
            break;
    pthread_mutex_unlock(&source->lock);
    set_connected(source, false);
}

/* A connection from its beginning to its end. Returns why it ended; NATS_OK: a stop is wanted. */
static natsStatus use_connection(struct source *source, natsConnection *connection)
{
    natsStatus status;

    set_connection(source, connection);
    status = subscribe_all(source, connection);
    if (status == NATS_OK)
        status = wait_for_end(source, connection);
    if (status != NATS_OK) {
        /* What ended the connection says more than that it is closed. */
        natsStatus cause = source_library_error(connection);

        status = cause == NATS_OK ? status : cause;
        source_report_refusal(&source->report, status, NULL);
    }
    pthread_mutex_lock(&source->lock);
    source->connection = NULL;
    pthread_mutex_unlock(&source->lock);
    /* Subscriptions go behind the close: libnats 3.4.1 crashes on one destroyed while messages arrive. */
    close_connection(source, connection);
    if (source->stream)
        stream_link_detach(source->stream);
    source_subscriptions_end(&source->subscriptions);
    natsConnection_Destroy(connection);
    return status;
}

/* One attempt: a connection, if it can be made, to its end. */
static natsStatus run_connection(struct source *source)
{
    natsConnection *connection = NULL;
    natsStatus status = connect_nats(source, &connection);

    if (atomic_load_explicit(&source->abandoned, memory_order_acquire))
        return status;
    if (status == NATS_OK)
        return use_connection(source, connection);
    if (!is_ending(source))
        source_report_refusal(&source->report, status, nats_GetLastError(NULL));
    return status;
}

/*
 * Whether to go on; waits first, so that a server that refuses us is not hammered. One that is not there is asked often: it
 * may come at any time. *wait_ms: how long it waited last.
 */
static bool wait_for_rebuild(struct source *source, natsStatus status, int *wait_ms)
{
    int max_ms = status == NATS_NO_SERVER ? REBUILD_WAIT_MS : REBUILD_WAIT_MAX_MS;
    int64_t until_ns;
    bool stop;

    pthread_mutex_lock(&source->lock);
    if (source->confirmed || *wait_ms == 0)
        *wait_ms = REBUILD_WAIT_MS / 4;
    else
        *wait_ms = *wait_ms * 2 < max_ms ? *wait_ms * 2 : max_ms;
    source->confirmed = false;
    until_ns = thread_deadline_ns(*wait_ms);
    while (!source->stopping && !source->draining)
        if (!thread_wait_until(&source->changed, &source->lock, until_ns))
            break;
    stop = source->stopping || source->draining;
    pthread_mutex_unlock(&source->lock);
    return !stop;
}

static void *run(void *context)
{
    struct source *source = context;
    int wait_ms = 0;
    natsStatus status;

    do {
        status = run_connection(source);
    } while (wait_for_rebuild(source, status, &wait_ms));
    pthread_mutex_lock(&source->lock);
    source->stopping = true;
    source->ended = true;
    pthread_cond_broadcast(&source->changed);
    pthread_mutex_unlock(&source->lock);
    return NULL;
}

static void source_destroy(struct source *source)
{
    source_lanes_release(&source->lanes);
    natsStatistics_Destroy(source->delivery_statistics);
    natsStatistics_Destroy(source->confirm_statistics);
    source_subscriptions_release(&source->subscriptions);
    pthread_cond_destroy(&source->changed);
    pthread_mutex_destroy(&source->lock);
    free(source);
}

struct source *source_new(const struct source_options *options)
{
    struct source *source = calloc(1, sizeof *source);

    if (!source)
        return NULL;
    source->log = options->log;
    source->report.log = options->log;
    source->metrics = options->metrics;
    pthread_mutex_init(&source->lock, NULL);
    thread_cond_init(&source->changed);
    source_subscriptions_init(&source->subscriptions);
    source->identity = options->identity;
    source->subjects = options->subjects;
    source->control = options->control;
    source->live_subject = options->live_subject;
    source->stream = options->stream;
    if (!source_lanes_init(&source->lanes, options->max_pending_events, options->max_pending_bytes) ||
        source_library_open() != NATS_OK || natsStatistics_Create(&source->delivery_statistics) != NATS_OK ||
        natsStatistics_Create(&source->confirm_statistics) != NATS_OK ||
        thread_start(&source->thread, "source", run, source) < 0) {
        source_destroy(source);
        return NULL;
    }
    return source;
}

void source_drain(struct source *source, int timeout_ms)
{
    int64_t until_ns = thread_deadline_ns(timeout_ms);

    pthread_mutex_lock(&source->lock);
    source->draining = true;
    source->drain_ms = timeout_ms;
    pthread_cond_broadcast(&source->changed);
    /* Without a connection there is nothing to drain. */
    while (!source->stopping && source->connection && !source->drained)
        if (!thread_wait_until(&source->changed, &source->lock, until_ns))
            break;
    pthread_mutex_unlock(&source->lock);
}

/* Waits for our thread. False: the library does not let go of it, and never may. */
static bool wait_for_thread(struct source *source)
{
    int64_t until_ns = thread_deadline_ns(ABANDON_TIMEOUT_MS);
    bool ended;

    pthread_mutex_lock(&source->lock);
    while (!source->ended)
        if (!thread_wait_until(&source->changed, &source->lock, until_ns))
            break;
    ended = source->ended;
    atomic_store_explicit(&source->abandoned, !ended, memory_order_release);
    pthread_mutex_unlock(&source->lock);
    return ended;
}

void source_free(struct source *source)
{
    if (!source)
        return;
    /* No drain begins here: a connection that is closed in the middle of one leaks messages in the library. */
    pthread_mutex_lock(&source->lock);
    source->stopping = true;
    pthread_cond_broadcast(&source->changed);
    pthread_mutex_unlock(&source->lock);
    if (!wait_for_thread(source)) {
        log_write(source->log, LOG_LEVEL_WARN, "NATS was given up in the middle of a connection: its server stalls",
                  NULL);
        pthread_detach(source->thread);
        return;
    }
    pthread_join(source->thread, NULL);
    /* Messages still held must go before the library does. */
    source_lanes_release(&source->lanes);
    if (!source_library_close(ABANDON_TIMEOUT_MS)) {
        log_write(source->log, LOG_LEVEL_WARN, "NATS was given up: its library does not end", NULL);
        return;
    }
    source_destroy(source);
}

int source_fd(const struct source *source, enum source_lane lane)
{
    if (lane == SOURCE_EVENTS && source->stream)
        return stream_reader_fd(source->stream);
    return lane_fd(source->lanes.list[lane]);
}

size_t source_take(struct source *source, enum source_lane lane, struct source_item *items, size_t max)
{
    size_t taken;

    if (lane == SOURCE_EVENTS && source->stream)
        return stream_reader_take(source->stream, items, max);
    pthread_mutex_lock(&source->lock);
    taken = lane_take(source->lanes.list[lane], items, max);
    pthread_mutex_unlock(&source->lock);
    return taken;
}

void source_rest(struct source *source, int64_t until_ns)
{
    atomic_store_explicit(&source->rest_until_ns, until_ns, memory_order_relaxed);
}

size_t source_pending(struct source *source, enum source_lane lane)
{
    size_t count;

    if (lane == SOURCE_EVENTS && source->stream)
        return stream_reader_pending(source->stream);
    pthread_mutex_lock(&source->lock);
    count = lane_count(source->lanes.list[lane]);
    pthread_mutex_unlock(&source->lock);
    return count;
}

bool source_is_connected(const struct source *source)
{
    return atomic_load_explicit(&source->connected, memory_order_relaxed);
}

size_t source_max_payload(struct source *source)
{
    int64_t max = 0;

    pthread_mutex_lock(&source->lock);
    if (source->connection)
        max = natsConnection_GetMaxPayload(source->connection);
    pthread_mutex_unlock(&source->lock);
    return max > 0 ? (size_t)max : 0;
}

bool source_publish(struct source *source, const char *subject, const char *payload, size_t size)
{
    bool sent = false;

    pthread_mutex_lock(&source->lock);
    if (source->connection && natsConnection_Status(source->connection) == NATS_CONN_STATUS_CONNECTED)
        sent = natsConnection_Publish(source->connection, subject, payload, (int)size) == NATS_OK;
    pthread_mutex_unlock(&source->lock);
    return sent;
}

bool source_forward(struct source *source, const char *subject, const struct source_message *message)
{
    size_t size;
    const char *payload = source_message_payload(message, &size);

    return source_publish(source, subject, payload, size);
}
