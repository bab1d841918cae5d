#include "replay/shared_redis.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "replay/redis_command.h"
#include "replay/redis_link.h"
#include "replay/redis_reply.h"
#include "replay/shared_leases.h"
#include "replay/shared_scripts.h"
#include "replay/shared_slots.h"
#include "replay/shared_watch.h"

#define NS_PER_MS INT64_C(1000000)

enum {
    /* Renewals that wait for their answers: a request waits behind no more than these. */
    RENEWING_MAX = 512,
    STOP_MAX_MS = 1000,
};

struct shared_redis {
    struct shared_backend base;
    struct shared_listener listener;
    int64_t lease_ms;
    struct redis_link *link;
    struct leases *leases;
    struct slots *slots;
    struct shared_watch *watch;
    size_t renewing; /* leases and counts that wait for their answers */
    bool ended;      /* Redis knows that this replica has */
    char told[160];  /* the state, as told last */
};

/* A request on its way: what a reply is given to. */
struct flight {
    struct shared_redis *redis;
    struct shared_request *request;
};

static struct shared_redis *redis_of(struct shared_backend *backend)
{
    return (struct shared_redis *)(void *)backend;
}

static void add_text(struct redis_command *command, const char *text)
{
    redis_command_add_bytes(command, text, strlen(text));
}

static void ticket_command(struct redis_command *command, const struct shared_redis *redis,
                           const struct shared_request *request)
{
    static const char prefix[] = "sluice:ticket:";

    if (request->kind == SHARED_TICKET_PUT) {
        shared_script_begin(command, SHARED_SCRIPT_TICKET_PUT, prefix, request->name);
        redis_command_add_bytes(command, request->value, request->value_size);
        redis_command_add(command, "%" PRId64, request->number);
    } else if (request->kind == SHARED_TICKET_TAKE) {
        shared_script_begin(command, SHARED_SCRIPT_TICKET_TAKE, prefix, request->name);
        add_text(command, request->holder);
        add_text(command, request->fingerprint);
        redis_command_add(command, "%" PRId64, redis->lease_ms);
        redis_command_add(command, "%" PRId64, request->number);
    } else {
        shared_script_begin(command, SHARED_SCRIPT_TICKET_RELEASE, prefix, request->name);
        add_text(command, request->holder);
    }
}

static void revoke_command(struct redis_command *command, const struct shared_request *request)
{
    char member[16 + SHARED_NAME_MAX];

    snprintf(member, sizeof member, "%s%s", shared_subject_prefix(request->subject), request->name);
    shared_script_begin(command, SHARED_SCRIPT_REVOKE, "sluice:revoked", "");
    add_text(command, member);
    redis_command_add(command, "%" PRId64, request->number);
    redis_command_add(command, "%d", SHARED_FIELDS_MAX);
}

static void make_command(struct redis_command *command, const struct shared_redis *redis,
                         const struct shared_request *request)
{
    switch (request->kind) {
    case SHARED_TICKET_PUT:
    case SHARED_TICKET_TAKE:
    case SHARED_TICKET_RELEASE:
        ticket_command(command, redis, request);
        break;
    case SHARED_REVOKE:
        revoke_command(command, request);
        break;
    case SHARED_SLOTS_ENTER:
        slots_write_enter(redis->slots, command, request);
        break;
    case SHARED_SLOTS_LEAVE:
        slots_write_count(redis->slots, command, request->name);
        break;
    }
}

/* A server that takes no writes any more, or none yet: after a failover another connection finds the right one. */
static void give_up_if_useless(struct shared_redis *redis, const char *error)
{
    /* Some versions put the error of a command inside a script behind a text of their own. */
    if (strstr(error, "READONLY") || strncmp(error, "LOADING", 7) == 0 || strncmp(error, "MASTERDOWN", 10) == 0)
        redis_link_give_up(redis->link, "Redis refused a write", error);
}

/* A take's reply as a status and its value. */
static int take_status(const redisReply *reply, const redisReply **ret_value)
{
    const redisReply *word = redis_reply_element(reply, 0);
    const redisReply *value = redis_reply_element(reply, 1);

    if (!word || word->type != REDIS_REPLY_STRING)
        return -EAGAIN;
    if (strcmp(word->str, "UNKNOWN") == 0)
        return -ENOENT;
    if (strcmp(word->str, "USED") == 0)
        return -EPERM;
    if (strcmp(word->str, "HELD") == 0)
        return -EALREADY;
    if (!value || value->type != REDIS_REPLY_STRING)
        return -EAGAIN;
    *ret_value = value;
    return 0;
}

static int reply_status(const struct shared_request *request, const redisReply *reply, const redisReply **ret_value)
{
    if (!reply || reply->type == REDIS_REPLY_ERROR)
        return -EAGAIN;
    if (request->kind == SHARED_TICKET_TAKE)
        return take_status(reply, ret_value);
    if (reply->type != REDIS_REPLY_INTEGER)
        return -EAGAIN;
    switch (request->kind) {
    case SHARED_TICKET_PUT:
        return redis_reply_number(reply) == 1 ? 0 : -EEXIST;
    case SHARED_SLOTS_ENTER:
        return redis_reply_number(reply) == 1 ? 0 : -EDQUOT;
    case SHARED_TICKET_TAKE:
    case SHARED_TICKET_RELEASE:
    case SHARED_REVOKE:
    case SHARED_SLOTS_LEAVE:
        break;
    }
    return 0;
}

static bool is_about_slots(const struct shared_request *request)
{
    return request->kind == SHARED_SLOTS_ENTER || request->kind == SHARED_SLOTS_LEAVE;
}

/*
 * What was not got is not renewed. Who was told -EAGAIN about a slot was let in, whatever Redis says later, and is not in the
 * count there.
 */
static void note_failure(struct shared_redis *redis, const struct shared_request *request, int status)
{
    if (request->kind == SHARED_TICKET_TAKE && (status < 0 || request->answered))
        leases_remove(redis->leases, request->name, request->holder);
    if (is_about_slots(request) && (status == -EAGAIN || (status < 0 && request->answered)))
        slots_doubt(redis->slots);
}

static void finish(struct shared_redis *redis, struct shared_request *request, const redisReply *reply)
{
    const redisReply *value = NULL;
    int status = reply_status(request, reply, &value);

    if (reply && reply->type == REDIS_REPLY_ERROR)
        give_up_if_useless(redis, reply->str);
    note_failure(redis, request, status);
    if (request->kind == SHARED_REVOKE && status == 0)
        shared_watch_hurry(redis->watch);
    shared_request_finish(request, status, value ? value->str : NULL, value ? value->len : 0);
}

static void on_reply(void *context, const redisReply *reply)
{
    struct flight flight = *(struct flight *)context;

    free(context);
    finish(flight.redis, flight.request, reply);
}

/* Leases follow what was asked for, in that order, and not the answers, which may come behind the next request. */
static void note_lease(struct shared_redis *redis, const struct shared_request *request)
{
    if (request->kind == SHARED_TICKET_TAKE)
        leases_add(redis->leases, request->name, request->holder);
    if (request->kind == SHARED_TICKET_RELEASE)
        leases_remove(redis->leases, request->name, request->holder);
}

static void redis_perform(struct shared_backend *backend, struct shared_request *request)
{
    struct shared_redis *redis = redis_of(backend);
    struct redis_connection *connection = redis_link_connection(redis->link);
    struct redis_command command = redis_command_make();
    struct flight *flight;

    note_lease(redis, request);
    /* Asked for before it was known; nothing that is not told later may be told now. */
    if (is_about_slots(request) && slots_are_alone(redis->slots)) {
        shared_request_finish(request, 0, NULL, 0);
        return;
    }
    if (!connection) {
        finish(redis, request, NULL);
        return;
    }
    flight = malloc(sizeof *flight);
    if (!flight)
        abort();
    *flight = (struct flight){.redis = redis, .request = request};
    make_command(&command, redis, request);
    if (redis_command_send(&command, connection, on_reply, flight) < 0)
        on_reply(flight, NULL);
}

static void on_renewed(void *context, const redisReply *reply)
{
    struct shared_redis *redis = context;

    redis->renewing--;
    if (reply && reply->type == REDIS_REPLY_ERROR)
        give_up_if_useless(redis, reply->str);
}

static void renew(void *context, const char *ticket, const char *const *holders, size_t count)
{
    struct shared_redis *redis = context;
    struct redis_command command = redis_command_make();

    shared_script_begin(&command, SHARED_SCRIPT_TICKET_RENEW, "sluice:ticket:", ticket);
    redis_command_add(&command, "%" PRId64, redis->lease_ms);
    for (size_t i = 0; i < count; i++)
        add_text(&command, holders[i]);
    if (redis_command_send(&command, redis_link_connection(redis->link), on_renewed, redis) == 0)
        redis->renewing++;
}

static void renew_due(struct shared_redis *redis)
{
    while (redis->renewing < RENEWING_MAX && leases_deadline_ns(redis->leases) <= clock_monotonic_ns())
        leases_renew_next(redis->leases, renew, redis);
}

static void on_counted(void *context, const redisReply *reply)
{
    on_renewed(context, reply);
    if (!reply || reply->type == REDIS_REPLY_ERROR)
        slots_doubt(((struct shared_redis *)context)->slots);
}

static void count_due(struct shared_redis *redis)
{
    while (redis->renewing < RENEWING_MAX && slots_deadline_ns(redis->slots) <= clock_monotonic_ns()) {
        struct redis_command command = redis_command_make();

        if (!slots_write_next(redis->slots, &command))
            break;
        if (redis_command_send(&command, redis_link_connection(redis->link), on_counted, redis) == 0)
            redis->renewing++;
        else
            slots_doubt(redis->slots);
    }
}

static void tell_state(struct shared_redis *redis, bool connected, const char *reason)
{
    const struct shared_listener *listener = &redis->listener;
    char state[sizeof redis->told];

    snprintf(state, sizeof state, "%d %s", connected, reason);
    if (strcmp(state, redis->told) == 0)
        return;
    strcpy(redis->told, state);
    if (listener->on_state)
        listener->on_state(listener->context, connected, reason);
}

static void on_up(void *context)
{
    struct shared_redis *redis = context;

    slots_connect(redis->slots);
    shared_watch_restart(redis->watch);
    leases_make_due(redis->leases);
    tell_state(redis, true, "connected");
}

static void on_down(void *context, const char *reason)
{
    struct shared_redis *redis = context;

    slots_disconnect(redis->slots);
    tell_state(redis, false, reason);
}

static int redis_poll_fd(const struct shared_backend *backend, short *ret_events)
{
    return redis_link_poll_fd(((const struct shared_redis *)(const void *)backend)->link, ret_events);
}

static int64_t earlier(int64_t a_ns, int64_t b_ns)
{
    return a_ns < b_ns ? a_ns : b_ns;
}

static int64_t redis_deadline_ns(const struct shared_backend *backend)
{
    const struct shared_redis *redis = (const struct shared_redis *)(const void *)backend;
    int64_t deadline_ns = redis_link_deadline_ns(redis->link);

    if (!redis_link_connection(redis->link))
        return deadline_ns;
    deadline_ns = earlier(deadline_ns, shared_watch_deadline_ns(redis->watch));
    if (redis->renewing >= RENEWING_MAX)
        return deadline_ns;
    return earlier(deadline_ns, earlier(leases_deadline_ns(redis->leases), slots_deadline_ns(redis->slots)));
}

static void redis_run(struct shared_backend *backend)
{
    struct shared_redis *redis = redis_of(backend);
    struct redis_connection *connection = redis_link_connection(redis->link);

    if (connection) {
        /* The lease stands in front of the look that reads who lives. */
        count_due(redis);
        shared_watch_run(redis->watch, connection);
        renew_due(redis);
    }
    redis_link_run(redis->link);
}

static void on_ended(void *context, const redisReply *reply)
{
    struct shared_redis *redis = context;

    (void)reply;
    redis->ended = true;
}

/* Its answer comes behind all that was given back, so that Redis has that too. */
static void redis_stop(struct shared_backend *backend)
{
    struct shared_redis *redis = redis_of(backend);
    struct redis_command command = redis_command_make();
    int64_t until_ns = clock_monotonic_ns() + STOP_MAX_MS * NS_PER_MS;

    if (!redis_link_connection(redis->link))
        return;
    slots_write_end(redis->slots, &command);
    if (redis_command_send(&command, redis_link_connection(redis->link), on_ended, redis) < 0)
        return;
    while (!redis->ended && redis_link_connection(redis->link) && clock_monotonic_ns() < until_ns) {
        struct pollfd fd = {.fd = -1};

        redis_link_run(redis->link);
        fd.fd = redis_link_poll_fd(redis->link, &fd.events);
        if (!redis->ended)
            (void)poll(&fd, 1, (int)((until_ns - clock_monotonic_ns()) / NS_PER_MS));
    }
}

static void redis_free(struct shared_backend *backend)
{
    struct shared_redis *redis = redis_of(backend);

    /* Its waiting commands are called back, and some of them look at the others. */
    redis_link_free(redis->link);
    shared_watch_free(redis->watch);
    leases_free(redis->leases);
    slots_free(redis->slots);
    free(redis);
}

struct shared_backend *shared_redis_new(const struct shared_options *options)
{
    struct shared_redis *redis = calloc(1, sizeof *redis);
    struct redis_link_options link = {.redis = options->redis, .on_up = on_up, .on_down = on_down, .context = redis};

    if (!redis)
        return NULL;
    redis->base = (struct shared_backend){.perform = redis_perform,
                                          .poll_fd = redis_poll_fd,
                                          .deadline_ns = redis_deadline_ns,
                                          .run = redis_run,
                                          .stop = redis_stop,
                                          .free = redis_free};
    redis->listener = options->listener;
    redis->lease_ms = options->lease_ms;
    redis->leases = leases_new(options->lease_ms / SHARED_RENEWALS_PER_LEASE);
    redis->slots = slots_new(options, &redis->listener);
    redis->watch = shared_watch_new(&redis->listener, redis->slots);
    redis->link = redis_link_new(&link);
    if (redis->leases && redis->slots && redis->watch && redis->link)
        return &redis->base;
    redis_free(&redis->base);
    return NULL;
}
