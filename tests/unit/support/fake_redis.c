#include "support/fake_redis.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/fake_clock.h"
#include "support/redis_shelf.h"

enum { COMPANIES_MAX = 8 };

struct fake_redis {
    size_t shelf_count;
    struct shelf *shelves[COMPANIES_MAX];
    char holder[STORE_HOLDER_MAX + 1];
    bool has_lease; /* somebody ever took it */
    uint64_t epoch;
    int64_t until_ms;
    uint64_t noted_hole_ms;
    struct request *late; /* appends of connections that are gone, still on their way */
    struct request **late_last;
    size_t refused;
};

enum kind { CLAIM, RELEASE, APPEND, LOAD, READ, NOTE_HOLE };

struct request {
    struct request *next;
    enum kind kind;
    union {
        store_claim_done claim;
        store_append_done append;
        store_head_done load;
        store_page_done read;
    } done;
    void *context;
    char name[129]; /* the company, or who claims */
    uint64_t epoch;
    int64_t lease_ms;
    uint64_t since_ms;
    uint64_t hole_ms;
    struct event_position after;
    size_t max_events;
    bool carried_out;
    int status;
    struct store_lease lease;
    struct store_head head;
    struct store_page page;
    size_t count;
    struct frame *frames[STORE_PAGE_MAX];
};

struct replica_store {
    struct store base;
    struct fake_redis *redis;
    bool connected; /* as the network has it; base.state is what the store knows */
    bool broken;    /* the connection that the store knows of is gone */
    struct request *first;
    struct request **last;
};

static struct replica_store *own(struct store *store)
{
    return (struct replica_store *)(void *)store;
}

static const struct replica_store *own_const(const struct store *store)
{
    return (const struct replica_store *)(const void *)store;
}

/* Data. */

static struct shelf *shelf_find(const struct fake_redis *redis, const char *company)
{
    for (size_t i = 0; i < redis->shelf_count; i++)
        if (strcmp(redis->shelves[i]->company, company) == 0)
            return redis->shelves[i];
    return NULL;
}

static struct shelf *shelf_get(struct fake_redis *redis, const char *company)
{
    struct shelf *shelf = shelf_find(redis, company);

    if (shelf)
        return shelf;
    shelf = redis->shelf_count < COMPANIES_MAX ? calloc(1, sizeof *shelf) : NULL;
    if (!shelf)
        abort();
    snprintf(shelf->company, sizeof shelf->company, "%s", company);
    redis->shelves[redis->shelf_count++] = shelf;
    return shelf;
}

void fake_redis_lose_since(struct fake_redis *redis, int64_t unix_ms)
{
    for (size_t i = 0; i < redis->shelf_count; i++) {
        struct shelf *shelf = redis->shelves[i];

        while (shelf->count > 0 && shelf->written[shelf->count - 1].written_ms >= unix_ms)
            frame_unref(shelf->written[--shelf->count].frame);
    }
}

void fake_redis_lose_lease(struct fake_redis *redis)
{
    redis->has_lease = false;
    redis->holder[0] = '\0';
    redis->epoch = 0;
    redis->until_ms = 0;
}

size_t fake_redis_count(const struct fake_redis *redis, const char *company)
{
    const struct shelf *shelf = shelf_find(redis, company);

    return shelf ? shelf->count : 0;
}

struct frame *fake_redis_frame(const struct fake_redis *redis, const char *company, size_t index)
{
    return shelf_find(redis, company)->written[index].frame;
}

struct event_position fake_redis_head(const struct fake_redis *redis, const char *company)
{
    return shelf_head(shelf_find(redis, company)).position;
}

void fake_redis_put(struct fake_redis *redis, const char *company, struct frame *frame)
{
    shelf_add(shelf_get(redis, company), frame, 0, frame_position(frame).ms);
}

const char *fake_redis_holder(const struct fake_redis *redis)
{
    return redis->until_ms > fake_clock_true_ms() ? redis->holder : NULL;
}

static void free_request(struct request *request)
{
    for (size_t i = 0; i < request->count; i++)
        frame_unref(request->frames[i]);
    free(request);
}

static struct request *take_late(struct fake_redis *redis)
{
    struct request *first = redis->late;

    redis->late = first->next;
    if (!redis->late)
        redis->late_last = &redis->late;
    return first;
}

struct fake_redis *fake_redis_new(void)
{
    struct fake_redis *redis = calloc(1, sizeof *redis);

    if (!redis)
        abort();
    redis->late_last = &redis->late;
    return redis;
}

void fake_redis_free(struct fake_redis *redis)
{
    while (redis->late)
        free_request(take_late(redis));
    fake_redis_lose_since(redis, 0);
    for (size_t i = 0; i < redis->shelf_count; i++)
        free(redis->shelves[i]);
    free(redis);
}

/* Requests. */

static struct request *request_add(struct store *store, enum kind kind, const char *name, void *context)
{
    struct replica_store *replica = own(store);
    struct request *request = calloc(1, sizeof *request);

    if (!request)
        abort();
    request->kind = kind;
    request->context = context;
    snprintf(request->name, sizeof request->name, "%s", name);
    /* What is asked while the store is known to be away is refused, and never sent. */
    if (store->state != STORE_READY) {
        request->carried_out = true;
        request->status = -EAGAIN;
    }
    *replica->last = request;
    replica->last = &request->next;
    return request;
}

static void claim(struct store *store, const struct store_claim *wanted, store_claim_done done, void *context)
{
    struct request *request = request_add(store, CLAIM, wanted->holder, context);

    request->done.claim = done;
    request->epoch = wanted->epoch;
    request->lease_ms = wanted->lease_ms;
}

static void give_back(struct store *store, const char *holder)
{
    request_add(store, RELEASE, holder, NULL);
}

static void append(struct store *store, const struct store_append *wanted, store_append_done done, void *context)
{
    struct request *request = request_add(store, APPEND, wanted->company, context);

    request->done.append = done;
    request->epoch = store->epoch;
    request->since_ms = wanted->since_ms;
    for (size_t i = 0; i < wanted->count; i++)
        request->frames[request->count++] = frame_ref(wanted->frames[i]);
    if (store->epoch == 0) {
        request->carried_out = true;
        request->status = -EPERM;
    }
}

static void load(struct store *store, const char *company, store_head_done done, void *context)
{
    struct request *request = request_add(store, LOAD, company, context);

    request->done.load = done;
    request->epoch = store->epoch;
}

static void read_page(struct store *store, const struct store_read *wanted, store_page_done done, void *context)
{
    struct request *request = request_add(store, READ, wanted->company, context);

    request->done.read = done;
    request->after = wanted->after;
    request->max_events = wanted->max_events;
}

static void count_events(struct store *store, store_count_done done, void *context)
{
    (void)store;
    (void)done;
    (void)context;
    abort(); /* no replica asks for it by itself */
}

static void note_hole(struct store *store, uint64_t unix_ms)
{
    request_add(store, NOTE_HOLE, "", NULL)->hole_ms = unix_ms;
}

/* Carrying out. */

static void carry_out_claim(struct fake_redis *redis, struct request *request)
{
    int64_t now_ms = fake_clock_true_ms();
    bool is_holder = redis->has_lease && strcmp(redis->holder, request->name) == 0;
    uint64_t epoch = redis->epoch > request->epoch ? redis->epoch : request->epoch;

    if (redis->has_lease && redis->until_ms > now_ms && !is_holder) {
        request->lease = (struct store_lease){.epoch = redis->epoch, .left_ms = redis->until_ms - now_ms};
        return;
    }
    if (!is_holder && request->epoch <= redis->epoch) {
        epoch = (uint64_t)now_ms * 1000;
        if (epoch <= redis->epoch)
            epoch = redis->epoch + 1;
    }
    redis->has_lease = true;
    redis->epoch = epoch;
    redis->until_ms = now_ms + request->lease_ms;
    strcpy(redis->holder, request->name);
    request->lease = (struct store_lease){.mine = true, .epoch = epoch};
}

static void carry_out_append(struct fake_redis *redis, struct request *request)
{
    struct shelf *shelf = shelf_get(redis, request->name);
    const struct written *last = shelf_last(shelf);

    if (last && last->epoch > request->epoch) {
        redis->refused++;
        request->status = -EPERM;
        return;
    }
    for (size_t i = 0; i < request->count; i++)
        shelf_add(shelf, request->frames[i], request->epoch, request->since_ms);
}

static void carry_out_load(struct fake_redis *redis, struct request *request)
{
    struct shelf *shelf = shelf_get(redis, request->name);

    if (shelf->count > 0 && shelf->written[shelf->count - 1].epoch < request->epoch)
        shelf->written[shelf->count - 1].epoch = request->epoch;
    request->head = shelf_head(shelf);
}

static void carry_out_read(struct fake_redis *redis, struct request *request)
{
    const struct shelf *shelf = shelf_get(redis, request->name);
    struct store_page *page = &request->page;
    size_t at = 0;

    for (; at < shelf->count; at++) {
        int order = event_position_compare(frame_position(shelf->written[at].frame), request->after);

        page->exact |= order == 0;
        if (order > 0)
            break;
    }
    page->head = shelf_head(shelf);
    if (shelf->count > 0) {
        page->oldest = frame_position(shelf->written[0].frame);
        strcpy(page->oldest_subject, frame_subject(shelf->written[0].frame));
    }
    for (; at < shelf->count && request->count < request->max_events; at++)
        request->frames[request->count++] = frame_ref(shelf->written[at].frame);
    page->frames = request->frames;
    page->count = request->count;
    page->last = at == shelf->count;
}

static void carry_out(struct fake_redis *redis, struct request *request)
{
    request->carried_out = true;
    switch (request->kind) {
    case CLAIM:
        carry_out_claim(redis, request);
        break;
    case RELEASE:
        if (redis->has_lease && strcmp(redis->holder, request->name) == 0)
            redis->until_ms = 0;
        break;
    case APPEND:
        carry_out_append(redis, request);
        break;
    case LOAD:
        carry_out_load(redis, request);
        break;
    case READ:
        carry_out_read(redis, request);
        break;
    case NOTE_HOLE:
        if (request->hole_ms > redis->noted_hole_ms)
            redis->noted_hole_ms = request->hole_ms;
        break;
    }
}

static struct request *first_waiting(const struct replica_store *replica)
{
    struct request *request = replica->first;

    while (request && request->carried_out)
        request = request->next;
    return request;
}

bool fake_redis_carry_out(struct store *store)
{
    struct request *request = first_waiting(own(store));

    if (!request || !own(store)->connected || own(store)->broken)
        return false;
    carry_out(own(store)->redis, request);
    return true;
}

void fake_redis_delay(struct store *store)
{
    struct fake_redis *redis = own(store)->redis;

    for (const struct request *at = own(store)->first; at; at = at->next) {
        struct request *copy;

        if (at->kind != APPEND || at->carried_out)
            continue;
        copy = malloc(sizeof *copy);
        if (!copy)
            abort();
        *copy = *at;
        copy->next = NULL;
        for (size_t i = 0; i < copy->count; i++)
            frame_ref(copy->frames[i]);
        *redis->late_last = copy;
        redis->late_last = &copy->next;
    }
}

bool fake_redis_carry_out_late(struct fake_redis *redis)
{
    struct request *request;

    if (!redis->late)
        return false;
    request = take_late(redis);
    carry_out_append(redis, request);
    free_request(request);
    return true;
}

size_t fake_redis_refused(const struct fake_redis *redis)
{
    return redis->refused;
}

size_t fake_redis_waiting(const struct store *store)
{
    size_t count = 0;

    for (const struct request *at = own_const(store)->first; at; at = at->next)
        count += !at->carried_out;
    return count;
}

bool fake_redis_is_idle(const struct store *store)
{
    return !own_const(store)->first;
}

/* Answering. */

static void answer(const struct request *request, int status)
{
    switch (request->kind) {
    case CLAIM:
        request->done.claim(request->context, status, status < 0 ? NULL : &request->lease);
        break;
    case APPEND:
        request->done.append(request->context, status);
        break;
    case LOAD:
        request->done.load(request->context, status, status < 0 ? NULL : &request->head);
        break;
    case READ:
        request->done.read(request->context, status, status < 0 ? NULL : &request->page);
        break;
    case RELEASE:
    case NOTE_HOLE:
        break;
    }
}

static void answer_first(struct replica_store *replica, int status)
{
    struct request *request = replica->first;

    replica->first = request->next;
    if (!replica->first)
        replica->last = &replica->first;
    answer(request, status);
    free_request(request);
}

static void fail_all(struct replica_store *replica)
{
    size_t count = 0;

    for (const struct request *at = replica->first; at; at = at->next)
        count++;
    while (count-- > 0)
        answer_first(replica, replica->first->status < 0 ? replica->first->status : -EAGAIN);
}

static void run(struct store *store)
{
    struct replica_store *replica = own(store);
    struct request *last = NULL;

    if (store->state == STORE_READY && replica->broken) {
        replica->broken = false;
        fail_all(replica);
        store_set_state(store, STORE_LOST, "the test says so");
        return;
    }
    /* What is asked by those who are answered now is for the next turn. */
    for (struct request *at = replica->first; at && at->carried_out; at = at->next)
        last = at;
    while (last) {
        bool is_last = replica->first == last;

        answer_first(replica, replica->first->status);
        if (is_last)
            break;
    }
    if (store->state == STORE_READY || !replica->connected)
        return;
    if (replica->redis->noted_hole_ms > store->noted_hole_ms)
        store->noted_hole_ms = replica->redis->noted_hole_ms;
    else if (store->noted_hole_ms > replica->redis->noted_hole_ms)
        replica->redis->noted_hole_ms = store->noted_hole_ms;
    store_set_state(store, STORE_READY, "the test says so");
}

void fake_redis_cut(struct store *store)
{
    own(store)->connected = false;
    own(store)->broken = store->state == STORE_READY;
}

void fake_redis_connect(struct store *store)
{
    own(store)->connected = true;
}

bool fake_redis_is_connected(const struct store *store)
{
    return own_const(store)->connected;
}

static int poll_fd(const struct store *store, short *ret_events)
{
    (void)store;
    (void)ret_events;
    return -1;
}

/* Whether a store_run() has something to do. */
static int64_t deadline_ns(const struct store *store)
{
    const struct replica_store *replica = own_const(store);

    if (replica->broken || (replica->connected && store->state == STORE_LOST) ||
        (replica->first && replica->first->carried_out))
        return 0;
    return INT64_MAX;
}

static void free_store(struct store *store)
{
    struct replica_store *replica = own(store);

    store->state = STORE_LOST;
    while (replica->first)
        fail_all(replica);
    free(replica);
}

static const struct store_operations operations = {
    .claim = claim,
    .release = give_back,
    .append = append,
    .load = load,
    .read = read_page,
    .count_events = count_events,
    .note_hole = note_hole,
    .poll_fd = poll_fd,
    .deadline_ns = deadline_ns,
    .run = run,
    .free = free_store,
    .is_memory = false,
};

struct store *fake_redis_open(struct fake_redis *redis)
{
    struct replica_store *replica = calloc(1, sizeof *replica);

    if (!replica)
        abort();
    replica->base.operations = &operations;
    replica->base.state = STORE_LOST;
    replica->base.id = 1;
    replica->redis = redis;
    replica->last = &replica->first;
    return &replica->base;
}
