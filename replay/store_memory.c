#include "replay/store_memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/ring.h"
#include "core/table.h"

enum { SWEEP_INTERVAL_S = 10 };

/* A quiet company's numbering is kept that long, so that a returning one goes on where it was. */
#define NUMBERING_KEPT_MS (INT64_C(30) * 86400 * 1000)
#define NS_PER_S INT64_C(1000000000)

struct history {
    struct ring *ring;
    struct store_head head;
    int64_t events; /* frames in the ring that are no holes */
    char company[];
};

enum request_kind { REQUEST_CLAIM, REQUEST_APPEND, REQUEST_LOAD, REQUEST_READ, REQUEST_COUNT, REQUEST_PLACE };

/* A request that was carried out or waits for it; answered by the next run. */
struct request {
    struct request *next;
    enum request_kind kind;
    int status;
    union {
        store_claim_done claim;
        store_append_done append;
        store_head_done load;
        store_page_done read;
        store_count_done count;
        store_place_done place;
    } done;
    void *context;
    struct event_position after;
    size_t max_events;
    size_t max_bytes;
    char company[];
};

struct place {
    uint64_t sequence;
};

struct store_memory {
    struct store base;
    struct store_limits limits;
    int64_t total_max_bytes;
    int64_t total_bytes;
    struct table *histories;
    struct table *places; /* of readers: streams by name */
    struct request *first;
    struct request **last;
    int64_t next_sweep_ns;
};

static struct store_memory *memory_of(struct store *store)
{
    return (struct store_memory *)(void *)store;
}

static struct history *history_get(struct store_memory *memory, const char *company)
{
    return table_get(memory->histories, company);
}

static struct history *history_add(struct store_memory *memory, const char *company)
{
    size_t size = strlen(company) + 1;
    struct history *history = calloc(1, sizeof *history + size);

    if (!history)
        return NULL;
    memcpy(history->company, company, size);
    history->ring = ring_new((struct event_position){0, 0});
    if (!history->ring || table_add(memory->histories, company, history) < 0) {
        ring_free(history->ring);
        free(history);
        return NULL;
    }
    return history;
}

static void history_free(struct store_memory *memory, struct history *history)
{
    memory->total_bytes -= (int64_t)ring_bytes(history->ring, ring_begin(history->ring), ring_end(history->ring));
    table_remove(memory->histories, history->company);
    ring_free(history->ring);
    free(history);
}

static void history_trim_one(struct store_memory *memory, struct history *history)
{
    uint64_t begin = ring_begin(history->ring);
    struct frame *oldest = ring_frame(history->ring, begin);

    memory->total_bytes -= (int64_t)frame_memory_size(oldest);
    if (frame_kind(oldest) == FRAME_EVENT)
        history->events--;
    history->head.floor = frame_position(oldest);
    ring_trim(history->ring, begin + 1);
}

static void history_trim(struct store_memory *memory, struct history *history)
{
    int64_t cutoff_ms = clock_unix_ms() - memory->limits.ttl_ms;

    while (ring_begin(history->ring) < ring_end(history->ring)) {
        uint64_t begin = ring_begin(history->ring);
        uint64_t end = ring_end(history->ring);

        if ((int64_t)frame_position(ring_frame(history->ring, begin)).ms >= cutoff_ms &&
            (int64_t)(end - begin) <= memory->limits.max_events &&
            (int64_t)ring_bytes(history->ring, begin, end) <= memory->limits.max_bytes)
            break;
        history_trim_one(memory, history);
    }
}

static void sweep_one(const char *company, void *object, void *context)
{
    struct store_memory *memory = context;
    struct history *history = object;

    (void)company;
    history_trim(memory, history);
    if ((int64_t)history->head.position.ms < clock_unix_ms() - NUMBERING_KEPT_MS &&
        ring_begin(history->ring) == ring_end(history->ring))
        history_free(memory, history);
}

static void give_up_an_eighth(const char *company, void *object, void *context)
{
    struct store_memory *memory = context;
    struct history *history = object;
    uint64_t count = (ring_end(history->ring) - ring_begin(history->ring) + 7) / 8;

    (void)company;
    while (count-- > 0)
        history_trim_one(memory, history);
}

static struct request *request_new(struct store_memory *memory, enum request_kind kind, const char *company,
                                   void *context)
{
    size_t size = strlen(company) + 1;
    struct request *request = calloc(1, sizeof *request + size);

    /* Without an answer the caller would wait for ever: there is no way on from here. */
    if (!request)
        abort();
    request->kind = kind;
    request->context = context;
    memcpy(request->company, company, size);
    *memory->last = request;
    memory->last = &request->next;
    return request;
}

static void memory_claim(struct store *store, const struct store_claim *claim, store_claim_done done, void *context)
{
    request_new(memory_of(store), REQUEST_CLAIM, claim->holder, context)->done.claim = done;
}

static void memory_release(struct store *store, const char *holder)
{
    (void)store;
    (void)holder;
}

static int append_frames(struct store_memory *memory, const struct store_append *append)
{
    struct history *history = history_get(memory, append->company);

    if (memory->base.epoch == 0)
        return -EPERM;
    if (!history)
        history = history_add(memory, append->company);
    if (!history)
        return -ENOMEM;
    for (size_t i = 0; i < append->count; i++) {
        struct frame *frame = append->frames[i];

        uint64_t source = append->sources ? append->sources[i] : 0;

        if (event_position_compare(frame_position(frame), history->head.position) <= 0)
            continue;
        if (source > 0 && source <= history->head.source)
            continue;
        if (ring_push(history->ring, frame) < 0)
            return -ENOMEM;
        memory->total_bytes += (int64_t)frame_memory_size(frame);
        history->events += frame_kind(frame) == FRAME_EVENT;
        history->head.exists = true;
        history->head.position = frame_position(frame);
        strcpy(history->head.subject, frame_subject(frame));
        if (source > 0)
            history->head.source = source;
    }
    history->head.since_ms = append->since_ms;
    history_trim(memory, history);
    if (memory->total_bytes > memory->total_max_bytes)
        table_each(memory->histories, give_up_an_eighth, memory);
    return 0;
}

static void memory_append(struct store *store, const struct store_append *append, store_append_done done, void *context)
{
    struct store_memory *memory = memory_of(store);
    struct request *request = request_new(memory, REQUEST_APPEND, append->company, context);

    request->done.append = done;
    request->status = append_frames(memory, append);
}

static void memory_load(struct store *store, const char *company, store_head_done done, void *context)
{
    request_new(memory_of(store), REQUEST_LOAD, company, context)->done.load = done;
}

static void memory_read(struct store *store, const struct store_read *read, store_page_done done, void *context)
{
    struct request *request = request_new(memory_of(store), REQUEST_READ, read->company, context);

    request->done.read = done;
    request->after = read->after;
    request->max_events = read->max_events < STORE_PAGE_MAX ? read->max_events : STORE_PAGE_MAX;
    request->max_bytes = read->max_bytes;
}

static void memory_count_events(struct store *store, store_count_done done, void *context)
{
    request_new(memory_of(store), REQUEST_COUNT, "", context)->done.count = done;
}

static void memory_save_place(struct store *store, const char *stream, uint64_t sequence)
{
    struct store_memory *memory = memory_of(store);
    struct place *place = table_get(memory->places, stream);

    if (!place) {
        place = calloc(1, sizeof *place);
        if (!place || table_add(memory->places, stream, place) < 0)
            abort(); /* as in request_new() */
    }
    if (sequence > place->sequence)
        place->sequence = sequence;
}

static void memory_load_place(struct store *store, const char *stream, store_place_done done, void *context)
{
    request_new(memory_of(store), REQUEST_PLACE, stream, context)->done.place = done;
}

static void memory_note_hole(struct store *store, uint64_t unix_ms)
{
    (void)store;
    (void)unix_ms;
}

static int memory_poll_fd(const struct store *store, short *ret_events)
{
    (void)store;
    (void)ret_events;
    return -1;
}

static int64_t memory_deadline_ns(const struct store *store)
{
    const struct store_memory *memory = (const struct store_memory *)(const void *)store;

    return memory->first ? 0 : memory->next_sweep_ns;
}

static void answer_load(struct store_memory *memory, struct request *request)
{
    struct history *history = history_get(memory, request->company);
    struct store_head none = {.exists = false};

    request->done.load(request->context, 0, history ? &history->head : &none);
}

static void answer_read(struct store_memory *memory, struct request *request)
{
    struct history *history = history_get(memory, request->company);
    struct frame *frames[STORE_PAGE_MAX];
    struct store_page page = {.last = true, .frames = frames};
    uint64_t slot;
    size_t bytes = 0;
    bool behind_ring;

    if (!history) {
        request->done.read(request->context, 0, &page);
        return;
    }
    history_trim(memory, history);
    page.head = history->head;
    slot = ring_find(history->ring, request->after, &page.exact);
    /* The place in front of the first frame was trimmed: it is not held. */
    behind_ring = slot == ring_begin(history->ring);
    page.exact = page.exact && !behind_ring;
    if (ring_begin(history->ring) < ring_end(history->ring)) {
        struct frame *oldest = ring_frame(history->ring, ring_begin(history->ring));

        page.oldest = frame_position(oldest);
        strcpy(page.oldest_subject, frame_subject(oldest));
    }
    for (; slot < ring_end(history->ring) && page.count < request->max_events && bytes < request->max_bytes; slot++) {
        frames[page.count] = ring_frame(history->ring, slot);
        bytes += frame_memory_size(frames[page.count++]);
    }
    page.last = slot == ring_end(history->ring);
    request->done.read(request->context, 0, &page);
}

struct counting {
    struct store_memory *memory;
    struct store_count *counts;
    size_t count;
};

static void count_one(const char *company, void *object, void *context)
{
    struct counting *counting = context;
    struct history *history = object;

    history_trim(counting->memory, history);
    if (history->events > 0)
        counting->counts[counting->count++] = (struct store_count){.company = company, .events = history->events};
}

static void answer_count(struct store_memory *memory, struct request *request)
{
    struct counting counting = {.memory = memory};

    counting.counts = calloc(table_count(memory->histories) + 1, sizeof *counting.counts);
    if (counting.counts)
        table_each(memory->histories, count_one, &counting);
    request->done.count(request->context, counting.counts ? 0 : -ENOMEM, counting.counts, counting.count);
    free(counting.counts);
}

static void answer_place(const struct store_memory *memory, const struct request *request)
{
    const struct place *place = table_get(memory->places, request->company);

    request->done.place(request->context, 0, place ? place->sequence : 0);
}

static void answer(struct store_memory *memory, struct request *request)
{
    switch (request->kind) {
    case REQUEST_CLAIM:
        request->done.claim(request->context, 0, &(struct store_lease){.mine = true, .epoch = 1});
        return;
    case REQUEST_APPEND:
        request->done.append(request->context, request->status);
        return;
    case REQUEST_LOAD:
        answer_load(memory, request);
        return;
    case REQUEST_READ:
        answer_read(memory, request);
        return;
    case REQUEST_COUNT:
        answer_count(memory, request);
        return;
    case REQUEST_PLACE:
        answer_place(memory, request);
        return;
    }
}

static void memory_run(struct store *store)
{
    struct store_memory *memory = memory_of(store);
    struct request *request = memory->first;

    /* Requests that a callback makes are answered by the next run. */
    memory->first = NULL;
    memory->last = &memory->first;
    while (request) {
        struct request *next = request->next;

        answer(memory, request);
        free(request);
        request = next;
    }
    if (clock_monotonic_ns() >= memory->next_sweep_ns) {
        table_each(memory->histories, sweep_one, memory);
        memory->next_sweep_ns = clock_monotonic_ns() + SWEEP_INTERVAL_S * NS_PER_S;
    }
}

static void free_one(const char *company, void *object, void *context)
{
    (void)company;
    history_free(context, object);
}

static void free_place(const char *stream, void *object, void *context)
{
    table_remove(context, stream);
    free(object);
}

static void memory_free(struct store *store)
{
    struct store_memory *memory = memory_of(store);

    while (memory->first)
        memory_run(store);
    table_each(memory->histories, free_one, memory);
    table_free(memory->histories);
    table_each(memory->places, free_place, memory->places);
    table_free(memory->places);
    free(memory);
}

static const struct store_operations operations = {
    .claim = memory_claim,
    .release = memory_release,
    .append = memory_append,
    .load = memory_load,
    .read = memory_read,
    .count_events = memory_count_events,
    .save_place = memory_save_place,
    .load_place = memory_load_place,
    .note_hole = memory_note_hole,
    .poll_fd = memory_poll_fd,
    .deadline_ns = memory_deadline_ns,
    .run = memory_run,
    .free = memory_free,
    .is_memory = true,
};

struct store *store_memory_new(const struct store_limits *limits, int64_t total_max_bytes)
{
    struct store_memory *memory = calloc(1, sizeof *memory);

    if (!memory)
        return NULL;
    memory->base.operations = &operations;
    memory->base.state = STORE_READY;
    memory->limits = *limits;
    memory->total_max_bytes = total_max_bytes;
    memory->last = &memory->first;
    memory->histories = table_new();
    memory->places = table_new();
    if (!memory->histories || !memory->places) {
        table_free(memory->histories);
        table_free(memory->places);
        free(memory);
        return NULL;
    }
    return &memory->base;
}
