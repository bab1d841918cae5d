#include "http/worker.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/mailbox.h"
#include "core/table.h"
#include "core/thread.h"
#include "http/channel.h"
#include "http/pieces.h"
#include "http/stream_blocks.h"
#include "http/stream_live.h"
#include "http/stream_timer.h"

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

enum {
    EPOLL_EVENTS = 256,
    PUMPS_NS = 1000000, /* how long streams are pumped before others have their turn */
    MAILBOX_MAX = 65536,
    LINGER_S = 10,    /* how long a company without streams stays subscribed */
    RECENT_SHARE = 8, /* of RECENT_BYTES for one company at most, as in the bridge */
};

enum worker_message_type { WORKER_OPEN, WORKER_DRAIN };

struct worker_message {
    struct message message;
    struct stream_request request;
};

struct worker {
    struct stream_context context;
    struct schedule schedule;
    struct hub_worker *hub_worker;
    struct table *channels;
    struct message *pending; /* taken out of the mailbox, not handled yet */
    size_t pending_event;    /* of a HUB_EVENTS in front: the next of its events */
    int64_t next_sweep_ns;
    size_t ring_bytes;     /* of all rings, at the last sweep */
    size_t max_ring_bytes; /* RECENT_BYTES: over it every ring gives its older half up */
    pthread_t thread;
    bool started;
    atomic_bool stopping;
    atomic_bool review_due; /* no message: it must not wait behind events for which there is no room yet */
};

static int register_mailbox(struct worker *worker)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};

    return epoll_ctl(worker->context.epoll_fd, EPOLL_CTL_ADD, mailbox_fd(worker->hub_worker->mailbox), &event);
}

static void set_context(struct stream_context *context, const struct worker_options *options)
{
    const struct config *config = options->config;

    context->registry = options->registry;
    context->log = options->log;
    context->metrics = options->metrics;
    context->worker = options->index;
    context->heartbeat_ms = config->heartbeat_seconds * 1000;
    context->idle_timeout_ms = config->idle_timeout_seconds * 1000;
    context->token_warning_ms = config->token_warning_seconds * 1000;
    context->dead_peer_ms = config->dead_peer_seconds * 1000;
    context->replay_ttl_ms = config->replay_ttl_seconds * 1000;
    context->retry_ms = config->retry_ms;
    context->drain_spread_ms = config->drain_spread_seconds * 1000;
    context->max_age_ms = config->max_stream_age_seconds * 1000;
    context->buffer_events = (uint64_t)config->buffer_events;
    context->buffer_bytes = (size_t)config->buffer_bytes;
    context->refill = strcmp(config->overflow, "refill") == 0;
    context->socket_buffer_bytes = (int)config->socket_buffer_bytes;
    context->now_ns = clock_monotonic_ns();
    context->random = (unsigned)context->now_ns + options->index;
    context->heartbeat = stream_block_heartbeat();
    wheel_init(&context->wheel, context->now_ns);
    pump_list_init(&context->pumps);
}

struct worker *worker_new(const struct worker_options *options)
{
    struct worker *worker = calloc(1, sizeof *worker);
    bool compresses = strcmp(options->config->compression, "gzip") == 0;

    if (!worker)
        return NULL;
    worker->hub_worker = options->hub_worker;
    worker->hub_worker->mailbox = mailbox_new(MAILBOX_MAX);
    worker->channels = table_new();
    worker->context.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    set_context(&worker->context, options);
    if (compresses)
        worker->context.pieces = pieces_new((size_t)options->config->compression_min_bytes, options->metrics);
    worker->context.live.flat = malloc(FLAT_BYTES);
    schedule_init(&worker->schedule);
    worker->max_ring_bytes = (size_t)options->config->recent_bytes;
    worker->schedule.recent_events = (uint64_t)options->config->recent_events;
    worker->schedule.recent_bytes = (size_t)options->config->recent_bytes / RECENT_SHARE;
    if (!worker->hub_worker->mailbox || !worker->channels || worker->context.epoll_fd < 0 ||
        !worker->context.live.flat || (compresses && !worker->context.pieces) || register_mailbox(worker) < 0) {
        worker_free(worker);
        return NULL;
    }
    return worker;
}

/* Channels. */

static void subscribe(struct worker *worker, struct channel *channel)
{
    bridge_subscribe(worker->context.bridge, worker->context.worker, channel->company, channel);
}

static struct channel *get_channel(struct worker *worker, const char *company)
{
    struct channel *channel = table_get(worker->channels, company);

    if (channel)
        return channel;
    channel = channel_new(company);
    if (!channel || table_add(worker->channels, company, channel) < 0)
        abort(); /* no memory for a company: its client is connected and would hear nothing */
    subscribe(worker, channel);
    return channel;
}

static void sweep_channel(const char *company, void *object, void *context)
{
    struct worker *worker = context;
    struct channel *channel = object;

    if (channel->ring) {
        channel_trim_old(&worker->context, channel, clock_unix_ms() - worker->context.replay_ttl_ms);
        worker->ring_bytes += ring_bytes(channel->ring, ring_begin(channel->ring), ring_end(channel->ring));
    }
    if (channel->count > 0 || channel->unsubscribing || !channel->ring ||
        worker->context.now_ns - channel->empty_ns < LINGER_S * NS_PER_S)
        return;
    channel->unsubscribing = true;
    bridge_unsubscribe(worker->context.bridge, worker->context.worker, company, channel);
}

static void halve_channel(const char *company, void *object, void *context)
{
    const struct worker *worker = context;
    struct channel *channel = object;

    (void)company;
    if (channel->ring)
        channel_halve(&worker->context, channel);
}

/* The hub sends nothing more for the channel. Streams that came meanwhile begin a new subscription. */
static void on_unsubscribed(struct worker *worker, struct channel *channel)
{
    channel->unsubscribing = false;
    if (channel->count == 0) {
        table_remove(worker->channels, channel->company);
        channel_free(&worker->schedule, channel);
        return;
    }
    channel_forget_ring(&worker->schedule, channel);
    subscribe(worker, channel);
}

static void start_streams(struct worker *worker, struct channel *channel)
{
    for (size_t i = channel->count; i > 0; i--)
        if (channel->streams[i - 1]->phase == STREAM_WAITING)
            pump_list_add(&worker->context.pumps, channel->streams[i - 1]);
}

static void on_snapshot(struct worker *worker, const struct hub_snapshot *snapshot)
{
    struct channel *channel = snapshot->token;

    ring_free(channel->ring);
    channel->ring = ring_new(snapshot->before);
    if (!channel->ring)
        abort();
    channel->flushed = 0;
    channel->turn = 0;
    strcpy(channel->head_id, snapshot->head_id);
    for (size_t i = 0; i < snapshot->count; i++)
        if (ring_push(channel->ring, snapshot->frames[i]) < 0)
            abort();
    channel->flushed = ring_end(channel->ring);
    start_streams(worker, channel);
}

/* Ends the streams that have begun. Those that wait have nothing of the old order, and go on with the new one. */
static void on_reset(struct worker *worker, const struct hub_snapshot *snapshot)
{
    const struct channel *channel = snapshot->token;

    /* Backwards: a stream that closes has its place taken by one that was visited. */
    for (size_t i = channel->count; i > 0; i--)
        if (channel->streams[i - 1]->phase != STREAM_WAITING)
            stream_close(&worker->context, channel->streams[i - 1], STREAM_END_ERROR);
    on_snapshot(worker, snapshot);
}

/* Messages. */

static void open_stream(struct worker *worker, struct stream_request *request)
{
    struct channel *channel = get_channel(worker, request->company);
    struct stream *stream = stream_new(&worker->context, channel, request);
    struct epoll_event event = {.events = EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = stream};

    request->fd = -1;
    request->head = NULL;
    request->pass = NULL;
    request->filter = NULL;
    if (!stream) {
        registry_leave(worker->context.registry, channel->company, worker->context.worker);
        metrics_add(worker->context.metrics, METRIC_ERROR_RESOURCES, 1);
        return;
    }
    if (epoll_ctl(worker->context.epoll_fd, EPOLL_CTL_ADD, stream->fd, &event) < 0) {
        metrics_add(worker->context.metrics, METRIC_ERROR_RESOURCES, 1);
        stream_close(&worker->context, stream, STREAM_END_ERROR);
        return;
    }
    /* What happened since the pass was given may have been reviewed before the stream was there. */
    stream_review(&worker->context, stream);
    if (stream->fd < 0)
        return;
    if (worker->context.draining)
        stream_begin_end(&worker->context, stream, STREAM_END_SHUTDOWN);
    else
        pump_list_add(&worker->context.pumps, stream);
}

static void drain_stream(struct stream_context *context, struct stream *stream)
{
    stream_begin_end(context, stream, STREAM_END_SHUTDOWN);
}

static void pump_later(struct stream_context *context, struct stream *stream)
{
    pump_list_add(&context->pumps, stream);
}

static void close_stream(struct stream_context *context, struct stream *stream)
{
    stream_close(context, stream, STREAM_END_SHUTDOWN);
}

struct visit {
    struct worker *worker;
    void (*visit)(struct stream_context *context, struct stream *stream);
};

static void visit_channel(const char *company, void *object, void *context)
{
    const struct visit *visit = context;
    struct channel *channel = object;

    (void)company;
    /* Backwards: a stream that closes has its place taken by one that was visited. */
    for (size_t i = channel->count; i > 0; i--)
        if (i <= channel->count)
            visit->visit(&visit->worker->context, channel->streams[i - 1]);
}

static void each_stream(struct worker *worker, void (*visit)(struct stream_context *context, struct stream *stream))
{
    table_each(worker->channels, visit_channel, &(struct visit){.worker = worker, .visit = visit});
}

static void on_page(struct worker *worker, struct hub_page *page)
{
    struct stream_reading *reading = page->token;
    struct stream *stream = reading->stream;

    free(reading);
    if (!stream) {
        page->message.release(&page->message);
        return;
    }
    stream->reading = NULL;
    stream_take_page(&worker->context, stream, page);
}

/* Handles a message, except for HUB_EVENTS. Pages are handed on; all others are freed by the caller. */
static void handle_message(struct worker *worker, struct message *message)
{
    switch (message->type) {
    case WORKER_OPEN:
        open_stream(worker, &((struct worker_message *)(void *)message)->request);
        break;
    case WORKER_DRAIN:
        worker->context.draining = true;
        each_stream(worker, drain_stream);
        break;
    case HUB_SNAPSHOT:
        on_snapshot(worker, (const struct hub_snapshot *)(const void *)message);
        break;
    case HUB_RESET:
        on_reset(worker, (const struct hub_snapshot *)(const void *)message);
        break;
    case HUB_UNSUBSCRIBED:
        on_unsubscribed(worker, ((struct hub_mark *)(void *)message)->token);
        break;
    case HUB_REPLAY_STATE:
        worker->context.replay_ok = ((struct hub_replay_state *)(void *)message)->ok;
        each_stream(worker, pump_later);
        break;
    default:
        break;
    }
    stream_end_batch(&worker->context);
}

/*
 * Pushes the events into their rings. Stops, and returns false, where a channel has so many waiting that its streams must
 * be written to first.
 */
static bool push_events(struct worker *worker, struct hub_events *events)
{
    size_t first = worker->pending_event;
    size_t i = first;
    size_t behind;

    for (; i < events->count; i++) {
        struct channel *channel = events->events[i].token;

        if (channel_is_saturated(&worker->context, channel))
            break;
        channel_push(&worker->schedule, &worker->context, channel, events->events[i].frame);
        events->events[i].frame = NULL;
    }
    worker->pending_event = i;
    behind = atomic_fetch_sub_explicit(&worker->hub_worker->behind, i - first, memory_order_relaxed);
    if (behind > HUB_BEHIND_MAX && behind - (i - first) <= HUB_BEHIND_MAX)
        bridge_wake(worker->context.bridge);
    return i == events->count;
}

static void handle_mailbox(struct worker *worker)
{
    if (!worker->pending)
        worker->pending = mailbox_take(worker->hub_worker->mailbox);
    while (worker->pending) {
        struct message *message = worker->pending;

        if (message->type == HUB_EVENTS && !push_events(worker, (struct hub_events *)(void *)message))
            return;
        worker->pending = message->next;
        worker->pending_event = 0;
        if (message->type == HUB_PAGE) {
            on_page(worker, (struct hub_page *)(void *)message);
            continue;
        }
        if (message->type != HUB_EVENTS)
            handle_message(worker, message);
        message->release(message);
    }
}

/* Sockets and time. */

static void handle_socket(struct worker *worker, struct stream *stream, uint32_t events)
{
    if (stream->fd < 0)
        return;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
        stream_close(&worker->context, stream, events & EPOLLERR ? STREAM_END_ERROR : STREAM_END_CLIENT);
        return;
    }
    stream->blocked = false;
    pump_list_add(&worker->context.pumps, stream);
}

static void review(struct worker *worker)
{
    if (!atomic_exchange(&worker->review_due, false))
        return;
    each_stream(worker, stream_review);
    stream_end_batch(&worker->context);
}

/* A stream that waits for its channel's ring begins as soon as that is there, and not that of a subscription that ends. */
static void pump(struct stream_context *context, struct stream *stream)
{
    if (stream->phase == STREAM_WAITING && stream->channel->ring && !stream->channel->unsubscribing)
        stream_start(context, stream);
    else
        stream_pump(context, stream);
}

/* Pumps one stream at least, and others up to that time. */
static void run_pumps(struct stream_context *context, int64_t until_ns)
{
    struct stream *stream;

    while ((stream = pump_list_take(&context->pumps))) {
        pump(context, stream);
        if (clock_monotonic_ns() >= until_ns)
            return;
    }
}

static void on_timer(struct wheel_timer *timer, void *context)
{
    stream_on_timer(context, (struct stream *)(void *)timer);
}

static int timeout_ms(const struct worker *worker)
{
    int64_t deadline_ns = wheel_deadline_ns(&worker->context.wheel);
    int64_t now_ns = clock_monotonic_ns();

    if (worker->next_sweep_ns < deadline_ns)
        deadline_ns = worker->next_sweep_ns;
    if (worker->pending || pump_list_is_due(&worker->context.pumps) || schedule_is_due(&worker->schedule))
        return 0;
    if (deadline_ns <= now_ns)
        return 0;
    return (int)((deadline_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS);
}

static void sweep(struct worker *worker)
{
    if (worker->context.now_ns < worker->next_sweep_ns)
        return;
    worker->next_sweep_ns = worker->context.now_ns + NS_PER_S;
    worker->ring_bytes = 0;
    /* What streams still share by now is made once more in a second, which costs nothing. */
    if (worker->context.pieces)
        pieces_clear(worker->context.pieces);
    table_each(worker->channels, sweep_channel, worker);
    if (worker->ring_bytes > worker->max_ring_bytes)
        table_each(worker->channels, halve_channel, worker);
}

static void *run(void *context)
{
    struct worker *worker = context;
    struct epoll_event events[EPOLL_EVENTS];

    while (!atomic_load(&worker->stopping)) {
        int count = epoll_wait(worker->context.epoll_fd, events, EPOLL_EVENTS, timeout_ms(worker));

        worker->context.now_ns = clock_monotonic_ns();
        for (int i = 0; i < count; i++)
            if (events[i].data.ptr)
                handle_socket(worker, events[i].data.ptr, events[i].events);
        review(worker);
        handle_mailbox(worker);
        schedule_run(&worker->schedule, &worker->context);
        run_pumps(&worker->context, clock_monotonic_ns() + PUMPS_NS);
        wheel_run(&worker->context.wheel, worker->context.now_ns, on_timer, &worker->context);
        stream_end_batch(&worker->context);
        sweep(worker);
        stream_free_closed(&worker->context);
    }
    each_stream(worker, close_stream);
    stream_free_closed(&worker->context);
    return NULL;
}

int worker_start(struct worker *worker, struct bridge *bridge)
{
    char name[16];
    int status;

    snprintf(name, sizeof name, "worker-%u", worker->context.worker);
    worker->context.bridge = bridge;
    status = thread_start(&worker->thread, name, run, worker);
    worker->started = status == 0;
    return status;
}

/* From other threads. */

static void release_message(struct message *message)
{
    struct worker_message *worker_message = (struct worker_message *)(void *)message;

    if (message->type == WORKER_OPEN && worker_message->request.fd >= 0)
        close(worker_message->request.fd);
    frame_unref(worker_message->request.head);
    pass_free(worker_message->request.pass);
    event_filter_unref(worker_message->request.filter);
    free(message);
}

int worker_open(struct worker *worker, const struct stream_request *request)
{
    struct worker_message *message = calloc(1, sizeof *message);
    int status;

    if (!message)
        return -ENOMEM;
    message->message.type = WORKER_OPEN;
    message->message.release = release_message;
    message->request = *request;
    status = mailbox_put(worker->hub_worker->mailbox, &message->message);
    if (status < 0)
        free(message);
    return status;
}

void worker_drain(struct worker *worker)
{
    struct worker_message *message = calloc(1, sizeof *message);

    /* Streams that are not told are ended without a word, and all come back at once. */
    if (!message)
        abort();
    message->message.type = WORKER_DRAIN;
    message->message.release = release_message;
    message->request.fd = -1;
    mailbox_put_always(worker->hub_worker->mailbox, &message->message);
    /* cppcheck-suppress memleak ; the mailbox owns the message, by its first member */
}

void worker_review(struct worker *worker)
{
    atomic_store(&worker->review_due, true);
    mailbox_wake(worker->hub_worker->mailbox);
}

void worker_stop(struct worker *worker)
{
    if (!worker->started)
        return;
    atomic_store(&worker->stopping, true);
    mailbox_wake(worker->hub_worker->mailbox);
    pthread_join(worker->thread, NULL);
    worker->started = false;
}

static void free_channel(const char *company, void *object, void *context)
{
    struct worker *worker = context;

    table_remove(worker->channels, company);
    channel_free(&worker->schedule, object);
}

/* Readings whose answer nobody took are freed with the pages that answer them. */
static void release_pending(struct message *message)
{
    while (message) {
        struct message *next = message->next;

        if (message->type == HUB_PAGE)
            free(((struct hub_page *)(void *)message)->token);
        message->release(message);
        message = next;
    }
}

void worker_free(struct worker *worker)
{
    if (!worker)
        return;
    release_pending(worker->pending);
    if (worker->hub_worker->mailbox)
        release_pending(mailbox_take(worker->hub_worker->mailbox));
    mailbox_free(worker->hub_worker->mailbox);
    worker->hub_worker->mailbox = NULL;
    if (worker->channels)
        table_each(worker->channels, free_channel, worker);
    table_free(worker->channels);
    if (worker->context.epoll_fd >= 0)
        close(worker->context.epoll_fd);
    frame_unref(worker->context.heartbeat);
    pieces_free(worker->context.pieces);
    free(worker->context.live.flat);
    free(worker);
}
