#include "support/fake_store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/fake_shelf.h"

enum { STREAMS_MAX = 4 };

struct place {
    char stream[STORE_STREAM_MAX + 1];
    uint64_t sequence;
};

struct request {
    struct request *next;
    enum fake_request kind;
    union {
        store_claim_done claim;
        store_append_done append;
        store_head_done load;
        store_page_done read;
        store_count_done count;
        store_place_done place;
    } done;
    void *context;
    char name[STORE_STREAM_MAX + 1]; /* the company, who claims, or the stream */
    uint64_t epoch;
    uint64_t since_ms;
    bool upkeep;
    struct event_position after;
    size_t max_events;
    size_t count;
    struct frame *frames[STORE_APPEND_MAX];
    uint64_t sources[STORE_APPEND_MAX];
};

struct fake_store {
    struct store base;
    struct request *first;
    struct request **last;
    size_t page_frames;
    size_t company_frames;
    uint64_t cutoff_ms;
    bool misused;
    bool chosen_lease;
    struct store_lease lease;
    struct store_claim claim; /* the last one */
    char holder[STORE_HOLDER_MAX + 1];
    char released_by[STORE_HOLDER_MAX + 1];
    uint64_t fence; /* appends with a lower epoch are refused */
    bool refusing;  /* the connection is gone: what comes now fails */
    struct place places[STREAMS_MAX];
    struct fake_shelves shelves;
};

static struct fake_store *fake_of(struct store *store)
{
    return (struct fake_store *)(void *)store;
}

/* Requests. */

static struct request *request_add(struct fake_store *fake, enum fake_request kind, const char *name, void *context)
{
    struct request *request = calloc(1, sizeof *request);

    if (!request)
        abort();
    request->kind = kind;
    request->context = context;
    snprintf(request->name, sizeof request->name, "%s", name);
    *fake->last = request;
    fake->last = &request->next;
    return request;
}

static void fake_claim(struct store *store, const struct store_claim *claim, store_claim_done done, void *context)
{
    struct fake_store *fake = fake_of(store);
    struct request *request = request_add(fake, FAKE_CLAIM, claim->holder, context);

    request->done.claim = done;
    request->epoch = claim->epoch;
    fake->claim = *claim;
    snprintf(fake->holder, sizeof fake->holder, "%s", claim->holder);
    fake->claim.holder = fake->holder;
}

static void fake_release(struct store *store, const char *holder)
{
    struct fake_store *fake = fake_of(store);

    snprintf(fake->released_by, sizeof fake->released_by, "%s", holder);
}

/* They grow, where there are any. */
static void check_sources(struct fake_store *fake, const struct store_append *append)
{
    uint64_t last = 0;

    for (size_t i = 0; append->sources && i < append->count; i++) {
        if (append->sources[i] > 0 && append->sources[i] <= last)
            fake->misused = true;
        if (append->sources[i] > 0)
            last = append->sources[i];
    }
}

static void check_append(struct fake_store *fake, const struct store_append *append)
{
    for (const struct request *at = fake->first; at; at = at->next)
        if (at->kind == FAKE_APPEND && strcmp(at->name, append->company) == 0)
            fake->misused = true;
    if (append->count == 0 || append->count > STORE_APPEND_MAX)
        fake->misused = true;
    for (size_t i = 1; i < append->count; i++)
        if (event_position_compare(frame_position(append->frames[i - 1]), frame_position(append->frames[i])) >= 0)
            fake->misused = true;
    check_sources(fake, append);
}

static void fake_append(struct store *store, const struct store_append *append, store_append_done done, void *context)
{
    struct fake_store *fake = fake_of(store);
    struct request *request;

    check_append(fake, append);
    request = request_add(fake, FAKE_APPEND, append->company, context);
    request->done.append = done;
    request->epoch = store->epoch;
    request->since_ms = append->since_ms;
    request->upkeep = append->upkeep;
    for (size_t i = 0; i < append->count; i++)
        request->frames[request->count++] = frame_ref(append->frames[i]);
    for (size_t i = 0; append->sources && i < append->count; i++)
        request->sources[i] = append->sources[i];
}

static void fake_load(struct store *store, const char *company, store_head_done done, void *context)
{
    request_add(fake_of(store), FAKE_LOAD, company, context)->done.load = done;
}

static void fake_read(struct store *store, const struct store_read *read, store_page_done done, void *context)
{
    struct request *request = request_add(fake_of(store), FAKE_READ, read->company, context);

    request->done.read = done;
    request->after = read->after;
    request->max_events = read->max_events;
}

static void fake_count_events(struct store *store, store_count_done done, void *context)
{
    request_add(fake_of(store), FAKE_COUNT, "", context)->done.count = done;
}

static struct place *place_get(struct fake_store *fake, const char *stream)
{
    for (size_t i = 0; i < STREAMS_MAX; i++) {
        struct place *place = &fake->places[i];

        if (!place->stream[0])
            snprintf(place->stream, sizeof place->stream, "%s", stream);
        if (strcmp(place->stream, stream) == 0)
            return place;
    }
    abort();
}

/* At once: nobody waits for it. */
static void fake_save_place(struct store *store, const char *stream, uint64_t sequence)
{
    struct fake_store *fake = fake_of(store);
    struct place *place = place_get(fake, stream);

    if (!fake->refusing && store->epoch >= fake->fence && sequence > place->sequence)
        place->sequence = sequence;
}

static void fake_load_place(struct store *store, const char *stream, store_place_done done, void *context)
{
    request_add(fake_of(store), FAKE_PLACE, stream, context)->done.place = done;
}

static void fake_note_hole(struct store *store, uint64_t unix_ms)
{
    (void)store;
    (void)unix_ms;
}

static int fake_poll_fd(const struct store *store, short *ret_events)
{
    (void)store;
    (void)ret_events;
    return -1;
}

static int64_t fake_deadline_ns(const struct store *store)
{
    (void)store;
    return INT64_MAX;
}

/* Answers come from fake_store_answer() alone. */
static void fake_run(struct store *store)
{
    (void)store;
}

/* Carrying out, and answering. */

static void answer_claim(const struct fake_store *fake, const struct request *request, int status)
{
    struct store_lease lease = {.mine = true, .epoch = request->epoch > 0 ? request->epoch : 1};

    if (fake->chosen_lease)
        lease = fake->lease;
    request->done.claim(request->context, status, status < 0 ? NULL : &lease);
}

static bool is_fenced(const struct fake_store *fake, const struct request *request)
{
    return request->kind == FAKE_APPEND && (request->epoch == 0 || request->epoch < fake->fence);
}

static void carry_out_append(struct fake_store *fake, const struct request *request)
{
    struct fake_shelf *shelf = fake_shelf_get(&fake->shelves, request->name);

    for (size_t i = 0; i < request->count; i++)
        fake_shelf_add(shelf, request->frames[i], request->sources[i]);
    shelf->head.since_ms = request->since_ms;
    fake_shelf_trim(shelf, fake->company_frames);
}

static void answer_read(struct fake_store *fake, const struct request *request)
{
    struct fake_shelf *shelf = fake_shelf_get(&fake->shelves, request->name);
    struct store_page page = {.head = shelf->head};
    size_t most = request->max_events < fake->page_frames ? request->max_events : fake->page_frames;
    size_t first = 0;
    size_t at;

    while (first < shelf->count && frame_position(shelf->frames[first]).ms < fake->cutoff_ms)
        first++;
    for (at = first; at < shelf->count; at++) {
        int order = event_position_compare(frame_position(shelf->frames[at]), request->after);

        page.exact |= order == 0;
        if (order > 0)
            break;
    }
    if (first < shelf->count) {
        page.oldest = frame_position(shelf->frames[first]);
        strcpy(page.oldest_subject, frame_subject(shelf->frames[first]));
    }
    page.frames = &shelf->frames[at];
    page.count = shelf->count - at < most ? shelf->count - at : most;
    page.last = at + page.count == shelf->count;
    request->done.read(request->context, 0, &page);
}

static void answer(struct fake_store *fake, const struct request *request, int status)
{
    switch (request->kind) {
    case FAKE_CLAIM:
        answer_claim(fake, request, status);
        break;
    case FAKE_APPEND:
        request->done.append(request->context, status);
        break;
    case FAKE_LOAD:
        request->done.load(request->context, status,
                           status < 0 ? NULL : &fake_shelf_get(&fake->shelves, request->name)->head);
        break;
    case FAKE_READ:
        if (status < 0)
            request->done.read(request->context, status, NULL);
        else
            answer_read(fake, request);
        break;
    case FAKE_COUNT:
        request->done.count(request->context, status < 0 ? status : 0, NULL, 0);
        break;
    case FAKE_PLACE:
        request->done.place(request->context, status, status < 0 ? 0 : place_get(fake, request->name)->sequence);
        break;
    case FAKE_NONE:
        break;
    }
}

static struct request *take_first(struct fake_store *fake)
{
    struct request *request = fake->first;

    fake->first = request->next;
    if (!fake->first)
        fake->last = &fake->first;
    return request;
}

static void request_free(struct request *request)
{
    for (size_t i = 0; i < request->count; i++)
        frame_unref(request->frames[i]);
    free(request);
}

void fake_store_answer(struct fake_store *fake)
{
    struct request *request;
    int status = fake->refusing ? -EAGAIN : 0;

    if (!fake->first)
        return;
    request = take_first(fake);
    if (status == 0 && is_fenced(fake, request))
        status = -EPERM;
    if (request->kind == FAKE_APPEND && status == 0)
        carry_out_append(fake, request);
    answer(fake, request, status);
    request_free(request);
}

void fake_store_answer_all(struct fake_store *fake)
{
    while (fake->first)
        fake_store_answer(fake);
}

void fake_store_fail(struct fake_store *fake, bool carried_out, int status)
{
    struct request *request;

    if (!fake->first)
        return;
    request = take_first(fake);
    if (carried_out && request->kind == FAKE_APPEND && !fake->refusing && !is_fenced(fake, request))
        carry_out_append(fake, request);
    answer(fake, request, status);
    request_free(request);
}

void fake_store_lose(struct fake_store *fake, size_t carried_out)
{
    size_t count = fake_store_waiting(fake);

    fake->refusing = true;
    for (size_t i = 0; i < count; i++) {
        struct request *request = take_first(fake);

        if (i < carried_out && request->kind == FAKE_APPEND && !is_fenced(fake, request))
            carry_out_append(fake, request);
        answer(fake, request, -EAGAIN);
        request_free(request);
    }
    store_set_state(&fake->base, STORE_LOST, "the test says so");
}

void fake_store_restore(struct fake_store *fake)
{
    size_t count = fake_store_waiting(fake);

    /* Asked while it was away: that has failed by now. */
    while (fake->refusing && count-- > 0)
        fake_store_answer(fake);
    fake->refusing = false;
    store_set_state(&fake->base, STORE_READY, "the test says so");
}

void fake_store_set_lease(struct fake_store *fake, const struct store_lease *lease)
{
    fake->chosen_lease = true;
    fake->lease = *lease;
}

const struct store_claim *fake_store_claim(const struct fake_store *fake)
{
    return &fake->claim;
}

const char *fake_store_released_by(const struct fake_store *fake)
{
    return fake->released_by;
}

uint64_t fake_store_epoch(const struct fake_store *fake)
{
    return fake->base.epoch;
}

void fake_store_fence(struct fake_store *fake, uint64_t epoch)
{
    fake->fence = epoch;
}

static void fake_free(struct store *store)
{
    struct fake_store *fake = fake_of(store);

    fake->refusing = true;
    fake_store_answer_all(fake);
    fake_shelves_release(&fake->shelves);
    free(fake);
}

static const struct store_operations operations = {
    .claim = fake_claim,
    .release = fake_release,
    .append = fake_append,
    .load = fake_load,
    .read = fake_read,
    .count_events = fake_count_events,
    .save_place = fake_save_place,
    .load_place = fake_load_place,
    .note_hole = fake_note_hole,
    .poll_fd = fake_poll_fd,
    .deadline_ns = fake_deadline_ns,
    .run = fake_run,
    .free = fake_free,
    .is_memory = false,
};

struct fake_store *fake_store_new(enum store_state state)
{
    struct fake_store *fake = calloc(1, sizeof *fake);

    if (!fake)
        abort();
    fake->base.operations = &operations;
    fake->base.state = state;
    fake->refusing = state == STORE_LOST;
    fake->claim.holder = fake->holder;
    fake->last = &fake->first;
    fake->page_frames = STORE_PAGE_MAX;
    fake->company_frames = FAKE_SHELF_FRAMES_MAX;
    return fake;
}

struct store *fake_store_base(struct fake_store *fake)
{
    return &fake->base;
}

void fake_store_set_limits(struct fake_store *fake, size_t page_frames, size_t company_frames)
{
    fake->page_frames = page_frames;
    fake->company_frames = company_frames;
}

void fake_store_set_cutoff(struct fake_store *fake, uint64_t cutoff_ms)
{
    fake->cutoff_ms = cutoff_ms;
}

enum fake_request fake_store_first(const struct fake_store *fake)
{
    return fake->first ? fake->first->kind : FAKE_NONE;
}

size_t fake_store_waiting(const struct fake_store *fake)
{
    size_t count = 0;

    for (const struct request *at = fake->first; at; at = at->next)
        count++;
    return count;
}

size_t fake_store_append_count(const struct fake_store *fake)
{
    return fake->first->count;
}

struct event_position fake_store_append_first(const struct fake_store *fake)
{
    return frame_position(fake->first->frames[0]);
}

bool fake_store_append_has_upkeep(const struct fake_store *fake)
{
    return fake->first->upkeep;
}

void fake_store_drop_tail(struct fake_store *fake, const char *company, size_t frames)
{
    struct fake_shelf *shelf = fake_shelf_get(&fake->shelves, company);

    while (frames-- > 0 && shelf->count > 0)
        fake_shelf_remove(shelf, shelf->count - 1);
    shelf->head.exists = shelf->count > 0;
    shelf->head.position = (struct event_position){0, 0};
    shelf->head.subject[0] = '\0';
    if (!shelf->head.exists)
        return;
    shelf->head.position = frame_position(shelf->frames[shelf->count - 1]);
    strcpy(shelf->head.subject, frame_subject(shelf->frames[shelf->count - 1]));
}

void fake_store_drop_frame(struct fake_store *fake, const char *company, size_t index)
{
    fake_shelf_remove(fake_shelf_get(&fake->shelves, company), index);
}

void fake_store_drop_everything(struct fake_store *fake)
{
    fake_shelves_clear(&fake->shelves);
    memset(fake->places, 0, sizeof fake->places);
}

void fake_store_trim(struct fake_store *fake, const char *company, size_t keep)
{
    fake_shelf_trim(fake_shelf_get(&fake->shelves, company), keep);
}

size_t fake_store_count(struct fake_store *fake, const char *company)
{
    return fake_shelf_get(&fake->shelves, company)->count;
}

struct event_position fake_store_at(struct fake_store *fake, const char *company, size_t index)
{
    return frame_position(fake_shelf_get(&fake->shelves, company)->frames[index]);
}

struct store_head fake_store_head(struct fake_store *fake, const char *company)
{
    return fake_shelf_get(&fake->shelves, company)->head;
}

void fake_store_put(struct fake_store *fake, const char *company, struct event_position position)
{
    struct fake_shelf *shelf = fake_shelf_get(&fake->shelves, company);
    struct frame *frame = frame_new_event(&(struct frame_event){
        .kind = FRAME_EVENT,
        .subject = "metrics.old",
        .event = "metric_updated",
        .payload = "{}",
        .payload_size = 2,
        .position = position,
    });

    if (shelf->head.since_ms == 0)
        shelf->head.since_ms = position.ms;
    fake_shelf_add(shelf, frame, 0);
    frame_unref(frame);
}

void fake_store_set_since(struct fake_store *fake, const char *company, uint64_t since_ms)
{
    fake_shelf_get(&fake->shelves, company)->head.since_ms = since_ms;
}

uint64_t fake_store_place(struct fake_store *fake, const char *stream)
{
    return place_get(fake, stream)->sequence;
}

void fake_store_set_place(struct fake_store *fake, const char *stream, uint64_t sequence)
{
    place_get(fake, stream)->sequence = sequence;
}

bool fake_store_misused(const struct fake_store *fake)
{
    return fake->misused;
}
