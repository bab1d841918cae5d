#include "replay/store_redis.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "replay/redis_handshake.h"
#include "replay/redis_id.h"
#include "replay/redis_link.h"
#include "replay/redis_request.h"

#define NS_PER_MS INT64_C(1000000)

enum {
    COMPANIES_COUNTED_MAX = 10000,
    ID_INTERVAL_MS = 1000, /* a Redis that is flushed keeps its connections: its id is looked at now and then */
    ID_PATIENCE_MS = 300,  /* or so much later, with something else that wakes us up */
};

struct store_redis {
    struct store base;
    struct redis_requests requests; /* what commands need: connection, scripts, limits */
    struct redis_link *link;
    struct metrics *metrics;
    bool ready; /* the handshake on the present connection is over */
    int64_t next_id_ns;
    struct redis_request *refused; /* asked while there was no connection; failed by the next run */
};

static struct store_redis *redis_of(struct store *store)
{
    return (struct store_redis *)(void *)store;
}

/* Whether requests can be sent: not while the connection is being ended, either. */
static bool is_ready(const struct store_redis *redis)
{
    return redis->ready && redis_link_connection(redis->link);
}

/* A request's command got an error reply, or none. */
static void on_request_error(void *context, const char *error, bool is_write)
{
    struct store_redis *redis = context;

    metrics_add(redis->metrics, METRIC_REDIS_ERRORS, 1);
    /*
     * A store that refuses writes (full, read-only, still loading) does not replay: the state must say so. Where a slot of a
     * cluster is on its way to another node, its companies wait, and no others.
     */
    if (is_write && strncmp(error, "TRYAGAIN", 8) != 0)
        redis_link_give_up(redis->link, "Redis refused a write", error);
}

static void refuse(struct store_redis *redis, struct redis_request *request, int status)
{
    request->status = status;
    request->next = redis->refused;
    redis->refused = request;
}

static void submit(struct store_redis *redis, struct redis_request *request)
{
    if (is_ready(redis) && redis_request_send(&redis->requests, request) == 0)
        return;
    refuse(redis, request, -EAGAIN);
}

static void redis_claim(struct store *store, const struct store_claim *claim, store_claim_done done, void *context)
{
    submit(redis_of(store), redis_request_claim(claim, done, context));
}

static void redis_release(struct store *store, const char *holder)
{
    struct store_redis *redis = redis_of(store);

    if (is_ready(redis))
        redis_request_release(&redis->requests, holder);
}

static void redis_append(struct store *store, const struct store_append *append, store_append_done done, void *context)
{
    struct store_redis *redis = redis_of(store);
    struct redis_request *request = redis_request_append(append, store->epoch, done, context);

    if (store->epoch == 0) {
        refuse(redis, request, -EPERM);
        return;
    }
    submit(redis, request);
    if (append->upkeep && is_ready(redis))
        redis_request_list_company(&redis->requests, append->company);
}

static void redis_load(struct store *store, const char *company, store_head_done done, void *context)
{
    submit(redis_of(store), redis_request_load(company, store->epoch, done, context));
}

static void redis_read(struct store *store, const struct store_read *read, store_page_done done, void *context)
{
    submit(redis_of(store), redis_request_read(read, done, context));
}

static void redis_count_events(struct store *store, store_count_done done, void *context)
{
    submit(redis_of(store), redis_request_count(COMPANIES_COUNTED_MAX, done, context));
}

static void redis_save_place(struct store *store, const char *stream, uint64_t sequence)
{
    struct store_redis *redis = redis_of(store);

    if (is_ready(redis))
        redis_request_save_place(&redis->requests, stream, sequence, store->epoch);
}

static void redis_load_place(struct store *store, const char *stream, store_place_done done, void *context)
{
    submit(redis_of(store), redis_request_place(stream, done, context));
}

static void redis_note_hole(struct store *store, uint64_t unix_ms)
{
    struct store_redis *redis = redis_of(store);

    if (is_ready(redis))
        redis_request_note_hole(&redis->requests, unix_ms);
}

static int redis_poll_fd(const struct store *store, short *ret_events)
{
    const struct store_redis *redis = (const struct store_redis *)(const void *)store;

    return redis_link_poll_fd(redis->link, ret_events);
}

static int64_t redis_deadline_ns(const struct store *store)
{
    const struct store_redis *redis = (const struct store_redis *)(const void *)store;

    int64_t deadline_ns = redis_link_deadline_ns(redis->link);
    int64_t id_ns = redis->next_id_ns + ID_PATIENCE_MS * NS_PER_MS;

    if (redis->refused)
        return 0;
    return is_ready(redis) && id_ns < deadline_ns ? id_ns : deadline_ns;
}

static void set_id(struct store_redis *redis, uint64_t id)
{
    if (id == 0)
        return;
    redis->base.id = id;
    redis->requests.id = id;
}

/* Errors are left to those commands that matter, but for one: who writes nothing else sees by it that a master is none any more. */
static void on_id(void *context, const redisReply *reply)
{
    struct store_redis *redis = context;

    if (reply && reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "READONLY", 8) == 0)
        redis_link_give_up(redis->link, "Redis refused a write", reply->str);
    set_id(redis, redis_id_of(reply, redis->requests.id));
}

static void check_id(struct store_redis *redis)
{
    if (!is_ready(redis) || clock_monotonic_ns() < redis->next_id_ns)
        return;
    redis->next_id_ns = clock_monotonic_ns() + ID_INTERVAL_MS * NS_PER_MS;
    (void)redis_id_ask(redis->requests.connection, redis->requests.id, on_id, redis);
}

static void on_handshake(void *context, const struct redis_handshake *result)
{
    struct store_redis *redis = context;

    if (result->error[0]) {
        redis_link_give_up(redis->link, "Redis refused the handshake", result->error);
        return;
    }
    redis->ready = true;
    redis->next_id_ns = clock_monotonic_ns() + ID_INTERVAL_MS * NS_PER_MS;
    set_id(redis, result->id);
    metrics_set(redis->metrics, METRIC_REDIS_CONNECTED, 1);
    if (result->noted_hole_ms > redis->base.noted_hole_ms)
        redis->base.noted_hole_ms = result->noted_hole_ms;
    else if (redis->base.noted_hole_ms > result->noted_hole_ms)
        redis_request_note_hole(&redis->requests, redis->base.noted_hole_ms);
    store_set_state(&redis->base, STORE_READY, "connected");
}

static void on_up(void *context)
{
    struct store_redis *redis = context;

    redis->requests.connection = redis_link_connection(redis->link);
    if (redis_handshake_start(&redis->requests, on_handshake, redis) < 0)
        redis_link_give_up(redis->link, "Redis cannot be used", "no memory");
}

static void on_down(void *context, const char *reason)
{
    struct store_redis *redis = context;

    if (redis->ready)
        metrics_add(redis->metrics, METRIC_REDIS_DISCONNECTS, 1);
    redis->ready = false;
    redis->requests.connection = NULL;
    metrics_set(redis->metrics, METRIC_REDIS_CONNECTED, 0);
    store_set_state(&redis->base, STORE_LOST, reason);
}

static void fail_refused(struct store_redis *redis)
{
    struct redis_request *request = redis->refused;

    redis->refused = NULL;
    while (request) {
        struct redis_request *next = request->next;

        redis_request_fail(request, request->status);
        request = next;
    }
}

static void redis_run(struct store *store)
{
    struct store_redis *redis = redis_of(store);

    fail_refused(redis);
    check_id(redis);
    redis_link_run(redis->link);
}

static void redis_free(struct store *store)
{
    struct store_redis *redis = redis_of(store);

    /* Its waiting commands are called back, and may ask for more: that is refused. */
    redis->ready = false;
    redis_link_free(redis->link);
    while (redis->refused)
        fail_refused(redis);
    free(redis);
}

static const struct store_operations operations = {
    .claim = redis_claim,
    .release = redis_release,
    .append = redis_append,
    .load = redis_load,
    .read = redis_read,
    .count_events = redis_count_events,
    .save_place = redis_save_place,
    .load_place = redis_load_place,
    .note_hole = redis_note_hole,
    .poll_fd = redis_poll_fd,
    .deadline_ns = redis_deadline_ns,
    .run = redis_run,
    .free = redis_free,
    .is_memory = false,
};

struct store *store_redis_new(const struct store_redis_options *options)
{
    struct store_redis *redis = calloc(1, sizeof *redis);
    struct redis_link_options link = {.redis = options->redis, .on_up = on_up, .on_down = on_down, .context = redis};

    if (!redis)
        return NULL;
    redis->link = redis_link_new(&link);
    if (!redis->link) {
        free(redis);
        return NULL;
    }
    redis->base.operations = &operations;
    redis->base.state = STORE_LOST;
    redis->requests.limits = options->limits;
    redis->requests.id = redis_id_new();
    redis->requests.on_error = on_request_error;
    redis->requests.context = redis;
    redis->metrics = options->metrics;
    return &redis->base;
}
