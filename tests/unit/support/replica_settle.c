/* Time in the world of replicas: what runs has its turns, and comes to rest in the end. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "support/fake_clock.h"
#include "support/replica_world.h"

#define MS INT64_C(1000000)

enum {
    TAKE_MAX = 512,
    SLICE_MS = 10,
    LATE_MS = 20, /* a thread that runs has had its turn by then */
    SETTLE_MS = 20000,
    QUIET_MS = 300,
};

static size_t count_late(const struct packets *packets, int64_t delay_ns)
{
    size_t count = 0;

    for (const struct packet *at = packets->first; at && clock_monotonic_ns() - at->sent_ns >= delay_ns; at = at->next)
        count++;
    return count;
}

static bool is_due(const struct world_replica *replica)
{
    int64_t now_ns = clock_monotonic_ns();

    return replica->lanes[SOURCE_LIVE].count > 0 || replica->lanes[SOURCE_EVENTS].count > 0 || replica->phase > 0 ||
           replica->leaving || replica_deadline_ns(replica->replica) <= now_ns ||
           hub_deadline_ns(replica->hub) <= now_ns || appender_deadline_ns(replica->appender) <= now_ns ||
           store_deadline_ns(replica->store) <= now_ns || replica->next_tick_ns <= now_ns;
}

/* What the network does in a moment. */
static void move_packets(struct world_replica *replica)
{
    struct replica_world *world = replica->world;
    bool exact = world->setting.exhaustive;

    world_send(replica, count_late(&replica->outbox, world->delay_ns));
    if (!exact && world_roll(world, 2) == 0)
        world_send(replica, 1 + world_roll(world, 4));
    if (exact || world_roll(world, 4) > 0)
        world_carry_out(replica, SIZE_MAX);
    if (replica->stopped)
        return;
    world_deliver(replica, count_late(&replica->wire, world->delay_ns));
    if (!exact && world_roll(world, 2) == 0)
        world_deliver(replica, 1 + world_roll(world, 4));
    if (exact || world_roll(world, 2) == 0)
        world_confirm(replica);
}

static void run_moment(struct world_replica *replica)
{
    struct replica_world *world = replica->world;
    bool exact = world->setting.exhaustive;
    bool late = clock_monotonic_ns() - replica->turned_ns >= LATE_MS * MS;

    if (replica->alive)
        move_packets(replica);
    if (!world_is_running(replica) || !is_due(replica) || (!exact && !late && world_roll(world, 4) == 0))
        return;
    world_turn(replica, !exact && !late && world_roll(world, 8) == 0 ? 0 : TAKE_MAX);
}

void world_pass(struct replica_world *world, int64_t ms)
{
    while (ms > 0 && !world->model.violation) {
        int64_t slice_ms = ms < SLICE_MS ? ms : SLICE_MS;

        fake_clock_advance_ms(slice_ms);
        ms -= slice_ms;
        if (world->setting.intact && !world->setting.exhaustive && world_roll(world, 20) == 0)
            (void)fake_redis_carry_out_late(world->redis);
        for (int i = 0; i < WORLD_REPLICAS; i++)
            run_moment(&world->replicas[i]);
    }
}

/* Coming to rest. */

struct unrest {
    const char *what;
    unsigned replica;
};

static void look_at_company(struct company *company, void *context)
{
    struct unrest *unrest = context;

    if (company->loading)
        unrest->what = "a company loads";
    else if (company->filling || company->fetching)
        unrest->what = "a company is filled";
    else if (company->parked)
        unrest->what = "something is parked";
}

static void look_at(const struct world_replica *replica, struct unrest *unrest)
{
    companies_each(replica->companies, look_at_company, unrest);
    if (replica->leaving)
        unrest->what = "it leaves";
    else if (replica->link != LINK_CONNECTED || !fake_redis_is_connected(replica->store))
        unrest->what = "it is not connected";
    else if (!replica_has_begun(replica->replica))
        unrest->what = "it has not begun, or misses something";
    else if (appender_backlog_events(replica->appender) > 0)
        unrest->what = "events wait for the store";
    else if (!hub_replay_ok(replica->hub))
        unrest->what = "the replay is not there";
    else if (!replica_is_settled(replica->replica))
        unrest->what = "events were sent and not heard";
    for (int i = 0; i < MODEL_COMPANIES && !unrest->what; i++)
        if (replica->subscribed[i] && !replica->views[i].open)
            unrest->what = "there is no snapshot";
    for (int i = 0; i < MODEL_COMPANIES && !unrest->what; i++) {
        struct event_position head = fake_redis_head(replica->world->redis, model_company_names[i]);

        if (replica->world->is_last && replica->subscribed[i] && head.seq > 0 &&
            event_position_compare(replica->views[i].last, head) != 0)
            unrest->what = "the worker and the store do not end alike";
    }
}

static struct unrest find_unrest(const struct replica_world *world)
{
    struct unrest unrest = {.what = NULL};
    int owners = 0;

    for (unsigned i = 0; i < WORLD_REPLICAS && !unrest.what; i++) {
        unrest.replica = i;
        if (!world->replicas[i].alive)
            continue;
        owners += world_is_owner(&world->replicas[i]);
        look_at(&world->replicas[i], &unrest);
    }
    if (!unrest.what && owners != 1)
        unrest.what = owners == 0 ? "nobody numbers" : "several number";
    return unrest;
}

static void start_one(struct replica_world *world)
{
    for (unsigned i = 0; i < WORLD_REPLICAS; i++)
        if (world->replicas[i].alive)
            return;
    world_start(world, 0);
}

static void settle(struct replica_world *world)
{
    struct unrest unrest = {.what = NULL};
    int quiet_ms = 0;

    for (int ms = 0; ms < SETTLE_MS && !world->model.violation; ms += 50) {
        world_pass(world, 50);
        start_one(world);
        unrest = find_unrest(world);
        quiet_ms = unrest.what ? 0 : quiet_ms + 50;
        if (quiet_ms > QUIET_MS)
            return;
    }
    if (unrest.what)
        model_violate(&world->model, "everything comes to rest", "replica %u: %s", unrest.replica, unrest.what);
}

static void heal(struct replica_world *world)
{
    world->nats_away = false;
    world->redis_away = false;
    for (unsigned i = 0; i < WORLD_REPLICAS; i++) {
        struct world_replica *replica = &world->replicas[i];

        if (!replica->alive)
            continue;
        world_continue(replica);
        world_restore_nats(replica);
        world_restore_store(replica);
    }
}

/* What the store holds, as who reads it from its beginning sees it. */
static void check_store(struct replica_world *world, int company)
{
    const char *name = model_company_names[company];
    struct model_view view = {.model = &world->model, .company = company, .name = "store"};
    size_t count = fake_redis_count(world->redis, name);
    int published = 0;

    model_view_begin(&view, (struct event_position){0, 0});
    for (size_t i = 0; i < count; i++)
        model_view_frame(&view, fake_redis_frame(world->redis, name, i));
    model_view_end(&view);
    for (int i = 0; i < MODEL_PUBLISHERS; i++)
        published += world->model.published[i][company].count;
    if (world->model.intact && count != (size_t)published)
        model_violate(&world->model, "the store holds every event once", "%s: %zu of %d", name, count, published);
}

void world_finish(struct replica_world *world)
{
    world_trace(world, " | end");
    heal(world);
    settle(world);
    for (unsigned i = 0; i < WORLD_REPLICAS; i++)
        for (int j = 0; j < MODEL_COMPANIES; j++)
            world_subscribe(&world->replicas[i], j);
    settle(world);
    for (int i = 0; i < MODEL_PUBLISHERS; i++)
        for (int j = 0; j < MODEL_COMPANIES; j++)
            world_publish(world, i, j, false);
    world->is_last = true;
    settle(world);
    for (unsigned i = 0; i < WORLD_REPLICAS && !world->model.violation; i++)
        for (int j = 0; j < MODEL_COMPANIES; j++)
            if (world->replicas[i].alive)
                model_view_end(&world->replicas[i].views[j]);
    for (int i = 0; i < MODEL_COMPANIES && !world->model.violation; i++)
        check_store(world, i);
}
