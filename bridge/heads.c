#include "bridge/heads.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/source_message.h"
#include "bridge/stream_place.h"
#include "core/clock.h"

/* A company without subscribers leaves the memory when its last event is older than this; the store knows it still. */
#define QUIET_MS (INT64_C(10) * 60 * 1000)

enum { FILL_EVENTS = 512, FILL_BYTES = 512 * 1024 };

/* How long what is missing is looked for in the store: it cannot be asked now, or is to get it yet. */
#define FILL_NS (INT64_C(5) * 1000 * 1000 * 1000)

struct heads {
    struct heads_options options;
    size_t parked;
    size_t parked_bytes;
};

/* Parking. */

bool heads_is_busy(const struct company *company)
{
    return company->loading || company->filling;
}

static size_t bytes_of(const struct parked *item)
{
    size_t size = 0;

    if (item->frame)
        size = frame_memory_size(item->frame);
    else if (item->message)
        (void)source_message_payload(item->message, &size);
    return size;
}

/* Before the item is handed on: what it holds is the receiver's then. */
static void count_out(struct heads *heads, const struct parked *item)
{
    heads->parked--;
    heads->parked_bytes -= bytes_of(item);
}

bool heads_park(struct heads *heads, struct company *company, const struct parked *item)
{
    struct parked *parked = malloc(sizeof *parked);

    if (!parked) {
        /* What a stream has is read again. */
        if (item->sequence == 0)
            company->hole_due = item->hole == GAP_NONE ? GAP_SOURCE : item->hole;
        return false;
    }
    *parked = *item;
    *company->parked_last = parked;
    company->parked_last = &parked->next;
    heads->parked++;
    heads->parked_bytes += bytes_of(item);
    return true;
}

static struct parked *take_all(struct company *company)
{
    struct parked *parked = company->parked;

    company->parked = NULL;
    company->parked_last = &company->parked;
    return parked;
}

/* Returns what was parked behind it. */
static struct parked *unpark_one(struct heads *heads, struct company *company, struct parked *parked)
{
    struct parked *next = parked->next;

    count_out(heads, parked);
    heads->options.unpark(heads->options.context, company, parked);
    free(parked);
    return next;
}

/* Frames that did not follow when their turn came. */
static void unpark_deferred(struct heads *heads, struct company *company)
{
    struct parked *parked;

    company->deferring = false;
    for (parked = take_all(company); parked;)
        parked = unpark_one(heads, company, parked);
}

/* What the owner repeats stands behind the frame that showed that it was missing. Messages wait for all frames. */
static void unpark(struct heads *heads, struct company *company)
{
    struct parked *parked = take_all(company);

    company->deferring = true;
    for (; parked && parked->frame;)
        parked = unpark_one(heads, company, parked);
    unpark_deferred(heads, company);
    while (parked)
        parked = unpark_one(heads, company, parked);
    company->settled = false;
}

void heads_take_parked(struct heads *heads, struct company *company,
                       void (*take)(void *context, const struct parked *parked), void *context)
{
    struct parked **at = &company->parked;

    while (*at) {
        struct parked *parked = *at;

        if (parked->frame) {
            at = &parked->next;
            continue;
        }
        *at = parked->next;
        count_out(heads, parked);
        take(context, parked);
        free(parked);
    }
    company->parked_last = at;
}

int64_t heads_parked(const struct heads *heads)
{
    return (int64_t)heads->parked;
}

static void find_oldest(struct company *company, void *context)
{
    int64_t *oldest_ns = context;

    for (const struct parked *at = company->parked; at; at = at->next) {
        if (!at->message)
            continue;
        if (at->received_ns < *oldest_ns)
            *oldest_ns = at->received_ns;
        return;
    }
}

int64_t heads_oldest_ns(const struct heads *heads)
{
    int64_t oldest_ns = INT64_MAX;

    if (heads->parked > 0)
        companies_each(heads->options.companies, find_oldest, &oldest_ns);
    return oldest_ns;
}

bool heads_may_park(const struct heads *heads)
{
    return heads->parked < heads->options.max_parked && heads->parked_bytes < heads->options.max_parked_bytes;
}

/* Frames. */

static void note_source(struct company *company, uint64_t source)
{
    if (source > company->source)
        company->source = source;
    if (source > company->numbered_source)
        company->numbered_source = source;
}

int heads_push(struct heads *heads, struct company *company, struct frame *frame, uint64_t since_ms)
{
    int status = appender_add(heads->options.appender, company, frame);

    if (status < 0)
        return status;
    company->head = frame_position(frame);
    if (event_position_compare(company->numbered, company->head) < 0)
        company->numbered = company->head;
    note_source(company, company_source_of(frame));
    if (since_ms > 0)
        company->since_ms = since_ms;
    strcpy(company->subject, frame_subject(frame));
    company->blank = false;
    /* In front of the first event the store does not have the hole, so it is remembered here. */
    if (frame_kind(frame) == FRAME_HOLE && company->head.seq == 0)
        company->floor = company->head;
    hub_publish(heads->options.hub, company, frame);
    return 0;
}

int heads_push_hole(struct heads *heads, struct company *company, struct event_position position)
{
    struct frame *hole = gap_hole(GAP_SOURCE, position);
    int status = hole ? heads_push(heads, company, hole, 0) : -ENOMEM;

    frame_unref(hole);
    return status;
}

bool heads_is_before_hole(const struct heads *heads, const struct company *company)
{
    uint64_t hole_ms = store_noted_hole(heads->options.store);

    return hole_ms > 0 && hole_ms >= company->head.ms;
}

void heads_rebase(struct heads *heads, struct company *company, struct event_position before)
{
    struct ring *recent = ring_new(before);

    if (!recent)
        abort(); /* without a ring the company could not say what it loses */
    appender_forget(heads->options.appender, company);
    ring_free(company->recent);
    company->recent = recent;
    company->stored = 0;
    company->sent = 0;
    company->unsent = 0;
    company->head = before;
    company->numbered = before;
    company->source = 0;
    company->numbered_source = 0;
    company->blank = false;
}

/* Loading. */

static void adopt_head(struct heads *heads, struct company *company, const struct store_head *head)
{
    uint64_t noted_hole_ms = store_noted_hole(heads->options.store);
    /* Not known: whatever a client has from before now is for the store to judge, once it is back. */
    struct event_position position = {.ms = (uint64_t)clock_unix_ms(), .seq = 0};
    bool is_blank = !head;

    if (head && head->exists) {
        position = head->position;
        company->since_ms = head->since_ms;
        company->floor = head->floor;
        strcpy(company->subject, head->subject);
    } else if (head || noted_hole_ms >= position.ms) {
        /* Behind the hole: who was there before it must not come back in front of what follows. */
        position = (struct event_position){.ms = noted_hole_ms > 0 ? noted_hole_ms + 1 : 0, .seq = 0};
        company->floor = position;
    }
    heads_rebase(heads, company, position);
    note_source(company, head ? head->source : 0);
    company->blank = is_blank;
    company->loading = false;
    if (!head)
        appender_set_unsynced(heads->options.appender, company);
    hub_company_ready(heads->options.hub, company);
    heads->options.loaded(heads->options.context, company,
                          head && head->exists && head->position.ms < noted_hole_ms ? noted_hole_ms : 0);
    if (!company->filling)
        unpark(heads, company);
}

static void on_head(void *context, int status, const struct store_head *head)
{
    struct company *company = context;

    adopt_head(company->heads, company, status < 0 ? NULL : head);
}

struct company *heads_get_blank(struct heads *heads, const char *name)
{
    struct company *company = companies_get(heads->options.companies, name);

    if (company)
        return company;
    company = companies_add(heads->options.companies, name);
    if (!company)
        return NULL;
    company->heads = heads;
    company->appender = heads->options.appender;
    company->blank = true;
    company->rate = publish_rate_make(heads->options.events_per_second, heads->options.bytes_per_second);
    return company;
}

struct company *heads_get(struct heads *heads, const char *name)
{
    struct company *company = companies_get(heads->options.companies, name);

    if (company)
        return company;
    company = heads_get_blank(heads, name);
    if (!company)
        return NULL;
    company->loading = true;
    store_load(heads->options.store, name, on_head, company);
    return company;
}

/* Filling. */

/* Whether what still does not follow the head may be there later. */
static bool may_look_again(const struct heads *heads, const struct company *company)
{
    return heads->options.is_patient && heads->options.is_patient(heads->options.context) && heads_may_park(heads) &&
           clock_monotonic_ns() - company->unfilled_ns < FILL_NS;
}

static void end_fill(struct heads *heads, struct company *company, bool has_all)
{
    company->filling = false;
    /* Should this replica number next, nobody else tells that something is missing in front of it. */
    company->suspect = !has_all;
    company->hole_due = has_all ? GAP_NONE : GAP_SOURCE;
    if (company->unfilled_ns == 0)
        company->unfilled_ns = clock_monotonic_ns();
    company->settled = !may_look_again(heads, company);
    unpark(heads, company);
    if (!company->filling)
        company->unfilled_ns = 0;
    /* What was read is not to be appended again. */
    appender_set_unsynced(heads->options.appender, company);
}

static void end_refresh(struct heads *heads, struct company *company)
{
    company->filling = false;
    company->refreshing = false;
    unpark(heads, company);
    hub_company_read(company);
}

/* The store has no more for now, or cannot be asked. */
static void end_fetch(struct heads *heads, struct company *company, bool has_all)
{
    if (company->refreshing)
        end_refresh(heads, company);
    else
        end_fill(heads, company, has_all);
}

static void ask_page(struct heads *heads, struct company *company);

/*
 * Clients here have events that the store knows nothing of: what it has behind them was numbered by another, and its order
 * is the one that counts. The streams end, and come back to it with a gap.
 */
static void follow_page(struct heads *heads, struct company *company, const struct store_page *page)
{
    struct event_position before;

    if (page->exact || page->count == 0 || company->head.seq == 0)
        return;
    before = frame_position(page->frames[0]);
    if (event_position_compare(before, company->head) <= 0)
        return;
    before.seq--;
    heads_rebase(heads, company, before);
    hub_reset(heads->options.hub, company);
}

/*
 * A frame of the store's. Where some are missing in front of it, in the store or because they could not be read, nothing but a hole
 * tells those who are here; nor of a hole in front of the first event, which is not in the store.
 */
static int push_stored(struct heads *heads, struct company *company, struct frame *frame, uint64_t since_ms)
{
    struct event_position before = {.ms = frame_position(frame).ms, .seq = frame_position(frame).seq - 1};
    bool is_behind_hole = company->head.seq == 0 && heads_is_before_hole(heads, company) &&
                          event_position_compare(company->head, before) < 0;

    if (frame_kind(frame) == FRAME_EVENT && (gap_between(company->head, frame) != 0 || is_behind_hole)) {
        int status = heads_push_hole(heads, company, before);

        if (status < 0)
            return status;
    }
    return heads_push(heads, company, frame, since_ms);
}

static void on_page(void *context, int status, const struct store_page *page)
{
    struct company *company = context;
    struct heads *heads = company->heads;

    company->fetching = false;
    if (status < 0) {
        end_fetch(heads, company, false);
        return;
    }
    follow_page(heads, company, page);
    for (size_t i = 0; i < page->count; i++) {
        struct frame *frame = page->frames[i];

        if (event_position_compare(frame_position(frame), company->head) <= 0)
            continue;
        if (push_stored(heads, company, frame, page->head.since_ms) < 0) {
            end_fetch(heads, company, false);
            return;
        }
    }
    /* Frames from the store do not say where they come from; its head does, once all in front of it are here. */
    if (page->last)
        note_source(company, page->head.source);
    if (page->last && !company->fetch_again)
        end_fetch(heads, company, true);
    else
        ask_page(heads, company);
}

static void ask_page(struct heads *heads, struct company *company)
{
    struct store_read read = {
        .company = company->name,
        .after = company->head,
        .max_events = FILL_EVENTS,
        .max_bytes = FILL_BYTES,
    };

    company->filling = true;
    company->fetching = true;
    company->fetch_again = false;
    store_read(heads->options.store, &read, on_page, company);
}

void heads_fill(struct heads *heads, struct company *company)
{
    /* Of a blank company nobody here has got anything that could be incomplete. */
    if (company->blank)
        end_fill(heads, company, true);
    else if (company->fetching)
        company->fetch_again = true;
    else
        ask_page(heads, company);
    /* Who waits for a refresh has all that there is behind a fill. */
    if (company->refreshing) {
        company->refreshing = false;
        hub_company_read(company);
    }
}

void heads_fill_again(struct heads *heads, struct company *company)
{
    if (company->unfilled_ns > 0 && company->filling && !company->fetching)
        heads_fill(heads, company);
}

void heads_refresh(struct heads *heads, struct company *company)
{
    if (company->blank || heads_is_busy(company) || store_state(heads->options.store) != STORE_READY)
        return;
    company->refreshing = true;
    ask_page(heads, company);
}

/* Forgetting. */

void heads_release(struct heads *heads, struct company *company)
{
    bool quiet =
        company->head.seq == 0 || (!company->unsynced && (int64_t)company->head.ms < clock_unix_ms() - QUIET_MS);

    if (stream_place_is_refilling(heads->options.place) || !quiet || heads_is_busy(company) || company->readings ||
        company->subscriptions || !appender_is_done_with(company))
        return;
    /* Events on their way to the other replicas. */
    if (event_position_compare(company->numbered, company->head) != 0)
        return;
    /* Or a company could have its burst again and again. */
    if (!publish_rate_is_new(&company->rate, clock_monotonic_ns()))
        return;
    appender_forget(heads->options.appender, company);
    hub_forget(heads->options.hub, company);
    companies_remove(heads->options.companies, company);
}

/* Making. */

struct heads *heads_new(const struct heads_options *options)
{
    struct heads *heads = calloc(1, sizeof *heads);

    if (heads)
        heads->options = *options;
    return heads;
}

static void drop_parked(struct company *company, void *context)
{
    (void)context;
    while (company->parked) {
        struct parked *next = company->parked->next;

        source_message_free(company->parked->message);
        frame_unref(company->parked->frame);
        free(company->parked);
        company->parked = next;
    }
}

void heads_free(struct heads *heads)
{
    if (!heads)
        return;
    companies_each(heads->options.companies, drop_parked, NULL);
    free(heads);
}
