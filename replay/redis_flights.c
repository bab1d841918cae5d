#include "replay/redis_flights.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "replay/redis_command.h"
#include "replay/redis_redirect.h"
#include "replay/redis_slot.h"

#define NS_PER_MS INT64_C(1000000)

enum {
    PAUSE_MS = 20, /* before a command is tried again whose keys are on their way */
    HELD_MAX_BYTES = 128 * 1024 * 1024,
};

/* One command. */
struct flight {
    struct flight *next; /* of those that are held */
    struct redis_flights *flights;
    uint64_t order;
    unsigned slot;
    int asked; /* which node it goes to for this once; REDIS_NO_NODE: to the slot's */
    int sent_to;
    int64_t pause_ns;    /* until when it is not tried */
    int64_t deadline_ns; /* until when it is */
    redis_reply_done done;
    void *context;
    size_t size; /* of its arguments */
    int count;
    size_t *sizes;
    char *bytes; /* the arguments, one behind the other */
};

struct slot {
    uint32_t under_way;
    uint32_t held;
    uint32_t stuck_pass; /* the last pass through the held ones in which one of it had to stay */
    int node;            /* where those are that are under way */
};

struct redis_flights {
    struct redis_nodes *nodes;
    int64_t timeout_ns;
    uint64_t last_order;
    struct flight *held; /* in their order */
    uint32_t pass;       /* how often they were gone through */
    int64_t pass_ns;     /* and when last */
    size_t held_bytes;
    bool were_moved;
    bool is_ending;
    char failure[REDIS_REASON_SIZE];
    struct slot slots[REDIS_SLOTS];
};

struct redis_flights *redis_flights_new(struct redis_nodes *nodes, int timeout_ms)
{
    struct redis_flights *flights = calloc(1, sizeof *flights);

    if (!flights)
        return NULL;
    flights->nodes = nodes;
    flights->timeout_ns = timeout_ms * NS_PER_MS;
    return flights;
}

static void flight_free(struct flight *flight)
{
    free(flight->sizes);
    free(flight->bytes);
    free(flight);
}

static void finish(struct flight *flight, const redisReply *reply)
{
    flight->done(flight->context, reply);
    flight_free(flight);
}

void redis_flights_free(struct redis_flights *flights)
{
    if (!flights)
        return;
    flights->is_ending = true;
    while (flights->held) {
        struct flight *flight = flights->held;

        flights->held = flight->next;
        finish(flight, NULL);
    }
    free(flights);
}

static struct flight *flight_new(struct redis_flights *flights, int count, const char *const *arguments,
                                 const size_t *sizes)
{
    struct flight *flight = calloc(1, sizeof *flight);
    int key = redis_slot_key_argument(count, arguments);
    char *end;

    if (!flight)
        return NULL;
    for (int i = 0; i < count; i++)
        flight->size += sizes[i];
    flight->sizes = malloc((size_t)count * sizeof *sizes);
    flight->bytes = malloc(flight->size + 1);
    if (!flight->sizes || !flight->bytes) {
        flight_free(flight);
        return NULL;
    }
    end = flight->bytes;
    for (int i = 0; i < count; i++)
        end = mempcpy(end, arguments[i], sizes[i]);
    memcpy(flight->sizes, sizes, (size_t)count * sizeof *sizes);
    flight->count = count;
    flight->flights = flights;
    /* What has no key is the same at all nodes. */
    flight->slot = key < 0 ? 0 : redis_slot_of_key(arguments[key], sizes[key]);
    flight->asked = REDIS_NO_NODE;
    flight->deadline_ns = clock_monotonic_ns() + flights->timeout_ns;
    flight->order = ++flights->last_order;
    return flight;
}

/* Holding. */

static void hold(struct redis_flights *flights, struct flight *flight)
{
    struct flight **at = &flights->held;

    while (*at && (*at)->order < flight->order)
        at = &(*at)->next;
    flight->next = *at;
    *at = flight;
    flights->slots[flight->slot].held++;
    flights->held_bytes += flight->size;
}

static void unhold(struct redis_flights *flights, struct flight **at)
{
    struct flight *flight = *at;

    *at = flight->next;
    flights->slots[flight->slot].held--;
    flights->held_bytes -= flight->size;
}

/* Going. */

static int target_of(const struct redis_flights *flights, const struct flight *flight)
{
    return flight->asked != REDIS_NO_NODE ? flight->asked : redis_nodes_of_slot(flights->nodes, flight->slot);
}

/* Whether it may go now, as far as those of its slot in front of it go, none of which is held. */
static bool can_go(const struct redis_flights *flights, const struct flight *flight)
{
    const struct slot *slot = &flights->slots[flight->slot];
    int target = target_of(flights, flight);

    return redis_nodes_connection(flights->nodes, target) && (slot->under_way == 0 || slot->node == target);
}

static void fail(struct redis_flights *flights, const char *what, const char *detail)
{
    if (!flights->failure[0])
        snprintf(flights->failure, sizeof flights->failure, "%s: %.200s", what, detail);
}

/* Follows a redirection. False: the reply is the command's own. */
static bool is_redirected(struct redis_flights *flights, struct flight *flight, const redisReply *reply)
{
    struct redis_redirect redirect;
    int64_t now_ns = clock_monotonic_ns();
    int node;

    if (!reply || reply->type != REDIS_REPLY_ERROR || now_ns >= flight->deadline_ns || flights->is_ending)
        return false;
    redirect = redis_redirect_read(reply->str, redis_nodes_server(flights->nodes, flight->sent_to));
    if (redirect.kind == REDIS_NO_REDIRECT)
        return false;
    flight->asked = REDIS_NO_NODE;
    if (redirect.kind == REDIS_TRY_AGAIN) {
        flight->pause_ns = now_ns + PAUSE_MS * NS_PER_MS;
        return true;
    }
    node = redis_nodes_find(flights->nodes, &redirect.node);
    if (node == REDIS_NO_NODE) {
        fail(flights, "there is no room for another node", reply->str);
        return false;
    }
    if (redirect.kind == REDIS_ASK) {
        flight->asked = node;
    } else {
        redis_nodes_move_slot(flights->nodes, flight->slot, node);
        flights->were_moved = true;
    }
    return true;
}

static void on_reply(void *context, const redisReply *reply)
{
    struct flight *flight = context;
    struct redis_flights *flights = flight->flights;

    flights->slots[flight->slot].under_way--;
    if (is_redirected(flights, flight, reply)) {
        hold(flights, flight);
        return;
    }
    if (reply && reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "CLUSTERDOWN", 11) == 0)
        fail(flights, "the cluster is down", reply->str);
    finish(flight, reply);
}

static void on_asking(void *context, const redisReply *reply)
{
    (void)context;
    (void)reply;
}

/* Returns 0, or < 0: it did not go. */
static int send_flight(struct redis_flights *flights, struct flight *flight)
{
    static const char *const asking = "ASKING";
    static const size_t asking_size = 6;
    struct slot *slot = &flights->slots[flight->slot];
    struct redis_connection *connection = redis_nodes_connection(flights->nodes, target_of(flights, flight));
    const char *arguments[REDIS_ARGUMENTS_MAX];
    size_t offset = 0;
    int status = 0;

    for (int i = 0; i < flight->count; i++) {
        arguments[i] = flight->bytes + offset;
        offset += flight->sizes[i];
    }
    if (flight->asked != REDIS_NO_NODE)
        status = redis_connection_command(connection, 1, &asking, &asking_size, on_asking, NULL);
    if (status == 0)
        status = redis_connection_command(connection, flight->count, arguments, flight->sizes, on_reply, flight);
    if (status < 0)
        return status;
    flight->sent_to = target_of(flights, flight);
    slot->node = flight->sent_to;
    slot->under_way++;
    return 0;
}

static int begin(void *context, int count, const char *const *arguments, const size_t *sizes, redis_reply_done done,
                 void *done_context)
{
    struct redis_flights *flights = context;
    struct flight *flight;
    int status = 0;

    if (flights->is_ending || flights->held_bytes > HELD_MAX_BYTES)
        return -ENOBUFS;
    flight = flight_new(flights, count, arguments, sizes);
    if (!flight)
        return -ENOMEM;
    flight->done = done;
    flight->context = done_context;
    if (flights->slots[flight->slot].held > 0 || !can_go(flights, flight))
        hold(flights, flight);
    else
        status = send_flight(flights, flight);
    if (status < 0)
        flight_free(flight);
    return status;
}

static struct redis_connection *connection_of_key(void *context, const char *key)
{
    struct redis_flights *flights = context;

    return redis_nodes_connection(flights->nodes,
                                  redis_nodes_of_slot(flights->nodes, redis_slot_of_key(key, strlen(key))));
}

struct redis_route redis_flights_route(struct redis_flights *flights)
{
    return (struct redis_route){.command = begin, .of_key = connection_of_key, .context = flights};
}

bool redis_flights_were_moved(const struct redis_flights *flights)
{
    return flights->were_moved;
}

void redis_flights_forget_moves(struct redis_flights *flights)
{
    flights->were_moved = false;
}

int64_t redis_flights_deadline_ns(const struct redis_flights *flights)
{
    int64_t deadline_ns = flights->failure[0] ? 0 : INT64_MAX;

    for (const struct flight *flight = flights->held; flight; flight = flight->next) {
        int64_t next_ns = flight->pause_ns > flights->pass_ns ? flight->pause_ns : flight->deadline_ns;

        if (next_ns < deadline_ns)
            deadline_ns = next_ns;
    }
    return deadline_ns;
}

/* A node without slots that could not be reached is not waited for: the slot's own node says again where to ask. */
static void forget_lost_node(struct redis_flights *flights, struct flight *flight, int64_t now_ns)
{
    if (flight->asked == REDIS_NO_NODE || redis_nodes_has_line(flights->nodes, flight->asked))
        return;
    flight->asked = REDIS_NO_NODE;
    flight->pause_ns = now_ns + PAUSE_MS * NS_PER_MS;
}

/* Goes through the held ones in their order. One that has to stay holds those of its slot behind it. */
static void release(struct redis_flights *flights)
{
    int64_t now_ns = clock_monotonic_ns();
    struct flight **at = &flights->held;

    flights->pass++;
    flights->pass_ns = now_ns;
    while (*at) {
        struct flight *flight = *at;
        struct slot *slot = &flights->slots[flight->slot];

        forget_lost_node(flights, flight, now_ns);
        if (now_ns >= flight->deadline_ns) {
            unhold(flights, at);
            finish(flight, NULL);
        } else if (slot->stuck_pass == flights->pass || now_ns < flight->pause_ns || !can_go(flights, flight)) {
            slot->stuck_pass = flights->pass;
            at = &flight->next;
        } else {
            unhold(flights, at);
            if (send_flight(flights, flight) < 0)
                finish(flight, NULL);
        }
    }
}

int redis_flights_run(struct redis_flights *flights, char ret_reason[REDIS_REASON_SIZE])
{
    release(flights);
    if (!flights->failure[0])
        return 0;
    memcpy(ret_reason, flights->failure, sizeof flights->failure);
    return -ENOTCONN;
}
