#include "support/replica_world.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/types.h>

#include <cmocka.h>

#include "bridge/fanout.h"
#include "bridge/live.h"
#include "core/clock.h"
#include "support/fake_clock.h"
#include "support/fake_source.h"

#define MS INT64_C(1000000)
#define DAY_MS (INT64_C(86400) * 1000)

enum {
    TAKE_MAX = 512, /* as in bridge/bridge.c */
    TICK_MS = 500,
    DRAIN_MS = 10000,
    LOTS = 64 * 1024 * 1024,
    PHASES = 4,
    SURE_MS = 700,
    GONE_MS = 1800,
};

unsigned world_roll(struct replica_world *world, unsigned range)
{
    world->random = world->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(world->random >> 33) % range;
}

void world_trace(struct replica_world *world, const char *format, ...)
{
    size_t left = sizeof world->trace - world->trace_size;
    va_list arguments;
    int size;

    va_start(arguments, format);
    size = vsnprintf(world->trace + world->trace_size, left, format, arguments);
    va_end(arguments);
    if (world->model.is_shown)
        print_message("%" PRId64 "%s\n", clock_monotonic_ns() / MS % 1000000, world->trace + world->trace_size);
    if (size > 0 && (size_t)size < left)
        world->trace_size += (size_t)size;
    world->steps++;
}

/* What the code asks for, or tells, at work. */

static struct replica_world *current;
static char no_subject[] = "";
static void bury(struct world_replica *replica);

static void put_to_work(struct world_replica *replica)
{
    replica->world->at_work = replica;
    fake_clock_set_skew_ms(replica->world->skew_ms[replica->number]);
}

void world_init(struct replica_world *world, const struct world_setting *setting)
{
    memset(&world->redis, 0, sizeof *world - offsetof(struct replica_world, redis));
    world->setting = *setting;
    world->random = setting->seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    model_begin(&world->model);
    world->redis = fake_redis_new();
    world->delay_ns = setting->exhaustive ? 0 : (1 + world_roll(world, 40)) * MS;
    world->flush_window_ns = setting->exhaustive ? 0 : world_roll(world, 2) * 5 * MS;
    world->config = (struct config){
        .source_pending_events = 1000,
        .source_pending_bytes = 1000000,
        .max_event_bytes = 65536,
        .dead_letter_subject = no_subject,
    };
    for (unsigned i = 0; i < WORLD_REPLICAS; i++)
        world->replicas[i] = (struct world_replica){.world = world, .number = i};
    current = world;
}

void world_release(struct replica_world *world)
{
    for (int i = 0; i < WORLD_REPLICAS; i++)
        if (world->replicas[i].alive)
            bury(&world->replicas[i]);
    fake_redis_free(world->redis);
    fake_clock_set_skew_ms(0);
    current = NULL;
}

struct ownership *__real_ownership_new(const struct ownership_options *options);
struct ownership *__wrap_ownership_new(const struct ownership_options *options);
struct ownership *__wrap_ownership_new(const struct ownership_options *options)
{
    struct ownership *ownership = __real_ownership_new(options);

    if (current)
        current->at_work->ownership = ownership;
    return ownership;
}

/* Epochs rise, and each is of one replica, at least as long as all can talk to each other. */
static void check_owner(struct replica_world *world)
{
    uint64_t epoch = ownership_epoch(world->at_work->ownership);
    int number = (int)world->at_work->number;

    if (world->setting.intact &&
        (epoch < world->numbered_epoch || (epoch == world->numbered_epoch && number != world->numbered_by)))
        model_violate(&world->model, "one replica numbers", "%d with epoch %" PRIu64 ", behind %d with %" PRIu64,
                      number, epoch, world->numbered_by, world->numbered_epoch);
    world->numbered_epoch = epoch;
    world->numbered_by = number;
}

int __real_fanout_add(struct fanout *fanout, struct company *company, struct frame *frame);
int __wrap_fanout_add(struct fanout *fanout, struct company *company, struct frame *frame);
int __wrap_fanout_add(struct fanout *fanout, struct company *company, struct frame *frame)
{
    if (current && current->model.is_shown)
        print_message("    %" PRId64 " %u numbers %s %" PRIu64 "-%" PRIu64 "\n", clock_monotonic_ns() / MS % 1000000,
                      current->at_work->number, company->name, frame_position(frame).seq, frame_position(frame).ms);
    if (current)
        check_owner(current);
    return __real_fanout_add(fanout, company, frame);
}

ssize_t __wrap_getrandom(void *bytes, size_t size, unsigned flags);
ssize_t __wrap_getrandom(void *bytes, size_t size, unsigned flags)
{
    (void)flags;
    memset(bytes, 0, size);
    /* Any order of names, but never the same twice. */
    if (current) {
        ((unsigned char *)bytes)[0] = (unsigned char)world_roll(current, 256);
        ((unsigned char *)bytes)[1] = (unsigned char)++current->ids;
    }
    return (ssize_t)size;
}

/* Processes. */

static void make_parts(struct world_replica *replica)
{
    struct replica_world *world = replica->world;

    replica->metrics = metrics_new();
    replica->store = fake_redis_open(world->redis);
    replica->companies = companies_new();
    replica->transform = transform_new("metrics.*=metric_updated", 65536);
    replica->worker.mailbox = mailbox_new(100000);
    atomic_init(&replica->worker.behind, 0);
    replica->hub = hub_new(&(struct hub_options){
        .workers = &replica->worker,
        .worker_count = 1,
        .store = replica->store,
        .ttl_ms = DAY_MS,
        .flush_window_ns = world->flush_window_ns,
        .max_waiting = 50,
        .metrics = replica->metrics,
    });
    replica->appender = appender_new(&(struct appender_options){
        .store = replica->store,
        .hub = replica->hub,
        .companies = replica->companies,
        .ttl_ms = DAY_MS,
        .recent_events = world->setting.exhaustive ? 1 : 1 + world_roll(world, 2) * 1000,
        .recent_bytes = LOTS,
        .backlog_bytes = LOTS,
        .metrics = replica->metrics,
    });
    if (!replica->metrics || !replica->companies || !replica->transform || !replica->worker.mailbox || !replica->hub ||
        !replica->appender)
        abort();
    replica->replica = replica_new(&(struct replica_options){
        .config = &world->config,
        .source = replica->source,
        .live_subject = LIVE_SUBJECT,
        .store = replica->store,
        .appender = replica->appender,
        .hub = replica->hub,
        .companies = replica->companies,
        .transform = replica->transform,
        .metrics = replica->metrics,
    });
    if (!replica->replica)
        abort();
}

void world_start(struct replica_world *world, unsigned number)
{
    struct world_replica *replica = &world->replicas[number];

    if (replica->alive)
        return;
    world_trace(world, " start%u", number);
    memset(replica, 0, sizeof *replica);
    replica->world = world;
    replica->number = number;
    put_to_work(replica);
    world_connect_source(replica);
    make_parts(replica);
    replica->alive = true;
    for (int i = 0; i < MODEL_COMPANIES; i++) {
        replica->views[i].model = &world->model;
        replica->views[i].company = i;
        snprintf(replica->views[i].name, sizeof replica->views[i].name, "%u.%s#%u", number, model_company_names[i],
                 ++world->started);
    }
    if (!world->nats_away)
        world_restore_nats(replica);
    if (!world->redis_away)
        fake_redis_connect(replica->store);
}

static void drop_mail(struct world_replica *replica)
{
    struct message *message = mailbox_take(replica->worker.mailbox);

    while (message) {
        struct message *next = message->next;

        message->release(message);
        message = next;
    }
}

/* The process is gone: only what the network has of it is left. */
static void bury(struct world_replica *replica)
{
    replica->alive = false;
    put_to_work(replica);
    store_free(replica->store);
    replica_free(replica->replica);
    world_free_source(replica);
    appender_free(replica->appender);
    companies_free(replica->companies);
    hub_free(replica->hub);
    transform_free(replica->transform);
    drop_mail(replica);
    mailbox_free(replica->worker.mailbox);
    metrics_free(replica->metrics);
    for (int i = 0; i < MODEL_COMPANIES; i++)
        replica->views[i].open = false;
}

void world_carry_out(struct world_replica *replica, size_t count)
{
    while (replica->alive && count-- > 0 && fake_redis_carry_out(replica->store))
        ;
}

void world_kill(struct world_replica *replica, size_t sent, size_t carried_out)
{
    if (!replica->alive)
        return;
    world_trace(replica->world, " kill%u(%zu,%zu)", replica->number, sent, carried_out);
    world_send(replica, sent);
    world_carry_out(replica, carried_out);
    world_delay(replica);
    bury(replica);
}

void world_continue(struct world_replica *replica)
{
    if (!replica->alive || !replica->stopped)
        return;
    world_trace(replica->world, " cont%u", replica->number);
    replica->stopped = false;
    /* The others took it for gone, and told it nothing. */
    if (clock_monotonic_ns() - replica->stopped_ns > GONE_MS * MS) {
        replica->covered = false;
        replica->begun_ns = 0;
    }
}

bool world_is_running(const struct world_replica *replica)
{
    return replica->alive && !replica->stopped;
}

bool world_is_owner(const struct world_replica *replica)
{
    return replica->alive && metrics_get(replica->metrics, METRIC_OWNER) == 1;
}

bool world_has_other(const struct world_replica *replica)
{
    for (int i = 0; i < WORLD_REPLICAS; i++) {
        const struct world_replica *other = &replica->world->replicas[i];

        if (other != replica && world_is_running(other) && other->covered && !other->leaving)
            return true;
    }
    return false;
}

/* As bridge_drain() does. */
void world_leave(struct world_replica *replica)
{
    if (!replica->alive || replica->leaving)
        return;
    world_trace(replica->world, " leave%u", replica->number);
    replica->leaving = true;
    replica->leave_end_ns = clock_monotonic_ns() + DRAIN_MS * MS;
    if (replica_may_have_peers(replica->replica))
        return;
    world_send(replica, SIZE_MAX);
    world_deliver(replica, SIZE_MAX);
    replica->link = LINK_CUT;
    replica->left = true;
}

/* The worker. */

static void take_snapshot(const struct hub_snapshot *snapshot)
{
    struct model_view *view = snapshot->token;
    bool again = view->open;
    struct event_position last = view->last;

    if (again && view->model->intact && snapshot->count == 0 && event_position_compare(snapshot->before, last) != 0)
        model_violate(view->model, "no stream starts anew where nothing is lost", "%s", view->name);
    model_view_begin(view, snapshot->before);
    if (view->model->is_shown)
        print_message("  %s: snapshot behind %" PRIu64 "-%" PRIu64 "\n", view->name, snapshot->before.seq,
                      snapshot->before.ms);
    for (size_t i = 0; i < snapshot->count; i++)
        model_view_frame(view, snapshot->frames[i]);
    model_view_cursor(view, snapshot->head_id);
}

static void take_reset(const struct hub_snapshot *snapshot)
{
    struct model_view *view = snapshot->token;

    if (view->model->intact)
        model_violate(view->model, "no stream starts anew where nothing is lost", "%s", view->name);
    if (view->model->is_shown)
        print_message("  %s: reset\n", view->name);
}

static void take_mail(struct world_replica *replica)
{
    struct message *message = mailbox_take(replica->worker.mailbox);

    while (message) {
        struct message *next = message->next;

        if (message->type == HUB_SNAPSHOT) {
            take_snapshot((const struct hub_snapshot *)(const void *)message);
        } else if (message->type == HUB_EVENTS) {
            const struct hub_events *events = (const struct hub_events *)(const void *)message;

            atomic_fetch_sub(&replica->worker.behind, events->count);
            for (size_t i = 0; i < events->count; i++)
                model_view_frame(events->events[i].token, events->events[i].frame);
        } else if (message->type == HUB_RESET) {
            take_reset((const struct hub_snapshot *)(const void *)message);
            take_snapshot((const struct hub_snapshot *)(const void *)message);
        } else if (message->type == HUB_UNSUBSCRIBED) {
            ((struct model_view *)((const struct hub_mark *)(const void *)message)->token)->open = false;
        }
        message->release(message);
        message = next;
    }
}

void world_subscribe(struct world_replica *replica, int company)
{
    if (!replica->alive || !replica->served || replica->subscribed[company])
        return;
    world_trace(replica->world, " sub%u:%s", replica->number, model_company_names[company]);
    replica->subscribed[company] = true;
    put_to_work(replica);
    hub_subscribe(replica->hub, replica_company(replica->replica, model_company_names[company]), 0,
                  &replica->views[company]);
}

void world_unsubscribe(struct world_replica *replica, int company)
{
    struct company *known;

    if (!replica->alive || !replica->subscribed[company])
        return;
    world_trace(replica->world, " unsub%u:%s", replica->number, model_company_names[company]);
    replica->subscribed[company] = false;
    put_to_work(replica);
    known = replica_company(replica->replica, model_company_names[company]);
    hub_unsubscribe(replica->hub, known, 0, &replica->views[company]);
    replica_release(replica->replica, known);
    take_mail(replica);
}

/* A replica's thread. */

static size_t take(struct world_replica *replica, enum source_lane lane, size_t max,
                   void (*take_one)(struct replica *replica, const struct source_item *item))
{
    struct source_item items[TAKE_MAX];
    struct packet packet;
    size_t count = 0;

    while (count < max && world_take_packet(&replica->lanes[lane], &packet))
        items[count++] = (struct source_item){.message = packet.message, .received_ns = packet.received_ns};
    for (size_t i = 0; i < count; i++)
        take_one(replica->replica, &items[i]);
    return count;
}

/* As in bridge/bridge.c. Returns whether the process ends. */
static bool note_drained(struct world_replica *replica, bool quiet)
{
    bool has_heir = replica_has_heir(replica->replica);
    bool is_alone = !replica_has_peers(replica->replica);
    int64_t unstored;

    if (!replica->leaving)
        return false;
    if (clock_monotonic_ns() > replica->leave_end_ns)
        return true;
    hub_drain(replica->hub);
    if (has_heir)
        replica_retire(replica->replica);
    unstored = appender_backlog_events(replica->appender) + replica_waiting(replica->replica);
    return unstored == 0 && replica_is_settled(replica->replica) && (has_heir || (is_alone && quiet));
}

static void end(struct world_replica *replica)
{
    world_trace(replica->world, " left%u", replica->number);
    replica_leave(replica->replica);
    replica_leave(replica->replica);
    store_run(replica->store);
    take_mail(replica);
    world_send(replica, SIZE_MAX);
    world_carry_out(replica, SIZE_MAX);
    bury(replica);
}

static void run_phase(struct world_replica *replica, int phase, size_t max_events)
{
    bool may_take = !hub_is_behind(replica->hub);

    switch (phase) {
    case 0:
        if (may_take)
            (void)take(replica, SOURCE_LIVE, TAKE_MAX, replica_take_live);
        break;
    case 1:
        if (may_take && replica_may_take(replica->replica))
            (void)take(replica, SOURCE_EVENTS, max_events, replica_take_event);
        break;
    case 2:
        replica_run(replica->replica);
        hub_flush(replica->hub);
        break;
    default:
        appender_flush(replica->appender);
        store_run(replica->store);
        hub_flush(replica->hub);
        break;
    }
}

static bool has_running_owner(const struct replica_world *world)
{
    for (int i = 0; i < WORLD_REPLICAS; i++)
        if (world_is_running(&world->replicas[i]) && world_is_owner(&world->replicas[i]))
            return true;
    return false;
}

/* Who has come is sure of everything after the next sign of life of an owner. */
static void note_begun(struct world_replica *replica, int64_t now_ns)
{
    bool has_begun = replica->link == LINK_CONNECTED && replica_has_begun(replica->replica);

    if (!replica->covered && (!has_begun || !has_running_owner(replica->world)))
        replica->begun_ns = 0;
    else if (replica->begun_ns == 0)
        replica->begun_ns = now_ns;
    if (replica->begun_ns > 0 && now_ns - replica->begun_ns > SURE_MS * MS)
        replica->covered = true;
    /* As in bridge_await_start(). */
    if (has_begun && hub_replay_ok(replica->hub))
        replica->served = true;
}

static void end_turn(struct world_replica *replica)
{
    int64_t now_ns = clock_monotonic_ns();

    replica->turned_ns = now_ns;
    if (now_ns >= replica->next_tick_ns) {
        replica->next_tick_ns = now_ns + TICK_MS * MS;
        appender_tick(replica->appender);
        replica_tick(replica->replica);
    }
    note_begun(replica, now_ns);
    take_mail(replica);
    if (note_drained(replica, replica->lanes[SOURCE_EVENTS].count == 0))
        end(replica);
}

void world_turn(struct world_replica *replica, size_t max_events)
{
    int first = replica->phase;

    if (!world_is_running(replica))
        return;
    put_to_work(replica);
    replica->phase = 0;
    for (int phase = first; phase < PHASES; phase++)
        run_phase(replica, phase, max_events);
    end_turn(replica);
}

void world_stop(struct world_replica *replica, int phase)
{
    if (!replica->alive || replica->stopped)
        return;
    world_trace(replica->world, " stop%u@%d", replica->number, phase);
    put_to_work(replica);
    while (replica->phase < phase)
        run_phase(replica, replica->phase++, TAKE_MAX);
    replica->stopped = true;
    replica->stopped_ns = clock_monotonic_ns();
}
