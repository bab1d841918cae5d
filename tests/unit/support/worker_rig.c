#include "support/worker_rig.h"

#include "http/worker.c" /* its loop is turned here by hand */

struct asked {
    struct asked *next;
    enum { ASKED_SUBSCRIBE, ASKED_UNSUBSCRIBE, ASKED_READ } kind;
    char company[COMPANY_ID_SIZE];
    struct hub_read read;
};

static struct asked *first_asked;

struct worker_rig {
    struct config config;
    struct worker *worker;
    int64_t expires_ms;
    int64_t since_ms;
    const char *pattern;
    bool gzip;
    bool is_pressed;
};

/* The doubles. */

static void ask(struct asked content, const char *company)
{
    struct asked **last = &first_asked;
    struct asked *asked = malloc(sizeof *asked);

    if (!asked)
        abort();
    *asked = content;
    snprintf(asked->company, sizeof asked->company, "%s", company);
    while (*last)
        last = &(*last)->next;
    *last = asked;
}

void bridge_subscribe(struct bridge *bridge, unsigned worker, const char *company, void *token)
{
    (void)bridge;
    ask((struct asked){.kind = ASKED_SUBSCRIBE, .read = {.worker = worker, .token = token}}, company);
}

void bridge_unsubscribe(struct bridge *bridge, unsigned worker, const char *company, void *token)
{
    (void)bridge;
    ask((struct asked){.kind = ASKED_UNSUBSCRIBE, .read = {.worker = worker, .token = token}}, company);
}

void bridge_read(struct bridge *bridge, const char *company, const struct hub_read *read)
{
    (void)bridge;
    ask((struct asked){.kind = ASKED_READ, .read = *read}, company);
}

void bridge_wake(struct bridge *bridge)
{
    (void)bridge;
}

size_t worker_rig_asked(void)
{
    size_t count = 0;

    for (const struct asked *at = first_asked; at; at = at->next)
        count++;
    return count;
}

void worker_rig_answer(struct bridge_rig *bridge)
{
    struct asked *asked = first_asked;

    if (!asked)
        return;
    first_asked = asked->next;
    switch (asked->kind) {
    case ASKED_SUBSCRIBE:
        bridge_rig_subscribe(bridge, asked->company, asked->read.worker, asked->read.token);
        break;
    case ASKED_UNSUBSCRIBE:
        bridge_rig_unsubscribe(bridge, asked->company, asked->read.worker, asked->read.token);
        break;
    case ASKED_READ:
        bridge_rig_read(bridge, asked->company, &asked->read);
        break;
    }
    free(asked);
}

void worker_rig_forget_asked(void)
{
    while (first_asked) {
        struct asked *next = first_asked->next;

        if (first_asked->kind == ASKED_READ)
            free(first_asked->read.token);
        free(first_asked);
        first_asked = next;
    }
}

/* The worker. */

struct worker_rig *worker_rig_new(const struct worker_rig_options *options)
{
    static char gap[] = "gap";
    static char refill[] = "refill";
    static char gzip[] = "gzip";
    struct worker_rig *rig = calloc(1, sizeof *rig);

    if (!rig)
        abort();
    rig->config = (struct config){
        .heartbeat_seconds = 30,
        .idle_timeout_seconds = 100000,
        .dead_peer_seconds = 60,
        .token_warning_seconds = 60,
        .retry_ms = 1000,
        .drain_spread_seconds = options->drain_spread_seconds,
        .max_stream_age_seconds = options->max_stream_age_seconds,
        .buffer_events = options->buffer_events,
        .buffer_bytes = options->buffer_bytes,
        .overflow = options->refill ? refill : gap,
        .recent_events = options->recent_events,
        .recent_bytes = options->recent_bytes * RECENT_SHARE,
        .socket_buffer_bytes = 4096,
        .flush_window_ms = 5,
        .compression = gzip,
        .compression_min_bytes = 200,
        .replay_ttl_seconds = 86400,
    };
    rig->worker = worker_new(&(struct worker_options){
        .config = &rig->config,
        .index = options->index,
        .hub_worker = options->hub_worker,
        .registry = options->registry,
        .metrics = options->metrics,
    });
    if (!rig->worker)
        abort();
    rig->worker->context.random = 1;
    return rig;
}

void worker_rig_free(struct worker_rig *rig)
{
    if (!rig)
        return;
    each_stream(rig->worker, close_stream);
    stream_free_closed(&rig->worker->context);
    worker_free(rig->worker);
    free(rig);
}

void worker_rig_expire(struct worker_rig *rig, int64_t expires_ms)
{
    rig->expires_ms = expires_ms;
}

void worker_rig_since(struct worker_rig *rig, int64_t since_ms)
{
    rig->since_ms = since_ms;
}

void worker_rig_filter(struct worker_rig *rig, const char *pattern)
{
    rig->pattern = pattern;
}

void worker_rig_compress(struct worker_rig *rig, bool gzip)
{
    rig->gzip = gzip;
}

void worker_rig_press(struct worker_rig *rig, bool is_pressed)
{
    rig->is_pressed = is_pressed;
}

void worker_rig_open(struct worker_rig *rig, struct fake_socket *socket, const char *company, bool chunked,
                     const char *requested)
{
    unsigned worker;
    struct stream_request request = {
        .fd = socket->fd,
        .chunked = chunked,
        .connection_id = "c0",
        .expires_ms = rig->expires_ms,
        .gzip = rig->gzip,
    };

    request.head = stream_block_head(chunked, "", 1000, rig->gzip ? &request.gzip_sum : NULL);
    if (rig->pattern) {
        request.filter = event_filter_new(&rig->pattern, 1);
        if (!request.filter)
            abort();
    }
    if (requested) {
        request.cursor = event_id_parse(requested, strlen(requested), &request.position) ? STREAM_CURSOR_ID
                                                                                         : STREAM_CURSOR_MALFORMED;
        snprintf(request.requested, sizeof request.requested, "%s", requested);
    }
    if (!requested && rig->since_ms > 0) {
        request.cursor = STREAM_CURSOR_SINCE;
        request.position = (struct event_position){.ms = (uint64_t)rig->since_ms - 1, .seq = EVENT_NUMBER_MAX};
    }
    snprintf(request.company, sizeof request.company, "%s", company);
    if (registry_enter(rig->worker->context.registry, company, &worker) < 0 || worker_open(rig->worker, &request) < 0)
        abort();
}

struct finding {
    int fd;
    struct stream *stream;
};

static void find_stream(const char *company, void *object, void *context)
{
    struct finding *finding = context;
    const struct channel *channel = object;

    (void)company;
    for (size_t i = 0; i < channel->count; i++)
        if (channel->streams[i]->fd == finding->fd)
            finding->stream = channel->streams[i];
}

struct stream *worker_rig_stream(struct worker_rig *rig, const struct fake_socket *socket)
{
    struct finding finding = {.fd = socket->fd};

    if (!socket->closed)
        table_each(rig->worker->channels, find_stream, &finding);
    return finding.stream;
}

struct channel *worker_rig_channel(struct worker_rig *rig, const char *company)
{
    return table_get(rig->worker->channels, company);
}

static void turn_socket(struct worker_rig *rig, struct fake_socket *socket)
{
    struct stream *stream = worker_rig_stream(rig, socket);

    if (!stream || !(socket->edge || socket->gone))
        return;
    socket->edge = false;
    handle_socket(rig->worker, stream, socket->gone ? EPOLLOUT | EPOLLRDHUP | EPOLLHUP : EPOLLOUT);
}

/* As run() does, with other sockets. */
void worker_rig_turn(struct worker_rig *rig, struct fake_socket *const *sockets, size_t count)
{
    struct worker *worker = rig->worker;

    worker->context.now_ns = clock_monotonic_ns();
    for (size_t i = 0; i < count; i++)
        if (sockets[i])
            turn_socket(rig, sockets[i]);
    review(worker);
    handle_mailbox(worker);
    schedule_run(&worker->schedule, &worker->context);
    run_pumps(&worker->context, rig->is_pressed ? 0 : INT64_MAX);
    wheel_run(&worker->context.wheel, worker->context.now_ns, on_timer, &worker->context);
    stream_end_batch(&worker->context);
    sweep(worker);
    stream_free_closed(&worker->context);
}

void worker_rig_drain(struct worker_rig *rig)
{
    worker_drain(rig->worker);
}

void worker_rig_review(struct worker_rig *rig)
{
    worker_review(rig->worker);
}

bool worker_rig_is_busy(const struct worker_rig *rig)
{
    return rig->worker->pending || pump_list_is_due(&rig->worker->context.pumps) ||
           schedule_is_due(&rig->worker->schedule) || mailbox_size(rig->worker->hub_worker->mailbox) > 0;
}
