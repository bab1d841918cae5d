#include "bridge/bridge.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "bridge/appender.h"
#include "bridge/intake.h"
#include "bridge/source.h"
#include "core/clock.h"
#include "core/thread.h"
#include "replay/store_memory.h"
#include "replay/store_redis.h"

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

enum {
    TAKE_MAX = 512, /* messages from NATS before workers and store get their turn */
    TICK_MS = 500,
    CLAIM_MS = 300,
    LEASE_MS = 1500,
    MAILBOX_MAX = 1000000,
    MEMORY_STORE_SHARE = 4, /* of REPLAY_MAX_BYTES over all companies, for a store in memory */
};

enum bridge_message_type { BRIDGE_SUBSCRIBE, BRIDGE_UNSUBSCRIBE, BRIDGE_READ, BRIDGE_COUNT };

struct bridge_message {
    struct message message;
    char company[COMPANY_ID_SIZE];
    struct hub_read read; /* worker and token of the other types too */
    store_count_done count_done;
    void *context;
};

struct bridge {
    struct metrics *metrics;
    struct mailbox *mailbox;
    struct source *source;
    struct store *store;
    struct transform *transform;
    struct companies *companies;
    struct hub *hub;
    struct appender *appender;
    struct intake *intake;
    int64_t next_tick_ns;
    int64_t nap_end_ns; /* only requests are looked at before: what comes closely is dealt with together */
    int64_t nap_ns;
    char holder[32]; /* of the lease of the intake */
    uint64_t epoch;  /* of that lease; 0: it is not ours */
    bool waits;      /* for the lease, which is another's */
    int64_t next_claim_ns;
    struct log *log;
    bool memory_store;
    pthread_t thread;
    bool started;
    atomic_bool stopping;
    atomic_bool source_begun; /* the hole in front of the first message was dealt with */
    /* Set by the thread when it looked and found nothing left to do while draining; read by bridge_drain(). */
    atomic_bool draining;
    atomic_bool drained;
    atomic_int_fast64_t unstored;
};

static struct store *make_store(const struct config *config, struct metrics *metrics)
{
    struct store_limits limits = {
        .ttl_ms = config->replay_ttl_seconds * 1000,
        .max_events = config->replay_max_events,
        .max_bytes = config->replay_max_bytes,
    };
    struct store_redis_options options = {
        .url = config->redis_url,
        .password = config->redis_password,
        .tls_ca_file = config->redis_tls_ca_file,
        .tls_cert_file = config->redis_tls_cert_file,
        .tls_key_file = config->redis_tls_key_file,
        .limits = limits,
        .timeout_ms = (int)config->redis_timeout_ms,
        .metrics = metrics,
    };

    if (!*config->redis_url) {
        metrics_set(metrics, METRIC_REDIS_CONNECTED, 1);
        return store_memory_new(&limits, MEMORY_STORE_SHARE * config->replay_max_bytes);
    }
    return store_redis_new(&options);
}

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

/* The thread. */

static void handle_message(struct bridge *bridge, struct bridge_message *message)
{
    struct company *company = NULL;

    if (message->message.type == BRIDGE_COUNT) {
        store_count_events(bridge->store, message->count_done, message->context);
        return;
    }
    company = intake_company(bridge->intake, message->company);
    if (!company)
        abort(); /* no memory: the stream that asked would wait for ever */
    switch ((enum bridge_message_type)message->message.type) {
    case BRIDGE_SUBSCRIBE:
        hub_subscribe(bridge->hub, company, message->read.worker, message->read.token);
        break;
    case BRIDGE_UNSUBSCRIBE:
        hub_unsubscribe(bridge->hub, company, message->read.worker, message->read.token);
        intake_release(bridge->intake, company);
        break;
    case BRIDGE_READ:
        hub_read(bridge->hub, company, &message->read);
        break;
    case BRIDGE_COUNT:
        break;
    }
}

static void handle_mailbox(struct bridge *bridge)
{
    struct message *message = mailbox_take(bridge->mailbox);

    while (message) {
        struct message *next = message->next;

        handle_message(bridge, (struct bridge_message *)(void *)message);
        message->release(message);
        message = next;
    }
}

static bool may_take(const struct bridge *bridge)
{
    return intake_may_take(bridge->intake) && !hub_is_behind(bridge->hub);
}

static bool is_napping(const struct bridge *bridge)
{
    return clock_monotonic_ns() < bridge->nap_end_ns;
}

static size_t take_from_source(struct bridge *bridge)
{
    struct source_item items[TAKE_MAX];
    size_t count = source_take(bridge->source, items, TAKE_MAX);

    for (size_t i = 0; i < count; i++)
        intake_take(bridge->intake, &items[i]);
    if (count > 0)
        atomic_store(&bridge->source_begun, true);
    return count;
}

/*
 * The lease of the intake, without which appends wait in memory. Whoever does not have it numbers and serves live events
 * all the same, but for itself: one process for each Redis.
 */

static void make_holder(struct bridge *bridge)
{
    uint64_t random = 0;

    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        abort();
    snprintf(bridge->holder, sizeof bridge->holder, "%016" PRIx64, random);
}

static void on_claim(void *context, int status, const struct store_lease *lease)
{
    struct bridge *bridge = context;

    if (status < 0)
        return;
    bridge->epoch = lease->mine ? lease->epoch : 0;
    store_set_epoch(bridge->store, bridge->epoch);
    if (!lease->mine && !bridge->waits)
        log_write(bridge->log, LOG_LEVEL_WARN,
                  "Another process appends to this Redis: events wait in memory until it ends", NULL);
    bridge->waits = !lease->mine;
}

static void claim(struct bridge *bridge)
{
    struct store_claim claim = {.holder = bridge->holder, .epoch = bridge->epoch, .lease_ms = LEASE_MS};

    if (store_state(bridge->store) != STORE_READY || clock_monotonic_ns() < bridge->next_claim_ns)
        return;
    bridge->next_claim_ns = clock_monotonic_ns() + CLAIM_MS * NS_PER_MS;
    store_claim(bridge->store, &claim, on_claim, bridge);
}

static struct timespec timespec_of(int64_t duration_ns)
{
    if (duration_ns < 0)
        duration_ns = 0;
    return (struct timespec){.tv_sec = duration_ns / NS_PER_S, .tv_nsec = duration_ns % NS_PER_S};
}

static struct timespec timeout(const struct bridge *bridge)
{
    int64_t now_ns = clock_monotonic_ns();
    int64_t deadline_ns = store_deadline_ns(bridge->store);

    if (is_napping(bridge))
        return timespec_of(bridge->nap_end_ns - now_ns);
    if (bridge->next_tick_ns < deadline_ns)
        deadline_ns = bridge->next_tick_ns;
    if (hub_deadline_ns(bridge->hub) < deadline_ns)
        deadline_ns = hub_deadline_ns(bridge->hub);
    if (store_state(bridge->store) == STORE_READY && bridge->next_claim_ns < deadline_ns)
        deadline_ns = bridge->next_claim_ns;
    if (bridge->epoch > 0 && appender_deadline_ns(bridge->appender) < deadline_ns)
        deadline_ns = appender_deadline_ns(bridge->appender);
    return timespec_of(deadline_ns - now_ns);
}

static void tick(struct bridge *bridge)
{
    if (clock_monotonic_ns() < bridge->next_tick_ns)
        return;
    bridge->next_tick_ns = clock_monotonic_ns() + TICK_MS * NS_PER_MS;
    appender_tick(bridge->appender);
    intake_tick(bridge->intake);
}

/* quiet: the source was looked at and had nothing. */
static void note_drained(struct bridge *bridge, bool quiet)
{
    int64_t unstored;

    if (!atomic_load(&bridge->draining))
        return;
    hub_drain(bridge->hub);
    unstored = appender_backlog_events(bridge->appender) + intake_parked(bridge->intake);
    atomic_store(&bridge->unstored, unstored);
    atomic_store(&bridge->drained, quiet && unstored == 0);
}

static void *run(void *context)
{
    struct bridge *bridge = context;

    while (!atomic_load(&bridge->stopping)) {
        struct pollfd fds[] = {
            {.fd = mailbox_fd(bridge->mailbox), .events = POLLIN},
            {.fd = -1, .events = POLLIN},
            {.fd = -1},
        };
        struct timespec wait;
        size_t taken = 0;

        if (!is_napping(bridge))
            fds[2].fd = store_poll_fd(bridge->store, &fds[2].events);
        if (!is_napping(bridge) && may_take(bridge))
            fds[1].fd = source_fd(bridge->source);
        wait = timeout(bridge);
        if (ppoll(fds, sizeof fds / sizeof fds[0], &wait, NULL) < 0 && errno != EINTR)
            break;
        handle_mailbox(bridge);
        if (fds[1].revents)
            taken = take_from_source(bridge);
        /* Streams first: the store is not what people wait for. */
        hub_flush(bridge->hub);
        claim(bridge);
        if (bridge->epoch > 0)
            appender_flush(bridge->appender);
        store_run(bridge->store);
        hub_flush(bridge->hub);
        /* A full hand means that more wait already. */
        if (taken > 0 && taken < TAKE_MAX)
            bridge->nap_end_ns = clock_monotonic_ns() + bridge->nap_ns;
        tick(bridge);
        note_drained(bridge, fds[1].fd >= 0 && taken == 0);
    }
    store_release(bridge->store, bridge->holder);
    store_run(bridge->store);
    return NULL;
}

static int make_parts(struct bridge *bridge, const struct bridge_options *options)
{
    const struct config *config = options->config;

    bridge->mailbox = mailbox_new(MAILBOX_MAX);
    bridge->store = make_store(config, options->metrics);
    bridge->companies = companies_new();
    bridge->transform = transform_new(config->event_names, (size_t)config->max_event_bytes);
    if (!bridge->mailbox || !bridge->store || !bridge->companies || !bridge->transform)
        return -ENOMEM;
    bridge->nap_ns = config->flush_window_ms * NS_PER_MS;
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
        .log = options->log,
        .metrics = options->metrics,
    });
    bridge->source = source_new(&(struct source_options){
        .identity = {.url = config->nats_url,
                     .user = config->nats_user,
                     .password = config->nats_password,
                     .token = config->nats_token,
                     .nkey = config->nats_nkey,
                     .nkey_seed_file = config->nats_nkey_seed_file,
                     .creds_file = config->nats_creds_file,
                     .tls_ca_file = config->nats_tls_ca_file,
                     .tls_cert_file = config->nats_tls_cert_file,
                     .tls_key_file = config->nats_tls_key_file},
        .subjects = config->nats_subjects,
        .control = {.subject = options->on_control ? BRIDGE_CONTROL_SUBJECT : NULL,
                    .callback = options->on_control,
                    .context = options->control_context},
        .max_pending_events = (size_t)config->source_pending_events,
        .max_pending_bytes = (size_t)config->source_pending_bytes,
        .log = options->log,
        .metrics = options->metrics,
    });
    if (!bridge->appender || !bridge->source)
        return -ENOMEM;
    bridge->intake = intake_new(&(struct intake_options){
        .store = bridge->store,
        .appender = bridge->appender,
        .hub = bridge->hub,
        .source = bridge->source,
        .transform = bridge->transform,
        .companies = bridge->companies,
        .dead_letter_subject = config->dead_letter_subject,
        .max_event_bytes = (size_t)config->max_event_bytes,
        .max_parked = (size_t)config->source_pending_events,
        .events_per_second = config->publish_events_per_second,
        .bytes_per_second = config->publish_bytes_per_second,
        .log = options->log,
        .metrics = options->metrics,
    });
    return bridge->intake ? 0 : -ENOMEM;
}

int bridge_new(const struct bridge_options *options, struct bridge **ret_bridge)
{
    struct bridge *bridge = calloc(1, sizeof *bridge);
    int status;

    if (!bridge)
        return -ENOMEM;
    bridge->metrics = options->metrics;
    bridge->log = options->log;
    make_holder(bridge);
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

    while (clock_monotonic_ns() < deadline_ns && !(atomic_load(&bridge->source_begun) && bridge_replay_ok(bridge)))
        usleep(1000);
}

int64_t bridge_drain(struct bridge *bridge, int64_t deadline_ns)
{
    int64_t left_ms = (deadline_ns - clock_monotonic_ns()) / NS_PER_MS;

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
    intake_free(bridge->intake);
    source_free(bridge->source);
    appender_free(bridge->appender);
    companies_free(bridge->companies);
    hub_free(bridge->hub);
    transform_free(bridge->transform);
    mailbox_free(bridge->mailbox);
    free(bridge);
}
