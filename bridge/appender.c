#include "bridge/appender.h"

#include <errno.h>
#include <stdlib.h>

#include "core/clock.h"

enum {
    GATHER_NS = 20000000,       /* how long frames wait for others to be appended with */
    GATHER_BYTES = 256 * 1024,  /* and how much of them */
    APPEND_BYTES = 1024 * 1024, /* of one append, but at least one event */
    RESTORED_BACKLOG_BYTES = 256 * 1024,
    RECENT_SHARE = 8, /* of recent_bytes for one company at most: a noisy one leaves room for others */
};

struct appender {
    struct appender_options options;
    struct company *first_due; /* companies with something to append */
    int64_t flush_ns;          /* when those are appended; 0: now; INT64_MAX: there are none */
    int64_t last_flush_ns;
    size_t gathered;      /* bytes of the frames added since the last flush */
    size_t recent_bytes;  /* of all frames in memory */
    size_t backlog_bytes; /* of those not yet stored */
    size_t give_up_bytes; /* beyond which some of them are given up */
    size_t unsynced;      /* companies whose head in the store is not known */
    bool appended_since_ready;
    bool active;
    bool owner_has_store; /* while not active */
    struct log_limiter backlog_limiter;
};

/* Accounting: every change of a ring or of `stored` goes through these. */

static void count_bytes(struct appender *appender, int64_t recent, int64_t backlog)
{
    appender->recent_bytes = (size_t)((int64_t)appender->recent_bytes + recent);
    appender->backlog_bytes = (size_t)((int64_t)appender->backlog_bytes + backlog);
    metrics_set(appender->options.metrics, METRIC_RECENT_BYTES, (int64_t)appender->recent_bytes);
    metrics_set(appender->options.metrics, METRIC_REPLAY_BACKLOG_BYTES, (int64_t)appender->backlog_bytes);
}

static void set_stored(struct appender *appender, struct company *company, uint64_t stored)
{
    int64_t before = (int64_t)company_backlog_bytes(company);

    company->stored = stored;
    if (company->sent < stored)
        company->sent = stored;
    count_bytes(appender, 0, (int64_t)company_backlog_bytes(company) - before);
}

/* Drops the frames in front of slot `begin`, which the store holds or which were given up. */
static void trim(struct appender *appender, struct company *company, uint64_t begin)
{
    size_t bytes = ring_bytes(company->recent, ring_begin(company->recent), begin);

    ring_trim(company->recent, begin);
    count_bytes(appender, -(int64_t)bytes, 0);
}

static void trim_to_limits(struct appender *appender, struct company *company)
{
    uint64_t begin = ring_begin(company->recent);
    uint64_t end = ring_end(company->recent);
    size_t max_bytes = appender->options.recent_bytes / RECENT_SHARE;

    while (begin < company->stored &&
           (end - begin > appender->options.recent_events || ring_bytes(company->recent, begin, end) > max_bytes))
        begin++;
    if (begin > ring_begin(company->recent))
        trim(appender, company, begin);
}

static void halve(struct company *company, void *context)
{
    struct appender *appender = context;
    uint64_t begin = ring_begin(company->recent);
    uint64_t middle = begin + (ring_end(company->recent) - begin + 1) / 2;

    if (appender->recent_bytes > appender->options.recent_bytes + appender->backlog_bytes)
        trim(appender, company, middle < company->stored ? middle : company->stored);
}

/* The backlog. */

static void set_due(struct appender *appender, struct company *company)
{
    if (company->urgent)
        appender->flush_ns = 0;
    if (company->due)
        return;
    company->due = true;
    company->next_due = appender->first_due;
    appender->first_due = company;
    /* At once after a quiet moment; what follows the last flush closely gathers. */
    if (appender->flush_ns == INT64_MAX)
        appender->flush_ns = appender->last_flush_ns + GATHER_NS;
}

/* What could be given up: what is on its way to the store is left alone, since it is answered soon, or fails. */
struct excess {
    struct appender *appender;
    size_t bytes;
    size_t companies;
    size_t least_bytes; /* of the backlog of a company that pays */
};

static void add_backlog(struct company *company, void *context)
{
    struct excess *excess = context;
    size_t bytes = company->appending ? 0 : company_backlog_bytes(company);

    excess->bytes += bytes;
    excess->companies += bytes > 0;
}

/*
 * Gives up the oldest eighth of the backlog of a company that has so much. It ends with an event, so that the break in the
 * numbers tells every later replay what is missing.
 */
static void give_up_eighth(struct company *company, void *context)
{
    const struct excess *excess = context;
    struct appender *appender = excess->appender;
    uint64_t from = company->stored;
    uint64_t end = ring_end(company->recent);
    uint64_t to = from + (end - from + 7) / 8;
    int64_t suppressed;

    if (company->appending || from == end || company_backlog_bytes(company) < excess->least_bytes)
        return;
    while (to < end && frame_kind(ring_frame(company->recent, to - 1)) != FRAME_EVENT)
        to++;
    set_stored(appender, company, to);
    trim_to_limits(appender, company);
    if (!appender->active)
        return;
    metrics_add(appender->options.metrics, METRIC_REPLAY_BACKLOG_DROPPED, (int64_t)(to - from));
    if (log_limiter_allow(&appender->backlog_limiter, &suppressed))
        log_write(appender->options.log, LOG_LEVEL_ERROR,
                  "Events were lost to the replay: the backlog for the replay store is full",
                  LOG_FIELDS(log_text("companyId", company->name), log_number("events", (int64_t)(to - from)),
                             log_number("suppressed", suppressed)));
}

/*
 * Those with the largest backlogs pay: with four times the average, or where that makes little room, with half of it: they
 * have half of all that there is. So each look at all companies makes room for many events; where it cannot, since most is on
 * its way, the next one waits until some more have come.
 */
static void give_up_backlog(struct appender *appender)
{
    struct companies *companies = appender->options.companies;
    struct excess excess = {.appender = appender};
    size_t step = appender->options.backlog_bytes / 64;
    size_t before = appender->backlog_bytes;

    companies_each(companies, add_backlog, &excess);
    if (excess.companies > 0) {
        excess.least_bytes = 4 * excess.bytes / excess.companies;
        companies_each(companies, give_up_eighth, &excess);
    }
    if (excess.companies > 0 && before - appender->backlog_bytes < step) {
        excess.least_bytes = excess.bytes / excess.companies / 2;
        companies_each(companies, give_up_eighth, &excess);
    }
    appender->give_up_bytes = appender->backlog_bytes + step;
}

static bool is_caught_up(const struct appender *appender)
{
    return appender->unsynced == 0 && appender->backlog_bytes <= RESTORED_BACKLOG_BYTES &&
           (appender->backlog_bytes == 0 || appender->appended_since_ready);
}

static void update_replay_state(struct appender *appender)
{
    bool ready = store_state(appender->options.store) == STORE_READY;
    bool ok = ready && (appender->active ? is_caught_up(appender) : appender->owner_has_store);

    /* Once it is said to be back, only the store itself says that it is lost, ours or the owner's. */
    if (ok || !ready || !appender->active)
        hub_set_replay_state(appender->options.hub, ok);
}

static void on_append(void *context, int status)
{
    struct company *company = context;
    struct appender *appender = company->appender;

    company->appending = false;
    if (status < 0) {
        company->sent = company->stored;
        company->upkeep_ms = 0;
        return; /* sent again when the store is ready, or by the next tick */
    }
    metrics_add(appender->options.metrics, METRIC_REPLAY_APPENDED, (int64_t)(company->sent - company->stored));
    appender->appended_since_ready = true;
    company->lacks_hole = false;
    set_stored(appender, company, company->sent);
    trim_to_limits(appender, company);
    if (appender->active && company->sent < ring_end(company->recent))
        set_due(appender, company);
    /* Another full append has gathered: it has no more to wait for, or the store would fall behind a busy company. */
    if (ring_end(company->recent) - company->sent >= STORE_APPEND_MAX)
        appender->flush_ns = 0;
    update_replay_state(appender);
}

/* Sends the company's next events to the store, unless some are on their way: one append at a time keeps them in order. */
static void append(struct appender *appender, struct company *company)
{
    struct frame *frames[STORE_APPEND_MAX];
    uint64_t sources[STORE_APPEND_MAX];
    struct store_append request = {.company = company->name, .frames = frames, .since_ms = company->since_ms};
    struct frame *hole = NULL;
    int64_t now_ms = clock_unix_ms();
    size_t bytes = 0;

    if (company->appending || company->loading || company->unsynced || company->sent == ring_end(company->recent))
        return;
    if (company->lacks_hole) {
        hole = gap_hole(GAP_SOURCE, ring_before(company->recent, company->sent));
        if (!hole)
            return; /* the next tick tries again */
        frames[request.count] = hole;
        sources[request.count++] = 0;
    }
    for (uint64_t slot = company->sent; slot < ring_end(company->recent); slot++) {
        if (request.count == STORE_APPEND_MAX || bytes > APPEND_BYTES)
            break;
        frames[request.count] = ring_frame(company->recent, slot);
        sources[request.count] = company_source_of(frames[request.count]);
        bytes += frame_memory_size(frames[request.count++]);
    }
    if (appender->options.has_sources)
        request.sources = sources;
    /* The store's keys live by a clock that goes on while this machine sleeps; one that was set back counts, too. */
    request.upkeep = now_ms < company->upkeep_ms || now_ms >= company->upkeep_ms + STORE_UPKEEP_MS;
    if (request.upkeep)
        company->upkeep_ms = now_ms;
    company->sent += request.count - (hole ? 1 : 0);
    company->urgent &= company->sent < ring_end(company->recent);
    company->appending = true;
    store_append(appender->options.store, &request, on_append, company);
    frame_unref(hole);
}

void appender_hurry(struct company *company)
{
    if (!company->appender->active || company->sent == ring_end(company->recent))
        return;
    company->urgent = true;
    set_due(company->appender, company);
}

void appender_flush(struct appender *appender)
{
    struct company *company = appender->first_due;

    if (!appender->active || store_state(appender->options.store) != STORE_READY)
        return;
    if (clock_monotonic_ns() < appender->flush_ns)
        return;
    appender->gathered = 0;
    appender->flush_ns = INT64_MAX;
    appender->last_flush_ns = clock_monotonic_ns();
    appender->first_due = NULL;
    while (company) {
        struct company *next = company->next_due;

        company->due = false;
        append(appender, company);
        company = next;
    }
}

/* Syncing: the store is back, and may have lost its last seconds, or everything. */

/*
 * Finds the first frame that the store does not hold. Frames at or below its head are skipped by every append: what was
 * numbered without knowing a later head (the clock was set back meanwhile) is lost to the replay, but the next numbers
 * are not.
 */
static void sync(struct appender *appender, struct company *company, const struct store_head *head)
{
    bool exact;
    uint64_t slot = ring_find(company->recent, head->position, &exact);
    struct event_position before = ring_before(company->recent, slot);
    bool nothing_waits = event_position_compare(company->numbered, company->head) == 0;

    if (head->exists && company->head.seq == 0) {
        company->head.seq = head->position.seq;
        company->since_ms = head->since_ms;
        company->floor = head->floor;
        /* Written down in front of the first event, a hole is not in the store. */
        if (head->position.ms < store_noted_hole(appender->options.store))
            company->hole_due = GAP_SOURCE;
        company->source = head->source;
        company->numbered_source = head->source;
    }
    if (nothing_waits || event_position_compare(company->numbered, company->head) < 0)
        company->numbered = company->head;
    /* What the store has and nobody here: the clock was set back, or somebody numbered who was not heard. */
    if (head->position.ms > company->numbered.ms) {
        company->numbered.ms = head->position.ms;
        company->hole_due = GAP_SOURCE;
    }
    company->upkeep_ms = 0;
    /* Of events that are missing the next number tells; of a hole nothing would. */
    company->lacks_hole =
        head->exists && before.seq == head->position.seq && event_position_compare(before, head->position) > 0;
    /* Holes in front of the first event are not for the store. */
    while (slot < ring_end(company->recent) && frame_position(ring_frame(company->recent, slot)).seq == 0)
        slot++;
    set_stored(appender, company, slot);
    company->sent = slot;
    if (slot < ring_end(company->recent))
        set_due(appender, company);
}

static void on_head(void *context, int status, const struct store_head *head)
{
    struct company *company = context;
    struct appender *appender = company->appender;

    company->asking = false;
    if (status < 0 || company->filling || !company->unsynced)
        return; /* asked again when the store is ready, the company was filled, or by the next tick; or not wanted */
    appender->unsynced--;
    company->unsynced = false;
    sync(appender, company, head);
    update_replay_state(appender);
}

static void ask_head(struct company *company, void *context)
{
    struct appender *appender = context;

    if (company->loading || company->filling || !company->unsynced || company->asking)
        return;
    company->asking = true;
    store_load(appender->options.store, company->name, on_head, company);
}

void appender_set_unsynced(struct appender *appender, struct company *company)
{
    if (!appender->active)
        return;
    if (!company->unsynced)
        appender->unsynced++;
    company->unsynced = true;
    if (store_state(appender->options.store) == STORE_READY)
        ask_head(company, appender);
}

/* Becoming active and not. */

static void lose_sync(struct company *company, void *context)
{
    if (!company->loading)
        appender_set_unsynced(context, company);
}

static void forget_sync(struct company *company, void *context)
{
    (void)context;
    company->unsynced = false;
    company->lacks_hole = false;
    company->due = false;
    company->urgent = false;
}

void appender_set_active(struct appender *appender, bool active)
{
    if (appender->active == active)
        return;
    appender->active = active;
    appender->appended_since_ready = false;
    if (active) {
        companies_each(appender->options.companies, lose_sync, appender);
    } else {
        companies_each(appender->options.companies, forget_sync, NULL);
        appender->first_due = NULL;
        appender->flush_ns = INT64_MAX;
        appender->unsynced = 0;
        appender->owner_has_store = true;
    }
    update_replay_state(appender);
}

bool appender_is_behind(const struct appender *appender)
{
    return appender->options.has_sources && appender->active && store_state(appender->options.store) == STORE_READY &&
           appender->backlog_bytes > appender->options.backlog_bytes / 2;
}

struct stored {
    struct appender *appender;
    uint64_t ms;
};

static void hear_stored(struct company *company, void *context)
{
    const struct stored *stored = context;
    uint64_t slot = company->stored;

    while (slot < ring_end(company->recent) && frame_position(ring_frame(company->recent, slot)).ms < stored->ms)
        slot++;
    if (slot == company->stored)
        return;
    set_stored(stored->appender, company, slot);
    trim_to_limits(stored->appender, company);
}

void appender_hear_owner(struct appender *appender, uint64_t stored_ms, bool has_store)
{
    if (appender->active)
        return;
    appender->owner_has_store = has_store;
    companies_each(appender->options.companies, hear_stored, &(struct stored){.appender = appender, .ms = stored_ms});
    update_replay_state(appender);
}

static void find_stored(struct company *company, void *context)
{
    struct stored *stored = context;
    uint64_t ms;

    if (company->stored == ring_end(company->recent))
        return;
    ms = frame_position(ring_frame(company->recent, company->stored)).ms;
    if (ms < stored->ms)
        stored->ms = ms;
}

uint64_t appender_stored_ms(const struct appender *appender)
{
    struct stored stored = {.ms = UINT64_MAX};

    companies_each(appender->options.companies, find_stored, &stored);
    return stored.ms;
}

static void on_store_state(void *context, enum store_state state, const char *reason)
{
    struct appender *appender = context;

    appender->appended_since_ready = false;
    if (state == STORE_READY) {
        log_write(appender->options.log, LOG_LEVEL_INFO, "Replay store connected", NULL);
        companies_each(appender->options.companies, ask_head, appender);
    } else {
        log_write(appender->options.log, LOG_LEVEL_ERROR,
                  "Replay store lost: live events go on, replays are served from memory",
                  LOG_FIELDS(log_text("reason", reason)));
        companies_each(appender->options.companies, lose_sync, appender);
    }
    update_replay_state(appender);
}

int64_t appender_deadline_ns(const struct appender *appender)
{
    return appender->active && store_state(appender->options.store) == STORE_READY ? appender->flush_ns : INT64_MAX;
}

int appender_add(struct appender *appender, struct company *company, struct frame *frame)
{
    int64_t size = (int64_t)frame_memory_size(frame);
    size_t limit = appender->options.recent_bytes;
    int status = ring_push(company->recent, frame);

    if (status < 0)
        return status;
    count_bytes(appender, size, size);
    /* A company without any event leaves nothing in the store, so that asking for companies does not fill it. */
    if (frame_position(frame).seq == 0)
        set_stored(appender, company, ring_end(company->recent));
    else if (appender->active)
        set_due(appender, company);
    appender->gathered += (size_t)size;
    if (appender->gathered >= GATHER_BYTES)
        appender->flush_ns = 0;
    if (appender->backlog_bytes <= appender->options.backlog_bytes)
        appender->give_up_bytes = appender->options.backlog_bytes;
    else if (appender->backlog_bytes > appender->give_up_bytes)
        give_up_backlog(appender);
    if (appender->recent_bytes > limit + limit / 8 + appender->backlog_bytes)
        companies_each(appender->options.companies, halve, appender);
    return 0;
}

bool appender_is_done_with(const struct company *company)
{
    return company->stored == ring_end(company->recent) && !company->appending && !company->due && !company->asking;
}

void appender_forget(struct appender *appender, struct company *company)
{
    if (company->unsynced)
        appender->unsynced--;
    company->unsynced = false;
    set_stored(appender, company, ring_end(company->recent));
    trim(appender, company, ring_end(company->recent));
}

static void count_unstored(struct company *company, void *context)
{
    int64_t *events = context;

    *events += (int64_t)(ring_end(company->recent) - company->stored);
}

int64_t appender_backlog_events(const struct appender *appender)
{
    int64_t events = 0;

    if (appender->active)
        companies_each(appender->options.companies, count_unstored, &events);
    return events;
}

/* What the store holds, and is too old to be replayed, need not be in memory either. */
static void trim_old(struct company *company, void *context)
{
    struct appender *appender = context;
    int64_t oldest_ms = clock_unix_ms() - appender->options.ttl_ms;
    uint64_t begin = ring_begin(company->recent);

    while (begin < company->stored && (int64_t)frame_position(ring_frame(company->recent, begin)).ms < oldest_ms)
        begin++;
    if (begin > ring_begin(company->recent))
        trim(appender, company, begin);
}

static void tick_company(struct company *company, void *context)
{
    struct appender *appender = context;

    if (company->stored < ring_end(company->recent))
        set_due(appender, company);
    ask_head(company, appender);
}

void appender_tick(struct appender *appender)
{
    companies_each(appender->options.companies, trim_old, appender);
    if (appender->active && store_state(appender->options.store) == STORE_READY)
        companies_each(appender->options.companies, tick_company, appender);
}

struct appender *appender_new(const struct appender_options *options)
{
    struct appender *appender = calloc(1, sizeof *appender);

    if (!appender)
        return NULL;
    appender->options = *options;
    appender->flush_ns = INT64_MAX;
    appender->owner_has_store = true;
    store_observe(options->store, on_store_state, appender);
    update_replay_state(appender);
    return appender;
}

void appender_free(struct appender *appender)
{
    free(appender);
}
