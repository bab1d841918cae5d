/* NATS and the network to the store, in the world of replicas. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bridge/live.h"
#include "core/clock.h"
#include "support/fake_clock.h"
#include "support/fake_source.h"
#include "support/replica_world.h"

#define MS INT64_C(1000000)

/* Packets. */

static void packets_init(struct packets *packets)
{
    *packets = (struct packets){.last = NULL};
    packets->last = &packets->first;
}

static void packets_add(struct packets *packets, const struct packet *content)
{
    struct packet *packet = malloc(sizeof *packet);

    if (!packet)
        abort();
    *packet = *content;
    packet->next = NULL;
    *packets->last = packet;
    packets->last = &packet->next;
    packets->count++;
}

bool world_take_packet(struct packets *packets, struct packet *ret_packet)
{
    struct packet *first = packets->first;

    if (!first)
        return false;
    *ret_packet = *first;
    packets->first = first->next;
    if (!packets->first)
        packets->last = &packets->first;
    packets->count--;
    free(first);
    return true;
}

static void packets_drop(struct packets *packets)
{
    struct packet packet;

    while (world_take_packet(packets, &packet))
        source_message_free(packet.message);
}

static struct packet *packets_last(const struct packets *packets)
{
    struct packet *packet = packets->first;

    while (packet && packet->next)
        packet = packet->next;
    return packet;
}

/* NATS. */

static struct source_message *copy_message(const struct source_message *message)
{
    size_t size;
    const char *payload = source_message_payload(message, &size);

    return fake_message_of(source_message_subject(message), payload, size);
}

/* The server has got a message: everybody is sent it who is there. */
static void broadcast(struct replica_world *world, const struct source_message *message, enum source_lane lane)
{
    for (int i = 0; i < WORLD_REPLICAS; i++) {
        struct world_replica *replica = &world->replicas[i];

        if (replica->alive && replica->link != LINK_CUT)
            packets_add(
                &replica->wire,
                &(struct packet){.message = copy_message(message), .lane = lane, .sent_ns = clock_monotonic_ns()});
    }
}

void world_send(struct world_replica *replica, size_t count)
{
    struct packet packet;

    while (count-- > 0 && world_take_packet(&replica->outbox, &packet)) {
        broadcast(replica->world, packet.message, SOURCE_LIVE);
        source_message_free(packet.message);
    }
}

/* Nothing is received at the same time as another, nor later than now. */
static int64_t stamp(struct replica_world *world)
{
    int64_t from_ns = clock_monotonic_ns() - MS + 1;

    world->stamp_ns = world->stamp_ns < from_ns ? from_ns : world->stamp_ns + 1;
    return world->stamp_ns;
}

static void add_hole(struct world_replica *replica, enum source_lane lane)
{
    struct packet *last = packets_last(&replica->lanes[lane]);

    if (!last || last->message)
        packets_add(&replica->lanes[lane], &(struct packet){.lane = lane, .received_ns = stamp(replica->world)});
}

static void add_beginning(struct world_replica *replica)
{
    replica->hole_due = false;
    add_hole(replica, SOURCE_EVENTS);
    add_hole(replica, SOURCE_LIVE);
}

void world_deliver(struct world_replica *replica, size_t count)
{
    struct packet packet;

    while (count-- > 0 && world_take_packet(&replica->wire, &packet)) {
        if (replica->hole_due)
            add_beginning(replica);
        packet.received_ns = stamp(replica->world);
        packets_add(&replica->lanes[packet.lane], &packet);
    }
}

void world_confirm(struct world_replica *replica)
{
    if (replica->link != LINK_UNCONFIRMED)
        return;
    add_beginning(replica);
    replica->link = LINK_CONNECTED;
}

void world_cut_nats(struct world_replica *replica, size_t sent)
{
    world_send(replica, sent);
    packets_drop(&replica->outbox);
    packets_drop(&replica->wire);
    replica->link = LINK_CUT;
    replica->covered = false;
    replica->begun_ns = 0;
}

void world_restore_nats(struct world_replica *replica)
{
    if (!replica->alive || replica->link != LINK_CUT || replica->left)
        return;
    replica->link = LINK_UNCONFIRMED;
    replica->hole_due = true;
}

static void show_live(const struct world_replica *replica, const char *payload, size_t size)
{
    static const char *const types[] = {"",         "OWNER",   "PEER", "HELLO", "WELCOME", "FRAMES", "SALVAGE",
                                        "SALVAGED", "RELEASE", "LOAD", "ASK",   "COUNTS",  "GONE"};
    struct live_reader reader;
    struct live_header header;

    if (!replica->world->model.is_shown || live_read_header(&reader, payload, size, &header) < 0)
        return;
    print_message("    %" PRId64 " %u says %s, epoch %" PRIu64 ", batch %" PRIu64 "%s%s\n",
                  clock_monotonic_ns() / MS % 1000000, replica->number, types[header.type], header.epoch % 1000000,
                  header.batch, header.has_hole ? ", hole" : "", header.store_lost ? ", no store" : "");
}

static bool on_publish(void *context, const char *subject, const char *payload, size_t size)
{
    struct world_replica *replica = context;

    if (!replica->alive || replica->link == LINK_CUT)
        return false;
    show_live(replica, payload, size);
    packets_add(&replica->outbox,
                &(struct packet){.message = fake_message_of(subject, payload, size), .sent_ns = clock_monotonic_ns()});
    return true;
}

static bool on_is_connected(void *context)
{
    return ((const struct world_replica *)context)->link == LINK_CONNECTED;
}

static size_t on_pending(void *context, enum source_lane lane)
{
    return ((const struct world_replica *)context)->lanes[lane].count;
}

void world_connect_source(struct world_replica *replica)
{
    packets_init(&replica->outbox);
    packets_init(&replica->wire);
    for (int i = 0; i < SOURCE_LANES; i++)
        packets_init(&replica->lanes[i]);
    replica->source = fake_source_new(&(struct fake_source_options){
        .publish = on_publish, .is_connected = on_is_connected, .pending = on_pending, .context = replica});
}

void world_free_source(struct world_replica *replica)
{
    for (int i = 0; i < SOURCE_LANES; i++)
        packets_drop(&replica->lanes[i]);
    packets_drop(&replica->outbox);
    packets_drop(&replica->wire);
    fake_source_free(replica->source);
}

void world_publish(struct replica_world *world, int publisher, int company, bool again)
{
    struct source_message *message;
    char payload[64];

    model_publish(&world->model, publisher, company, again, payload);
    world_trace(world, " p%d>%s%s", publisher, model_company_names[company], again ? "=" : "");
    message = fake_message_new("metrics.calculated", payload);
    broadcast(world, message, SOURCE_EVENTS);
    source_message_free(message);
}

/* The store. */

void world_delay(struct world_replica *replica)
{
    const struct world_setting *setting = &replica->world->setting;

    if (setting->intact && !setting->exhaustive && world_roll(replica->world, 3) == 0)
        fake_redis_delay(replica->store);
}

void world_cut_store(struct world_replica *replica, size_t carried_out)
{
    if (!replica->alive)
        return;
    world_carry_out(replica, carried_out);
    fake_redis_cut(replica->store);
}

void world_restore_store(struct world_replica *replica)
{
    if (replica->alive && !replica->left)
        fake_redis_connect(replica->store);
}

void world_set_nats(struct replica_world *world, bool away)
{
    world->nats_away = away;
    for (int i = 0; i < WORLD_REPLICAS; i++) {
        if (away && world->replicas[i].alive)
            world_cut_nats(&world->replicas[i], world_roll(world, 3));
        else
            world_restore_nats(&world->replicas[i]);
    }
}

void world_set_store(struct replica_world *world, bool away)
{
    world->redis_away = away;
    for (int i = 0; i < WORLD_REPLICAS; i++) {
        if (away)
            world_cut_store(&world->replicas[i], world_roll(world, 3));
        else
            world_restore_store(&world->replicas[i]);
    }
}

void world_lose_data(struct replica_world *world, int64_t ms)
{
    world_set_store(world, true);
    fake_redis_lose_since(world->redis, ms > 0 ? fake_clock_true_ms() - ms : 0);
    if (ms == 0)
        fake_redis_lose_lease(world->redis);
}
