/*
 * The promise of docs/protocol.md, by model: a client, across its reconnects, gets every event of its company exactly once
 * and in order, or is told in front of the event that follows the hole. A real worker over fake sockets, a real hub, intake
 * and appender over a fake store, and clients that parse bytes, are driven through random schedules of everything that can
 * come between two steps, and through all short ones. SEAM_SEED and SEAM_SCHEDULES run others,
 * SEAM_SHOW shows them.
 */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "support/bridge_rig.h"
#include "support/fake_clock.h"
#include "support/fake_source.h"
#include "support/sse_reader.h"
#include "support/worker_rig.h"

enum {
    COMPANIES = 2,
    CLIENTS = 3,
    WORKERS = 2,
    TRUTH_MAX = 256,
    GAPS_MAX = 32,
    TRACE_MAX = 4096,
    ROUNDS_MAX = 400,
    KINDS_MAX = 32,
};

static const char *const company_names[COMPANIES] = {"acme", "beta"};

/* What happened in a company, in order: the reference that clients are held against. */
struct truth {
    bool is_hole;
    struct event_position position;
    int number; /* of an event: what its payload says */
    char id[EVENT_ID_SIZE];
};

struct gap_seen {
    char reason[32];
    int64_t missed; /* -1: null */
};

struct world;

struct client {
    struct world *world;
    int company;
    bool chunked;
    unsigned worker;
    struct fake_socket *socket; /* NULL: not connected */
    struct sse_reader reader;
    char last_id[EVENT_ID_SIZE]; /* empty: none yet */
    int at;                      /* entries of the truth that it has, or was told of; -1: not known yet */
    int opened_at;               /* entries when it connected */
    bool ready;
    bool was_ready; /* the last block was stream.ready */
    char ready_head[EVENT_ID_SIZE];
    bool incomplete; /* a gap was told before stream.ready */
    int64_t replayed;
    int store_state; /* 0: ok, 1: told that it is lost */
    int gap_count;   /* told since the last event or id */
    struct gap_seen gaps[GAPS_MAX];
    bool ended;
};

struct world {
    struct bridge_rig bridge;
    struct metrics *metrics;
    struct hub_worker hub_workers[WORKERS];
    struct registry *registry;
    struct worker_rig *workers[WORKERS];
    struct client clients[CLIENTS];
    struct truth truth[COMPANIES][TRUTH_MAX];
    int truth_count[COMPANIES];
    bool forgetful[COMPANIES]; /* the store lost data, or could not say: a gap may be told that was none */
    bool data_lost;            /* by the store: a hole has no number by which it could be missed */
    uint64_t hole_ms;          /* the last hole at the source */
    int published;
    uint64_t random;
    char trace[TRACE_MAX];
    size_t trace_size;
    int steps;
    bool is_shown; /* SEAM_SHOW: what happens is printed */
    const char *violation;
    char detail[512];
};

/* Set while a schedule runs: hub_publish() has no other way to it. */
static struct world *current;

static unsigned roll(struct world *world, unsigned range)
{
    world->random = world->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(world->random >> 33) % range;
}

static void trace(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void trace(struct world *world, const char *format, ...)
{
    size_t left = sizeof world->trace - world->trace_size;
    va_list arguments;
    int size;

    va_start(arguments, format);
    size = vsnprintf(world->trace + world->trace_size, left, format, arguments);
    va_end(arguments);
    if (world->is_shown)
        print_message("%s\n", world->trace + world->trace_size);
    if (size > 0 && (size_t)size < left)
        world->trace_size += (size_t)size;
    world->steps++;
}

static void violate(struct world *world, const char *what, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void violate(struct world *world, const char *what, const char *format, ...)
{
    va_list arguments;

    if (world->violation)
        return;
    world->violation = what;
    va_start(arguments, format);
    vsnprintf(world->detail, sizeof world->detail, format, arguments);
    va_end(arguments);
}

/* The truth. */

void __real_hub_publish(struct hub *hub, struct company *company, struct frame *frame);
void __wrap_hub_publish(struct hub *hub, struct company *company, struct frame *frame);

static int company_index(const char *name)
{
    return strcmp(name, company_names[0]) == 0 ? 0 : 1;
}

static int payload_number(const char *payload)
{
    const char *number = strstr(payload, "\"n\":");

    return number ? atoi(number + 4) : -1;
}

static void note_truth(struct world *world, int company, const struct frame *frame)
{
    struct truth *entry = &world->truth[company][world->truth_count[company]];
    struct buffer payload = buffer_make(65536);

    if (world->truth_count[company] == TRUTH_MAX)
        abort();
    frame_append_payload(frame, &payload);
    buffer_append(&payload, "", 1);
    entry->is_hole = frame_kind(frame) == FRAME_HOLE;
    entry->position = frame_position(frame);
    entry->number = entry->is_hole ? -1 : payload_number(payload.data);
    frame_id(frame, entry->id);
    buffer_release(&payload);
    /* In front of the first event holes may share a place: a company that has none is forgotten at once. */
    if (world->truth_count[company] > 0 && entry[-1].position.seq > 0 &&
        event_position_compare(entry[-1].position, entry->position) >= 0)
        violate(world, "positions increase", "%s after %s", entry->id, entry[-1].id);
    world->truth_count[company]++;
}

void __wrap_hub_publish(struct hub *hub, struct company *company, struct frame *frame)
{
    if (current)
        note_truth(current, company_index(company->name), frame);
    __real_hub_publish(hub, company, frame);
}

/* Entries of the truth up to that place; of a `start` id, before it: it is only given while there is nothing. */
static int truth_up_to(const struct world *world, int company, struct event_position position)
{
    int count = 0;

    while (count < world->truth_count[company] &&
           event_position_compare(world->truth[company][count].position, position) < (position.seq > 0))
        count++;
    return count;
}

/* What clients see. */

static void describe_gaps(const struct client *client, char *text, size_t size)
{
    size_t at = 0;

    text[0] = '\0';
    for (int i = 0; i < client->gap_count && at < size; i++)
        at += (size_t)snprintf(text + at, size - at, " %s:%" PRId64, client->gaps[i].reason, client->gaps[i].missed);
}

/* Whether a gap may be told though nothing is known to be missing: nobody can know, and it says so. */
static bool may_be_unsure(const struct client *client)
{
    for (int i = 0; i < client->gap_count; i++)
        if (client->gaps[i].missed != -1)
            return false;
    return client->world->forgetful[client->company] || client->world->hole_ms > 0;
}

static const char *inexact(const char *reason)
{
    if (strcmp(reason, "slow_consumer") == 0)
        return "`missed` of a slow consumer's gap is exact where it is a number";
    if (strcmp(reason, "expired") == 0)
        return "`missed` of an expired id's gap is exact where it is a number";
    return "`missed` is exact where it is a number";
}

/* The entries `from` to `to` were passed without being sent: the gaps must say so, and only then. */
static void check_gaps(struct client *client, int from, int to, const char *next)
{
    const struct truth *truth = client->world->truth[client->company];
    int64_t missing = 0;
    int64_t told = 0;
    bool holes = false;
    bool unknown = false;
    char gaps[256];

    for (int i = from; i < to; i++) {
        missing += !truth[i].is_hole;
        holes |= truth[i].is_hole;
    }
    for (int i = 0; i < client->gap_count; i++) {
        unknown |= client->gaps[i].missed == -1;
        told += client->gaps[i].missed > 0 ? client->gaps[i].missed : 0;
    }
    describe_gaps(client, gaps, sizeof gaps);
    if (client->gap_count == 0 && missing > 0)
        violate(client->world, "an event is lost unsaid", "before %s: %" PRId64 " missing", next, missing);
    else if (client->gap_count == 0 && holes && !client->world->data_lost)
        violate(client->world, "a hole is lost unsaid", "before %s", next);
    else if (client->gap_count > 0 && missing == 0 && !holes && !may_be_unsure(client))
        violate(client->world, "a gap is told where nothing is missing", "before %s:%s", next, gaps);
    else if (client->gap_count > 0 && (unknown ? told > missing : told != missing))
        violate(client->world, inexact(client->gaps[0].reason), "before %s: %" PRId64 " missing, told:%s", next,
                missing, gaps);
    client->gap_count = 0;
}

static void move_to(struct client *client, int to, bool is_own, const char *id)
{
    if (client->at < 0 && !is_own) {
        /* Live only: wherever it begins, it is told its place. */
        if (to < client->opened_at)
            violate(client->world, "no id means live only", "%s was there before", id);
        client->gap_count = 0;
    } else if (client->at < 0) {
        if (to - 1 < client->opened_at && strncmp(id, "hole-0-", 7) != 0)
            violate(client->world, "no id means live only", "%s was there before", id);
        client->gap_count = 0;
    } else if (to < client->at || (is_own && to == client->at)) {
        violate(client->world, "exactly once and in order", "%s is sent again", id);
    } else {
        check_gaps(client, client->at, is_own ? to - 1 : to, id);
    }
    client->at = to;
    strcpy(client->last_id, id);
}

static void see_event(struct client *client, const struct sse_block *block)
{
    struct world *world = client->world;
    const struct truth *truth = world->truth[client->company];
    int number = payload_number(block->data);
    char mark[64];

    snprintf(mark, sizeof mark, "\"companyId\":\"%s\"", company_names[client->company]);
    if (!strstr(block->data, mark)) {
        violate(world, "never an event of another company", "%s", block->data);
        return;
    }
    for (int i = 0; i < world->truth_count[client->company]; i++) {
        if (truth[i].number != number)
            continue;
        if (strcmp(truth[i].id, block->id) != 0 || strcmp(block->event, "metric_updated") != 0)
            violate(world, "an event keeps its id and name", "%s is %s", block->id, truth[i].id);
        client->replayed += !client->ready;
        move_to(client, i + 1, true, block->id);
        return;
    }
    violate(world, "an event that never was", "%s", block->data);
}

static void see_bare_id(struct client *client, const char *id)
{
    struct world *world = client->world;
    struct event_position position;
    bool is_hole = strncmp(id, "hole-", 5) == 0 && !client->was_ready;
    int to;

    if (!event_id_parse(id, strlen(id), &position)) {
        violate(world, "ids are well-formed", "%s", id);
        return;
    }
    to = truth_up_to(world, client->company, position);
    if (position.seq == 0 && strncmp(id, "start-", 6) != 0)
        to++;
    if (strncmp(id, "start-0-", 8) != 0 && (to == 0 || strcmp(world->truth[client->company][to - 1].id, id) != 0))
        violate(world, "an id that never was", "%s", id);
    if (is_hole && client->gap_count > 0 && strcmp(client->gaps[client->gap_count - 1].reason, "source") == 0)
        client->gap_count--;
    else if (is_hole)
        violate(world, "a hole is a gap with an id behind it", "%s", id);
    if (client->was_ready && strcmp(client->ready_head, id) != 0)
        violate(world, "the id behind stream.ready is its head", "%s, not %s", id, client->ready_head);
    move_to(client, to, is_hole, id);
}

static const char *member_text(const char *data, const char *name, char *value, size_t size)
{
    char key[32];
    const char *at;

    snprintf(key, sizeof key, "\"%s\":", name);
    at = strstr(data, key);
    if (!at)
        return NULL;
    at += strlen(key);
    at += *at == '"';
    snprintf(value, size, "%.*s", (int)strcspn(at, "\",}"), at);
    return value;
}

static void see_gap(struct client *client, const char *data)
{
    struct gap_seen *gap = &client->gaps[client->gap_count];
    char missed[32] = "";

    if (client->gap_count == GAPS_MAX || !member_text(data, "reason", gap->reason, sizeof gap->reason) ||
        !member_text(data, "missed", missed, sizeof missed)) {
        violate(client->world, "gaps are well-formed", "%s", data);
        return;
    }
    gap->missed = strcmp(missed, "null") == 0 ? -1 : atoll(missed);
    client->gap_count++;
    client->incomplete |= !client->ready;
}

static void see_ready(struct client *client, const char *data)
{
    char value[EVENT_ID_SIZE] = "";

    if (client->ready)
        violate(client->world, "stream.ready comes once", "%s", data);
    if (!member_text(data, "replayed", value, sizeof value) || atoll(value) != client->replayed)
        violate(client->world, "stream.ready counts the replay", "%s, not %" PRId64, value, client->replayed);
    if (!member_text(data, "complete", value, sizeof value) || (strcmp(value, "true") == 0) == client->incomplete)
        violate(client->world, "stream.ready says whether the replay is complete", "%s", value);
    if (!member_text(data, "head", client->ready_head, sizeof client->ready_head))
        violate(client->world, "stream.ready says the head", "%s", data);
    client->ready = true;
}

static void see_store(struct client *client, const char *data)
{
    int state = strstr(data, "\"lost\"") != NULL;

    if (!client->ready || state == client->store_state)
        violate(client->world, "stream.store is told once, behind stream.ready", "%s", data);
    client->store_state = state;
}

static void on_block(const struct sse_block *block, void *context)
{
    struct client *client = context;
    bool was_ready = false;

    if (client->world->is_shown)
        print_message("  client %d: %s %s %s\n", (int)(client - client->world->clients), block->event, block->id,
                      block->data);

    if (block->is_comment && !client->ready)
        violate(client->world, "heartbeats come behind stream.ready", "%s", "");
    if (block->has_event && strcmp(block->event, "stream.gap") == 0) {
        see_gap(client, block->data);
    } else if (block->has_event && strcmp(block->event, "stream.ready") == 0) {
        see_ready(client, block->data);
        was_ready = true;
    } else if (block->has_event && strcmp(block->event, "stream.store") == 0) {
        see_store(client, block->data);
    } else if (block->has_event && strcmp(block->event, "stream.closing") == 0) {
        client->ended = true;
    } else if (block->has_event) {
        see_event(client, block);
    } else if (block->has_id) {
        see_bare_id(client, block->id);
    }
    client->was_ready = was_ready;
}

/* Clients. */

static void client_read(struct client *client, size_t size)
{
    const char *bytes;

    if (!client->socket)
        return;
    size = fake_socket_read(client->socket, size, &bytes);
    sse_reader_feed(&client->reader, bytes, size);
    if (client->reader.error)
        violate(client->world, "every byte stream is well-formed", "%s", client->reader.error);
}

/* Entries that a stream without an id cannot be sent, since its worker has them, or will have them in its snapshot. */
static int known_to_worker(const struct client *client)
{
    const struct world *world = client->world;
    const struct channel *channel = worker_rig_channel(world->workers[client->worker], company_names[client->company]);

    if (!channel)
        return world->truth_count[client->company];
    return channel->ring ? truth_up_to(world, client->company, ring_head(channel->ring)) : 0;
}

static void client_connect(struct client *client, unsigned worker, size_t capacity)
{
    struct world *world = client->world;

    if (client->socket)
        return;
    client->worker = worker;
    client->socket = fake_socket_new(capacity);
    sse_reader_init(&client->reader, client->chunked, on_block, client);
    client->opened_at = known_to_worker(client);
    client->ready = false;
    client->was_ready = false;
    client->incomplete = false;
    client->replayed = 0;
    client->store_state = 0;
    client->gap_count = 0;
    client->ended = false;
    if (!client->last_id[0])
        client->at = -1;
    worker_rig_open(world->workers[worker], client->socket, company_names[client->company], client->chunked,
                    client->last_id[0] ? client->last_id : NULL);
}

/* The client goes, and what it has not read goes with it. The worker hears of it in its next turn. */
static void client_disconnect(struct client *client)
{
    if (!client->socket)
        return;
    client->socket->gone = true;
    worker_rig_turn(client->world->workers[client->worker], &client->socket, 1);
    /* Not opened yet: its opening is in the mailbox, behind frames that wait for a round. */
    while (!client->socket->closed) {
        fake_clock_advance_ms(6);
        worker_rig_turn(client->world->workers[client->worker], &client->socket, 1);
    }
    fake_socket_free(client->socket);
    client->socket = NULL;
}

/* The world. */

struct setting {
    uint64_t seed;
    bool forgetful;   /* the store may lose data */
    bool small_bytes; /* rings are cut by bytes too */
    unsigned workers;
    bool exhaustive;
};

static void bridge_tail(struct world *world)
{
    bridge_rig_flush(&world->bridge);
}

static void make_workers(struct world *world, const struct setting *setting)
{
    unsigned buffer_events = setting->exhaustive ? 2 : 2 + roll(world, 4);

    for (unsigned i = 0; i < WORKERS; i++)
        world->workers[i] = worker_rig_new(&(struct worker_rig_options){
            .index = i,
            .hub_worker = &world->hub_workers[i],
            .registry = world->registry,
            .metrics = world->metrics,
            .buffer_events = buffer_events,
            .buffer_bytes = setting->small_bytes ? 500 : 100000,
            .recent_events = 1,
            .recent_bytes = setting->small_bytes ? 600 : 1000000,
        });
}

static void make_bridge(struct world *world, const struct setting *setting)
{
    bridge_rig_init(&world->bridge, &(struct bridge_rig_options){
                                        .state = STORE_READY,
                                        .recent_events = setting->exhaustive ? 1 : 1 + roll(world, 6),
                                        .recent_bytes = setting->small_bytes ? 8 * 600 : 0,
                                        .flush_window_ms = setting->exhaustive ? 0 : 5 * roll(world, 2),
                                        .max_waiting = 2,
                                        .workers = world->hub_workers,
                                        .worker_count = WORKERS,
                                        .metrics = world->metrics,
                                    });
    fake_store_set_limits(world->bridge.store, setting->exhaustive ? 2 : 1 + roll(world, 4), 1000);
}

static void world_init(struct world *world, const struct setting *setting)
{
    memset(world, 0, offsetof(struct world, clients));
    world->random = setting->seed;
    world->published = 0;
    world->trace_size = 0;
    world->trace[0] = '\0';
    world->steps = 0;
    world->violation = NULL;
    world->hole_ms = 0;
    world->data_lost = false;
    for (int i = 0; i < COMPANIES; i++) {
        world->truth_count[i] = 0;
        world->forgetful[i] = false;
    }
    world->random = setting->seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    world->is_shown = getenv("SEAM_SHOW") != NULL;
    current = world;
    world->metrics = metrics_new();
    world->registry = registry_new(1000, world->metrics);
    make_workers(world, setting);
    make_bridge(world, setting);
    for (int i = 0; i < CLIENTS; i++) {
        struct client *client = &world->clients[i];

        client->world = world;
        client->company = i == CLIENTS - 1 ? 1 : 0;
        client->chunked = i != 1;
        client->socket = NULL;
        client->last_id[0] = '\0';
        client->at = -1;
    }
}

static void world_release(struct world *world)
{
    current = NULL;
    bridge_rig_release(&world->bridge);
    for (unsigned i = 0; i < WORKERS; i++)
        worker_rig_free(world->workers[i]);
    for (int i = 0; i < CLIENTS; i++)
        fake_socket_free(world->clients[i].socket);
    worker_rig_forget_asked();
    registry_free(world->registry);
    metrics_free(world->metrics);
}

/* Steps. */

static void turn_workers(struct world *world, bool sockets)
{
    for (unsigned i = 0; i < WORKERS; i++) {
        struct fake_socket *own[CLIENTS] = {NULL};

        for (int j = 0; j < CLIENTS; j++)
            if (sockets && world->clients[j].worker == i)
                own[j] = world->clients[j].socket;
        worker_rig_turn(world->workers[i], own, CLIENTS);
    }
}

static void turn_worker(struct world *world, unsigned worker, bool sockets)
{
    struct fake_socket *own[CLIENTS] = {NULL};

    for (int j = 0; j < CLIENTS; j++)
        if (sockets && world->clients[j].worker == worker)
            own[j] = world->clients[j].socket;
    trace(world, " turn%u%s", worker, sockets ? "s" : "");
    worker_rig_turn(world->workers[worker], own, CLIENTS);
}

static void publish(struct world *world, int company)
{
    trace(world, " pub:%s=%d", company_names[company], world->published);
    bridge_rig_publish(&world->bridge, company_names[company], world->published++);
    bridge_tail(world);
}

static void make_hole(struct world *world)
{
    trace(world, " hole");
    world->hole_ms = (uint64_t)clock_unix_ms();
    bridge_rig_hole(&world->bridge);
    bridge_tail(world);
}

static void answer_asked(struct world *world)
{
    trace(world, " ask%zu", worker_rig_asked());
    worker_rig_answer(&world->bridge);
    bridge_tail(world);
}

static void set_forgetful(struct world *world)
{
    for (int i = 0; i < COMPANIES; i++)
        world->forgetful[i] = true;
}

static void answer_store(struct world *world)
{
    trace(world, " store%d", (int)fake_store_first(world->bridge.store));
    fake_store_answer(world->bridge.store);
    bridge_tail(world);
}

/* A company that is loaded without the store's word does not know what there was. */
static void fail_store(struct world *world)
{
    bool carried_out = roll(world, 2) == 0;

    trace(world, " fail%d%s", (int)fake_store_first(world->bridge.store), carried_out ? "+" : "");
    if (fake_store_first(world->bridge.store) == FAKE_LOAD)
        set_forgetful(world);
    fake_store_fail(world->bridge.store, carried_out, -EAGAIN);
    bridge_tail(world);
}

static void lose_store(struct world *world)
{
    size_t carried_out = roll(world, 3);

    trace(world, " lose%zu", carried_out);
    set_forgetful(world);
    fake_store_lose(world->bridge.store, carried_out);
    bridge_tail(world);
}

static void restore_store(struct world *world)
{
    trace(world, " restore");
    fake_store_restore(world->bridge.store);
    bridge_tail(world);
}

static void drop_data(struct world *world)
{
    const char *company = company_names[roll(world, COMPANIES)];
    size_t frames = 1 + roll(world, 4);

    set_forgetful(world);
    world->data_lost = true;
    fake_store_lose(world->bridge.store, 0);
    if (roll(world, 4) == 0) {
        trace(world, " dropall");
        fake_store_drop_everything(world->bridge.store);
    } else {
        trace(world, " drop:%s-%zu", company, frames);
        fake_store_drop_tail(world->bridge.store, company, frames);
    }
    bridge_tail(world);
}

static void trim_store(struct world *world)
{
    int company = (int)roll(world, COMPANIES);
    size_t keep = roll(world, 4);

    trace(world, " trim:%s-%zu", company_names[company], keep);
    fake_store_trim(world->bridge.store, company_names[company], keep);
}

static void tick(struct world *world)
{
    trace(world, " tick");
    appender_tick(world->bridge.appender);
    intake_tick(world->bridge.intake);
    bridge_tail(world);
}

static void pass_time(struct world *world)
{
    static const int64_t steps_ms[] = {1, 1, 6, 6, 6, 6, 6, 6, 500, 31000};
    int64_t ms = steps_ms[roll(world, 10)];

    trace(world, " +%" PRId64, ms);
    fake_clock_advance_ms(ms);
}

static void pass_quiet_time(struct world *world)
{
    trace(world, " quiet");
    fake_clock_advance_ms(INT64_C(11) * 60 * 1000);
}

static struct client *any_client(struct world *world)
{
    return &world->clients[roll(world, CLIENTS)];
}

static void connect_any(struct world *world, unsigned workers)
{
    static const size_t capacities[] = {40, 150, 600, 100000};
    struct client *client = any_client(world);

    if (client->socket)
        return;
    trace(world, " open%d(%s)", (int)(client - world->clients), client->last_id);
    client_connect(client, roll(world, workers), capacities[roll(world, 4)]);
}

static void read_any(struct world *world)
{
    static const size_t sizes[] = {1, 10, 100, 400, 100000, 100000};
    struct client *client = any_client(world);
    size_t size = sizes[roll(world, 6)];

    if (!client->socket)
        return;
    trace(world, " read%d:%zu", (int)(client - world->clients), size);
    client_read(client, size);
}

static void disconnect_any(struct world *world)
{
    struct client *client = any_client(world);

    if (!client->socket)
        return;
    trace(world, " gone%d", (int)(client - world->clients));
    client_disconnect(client);
}

static void random_step(struct world *world, const struct setting *setting)
{
    unsigned choice = roll(world, 100);

    if (choice < 20)
        publish(world, roll(world, 3) == 0);
    else if (choice < 22)
        make_hole(world);
    else if (choice < 32)
        answer_asked(world);
    else if (choice < 42)
        answer_store(world);
    else if (choice < 44)
        fail_store(world);
    else if (choice < 45)
        lose_store(world);
    else if (choice < 47)
        restore_store(world);
    else if (choice < 48 && setting->forgetful)
        drop_data(world);
    else if (choice < 49)
        trim_store(world);
    else if (choice < 51)
        tick(world);
    else if (choice < 62)
        pass_time(world);
    else if (choice < 63)
        pass_quiet_time(world);
    else if (choice < 73)
        connect_any(world, setting->workers);
    else if (choice < 85)
        read_any(world);
    else if (choice < 89)
        disconnect_any(world);
    else
        turn_worker(world, roll(world, setting->workers), roll(world, 4) > 0);
}

/* In the end everything works, and everybody reads: then nobody may be left behind. */

static void read_all(struct world *world)
{
    for (int i = 0; i < CLIENTS; i++)
        client_read(&world->clients[i], SIZE_MAX);
}

static bool is_quiet(const struct world *world)
{
    for (unsigned i = 0; i < WORKERS; i++)
        if (worker_rig_is_busy(world->workers[i]))
            return false;
    return worker_rig_asked() == 0 && fake_store_waiting(world->bridge.store) == 0 &&
           hub_deadline_ns(world->bridge.hub) == INT64_MAX;
}

static void settle(struct world *world)
{
    int quiet = 0;

    for (int round = 0; quiet < 3 && !world->violation; round++) {
        if (round == ROUNDS_MAX) {
            violate(world, "everything comes to rest", "%zu asked, %zu at the store", worker_rig_asked(),
                    fake_store_waiting(world->bridge.store));
            return;
        }
        while (worker_rig_asked() > 0)
            worker_rig_answer(&world->bridge);
        bridge_tail(world);
        fake_store_answer_all(world->bridge.store);
        bridge_tail(world);
        appender_tick(world->bridge.appender);
        bridge_tail(world);
        fake_clock_advance_ms(6);
        turn_workers(world, true);
        read_all(world);
        quiet = is_quiet(world) ? quiet + 1 : 0;
    }
}

static void open_all(struct world *world)
{
    for (int i = 0; i < CLIENTS; i++) {
        struct client *client = &world->clients[i];

        if (client->socket)
            fake_socket_set_capacity(client->socket, 1000000);
        else
            client_connect(client, 0, 1000000);
    }
}

static void check_end(struct world *world)
{
    for (int i = 0; i < CLIENTS; i++) {
        const struct client *client = &world->clients[i];

        if (client->socket->closed)
            violate(world, "a stream stays open", "client %d", i);
        else if (!client->ready)
            violate(world, "a stream becomes ready", "client %d", i);
        else if (client->at != world->truth_count[client->company])
            violate(world, "a client is not left behind", "client %d is at %d of %d", i, client->at,
                    world->truth_count[client->company]);
        else if (client->store_state != 0)
            violate(world, "a client is told that the store is back", "client %d", i);
    }
    if (appender_backlog_events(world->bridge.appender) != 0)
        violate(world, "the store gets everything", "%" PRId64 " events wait",
                appender_backlog_events(world->bridge.appender));
    if (!hub_replay_ok(world->bridge.hub))
        violate(world, "the replay is back when the store is", "%s", "");
    if (fake_store_misused(world->bridge.store))
        violate(world, "appends come in order and one at a time", "%s", "");
}

static void check_goodbye(struct world *world)
{
    for (unsigned i = 0; i < WORKERS; i++)
        worker_rig_drain(world->workers[i]);
    turn_workers(world, true);
    read_all(world);
    for (int i = 0; i < CLIENTS; i++) {
        const struct client *client = &world->clients[i];

        if (!client->socket->closed || !client->ended || (client->chunked && client->reader.state != SSE_ENDED))
            violate(world, "a drained stream ends with its last chunk", "client %d", i);
    }
}

static void finish(struct world *world)
{
    trace(world, " | end");
    restore_store(world);
    settle(world);
    open_all(world);
    settle(world);
    for (int i = 0; i < COMPANIES && !world->violation; i++)
        publish(world, i);
    settle(world);
    if (!world->violation)
        check_end(world);
    if (!world->violation)
        check_goodbye(world);
}

/* Results: the shortest schedule of each kind of violation. */

struct finding {
    const char *violation;
    int count;
    int steps;
    uint64_t seed;
    char detail[512];
    char trace[TRACE_MAX];
};

struct findings {
    int count;
    struct finding list[KINDS_MAX];
};

static void note_finding(struct findings *findings, const struct world *world, uint64_t seed)
{
    struct finding *finding = findings->list;

    if (!world->violation)
        return;
    while (finding < findings->list + findings->count && strcmp(finding->violation, world->violation) != 0)
        finding++;
    if (finding == findings->list + findings->count) {
        if (findings->count == KINDS_MAX)
            return;
        findings->count++;
        *finding = (struct finding){.violation = world->violation, .steps = INT32_MAX};
    }
    finding->count++;
    if (world->steps >= finding->steps)
        return;
    finding->steps = world->steps;
    finding->seed = seed;
    strcpy(finding->detail, world->detail);
    strcpy(finding->trace, world->trace);
}

static void report(const struct findings *findings)
{
    for (int i = 0; i < findings->count; i++) {
        const struct finding *finding = &findings->list[i];

        print_error("VIOLATED in %d schedules: %s\n  %s\n  seed %" PRIu64 ":%s\n", finding->count, finding->violation,
                    finding->detail, finding->seed, finding->trace);
    }
    assert_int_equal(findings->count, 0);
}

static struct world world;
static struct findings all_findings;

static void run_random(const struct setting *setting, struct findings *findings)
{
    unsigned steps;

    fake_clock_set_ms(INT64_C(1700000000000));
    world_init(&world, setting);
    steps = 4 + roll(&world, 60);
    for (unsigned i = 0; i < steps && !world.violation; i++)
        random_step(&world, setting);
    if (!world.violation)
        finish(&world);
    note_finding(findings, &world, setting->seed);
    world_release(&world);
}

static uint64_t number_or(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text ? strtoull(text, NULL, 10) : otherwise;
}

static void run_all_random(bool forgetful, bool small_bytes)
{
    uint64_t first = number_or("SEAM_SEED", 1);
    uint64_t count = number_or("SEAM_SCHEDULES", 7000);

    memset(&all_findings, 0, sizeof all_findings);
    print_message("seeds %" PRIu64 " to %" PRIu64 "\n", first, first + count - 1);
    for (uint64_t seed = first; seed < first + count; seed++)
        run_random(&(struct setting){.seed = seed,
                                     .forgetful = forgetful,
                                     .small_bytes = small_bytes,
                                     .workers = 1 + (unsigned)(seed % WORKERS)},
                   &all_findings);
    assert_int_equal(fake_messages_alive(), 0);
    report(&all_findings);
}

static void every_event_once_or_a_gap(void **state)
{
    (void)state;
    run_all_random(false, false);
}

static void every_event_once_or_a_gap_while_rings_are_cut_by_bytes(void **state)
{
    (void)state;
    run_all_random(false, true);
}

static void every_event_once_or_a_gap_while_the_store_loses_data(void **state)
{
    (void)state;
    run_all_random(true, false);
}

/*
 * All schedules of SHORT steps behind one beginning: a client has the first of four events and comes back, its place has
 * left the hub's memory, and the store holds all.
 */
enum { SHORT = 5, CHOICES = 8 };

static void settle_bridge(struct world *of)
{
    for (int i = 0; i < 4; i++) {
        while (worker_rig_asked() > 0)
            worker_rig_answer(&of->bridge);
        fake_clock_advance_ms(6);
        bridge_tail(of);
        fake_store_answer_all(of->bridge.store);
        bridge_tail(of);
        turn_workers(of, true);
    }
}

static void begin_short(struct world *of)
{
    struct client *client = &of->clients[0];

    client_connect(client, 0, 100000);
    turn_workers(of, true);
    settle_bridge(of);
    publish(of, 0);
    settle_bridge(of);
    client_read(client, SIZE_MAX);
    client_disconnect(client);
    for (int i = 0; i < 3; i++)
        publish(of, 0);
    settle_bridge(of);
    /* The last subscription ends, so that the next one begins with what the hub still has. */
    fake_clock_advance_ms(31000);
    turn_workers(of, true);
    settle_bridge(of);
    client_connect(client, 0, 150);
    turn_worker(of, 0, true);
}

static void short_step(struct world *of, unsigned choice)
{
    struct client *client = &of->clients[0];

    switch (choice) {
    case 0:
        publish(of, 0);
        break;
    case 1:
        make_hole(of);
        break;
    case 2:
        answer_asked(of);
        break;
    case 3:
        answer_store(of);
        break;
    case 4:
        fail_store(of);
        break;
    case 5:
        fake_clock_advance_ms(6);
        turn_worker(of, 0, true);
        break;
    case 6:
        trace(of, " read");
        client_read(client, 120);
        break;
    default:
        trace(of, " %s(%s)", client->socket ? "gone" : "open", client->last_id);
        if (client->socket)
            client_disconnect(client);
        else
            client_connect(client, 0, 150);
        break;
    }
}

static void every_short_schedule_keeps_the_promise(void **state)
{
    unsigned count = 1;

    (void)state;
    for (int i = 0; i < SHORT; i++)
        count *= CHOICES;
    memset(&all_findings, 0, sizeof all_findings);
    for (unsigned schedule = 0; schedule < count; schedule++) {
        unsigned left = schedule;

        fake_clock_set_ms(INT64_C(1700000000000));
        world_init(&world, &(struct setting){.seed = 1, .exhaustive = true});
        begin_short(&world);
        for (int i = 0; i < SHORT && !world.violation; i++, left /= CHOICES)
            short_step(&world, left % CHOICES);
        if (!world.violation)
            finish(&world);
        note_finding(&all_findings, &world, schedule);
        world_release(&world);
    }
    report(&all_findings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_short_schedule_keeps_the_promise),
        cmocka_unit_test(every_event_once_or_a_gap),
        cmocka_unit_test(every_event_once_or_a_gap_while_rings_are_cut_by_bytes),
        cmocka_unit_test(every_event_once_or_a_gap_while_the_store_loses_data),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
