#include "bridge/bridge.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bridge/appender.h"
#include "bridge/live.h"
#include "bridge/nap.h"
#include "bridge/replica.h"
#include "bridge/source.h"
#include "bridge/stream_reader.h"
#include "core/clock.h"
#include "core/thread.h"
#include "replay/store_make.h"

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

enum {
    TAKE_MAX = 512, /* messages from NATS before workers and store get their turn */
    TICK_MS = 500,
    TICK_PATIENCE_MS = 200, /* it may be so much later, with something else that wakes us up */
    MAILBOX_MAX = 1000000,
    DAY_S = 86400,
};

enum bridge_message_type { BRIDGE_SUBSCRIBE, BRIDGE_UNSUBSCRIBE, BRIDGE_READ, BRIDGE_COUNT, BRIDGE_CENSUS };

struct bridge_message {
    struct message message;
    char company[COMPANY_ID_SIZE];
    struct hub_read read; /* worker and token of the other types too */
    store_count_done count_done;
    census_done census_done;
    void *context;
};

struct bridge {
    struct metrics *metrics;
    struct mailbox *mailbox;
    struct message *held; /* that wait until the replica is open, in order */
    struct message **held_last;
    struct stream_reader *stream; /* NULL: events come by core NATS */
    struct stream_place *place;   /* likewise */
    struct source *source;
    struct store *store;
    struct transform *transform;
    struct companies *companies;
    struct hub *hub;
    struct appender *appender;
    struct replica *replica;
    int64_t next_tick_ns;
    struct nap nap; /* only requests are looked at before its end: what comes closely is dealt with together */
    bool memory_store;
    char live_subject[LIVE_SUBJECT_SIZE];
    pthread_t thread;
    bool started;
    atomic_bool stopping;
    atomic_bool begun; /* somebody numbers what NATS gives, and nothing of it is missing here */
    /* Set by the thread when it looked and found nothing left to do while draining; read by bridge_drain(). */
    atomic_bool draining;
    atomic_bool drained;
    atomic_int_fast64_t unstored;
    bool is_refilling;
    atomic_bool open; /* replica_is_open() */
    atomic_bool at_end;
    atomic_int_fast64_t numbered_companies;
};

/* Requests from other threads. */

static void release_message(struct message *message)
{
    free(message);
}

static void send(struct bridge *bridge, enum bridge_message_type type, const char *company,
                 const struct bridge_message *content)
{
    struct bridge_message *message = malloc(sizeof *message);

    if (!message)
        abort(); /* the stream that asked would wait for ever */
    *message = *content;
    message->message.type = type;
    message->message.release = release_message;
    snprintf(message->company, sizeof message->company, "%s", company);
    mailbox_put_always(bridge->mailbox, &message->message);
    /* cppcheck-suppress memleak ; the mailbox owns the message, by its first member */
}

void bridge_subscribe(struct bridge *bridge, unsigned worker, const char *company, void *token)
{
    send(bridge, BRIDGE_SUBSCRIBE, company, &(struct bridge_message){.read = {.worker = worker, .token = token}});
}

void bridge_unsubscribe(struct bridge *bridge, unsigned worker, const char *company, void *token)
{
    send(bridge, BRIDGE_UNSUBSCRIBE, company, &(struct bridge_message){.read = {.worker = worker, .token = token}});
}

void bridge_read(struct bridge *bridge, const char *company, const struct hub_read *read)
{
    send(bridge, BRIDGE_READ, company, &(struct bridge_message){.read = *read});
}

void bridge_count_events(struct bridge *bridge, store_count_done done, void *context)
{
    send(bridge, BRIDGE_COUNT, "", &(struct bridge_message){.count_done = done, .context = context});
}

void bridge_count_streams(struct bridge *bridge, census_done done, void *context)
{
    send(bridge, BRIDGE_CENSUS, "", &(struct bridge_message){.census_done = done, .context = context});
}

void bridge_wake(struct bridge *bridge)
{
    mailbox_wake(bridge->mailbox);
}

enum bridge_replay bridge_replay_kind(const struct bridge *bridge)
{
    return bridge->memory_store ? BRIDGE_REPLAY_MEMORY : BRIDGE_REPLAY_REDIS;
}

bool bridge_replay_ok(const struct bridge *bridge)
{
    return hub_replay_ok(bridge->hub);
}

bool bridge_nats_connected(const struct bridge *bridge)
{
    return metrics_get(bridge->metrics, METRIC_NATS_CONNECTED) == 1;
}

bool bridge_has_begun(const struct bridge *bridge)
{
    return atomic_load(&bridge->begun);
}

bool bridge_is_owner(const struct bridge *bridge)
{
    return metrics_get(bridge->metrics, METRIC_OWNER) == 1;
}

int64_t bridge_peers(const struct bridge *bridge)
{
    return metrics_get(bridge->metrics, METRIC_PEERS);
}

bool bridge_is_deaf(const struct bridge *bridge)
{
    return metrics_get(bridge->metrics, METRIC_LIVE_DEAF) == 1;
}

bool bridge_stream_ok(const struct bridge *bridge)
{
    return !bridge->stream ||
           (metrics_get(bridge->metrics, METRIC_STREAM_CONNECTED) == 1 && atomic_load(&bridge->open));
}

bool bridge_is_at_end(const struct bridge *bridge)
{
    return atomic_load(&bridge->at_end);
}

int64_t bridge_numbered_companies(const struct bridge *bridge)
{
    return atomic_load(&bridge->numbered_companies);
}

/* The thread. */

static void handle_message(struct bridge *bridge, struct bridge_message *message)
{
    struct company *company = NULL;

    if (message->message.type == BRIDGE_COUNT) {
        store_count_events(bridge->store, message->count_done, message->context);
        return;
    }
    if (message->message.type == BRIDGE_CENSUS) {
        replica_count_streams(bridge->replica, message->census_done, message->context);
        return;
    }
    company = replica_company(bridge->replica, message->company);
    if (!company)
        abort(); /* no memory: the stream that asked would wait for ever */
    switch ((enum bridge_message_type)message->message.type) {
    case BRIDGE_SUBSCRIBE:
        hub_subscribe(bridge->hub, company, message->read.worker, message->read.token);
        break;
    case BRIDGE_UNSUBSCRIBE:
        hub_unsubscribe(bridge->hub, company, message->read.worker, message->read.token);
        replica_release(bridge->replica, company);
        break;
    case BRIDGE_READ:
        replica_refresh(bridge->replica, company);
        hub_read(bridge->hub, company, &message->read);
        break;
    case BRIDGE_COUNT:
    case BRIDGE_CENSUS:
        break;
    }
}

static void finish_message(struct bridge *bridge, struct message *message)
{
    handle_message(bridge, (struct bridge_message *)(void *)message);
    message->release(message);
}

static void hold(struct bridge *bridge, struct message *message)
{
    message->next = NULL;
    *bridge->held_last = message;
    bridge->held_last = &message->next;
}

/* At the end nobody waits any more. */
static bool is_open(const struct bridge *bridge)
{
    return replica_is_open(bridge->replica) || atomic_load(&bridge->draining);
}

static void handle_mailbox(struct bridge *bridge)
{
    struct message *message = mailbox_take(bridge->mailbox);

    while (message) {
        struct message *next = message->next;

        if (!is_open(bridge) && (message->type == BRIDGE_SUBSCRIBE || message->type == BRIDGE_UNSUBSCRIBE))
            hold(bridge, message);
        else
            finish_message(bridge, message);
        message = next;
    }
}

static void handle_held(struct bridge *bridge)
{
    struct message *message = bridge->held;

    bridge->held = NULL;
    bridge->held_last = &bridge->held;
    while (message) {
        struct message *next = message->next;

        finish_message(bridge, message);
        message = next;
    }
}

/* Where there may be other replicas, what they tell must not wait for the end of it. */
static void take_nap(struct bridge *bridge)
{
    if (nap_after_events(&bridge->nap) && !replica_may_have_peers(bridge->replica))
        source_rest(bridge->source, bridge->nap.end_ns);
}

static size_t take(struct bridge *bridge, enum source_lane lane,
                   void (*take_one)(struct replica *replica, const struct source_item *item))
{
    struct source_item items[TAKE_MAX];
    size_t count = source_take(bridge->source, lane, items, TAKE_MAX);

    for (size_t i = 0; i < count; i++)
        take_one(bridge->replica, &items[i]);
    return count;
}

static struct timespec timespec_of(int64_t duration_ns)
{
    if (duration_ns < 0)
        duration_ns = 0;
    return (struct timespec){.tv_sec = duration_ns / NS_PER_S, .tv_nsec = duration_ns % NS_PER_S};
}

static struct timespec timeout(const struct bridge *bridge)
{
    const int64_t deadlines_ns[] = {store_deadline_ns(bridge->store), hub_deadline_ns(bridge->hub),
                                    appender_deadline_ns(bridge->appender), replica_deadline_ns(bridge->replica)};
    int64_t deadline_ns = bridge->next_tick_ns + TICK_PATIENCE_MS * NS_PER_MS;

    for (size_t i = 0; i < sizeof deadlines_ns / sizeof deadlines_ns[0]; i++)
        if (deadlines_ns[i] < deadline_ns)
            deadline_ns = deadlines_ns[i];
    if (nap_lasts(&bridge->nap))
        deadline_ns = bridge->nap.end_ns;
    return timespec_of(deadline_ns - clock_monotonic_ns());
}

static void tick(struct bridge *bridge)
{
    if (clock_monotonic_ns() < bridge->next_tick_ns)
        return;
    bridge->next_tick_ns = clock_monotonic_ns() + TICK_MS * NS_PER_MS;
    appender_tick(bridge->appender);
    replica_tick(bridge->replica);
}

/*
 * quiet: the source was looked at and had nothing. What was numbered is seen to its end before another replica may go on, or
 * the process ends.
 */
static void note_drained(struct bridge *bridge, bool quiet)
{
    bool has_heir = replica_has_heir(bridge->replica);
    bool is_alone = !replica_has_peers(bridge->replica);
    int64_t unstored;

    if (!atomic_load(&bridge->draining))
        return;
    hub_drain(bridge->hub);
    /* What others have too, or a stream keeps, need not be numbered here. */
    if (has_heir || bridge->stream)
        replica_retire(bridge->replica);
    /* Who goes on has what the store does not, and appends it. */
    unstored = has_heir ? 0 : appender_backlog_events(bridge->appender) + replica_waiting(bridge->replica);
    atomic_store(&bridge->unstored, unstored);
    if (unstored > 0 || !replica_is_settled(bridge->replica) || !(has_heir || (is_alone && quiet)))
        return;
    replica_leave(bridge->replica);
    atomic_store(&bridge->drained, true);
}

static void count_numbered(struct company *company, void *context)
{
    int64_t *count = context;

    *count += company->was_numbered;
}

static void note_end(struct bridge *bridge)
{
    int64_t count = 0;

    if (!bridge->is_refilling || atomic_load(&bridge->at_end) || !atomic_load(&bridge->open) ||
        appender_backlog_events(bridge->appender) > 0)
        return;
    companies_each(bridge->companies, count_numbered, &count);
    atomic_store(&bridge->numbered_companies, count);
    atomic_store(&bridge->at_end, true);
}

static void *run(void *context)
{
    struct bridge *bridge = context;

    while (!atomic_load(&bridge->stopping)) {
        enum { MAILBOX, LIVE, EVENTS, STORE, WAITED_FOR };
        struct pollfd fds[WAITED_FOR] = {
            [MAILBOX] = {.fd = mailbox_fd(bridge->mailbox), .events = POLLIN},
            [LIVE] = {.fd = -1, .events = POLLIN},
            [EVENTS] = {.fd = -1, .events = POLLIN},
            [STORE] = {.fd = -1},
        };
        bool takes_live = !hub_is_behind(bridge->hub);
        bool takes_events = takes_live && replica_may_take(bridge->replica);
        bool naps = nap_lasts(&bridge->nap);
        struct timespec wait = timeout(bridge);
        size_t taken = 0;

        if (takes_live)
            fds[LIVE].fd = source_fd(bridge->source, SOURCE_LIVE);
        if (!naps)
            fds[STORE].fd = store_poll_fd(bridge->store, &fds[STORE].events);
        if (takes_events && !naps)
            fds[EVENTS].fd = source_fd(bridge->source, SOURCE_EVENTS);
        if (ppoll(fds, WAITED_FOR, &wait, NULL) < 0 && errno != EINTR)
            break;
        if (fds[MAILBOX].revents)
            handle_mailbox(bridge);
        if (fds[LIVE].revents)
            (void)take(bridge, SOURCE_LIVE, replica_take_live);
        /* Behind a nap there mostly is something: it is looked for without another wait. */
        takes_events = takes_events && !nap_lasts(&bridge->nap);
        if (fds[EVENTS].revents || (takes_events && naps))
            taken = take(bridge, SOURCE_EVENTS, replica_take_event);
        replica_run(bridge->replica);
        atomic_store(&bridge->open, replica_is_open(bridge->replica));
        if (is_open(bridge))
            handle_held(bridge);
        /* Streams first: the store is not what people wait for. */
        hub_flush(bridge->hub);
        appender_flush(bridge->appender);
        store_run(bridge->store);
        hub_flush(bridge->hub);
        /* A full hand means that more wait already. */
        if (taken > 0 && taken < TAKE_MAX)
            take_nap(bridge);
        tick(bridge);
        note_end(bridge);
        if (replica_has_begun(bridge->replica) && replica_is_open(bridge->replica))
            atomic_store(&bridge->begun, true);
        note_drained(bridge, takes_events && taken == 0);
    }
    /* So that nobody waits for us. */
    replica_leave(bridge->replica);
    store_run(bridge->store);
    return NULL;
}

static struct stream_reader *make_stream(const struct config *config, const struct bridge_options *options)
{
    int64_t max_age_seconds = config->nats_stream_max_age_seconds;

    if (max_age_seconds == 0)
        max_age_seconds = config->replay_ttl_seconds > DAY_S ? config->replay_ttl_seconds : DAY_S;
    return stream_reader_new(&(struct stream_reader_options){
        .stream = config->nats_stream,
        .create = config->nats_stream_create,
        .subjects = config->nats_subjects,
        .max_age_seconds = max_age_seconds,
        .max_bytes = config->nats_stream_max_bytes,
        .replicas = config->nats_stream_replicas,
        .max_pending_events = (size_t)config->source_pending_events,
        .max_pending_bytes = (size_t)config->source_pending_bytes,
        .log = options->log,
        .metrics = options->metrics,
    });
}

static struct stream_place *make_place(struct bridge *bridge, const struct bridge_options *options)
{
    return stream_place_new(&(struct stream_place_options){
        .store = bridge->store,
        .reader = bridge->stream,
        .companies = bridge->companies,
        .stream = options->config->nats_stream,
        .ttl_ms = options->config->replay_ttl_seconds * 1000,
        .from_ms = options->replay_from_ms,
        .log = options->log,
    });
}

static int make_parts(struct bridge *bridge, const struct bridge_options *options)
{
    const struct config *config = options->config;
    bool has_stream = *config->nats_stream != '\0';

    bridge->mailbox = mailbox_new(MAILBOX_MAX);
    bridge->store = store_make(config, options->metrics);
    bridge->companies = companies_new();
    bridge->transform = transform_new(config->event_names, (size_t)config->max_event_bytes);
    if (!bridge->mailbox || !bridge->store || !bridge->companies || !bridge->transform)
        return -ENOMEM;
    live_subject(config->replica_group, bridge->live_subject);
    /* Half of what a busy company's events wait for each other: another company's event wakes nobody, and waits for it. */
    bridge->nap = nap_of(config->flush_window_ms * NS_PER_MS);
    bridge->memory_store = store_is_memory(bridge->store);
    bridge->hub = hub_new(&(struct hub_options){
        .workers = options->workers,
        .worker_count = options->worker_count,
        .store = bridge->store,
        .ttl_ms = config->replay_ttl_seconds * 1000,
        .flush_window_ns = config->flush_window_ms * NS_PER_MS,
        .max_waiting = (size_t)config->buffer_events / 2,
        .metrics = options->metrics,
    });
    if (!bridge->hub)
        return -ENOMEM;
    bridge->appender = appender_new(&(struct appender_options){
        .store = bridge->store,
        .hub = bridge->hub,
        .companies = bridge->companies,
        .ttl_ms = config->replay_ttl_seconds * 1000,
        .recent_events = (size_t)config->recent_events,
        .recent_bytes = (size_t)config->recent_bytes,
        .backlog_bytes = (size_t)config->replay_backlog_bytes,
        .has_sources = has_stream,
        .log = options->log,
        .metrics = options->metrics,
    });
    if (has_stream)
        bridge->stream = make_stream(config, options);
    if (bridge->stream)
        bridge->place = make_place(bridge, options);
    if (has_stream && !bridge->place)
        return -ENOMEM;
    bridge->is_refilling = options->replay_from_ms > 0;
    bridge->source = source_new(&(struct source_options){
        .identity = source_identity_of(config),
        .subjects = config->nats_subjects,
        .control = {.subject = options->on_control ? BRIDGE_CONTROL_SUBJECT : NULL,
                    .callback = options->on_control,
                    .context = options->control_context},
        .live_subject = bridge->memory_store ? NULL : bridge->live_subject,
        .stream = bridge->stream,
        .max_pending_events = (size_t)config->source_pending_events,
        .max_pending_bytes = (size_t)config->source_pending_bytes,
        .log = options->log,
        .metrics = options->metrics,
    });
    if (!bridge->appender || !bridge->source)
        return -ENOMEM;
    bridge->replica = replica_new(&(struct replica_options){
        .config = config,
        .source = bridge->source,
        .live_subject = bridge->live_subject,
        .store = bridge->store,
        .appender = bridge->appender,
        .hub = bridge->hub,
        .companies = bridge->companies,
        .transform = bridge->transform,
        .streams = options->streams,
        .place = bridge->place,
        .log = options->log,
        .metrics = options->metrics,
    });
    return bridge->replica ? 0 : -ENOMEM;
}

int bridge_new(const struct bridge_options *options, struct bridge **ret_bridge)
{
    struct bridge *bridge = calloc(1, sizeof *bridge);
    int status;

    if (!bridge)
        return -ENOMEM;
    bridge->metrics = options->metrics;
    bridge->held_last = &bridge->held;
    status = make_parts(bridge, options);
    if (status == 0)
        status = thread_start(&bridge->thread, "bridge", run, bridge);
    if (status < 0) {
        bridge_free(bridge);
        return status;
    }
    bridge->started = true;
    *ret_bridge = bridge;
    return 0;
}

void bridge_await_start(struct bridge *bridge, int timeout_ms)
{
    int64_t deadline_ns = clock_monotonic_ns() + timeout_ms * NS_PER_MS;

    while (clock_monotonic_ns() < deadline_ns && !(atomic_load(&bridge->begun) && bridge_replay_ok(bridge)))
        usleep(1000);
}

int64_t bridge_drain(struct bridge *bridge, int64_t deadline_ns)
{
    int64_t left_ms = (deadline_ns - clock_monotonic_ns()) / NS_PER_MS;

    /* What this replica has not numbered, others have, too, or the stream has: where there is neither, it takes all that it can get. */
    if (bridge_peers(bridge) == 0 && !bridge->stream)
        source_drain(bridge->source, left_ms > 0 ? (int)left_ms : 0);
    atomic_store(&bridge->draining, true);
    while (!atomic_load(&bridge->drained) && clock_monotonic_ns() < deadline_ns) {
        bridge_wake(bridge);
        usleep(2000);
    }
    return atomic_load(&bridge->unstored);
}

void bridge_free(struct bridge *bridge)
{
    if (!bridge)
        return;
    if (bridge->started) {
        atomic_store(&bridge->stopping, true);
        bridge_wake(bridge);
        pthread_join(bridge->thread, NULL);
    }
    /* The store calls back while it is freed, so what it calls goes later; held messages go before the source. */
    store_free(bridge->store);
    replica_free(bridge->replica);
    stream_place_free(bridge->place);
    if (bridge->stream)
        stream_reader_stop(bridge->stream);
    source_free(bridge->source);
    stream_reader_free(bridge->stream);
    appender_free(bridge->appender);
    companies_free(bridge->companies);
    hub_free(bridge->hub);
    transform_free(bridge->transform);
    while (bridge->held) {
        struct message *next = bridge->held->next;

        bridge->held->release(bridge->held);
        bridge->held = next;
    }
    mailbox_free(bridge->mailbox);
    free(bridge);
}
