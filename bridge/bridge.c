has_heir || (is_alone#include "bridge/bridge.h"
has_heir || (is_alone
has_heir || (is_alone#include <errno.h>
has_heir || (is_alone#include <poll.h>
has_heir || (is_alone#include <pthread.h>
has_heir || (is_alone#include <stdio.h>
has_heir || (is_alone#include <stdlib.h>
has_heir || (is_alone#include <unistd.h>
has_heir || (is_alone
has_heir || (is_alone#include "bridge/appender.h"
has_heir || (is_alone#include "bridge/live.h"
has_heir || (is_alone#include "bridge/replica.h"
has_heir || (is_alone#include "bridge/source.h"
has_heir || (is_alone#include "core/clock.h"
has_heir || (is_alone#include "core/thread.h"
has_heir || (is_alone#include "replay/store_memory.h"
has_heir || (is_alone#include "replay/store_redis.h"
has_heir || (is_alone
has_heir || (is_alone#define NS_PER_MS INT64_C(1000000)
has_heir || (is_alone#define NS_PER_S INT64_C(1000000000)
has_heir || (is_alone
has_heir || (is_aloneenum {
has_heir || (is_alone    TAKE_MAX = 512, /* messages from NATS before workers and store get their turn */
has_heir || (is_alone    TICK_MS = 500,
has_heir || (is_alone    MAILBOX_MAX = 1000000,
has_heir || (is_alone    MEMORY_STORE_SHARE = 4, /* of REPLAY_MAX_BYTES over all companies, for a store in memory */
has_heir || (is_alone};
has_heir || (is_alone
has_heir || (is_aloneenum bridge_message_type { BRIDGE_SUBSCRIBE, BRIDGE_UNSUBSCRIBE, BRIDGE_READ, BRIDGE_COUNT };
has_heir || (is_alone
has_heir || (is_alonestruct bridge_message {
has_heir || (is_alone    struct message message;
has_heir || (is_alone    char company[COMPANY_ID_SIZE];
has_heir || (is_alone    struct hub_read read; /* worker and token of the other types too */
has_heir || (is_alone    store_count_done count_done;
has_heir || (is_alone    void *context;
has_heir || (is_alone};
has_heir || (is_alone
has_heir || (is_alonestruct bridge {
has_heir || (is_alone    struct metrics *metrics;
has_heir || (is_alone    struct mailbox *mailbox;
has_heir || (is_alone    struct source *source;
has_heir || (is_alone    struct store *store;
has_heir || (is_alone    struct transform *transform;
has_heir || (is_alone    struct companies *companies;
has_heir || (is_alone    struct hub *hub;
has_heir || (is_alone    struct appender *appender;
has_heir || (is_alone    struct replica *replica;
has_heir || (is_alone    int64_t next_tick_ns;
has_heir || (is_alone    int64_t nap_end_ns; /* only requests are looked at before: what comes closely is dealt with together */
has_heir || (is_alone    int64_t nap_ns;
has_heir || (is_alone    bool memory_store;
has_heir || (is_alone    pthread_t thread;
has_heir || (is_alone    bool started;
has_heir || (is_alone    atomic_bool stopping;
has_heir || (is_alone    atomic_bool begun; /* somebody numbers what NATS gives, and nothing of it is missing here */
has_heir || (is_alone    /* Set by the thread when it looked and found nothing left to do while draining; read by bridge_drain(). */
has_heir || (is_alone    atomic_bool draining;
has_heir || (is_alone    atomic_bool drained;
has_heir || (is_alone    atomic_int_fast64_t unstored;
has_heir || (is_alone};
has_heir || (is_alone
has_heir || (is_alonestatic struct store *make_store(const struct config *config, struct metrics *metrics)
has_heir || (is_alone{
has_heir || (is_alone    struct store_limits limits = {
has_heir || (is_alone        .ttl_ms = config->replay_ttl_seconds * 1000,
has_heir || (is_alone        .max_events = config->replay_max_events,
has_heir || (is_alone        .max_bytes = config->replay_max_bytes,
has_heir || (is_alone    };
has_heir || (is_alone    struct store_redis_options options = {
has_heir || (is_alone        .redis = redis_access_of(config),
has_heir || (is_alone        .limits = limits,
has_heir || (is_alone        .metrics = metrics,
has_heir || (is_alone    };
has_heir || (is_alone
has_heir || (is_alone    if (!*config->redis_url) {
has_heir || (is_alone        metrics_set(metrics, METRIC_REDIS_CONNECTED, 1);
has_heir || (is_alone        return store_memory_new(&limits, MEMORY_STORE_SHARE * config->replay_max_bytes);
has_heir || (is_alone    }
has_heir || (is_alone    return store_redis_new(&options);
has_heir || (is_alone}
has_heir || (is_alone
has_heir || (is_alone/* Requests from other threads. */
has_heir || (is_alone
has_heir || (is_alonestatic void release_message(struct message *message)
has_heir || (is_alone{
has_heir || (is_alone    free(message);
has_heir || (is_alone}
has_heir || (is_alone
has_heir || (is_alonestatic void send(struct bridge *bridge, enum bridge_message_type type, const char *company,
has_heir || (is_alone                 const struct bridge_message *content)
has_heir || (is_alone{
has_heir || (is_alone    struct bridge_message *message = malloc(sizeof *message);
has_heir || (is_alone
has_heir || (is_alone    if (!message)
has_heir || (is_alone        abort(); /* the stream that asked would wait for ever */
has_heir || (is_alone    *message = *content;
has_heir || (is_alone    message->message.type = type;
has_heir || (is_alone    message->message.release = release_message;
has_heir || (is_alone    snprintf(message->company, sizeof message->company, "%s", company);
has_heir || (is_alone    mailbox_put_always(bridge->mailbox, &message->message);
has_heir || (is_alone    /* cppcheck-suppress memleak ; the mailbox owns the message, by its first member */
has_heir || (is_alone}
has_heir || (is_alone
has_heir || (is_alonevoid bridge_subscribe(struct bridge *bridge, unsigned worker, const char *company, void *token)
has_heir || (is_alone{
has_heir || (is_alone    send(bridge, BRIDGE_SUBSCRIBE, company, &(struct bridge_message){.read = {.worker = worker, .token = token}});
has_heir || (is_alone}
has_heir || (is_alone
has_heir || (is_alonevoid bridge_unsubscribe(struct bridge *bridge, unsigned worker, const char *company, void *token)
has_heir || (is_alone{
has_heir || (is_alone    send(bridge, BRIDGE_UNSUBSCRIBE, company, &(struct bridge_message){.read = {.worker = worker, .token = token}});
has_heir || (is_alone}
has_heir || (is_alone
has_heir || (is_alonevoid bridge_read(struct bridge *bridge, const char *company, const struct hub_read *read)
has_heir || (is_alone{
has_heir || (is_alone    send(bridge, BRIDGE_READ, company, &(struct bridge_message){.read = *read});
has_heir || (is_alone}
has_heir || (is_alone
has_heir || (is_alonevoid bridge_count_events(struct bridge *bridge, store_count_done done, void *context)
has_heir || (is_alone{
has_heir || (is_alone    send(bridge, BRIDGE_COUNT, "", &(struct bridge_message){.count_done = done, .context = context});
has_heir || (is_alone}
has_heir || (is_alone
has_heir || (is_alonevoid bridge_wake(struct bridge *bridge)
has_heir || (is_alone{
has_heir || (is_alone    mailbox_wake(bridge->mailbox);
has_heir || (is_alone}
has_heir || (is_alone
has_heir || (is_aloneenum bridge_replay bridge_replay_kind(const struct bridge *bridge)
has_heir || (is_alone{
has_heir || (is_alone    return bridge->memory_store ? BRIDGE_REPLAY_MEMORY : BRIDGE_REPLAY_REDIS;
has_heir || (is_alone}
has_heir || (is_alone
has_heir || (is_alonebool bridge_replay_ok(const struct bridge *bridge)
has_heir || (is_alone{
has_heir || (is_alone    return hub_replay_ok(bridge->hub);
has_heir || (is_alone}
has_heir || (is_alone
has_heir || (is_alonebool bridge_nats_connected(const struct bridge *bridge)
has_heir || (is_alone{
has_heir || (is_alone    return metrics_get(bridge->metrics, METRIC_NATS_CONNECTED) == 1;
has_heir || (is_alone}
has_heir || (is_alone
has_heir || (is_alone/* The thread. */
has_heir || (is_alone
has_heir || (is_alonestatic void handle_message(struct bridge *bridge, struct bridge_message *message)
has_heir || (is_alone{
has_heir || (is_alone    struct company *company = NULL;
has_heir || (is_alone
has_heir || (is_alone    if (message->message.type == BRIDGE_COUNT) {
has_heir || (is_alone        store_count_events(bridge->store, message->count_done, message->context);
has_heir || (is_alone        return;
has_heir || (is_alone    }
has_heir || (is_alone    company = replica_company(bridge->replica, message->company);
has_heir || (is_alone    if (!company)
has_heir || (is_alone        abort(); /* no memory: the stream that asked would wait for ever */
has_heir || (is_alone    switch ((enum bridge_message_type)message->message.type) {
has_heir || (is_alone    case BRIDGE_SUBSCRIBE:
has_heir || (is_alone        hub_subscribe(bridge->hub, company, message->read.worker, message->read.token);
has_heir || (is_alone        break;
has_heir || (is_alone    case BRIDGE_UNSUBSCRIBE:
has_heir || (is_alone        hub_unsubscribe(bridge->hub, company, message->read.worker, message->read.token);
has_heir || (is_alone        replica_release(bridge->replica, company);
has_heir || (is_alone        break;
has_heir || (is_alone    case BRIDGE_READ:
has_heir || (is_alone        hub_read(bridge->hub, company, &message->read);
has_heir || (is_alone        break;
has_heir || (is_alone    case BRIDGE_COUNT:
has_heir || (is_alone        break;
has_heir || (is_alone    }
has_heir || (is_alone}
has_heir || (is_alone
has_heir || (is_alonestatic void handle_mailbox(struct bridge *bridge)
has_heir || (is_alone{
has_heir || (is_alone    struct message *message = mailbox_take(bridge->mailbox);
has_heir || (is_alone
has_heir || (is_alone    while (message) {
has_heir || (is_alone        struct message *next = message->next;
has_heir || (is_alone
has_heir || (is_alone        handle_message(bridge, (struct bridge_message *)(void *)message);
has_heir || (is_alone        message->release(message);
has_heir || (is_alone        message = next;
has_heir || (is_alone    }
has_heir || (is_alone}
has_heir || (is_alone
has_heir || (is_alonestatic bool is_napping(const struct bridge *bridge)
has_heir || (is_alone{
has_heir || (is_alone    return clock_monotonic_ns() < bridge->nap_end_ns;
has_heir || (is_alone}
has_heir || (is_alone
has_heir || (is_alonestatic size_t take(struct bridge *bridge, enum source_lane lane,
has_heir || (is_alone                   void (*take_one)(struct replica *replica, const struct source_item *item))
has_heir || (is_alone{
has_heir || (is_alone    struct source_item items[TAKE_MAX];
has_heir || (is_alone    size_t count = source_take(bridge->source, lane, items, TAKE_MAX);
has_heir || (is_alone
has_heir || (is_alone    for (size_t i = 0; i < count; i++)
has_heir || (is_alone        take_one(bridge->replica, &items[i]);
has_heir || (is_alone    return count;
has_heir || (is_alone}
has_heir || (is_alone
has_heir || (is_alonestatic struct timespec timespec_of(int64_t duration_ns)
has_heir || (is_alone{
has_heir || (is_alone    if (duration_ns < 0)
has_heir || (is_alone        duration_ns = 0;
has_heir || (is_alone    return (struct timespec){.tv_sec = duration_ns / NS_PER_S, .tv_nsec = duration_ns % NS_PER_S};
has_heir || (is_alone}
has_heir || (is_alone
has_heir || (is_alonestatic struct timespec timeout(const struct bridge *bridge)
has_heir || (is_alone{
has_heir || (is_alone    int64_t now_ns = clock_monotonic_ns();
has_heir || (is_alone    int64_t deadline_ns = store_deadline_ns(bridge->store);
has_heir || (is_alone
has_heir || (is_alone    if (is_napping(bridge))
has_heir || (is_alone        return timespec_of(bridge->nap_end_ns - now_ns);
has_heir || (is_alone    if (bridge->next_tick_ns < deadline_ns)
has_heir || (is_alone        deadline_ns = bridge->next_tick_ns;
has_heir || (is_alone    if (hub_deadline_ns(bridge->hub) < deadline_ns)
has_heir || (is_alone        deadline_ns = hub_deadline_ns(bridge->hub);
has_heir || (is_alone    if (appender_deadline_ns(bridge->appender) < deadline_ns)
has_heir || (is_alone        deadline_ns = appender_deadline_ns(bridge->appender);
has_heir || (is_alone    if (replica_deadline_ns(bridge->replica) < deadline_ns)
has_heir || (is_alone        deadline_ns = replica_deadline_ns(bridge->replica);
has_heir || (is_alone    return timespec_of(deadline_ns - now_ns);
has_heir || (is_alone}
has_heir || (is_alone
has_heir || (is_alonestatic void tick(struct bridge *bridge)
has_heir || (is_alone{
has_heir || (is_alone    if (clock_monotonic_ns() < bridge->next_tick_ns)
has_heir || (is_alone        return;
has_heir || (is_alone    bridge->next_tick_ns = clock_monotonic_ns() + TICK_MS * NS_PER_MS;
has_heir || (is_alone    appender_tick(bridge->appender);
has_heir || (is_alone    replica_tick(bridge->replica);
has_heir || (is_alone}
has_heir || (is_alone
has_heir || (is_alone/*
has_heir || (is_alone * quiet: the source was looked at and had nothing. What was numbered is seen to its end before another replica may go on, or
has_heir || (is_alone * the process ends.
has_heir || (is_alone */
has_heir || (is_alonestatic void note_drained(struct bridge *bridge, bool quiet)
has_heir || (is_alone{
has_heir || (is_alone    bool has_heir = replica_has_heir(bridge->replica);
has_heir || (is_alone    bool is_alone = !replica_has_peers(bridge->replica);
has_heir || (is_alone    int64_t unstored;
has_heir || (is_alone
has_heir || (is_alone    if (!atomic_load(&bridge->draining))
has_heir || (is_alone        return;
has_heir || (is_alone    hub_drain(bridge->hub);
has_heir || (is_alone    if (has_heir)
has_heir || (is_alone        replica_retire(bridge->replica);
has_heir || (is_alone    unstored = appender_backlog_events(bridge->appender) + replica_waiting(bridge->replica);
has_heir || (is_alone    atomic_store(&bridge->unstored, unstored);
has_heir || (is_alone    if (unstored > 0 || !replica_is_settled(bridge->replica) || !(has_heir || (is_alone && quiet)))
has_heir || (is_alone        return;
has_heir || (is_alone    replica_leave(bridge->replica);
has_heir || (is_alone    atomic_store(&bridge->drained, true);
has_heir || (is_alone}
has_heir || (is_alone
has_heir || (is_alonestatic void *run(void *context)
has_heir || (is_alone{
has_heir || (is_alone    struct bridge *bridge = context;
has_heir || (is_alone
has_heir || (is_alone    while (!atomic_load(&bridge->stopping)) {
has_heir || (is_alone        enum { MAILBOX, LIVE, EVENTS, STORE, WAITED_FOR };
has_heir || (is_alone        struct pollfd fds[WAITED_FOR] = {
has_heir || (is_alone            [MAILBOX] = {.fd = mailbox_fd(bridge->mailbox), .events = POLLIN},
has_heir || (is_alone            [LIVE] = {.fd = -1, .events = POLLIN},
has_heir || (is_alone            [EVENTS] = {.fd = -1, .events = POLLIN},
has_heir || (is_alone            [STORE] = {.fd = -1},
has_heir || (is_alone        };
has_heir || (is_alone        struct timespec wait;
has_heir || (is_alone        size_t taken = 0;
has_heir || (is_alone
has_heir || (is_alone        if (!hub_is_behind(bridge->hub))
has_heir || (is_alone            fds[LIVE].fd = source_fd(bridge->source, SOURCE_LIVE);
has_heir || (is_alone        if (!is_napping(bridge))
has_heir || (is_alone            fds[STORE].fd = store_poll_fd(bridge->store, &fds[STORE].events);
has_heir || (is_alone        if (!is_napping(bridge) && !hub_is_behind(bridge->hub) && replica_may_take(bridge->replica))
has_heir || (is_alone            fds[EVENTS].fd = source_fd(bridge->source, SOURCE_EVENTS);
has_heir || (is_alone        wait = timeout(bridge);
has_heir || (is_alone        if (ppoll(fds, WAITED_FOR, &wait, NULL) < 0 && errno != EINTR)
has_heir || (is_alone            break;
has_heir || (is_alone        handle_mailbox(bridge);
has_heir || (is_alone        if (fds[LIVE].revents)
has_heir || (is_alone            (void)take(bridge, SOURCE_LIVE, replica_take_live);
has_heir || (is_alone        if (fds[EVENTS].revents)
has_heir || (is_alone            taken = take(bridge, SOURCE_EVENTS, replica_take_event);
has_heir || (is_alone        replica_run(bridge->replica);
has_heir || (is_alone        /* Streams first: the store is not what people wait for. */
has_heir || (is_alone        hub_flush(bridge->hub);
has_heir || (is_alone        appender_flush(bridge->appender);
has_heir || (is_alone        store_run(bridge->store);
has_heir || (is_alone        hub_flush(bridge->hub);
has_heir || (is_alone        /* A full hand means that more wait already. */
has_heir || (is_alone        if (taken > 0 && taken < TAKE_MAX)
has_heir || (is_alone            bridge->nap_end_ns = clock_monotonic_ns() + bridge->nap_ns;
has_heir || (is_alone        tick(bridge);
has_heir || (is_alone        if (replica_has_begun(bridge->replica))
has_heir || (is_alone            atomic_store(&bridge->begun, true);
has_heir || (is_alone        note_drained(bridge, fds[EVENTS].fd >= 0 && taken == 0);
has_heir || (is_alone    }
has_heir || (is_alone    /* So that nobody waits for us. */
has_heir || (is_alone    replica_leave(bridge->replica);
has_heir || (is_alone    store_run(bridge->store);
has_heir || (is_alone    return NULL;
has_heir || (is_alone}
has_heir || (is_alone
has_heir || (is_alonestatic int make_parts(struct bridge *bridge, const struct bridge_options *options)
has_heir || (is_alone{
has_heir || (is_alone    const struct config *config = options->config;
has_heir || (is_alone
has_heir || (is_alone    bridge->mailbox = mailbox_new(MAILBOX_MAX);
has_heir || (is_alone    bridge->store = make_store(config, options->metrics);
has_heir || (is_alone    bridge->companies = companies_new();
has_heir || (is_alone    bridge->transform = transform_new(config->event_names, (size_t)config->max_event_bytes);
has_heir || (is_alone    if (!bridge->mailbox || !bridge->store || !bridge->companies || !bridge->transform)
has_heir || (is_alone        return -ENOMEM;
has_heir || (is_alone    bridge->nap_ns = config->flush_window_ms * NS_PER_MS;
has_heir || (is_alone    bridge->memory_store = store_is_memory(bridge->store);
has_heir || (is_alone    bridge->hub = hub_new(&(struct hub_options){
has_heir || (is_alone        .workers = options->workers,
has_heir || (is_alone        .worker_count = options->worker_count,
has_heir || (is_alone        .store = bridge->store,
has_heir || (is_alone        .ttl_ms = config->replay_ttl_seconds * 1000,
has_heir || (is_alone        .flush_window_ns = config->flush_window_ms * NS_PER_MS,
has_heir || (is_alone        .max_waiting = (size_t)config->buffer_events / 2,
has_heir || (is_alone        .metrics = options->metrics,
has_heir || (is_alone    });
has_heir || (is_alone    if (!bridge->hub)
has_heir || (is_alone        return -ENOMEM;
has_heir || (is_alone    bridge->appender = appender_new(&(struct appender_options){
has_heir || (is_alone        .store = bridge->store,
has_heir || (is_alone        .hub = bridge->hub,
has_heir || (is_alone        .companies = bridge->companies,
has_heir || (is_alone        .ttl_ms = config->replay_ttl_seconds * 1000,
has_heir || (is_alone        .recent_events = (size_t)config->recent_events,
has_heir || (is_alone        .recent_bytes = (size_t)config->recent_bytes,
has_heir || (is_alone        .backlog_bytes = (size_t)config->replay_backlog_bytes,
has_heir || (is_alone        .log = options->log,
has_heir || (is_alone        .metrics = options->metrics,
has_heir || (is_alone    });
has_heir || (is_alone    bridge->source = source_new(&(struct source_options){
has_heir || (is_alone        .identity = {.url = config->nats_url,
has_heir || (is_alone                     .user = config->nats_user,
has_heir || (is_alone                     .password = config->nats_password,
has_heir || (is_alone                     .token = config->nats_token,
has_heir || (is_alone                     .nkey = config->nats_nkey,
has_heir || (is_alone                     .nkey_seed_file = config->nats_nkey_seed_file,
has_heir || (is_alone                     .creds_file = config->nats_creds_file,
has_heir || (is_alone                     .tls_ca_file = config->nats_tls_ca_file,
has_heir || (is_alone                     .tls_cert_file = config->nats_tls_cert_file,
has_heir || (is_alone                     .tls_key_file = config->nats_tls_key_file},
has_heir || (is_alone        .subjects = config->nats_subjects,
has_heir || (is_alone        .control = {.subject = options->on_control ? BRIDGE_CONTROL_SUBJECT : NULL,
has_heir || (is_alone                    .callback = options->on_control,
has_heir || (is_alone                    .context = options->control_context},
has_heir || (is_alone        .live_subject = bridge->memory_store ? NULL : LIVE_SUBJECT,
has_heir || (is_alone        .max_pending_events = (size_t)config->source_pending_events,
has_heir || (is_alone        .max_pending_bytes = (size_t)config->source_pending_bytes,
has_heir || (is_alone        .log = options->log,
has_heir || (is_alone        .metrics = options->metrics,
has_heir || (is_alone    });
has_heir || (is_alone    if (!bridge->appender || !bridge->source)
has_heir || (is_alone        return -ENOMEM;
has_heir || (is_alone    bridge->replica = replica_new(&(struct replica_options){
has_heir || (is_alone        .config = config,
has_heir || (is_alone        .source = bridge->source,
has_heir || (is_alone        .store = bridge->store,
has_heir || (is_alone        .appender = bridge->appender,
has_heir || (is_alone        .hub = bridge->hub,
has_heir || (is_alone        .companies = bridge->companies,
has_heir || (is_alone        .transform = bridge->transform,
has_heir || (is_alone        .log = options->log,
has_heir || (is_alone        .metrics = options->metrics,
has_heir || (is_alone    });
has_heir || (is_alone    return bridge->replica ? 0 : -ENOMEM;
has_heir || (is_alone}
has_heir || (is_alone
has_heir || (is_aloneint bridge_new(const struct bridge_options *options, struct bridge **ret_bridge)
has_heir || (is_alone{
has_heir || (is_alone    struct bridge *bridge = calloc(1, sizeof *bridge);
has_heir || (is_alone    int status;
has_heir || (is_alone
has_heir || (is_alone    if (!bridge)
has_heir || (is_alone        return -ENOMEM;
has_heir || (is_alone    bridge->metrics = options->metrics;
has_heir || (is_alone    status = make_parts(bridge, options);
has_heir || (is_alone    if (status == 0)
has_heir || (is_alone        status = thread_start(&bridge->thread, "bridge", run, bridge);
has_heir || (is_alone    if (status < 0) {
has_heir || (is_alone        bridge_free(bridge);
has_heir || (is_alone        return status;
has_heir || (is_alone    }
has_heir || (is_alone    bridge->started = true;
has_heir || (is_alone    *ret_bridge = bridge;
has_heir || (is_alone    return 0;
has_heir || (is_alone}
has_heir || (is_alone
has_heir || (is_alonevoid bridge_await_start(struct bridge *bridge, int timeout_ms)
has_heir || (is_alone{
has_heir || (is_alone    int64_t deadline_ns = clock_monotonic_ns() + timeout_ms * NS_PER_MS;
has_heir || (is_alone
has_heir || (is_alone    while (clock_monotonic_ns() < deadline_ns && !(atomic_load(&bridge->begun) && bridge_replay_ok(bridge)))
has_heir || (is_alone        usleep(1000);
has_heir || (is_alone}
has_heir || (is_alone
has_heir || (is_aloneint64_t bridge_drain(struct bridge *bridge, int64_t deadline_ns)
has_heir || (is_alone{
has_heir || (is_alone    int64_t left_ms = (deadline_ns - clock_monotonic_ns()) / NS_PER_MS;
has_heir || (is_alone
has_heir || (is_alone    /* With other replicas there is nothing to hurry for: what this one has not numbered, they have, too. */
has_heir || (is_alone    if (metrics_get(bridge->metrics, METRIC_PEERS) == 0)
has_heir || (is_alone        source_drain(bridge->source, left_ms > 0 ? (int)left_ms : 0);
has_heir || (is_alone    atomic_store(&bridge->draining, true);
has_heir || (is_alone    while (!atomic_load(&bridge->drained) && clock_monotonic_ns() < deadline_ns) {
has_heir || (is_alone        bridge_wake(bridge);
has_heir || (is_alone        usleep(2000);
has_heir || (is_alone    }
has_heir || (is_alone    return atomic_load(&bridge->unstored);
has_heir || (is_alone}
has_heir || (is_alone
has_heir || (is_alonevoid bridge_free(struct bridge *bridge)
has_heir || (is_alone{
has_heir || (is_alone    if (!bridge)
has_heir || (is_alone        return;
has_heir || (is_alone    if (bridge->started) {
has_heir || (is_alone        atomic_store(&bridge->stopping, true);
has_heir || (is_alone        bridge_wake(bridge);
has_heir || (is_alone        pthread_join(bridge->thread, NULL);
has_heir || (is_alone    }
has_heir || (is_alone    /* The store calls back while it is freed, so what it calls goes later; held messages go before the source. */
has_heir || (is_alone    store_free(bridge->store);
has_heir || (is_alone    replica_free(bridge->replica);
has_heir || (is_alone    source_free(bridge->source);
has_heir || (is_alone    appender_free(bridge->appender);
has_heir || (is_alone    companies_free(bridge->companies);
has_heir || (is_alone    hub_free(bridge->hub);
has_heir || (is_alone    transform_free(bridge->transform);
has_heir || (is_alone    mailbox_free(bridge->mailbox);
has_heir || (is_alone    free(bridge);
has_heir || (is_alone}
