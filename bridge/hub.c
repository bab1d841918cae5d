#include "bridge/hub.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/resume.h"
#include "core/clock.h"

enum {
    PAGE_EVENTS = 512,
    PAGE_BYTES = 256 * 1024,
};

/* Frames for one worker that wait for hub_flush(). */
struct outgoing {
    struct hub_event *events;
    size_t count;
    size_t capacity;
};

struct hub {
    struct hub_options options;
    struct company *held;  /* companies with frames that wait for the end of their window */
    int64_t window_end_ns; /* the first of those ends; INT64_MAX: none waits */
    bool flush_due;        /* a frame is to leave at once */
    /* Written by the bridge's thread; pages read it. It stands alone, so relaxed. */
    atomic_bool replay_ok;
    struct outgoing outgoing[];
};

/* One stream that waits for a reading. */
struct waiter {
    struct waiter *next;
    struct hub_read read;
};

/* A read of a company's history that is under way; streams that ask for the same share it. */
struct reading {
    struct reading *next;
    struct hub *hub;
    struct company *company;
    struct event_position after;
    struct waiter *waiters;
    bool asked; /* the store was asked; false: the company's numbering is not known yet */
};

struct hub *hub_new(const struct hub_options *options)
{
    struct hub *hub = calloc(1, sizeof *hub + options->worker_count * sizeof hub->outgoing[0]);

    if (!hub)
        return NULL;
    hub->options = *options;
    hub->window_end_ns = INT64_MAX;
    return hub;
}

void hub_free(struct hub *hub)
{
    if (!hub)
        return;
    for (unsigned i = 0; i < hub->options.worker_count; i++) {
        for (size_t j = 0; j < hub->outgoing[i].count; j++)
            frame_unref(hub->outgoing[i].events[j].frame);
        free(hub->outgoing[i].events);
    }
    free(hub);
}

/* Memory for an answer that somebody waits for: without it that stream would hang, unsaid. */
static void *allocate_or_abort(size_t size)
{
    void *memory = calloc(1, size);

    if (!memory)
        abort();
    return memory;
}

static void release_snapshot(struct message *message)
{
    struct hub_snapshot *snapshot = (struct hub_snapshot *)(void *)message;

    for (size_t i = 0; i < snapshot->count; i++)
        frame_unref(snapshot->frames[i]);
    free(snapshot);
}

static void release_events(struct message *message)
{
    struct hub_events *events = (struct hub_events *)(void *)message;

    for (size_t i = 0; i < events->count; i++)
        frame_unref(events->events[i].frame);
    free(events);
}

static void release_page(struct message *message)
{
    struct hub_page *page = (struct hub_page *)(void *)message;

    frame_unref(page->gap);
    for (size_t i = 0; i < page->count; i++)
        frame_unref(page->frames[i]);
    free(page);
}

static void release_plain(struct message *message)
{
    free(message);
}

static void flush_worker(struct hub *hub, unsigned worker);

/* Sends a message of the hub; the number of those is bounded by what the worker asked for. */
static void send(struct hub *hub, unsigned worker, struct message *message, enum hub_message_type type,
                 void (*release)(struct message *message))
{
    /* Frames published before go before: a stream must not join its ring in front of an event that it was replayed. */
    flush_worker(hub, worker);
    message->type = type;
    message->release = release;
    mailbox_put_always(hub->options.workers[worker].mailbox, message);
}

/* type: HUB_SNAPSHOT or HUB_RESET. */
static void send_snapshot(struct hub *hub, const struct company *company, const struct subscription *subscription,
                          enum hub_message_type type)
{
    uint64_t begin = ring_begin(company->recent);
    uint64_t end = ring_end(company->recent);
    struct hub_snapshot *snapshot =
        allocate_or_abort(sizeof *snapshot + (size_t)(end - begin) * sizeof snapshot->frames[0]);

    snapshot->token = subscription->token;
    snapshot->before = ring_before(company->recent, begin);
    company_head_id(company, store_noted_hole(hub->options.store), snapshot->head_id);
    for (uint64_t slot = begin; slot < end; slot++)
        snapshot->frames[snapshot->count++] = frame_ref(ring_frame(company->recent, slot));
    send(hub, subscription->worker, &snapshot->message, type, release_snapshot);
}

/* Sends what hub_publish() gathered for one worker. */
static void flush_worker(struct hub *hub, unsigned worker)
{
    struct outgoing *outgoing = &hub->outgoing[worker];
    struct hub_events *events;

    if (outgoing->count == 0)
        return;
    events = allocate_or_abort(sizeof *events + outgoing->count * sizeof events->events[0]);
    memcpy(events->events, outgoing->events, outgoing->count * sizeof events->events[0]);
    events->count = outgoing->count;
    outgoing->count = 0;
    atomic_fetch_add_explicit(&hub->options.workers[worker].behind, events->count, memory_order_relaxed);
    send(hub, worker, &events->message, HUB_EVENTS, release_events);
}

/* The windows that ended with frames waiting go on: what follows gathers too. */
static void renew_windows(struct hub *hub, int64_t now_ns)
{
    while (hub->held) {
        struct company *company = hub->held;

        hub->held = company->next_held;
        company->held = false;
        company->window_end_ns = now_ns + hub->options.flush_window_ns;
    }
    hub->window_end_ns = INT64_MAX;
}

void hub_flush(struct hub *hub)
{
    int64_t now_ns = clock_monotonic_ns();

    if (!hub->flush_due && now_ns < hub->window_end_ns)
        return;
    hub->flush_due = false;
    renew_windows(hub, now_ns);
    for (unsigned i = 0; i < hub->options.worker_count; i++)
        flush_worker(hub, i);
}

int64_t hub_deadline_ns(const struct hub *hub)
{
    return hub->flush_due ? 0 : hub->window_end_ns;
}

void hub_drain(struct hub *hub)
{
    hub->options.flush_window_ns = 0;
    hub->flush_due = true;
}

void hub_forget(struct hub *hub, struct company *company)
{
    for (struct company **at = &hub->held; *at; at = &(*at)->next_held)
        if (*at == company) {
            *at = company->next_held;
            return;
        }
}

/* Decides when a frame of the company leaves. */
static void schedule(struct hub *hub, struct company *company)
{
    int64_t now_ns = clock_monotonic_ns();

    if (now_ns >= company->window_end_ns && !company->held) {
        company->window_end_ns = now_ns + hub->options.flush_window_ns;
        hub->flush_due = true;
        return;
    }
    if (company->held)
        return;
    company->held = true;
    company->next_held = hub->held;
    hub->held = company;
    if (company->window_end_ns < hub->window_end_ns)
        hub->window_end_ns = company->window_end_ns;
}

void hub_subscribe(struct hub *hub, struct company *company, unsigned worker, void *token)
{
    struct subscription *subscription = allocate_or_abort(sizeof *subscription);

    *subscription = (struct subscription){.next = company->subscriptions, .worker = worker, .token = token};
    company->subscriptions = subscription;
    if (!company->loading)
        send_snapshot(hub, company, subscription, HUB_SNAPSHOT);
}

void hub_unsubscribe(struct hub *hub, struct company *company, unsigned worker, void *token)
{
    struct hub_mark *answer = allocate_or_abort(sizeof *answer);

    for (struct subscription **at = &company->subscriptions; *at; at = &(*at)->next) {
        struct subscription *subscription = *at;

        if (subscription->worker != worker || subscription->token != token)
            continue;
        *at = subscription->next;
        free(subscription);
        break;
    }
    answer->token = token;
    send(hub, worker, &answer->message, HUB_UNSUBSCRIBED, release_plain);
}

void hub_reset(struct hub *hub, struct company *company)
{
    for (const struct subscription *at = company->subscriptions; at; at = at->next)
        send_snapshot(hub, company, at, HUB_RESET);
}

static void outgoing_add(struct outgoing *outgoing, struct hub_event event)
{
    if (outgoing->count == outgoing->capacity) {
        size_t capacity = outgoing->capacity ? outgoing->capacity * 2 : 64;
        struct hub_event *events = realloc(outgoing->events, capacity * sizeof *events);

        if (!events)
            abort(); /* a frame not handed over would be a loss unsaid */
        outgoing->events = events;
        outgoing->capacity = capacity;
    }
    outgoing->events[outgoing->count++] = event;
}

void hub_publish(struct hub *hub, struct company *company, struct frame *frame)
{
    if (company->loading)
        return;
    for (struct subscription *at = company->subscriptions; at; at = at->next) {
        struct outgoing *outgoing = &hub->outgoing[at->worker];

        outgoing_add(outgoing, (struct hub_event){.token = at->token, .frame = frame_ref(frame)});
        if (outgoing->count >= hub->options.max_waiting)
            hub->flush_due = true;
    }
    if (company->subscriptions)
        schedule(hub, company);
}

bool hub_replay_ok(const struct hub *hub)
{
    return atomic_load_explicit(&hub->replay_ok, memory_order_relaxed);
}

void hub_set_replay_state(struct hub *hub, bool ok)
{
    if (hub_replay_ok(hub) == ok)
        return;
    atomic_store_explicit(&hub->replay_ok, ok, memory_order_relaxed);
    for (unsigned i = 0; i < hub->options.worker_count; i++) {
        struct hub_replay_state *state = allocate_or_abort(sizeof *state);

        state->ok = ok;
        send(hub, i, &state->message, HUB_REPLAY_STATE, release_plain);
    }
}

bool hub_is_behind(const struct hub *hub)
{
    for (unsigned i = 0; i < hub->options.worker_count; i++)
        if (atomic_load_explicit(&hub->options.workers[i].behind, memory_order_relaxed) > HUB_BEHIND_MAX)
            return true;
    return false;
}

/* History. */

static struct hub_page *page_new(const struct hub_read *read, size_t max_frames)
{
    struct hub_page *page = allocate_or_abort(sizeof *page + max_frames * sizeof page->frames[0]);

    page->token = read->token;
    page->first = read->first;
    page->available = true;
    return page;
}

static void page_send(struct hub *hub, const struct hub_read *read, struct hub_page *page)
{
    if (read->first)
        metrics_add(hub->options.metrics, page->gap ? METRIC_REPLAY_MISSES : METRIC_REPLAY_HITS, 1);
    send(hub, read->worker, &page->message, HUB_PAGE, release_page);
}

static void page_add_gap(struct hub_page *page, const struct hub_read *read, enum gap_reason reason, const char *oldest,
                         int64_t missed)
{
    struct gap gap = {
        .reason = reason, .requested = read->requested[0] ? read->requested : NULL, .oldest = oldest, .missed = missed};

    page->reason = reason;
    page->gap = gap_frame(&gap);
    if (!page->gap)
        abort(); /* a gap not told would be a loss unsaid */
}

/*
 * Adds frames to the page, and a gap between two that do not follow each other: what never reached the store. Whether the
 * first one follows what the stream has is for the stream to see: it knows that, and what else it can go on with.
 */
static void page_add_frames(struct hub_page *page, struct frame *const *frames, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int64_t missed = i > 0 ? gap_between(frame_position(frames[i - 1]), frames[i]) : 0;

        if (missed != 0) {
            char oldest[EVENT_ID_SIZE];
            struct gap gap = {.reason = GAP_REPLAY_UNAVAILABLE, .oldest = oldest, .missed = missed};

            frame_id(frames[i], oldest);
            page->frames[page->count] = gap_frame(&gap);
            if (!page->frames[page->count++])
                abort();
        }
        page->frames[page->count++] = frame_ref(frames[i]);
    }
}

/* Adds recent frames from `slot` on, as many as a page takes. */
static void page_add_recent(struct hub_page *page, const struct company *company, uint64_t slot)
{
    uint64_t end = ring_end(company->recent);
    size_t bytes = 0;

    for (; slot < end && page->count < PAGE_EVENTS && bytes < PAGE_BYTES; slot++) {
        struct frame *frame = ring_frame(company->recent, slot);

        page->frames[page->count++] = frame_ref(frame);
        bytes += frame_memory_size(frame);
    }
    page->last = slot == end;
}

/* The id of the first frame in memory; empty: there is none. */
static void oldest_recent_id(const struct company *company, char ret_id[EVENT_ID_SIZE])
{
    uint64_t begin = ring_begin(company->recent);

    ret_id[0] = '\0';
    if (begin < ring_end(company->recent))
        frame_id(ring_frame(company->recent, begin), ret_id);
}

/* Answers from the recent frames, which hold everything behind their beginning. */
static void answer_from_recent(struct hub *hub, const struct company *company, const struct hub_read *read)
{
    bool exact;
    uint64_t slot = ring_find(company->recent, read->after, &exact);
    struct hub_page *page = page_new(read, PAGE_EVENTS);

    /* Behind a time, or the place 0 in front of the first event, nothing is missing here. */
    if (read->first && !exact && !read->since && !event_id_is_start(read->requested)) {
        char oldest[EVENT_ID_SIZE];

        oldest_recent_id(company, oldest);
        page_add_gap(page, read, GAP_UNKNOWN_ID, oldest[0] ? oldest : NULL, GAP_MISSED_UNKNOWN);
    }
    page_add_recent(page, company, slot);
    page_send(hub, read, page);
}

/* The store cannot be asked: what is in memory is all that can be had. */
static void answer_unavailable(struct hub *hub, const struct company *company, const struct hub_read *read)
{
    struct hub_page *page = page_new(read, PAGE_EVENTS);
    uint64_t begin = ring_begin(company->recent);

    if (read->first) {
        char oldest[EVENT_ID_SIZE];

        oldest_recent_id(company, oldest);
        page_add_gap(page, read, GAP_REPLAY_UNAVAILABLE, oldest[0] ? oldest : NULL, GAP_MISSED_UNKNOWN);
    }
    page->available = false;
    page->floor = ring_before(company->recent, begin);
    page_add_recent(page, company, begin);
    page_send(hub, read, page);
}

static struct event_position later(struct event_position a, struct event_position b)
{
    return event_position_compare(a, b) < 0 ? b : a;
}

/* How many of the store's frames are history. Those behind the head were not heard here yet: they come as live ones. */
static size_t count_up_to_head(const struct company *company, const struct store_page *stored)
{
    size_t count = stored->count;

    /* Of a blank company the head is none. */
    while (!company->blank && count > 0 &&
           event_position_compare(frame_position(stored->frames[count - 1]), company->head) > 0)
        count--;
    return count;
}

static void answer_from_store(struct hub *hub, const struct company *company, const struct hub_read *read,
                              const struct store_page *stored)
{
    size_t count = count_up_to_head(company, stored);
    struct hub_page *page = page_new(read, 2 * stored->count);
    enum gap_reason reason = GAP_NONE;
    int64_t missed = 0;

    if (read->first)
        reason = resume_judge(company, read, stored, hub->options.ttl_ms, &missed);
    if (reason != GAP_NONE) {
        char oldest[EVENT_ID_SIZE];

        if (stored->oldest.ms > 0)
            event_id_format(stored->oldest_subject, stored->oldest, oldest);
        else
            oldest_recent_id(company, oldest);
        page_add_gap(page, read, reason, oldest[0] ? oldest : NULL, missed);
    }
    page_add_frames(page, stored->frames, count);
    page->last = stored->last || count < stored->count;
    page->floor = later(stored->head.floor, company->floor);
    page_send(hub, read, page);
}

static void reading_free(struct reading *reading)
{
    for (struct reading **at = &reading->company->readings; *at; at = &(*at)->next)
        if (*at == reading) {
            *at = reading->next;
            break;
        }
    while (reading->waiters) {
        struct waiter *next = reading->waiters->next;

        free(reading->waiters);
        reading->waiters = next;
    }
    free(reading);
}

static void on_page(void *context, int status, const struct store_page *stored)
{
    struct reading *reading = context;

    for (struct waiter *waiter = reading->waiters; waiter; waiter = waiter->next) {
        if (status < 0)
            answer_unavailable(reading->hub, reading->company, &waiter->read);
        else
            answer_from_store(reading->hub, reading->company, &waiter->read, stored);
    }
    reading_free(reading);
}

/* Answers a reading from memory, or asks the store. The company's numbering is known. */
static void reading_start(struct reading *reading)
{
    struct store_read read = {
        .company = reading->company->name,
        .after = reading->after,
        .max_events = PAGE_EVENTS,
        .max_bytes = PAGE_BYTES,
    };

    if (company_reaches_back_to(reading->company, reading->after)) {
        for (struct waiter *waiter = reading->waiters; waiter; waiter = waiter->next)
            answer_from_recent(reading->hub, reading->company, &waiter->read);
        reading_free(reading);
        return;
    }
    reading->asked = true;
    store_read(reading->hub->options.store, &read, on_page, reading);
}

static struct reading *reading_get(struct hub *hub, struct company *company, struct event_position after)
{
    struct reading *reading = company->readings;

    while (reading && event_position_compare(reading->after, after) != 0)
        reading = reading->next;
    if (reading)
        return reading;
    reading = allocate_or_abort(sizeof *reading);
    *reading = (struct reading){.next = company->readings, .hub = hub, .company = company, .after = after};
    company->readings = reading;
    return reading;
}

void hub_read(struct hub *hub, struct company *company, const struct hub_read *read)
{
    struct reading *reading = reading_get(hub, company, read->after);
    struct waiter *waiter = allocate_or_abort(sizeof *waiter);

    *waiter = (struct waiter){.next = reading->waiters, .read = *read};
    reading->waiters = waiter;
    if (!reading->asked && !company->loading && !company->refreshing)
        reading_start(reading);
}

void hub_company_ready(struct hub *hub, struct company *company)
{
    for (struct subscription *at = company->subscriptions; at; at = at->next)
        send_snapshot(hub, company, at, HUB_SNAPSHOT);
    hub_company_read(company);
}

void hub_company_read(struct company *company)
{
    struct reading *reading = company->readings;

    while (reading) {
        struct reading *next = reading->next;

        if (!reading->asked)
            reading_start(reading);
        reading = next;
    }
}
