#include "support/bridge_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "support/fake_clock.h"
#include "support/fake_source.h"

#define NS_PER_MS INT64_C(1000000)
#define DAY_MS (INT64_C(86400) * 1000)

enum { LOTS = 64 * 1024 * 1024, MAILBOX_MAX = 100000 };

static size_t or_else(size_t value, size_t otherwise)
{
    return value > 0 ? value : otherwise;
}

static void make_mailboxes(struct bridge_rig *rig)
{
    for (unsigned i = 0; i < BRIDGE_RIG_WORKERS; i++)
        rig->workers[i].mailbox = mailbox_new(MAILBOX_MAX);
}

static void unpark(void *context, struct company *company, struct parked *parked)
{
    struct bridge_rig *rig = context;

    intake_unpark(rig->intake, company, parked);
}

static void loaded(void *context, struct company *company, uint64_t hole_ms)
{
    struct bridge_rig *rig = context;

    if (hole_ms > 0)
        intake_add_hole(rig->intake, company, GAP_SOURCE, hole_ms);
}

static void make_parts(struct bridge_rig *rig)
{
    const struct bridge_rig_options *options = &rig->options;
    struct store *store = fake_store_base(rig->store);

    rig->companies = companies_new();
    rig->transform = transform_new("metrics.*=metric_updated, q2q.*=vis_updated", 65536);
    rig->hub = hub_new(&(struct hub_options){
        .workers = options->workers ? options->workers : rig->workers,
        .worker_count = options->workers ? options->worker_count : BRIDGE_RIG_WORKERS,
        .store = store,
        .ttl_ms = options->ttl_ms > 0 ? options->ttl_ms : DAY_MS,
        .flush_window_ns = options->flush_window_ms * NS_PER_MS,
        .max_waiting = or_else(options->max_waiting, 1000),
        .metrics = rig->metrics,
    });
    rig->appender = appender_new(&(struct appender_options){
        .store = store,
        .hub = rig->hub,
        .companies = rig->companies,
        .recent_events = or_else(options->recent_events, 1000),
        .recent_bytes = or_else(options->recent_bytes, LOTS),
        .backlog_bytes = or_else(options->backlog_bytes, LOTS),
        .ttl_ms = options->ttl_ms > 0 ? options->ttl_ms : DAY_MS,
        .has_sources = options->has_stream,
        .metrics = rig->metrics,
    });
    appender_set_active(rig->appender, true);
    rig->heads = heads_new(&(struct heads_options){
        .store = store,
        .appender = rig->appender,
        .hub = rig->hub,
        .companies = rig->companies,
        .max_parked = 1000,
        .max_parked_bytes = 100000,
        .events_per_second = options->events_per_second,
        .bytes_per_second = options->bytes_per_second,
        .unpark = unpark,
        .loaded = loaded,
        .context = rig,
    });
    rig->fanout = fanout_new(&(struct fanout_options){.heads = rig->heads, .companies = rig->companies});
    rig->intake = intake_new(&(struct intake_options){
        .store = store,
        .heads = rig->heads,
        .fanout = rig->fanout,
        .transform = rig->transform,
        .companies = rig->companies,
        .subjects = "metrics.*,q2q.*",
        .dead_letter_subject = "",
        .max_event_bytes = 65536,
        .metrics = rig->metrics,
    });
    if (!rig->metrics || !rig->companies || !rig->transform || !rig->hub || !rig->appender || !rig->heads ||
        !rig->fanout || !rig->intake)
        abort();
}

void bridge_rig_init(struct bridge_rig *rig, const struct bridge_rig_options *options)
{
    memset(rig, 0, sizeof *rig);
    rig->options = *options;
    rig->store = fake_store_new(options->state);
    store_set_epoch(fake_store_base(rig->store), 1);
    rig->owns_metrics = options->metrics == NULL;
    rig->metrics = options->metrics ? options->metrics : metrics_new();
    if (!options->workers)
        make_mailboxes(rig);
    make_parts(rig);
    for (unsigned i = 0; !options->workers && i < BRIDGE_RIG_WORKERS; i++)
        bridge_rig_skip(rig, i);
}

static void free_parts(struct bridge_rig *rig)
{
    intake_free(rig->intake);
    fanout_free(rig->fanout);
    heads_free(rig->heads);
    appender_free(rig->appender);
    companies_free(rig->companies);
    hub_free(rig->hub);
    transform_free(rig->transform);
}

void bridge_rig_restart(struct bridge_rig *rig)
{
    if (fake_store_waiting(rig->store) > 0)
        abort();
    free_parts(rig);
    make_parts(rig);
}

void bridge_rig_release(struct bridge_rig *rig)
{
    store_free(fake_store_base(rig->store));
    free_parts(rig);
    for (unsigned i = 0; i < BRIDGE_RIG_WORKERS; i++) {
        if (rig->workers[i].mailbox)
            bridge_rig_skip(rig, i);
        mailbox_free(rig->workers[i].mailbox);
    }
    if (rig->owns_metrics)
        metrics_free(rig->metrics);
}

void bridge_rig_publish(struct bridge_rig *rig, const char *company, int number)
{
    bridge_rig_publish_to(rig, "metrics.calculated", company, number);
}

void bridge_rig_publish_to(struct bridge_rig *rig, const char *subject, const char *company, int number)
{
    char payload[256];
    struct source_item item = {.received_ns = clock_monotonic_ns()};

    snprintf(payload, sizeof payload, "{\"companyId\":\"%s\",\"n\":%d}", company, number);
    item.message = fake_message_new(subject, payload);
    intake_take(rig->intake, &item);
}

void bridge_rig_publish_all(struct bridge_rig *rig, const char *company, int from, int to)
{
    for (int i = from; i <= to; i++)
        bridge_rig_publish(rig, company, i);
}

void bridge_rig_have(struct bridge_rig *rig, const char *company, int count)
{
    bridge_rig_publish_all(rig, company, 1, count);
    bridge_rig_settle(rig);
    assert_int_equal(fake_store_count(rig->store, company), count);
}

void bridge_rig_assert_stored(const struct bridge_rig *rig, const char *company, uint64_t first_seq, uint64_t last_seq)
{
    assert_int_equal(fake_store_count(rig->store, company), last_seq - first_seq + 1);
    for (uint64_t i = 0; i <= last_seq - first_seq; i++)
        assert_int_equal(fake_store_at(rig->store, company, i).seq, first_seq + i);
}

void bridge_rig_stream(struct bridge_rig *rig, const char *company, int number, uint64_t sequence, int64_t stamp_ms)
{
    char payload[256];
    struct source_item item = {.received_ns = clock_monotonic_ns(), .sequence = sequence, .stamp_ms = stamp_ms};

    snprintf(payload, sizeof payload, "{\"companyId\":\"%s\",\"n\":%d}", company, number);
    item.message = fake_message_new("metrics.calculated", payload);
    intake_take(rig->intake, &item);
}

void bridge_rig_hole(struct bridge_rig *rig)
{
    intake_take(rig->intake, &(struct source_item){.message = NULL});
}

static void tick_company(struct company *company, void *context)
{
    heads_release(context, company);
}

void bridge_rig_tick(struct bridge_rig *rig)
{
    intake_tick(rig->intake);
    companies_each(rig->companies, tick_company, rig->heads);
}

void bridge_rig_flush(struct bridge_rig *rig)
{
    hub_flush(rig->hub);
    appender_flush(rig->appender);
}

struct company *bridge_rig_company(struct bridge_rig *rig, const char *company)
{
    return companies_get(rig->companies, company);
}

static struct company *get(struct bridge_rig *rig, const char *name)
{
    struct company *company = heads_get(rig->heads, name);

    if (!company)
        abort();
    return company;
}

void bridge_rig_subscribe(struct bridge_rig *rig, const char *company, unsigned worker, void *token)
{
    hub_subscribe(rig->hub, get(rig, company), worker, token);
}

void bridge_rig_unsubscribe(struct bridge_rig *rig, const char *name, unsigned worker, void *token)
{
    struct company *company = get(rig, name);

    hub_unsubscribe(rig->hub, company, worker, token);
    heads_release(rig->heads, company);
}

void bridge_rig_read(struct bridge_rig *rig, const char *company, const struct hub_read *read)
{
    hub_read(rig->hub, get(rig, company), read);
}

struct message *bridge_rig_take(struct bridge_rig *rig, unsigned worker)
{
    struct message *message;

    if (!rig->mail[worker])
        rig->mail[worker] = mailbox_take(rig->workers[worker].mailbox);
    message = rig->mail[worker];
    if (message)
        rig->mail[worker] = message->next;
    return message;
}

static struct message *take(struct bridge_rig *rig, unsigned worker, int type)
{
    struct message *message = bridge_rig_take(rig, worker);

    if (!message || message->type != type) {
        fprintf(stderr, "expected message %d, not %d\n", type, message ? message->type : 0);
        abort();
    }
    return message;
}

struct hub_snapshot *bridge_rig_take_snapshot(struct bridge_rig *rig, unsigned worker)
{
    return (struct hub_snapshot *)(void *)take(rig, worker, HUB_SNAPSHOT);
}

struct hub_page *bridge_rig_take_page(struct bridge_rig *rig, unsigned worker)
{
    return (struct hub_page *)(void *)take(rig, worker, HUB_PAGE);
}

void bridge_rig_skip(struct bridge_rig *rig, unsigned worker)
{
    struct message *message = bridge_rig_take(rig, worker);

    while (message) {
        message->release(message);
        message = bridge_rig_take(rig, worker);
    }
}

void bridge_rig_flush_late(struct bridge_rig *rig)
{
    int64_t left_ns = appender_deadline_ns(rig->appender) - clock_monotonic_ns();

    fake_clock_advance_ms(left_ns > 0 && left_ns <= BRIDGE_RIG_GATHER_MS * INT64_C(1000000) ? BRIDGE_RIG_GATHER_MS : 6);
    bridge_rig_flush(rig);
}

void bridge_rig_settle(struct bridge_rig *rig)
{
    do {
        bridge_rig_flush_late(rig);
        fake_store_answer_all(rig->store);
        bridge_rig_flush(rig);
    } while (fake_store_waiting(rig->store) > 0 || hub_deadline_ns(rig->hub) != INT64_MAX ||
             appender_deadline_ns(rig->appender) != INT64_MAX);
}
