#include "support/seam_world.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "support/fake_clock.h"

unsigned seam_roll(struct seam_world *world, unsigned range)
{
    world->random = world->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(world->random >> 33) % range;
}

void seam_trace(struct seam_world *world, const char *format, ...)
{
    size_t left = sizeof world->trace - world->trace_size;
    va_list arguments;
    int size;

    va_start(arguments, format);
    size = vsnprintf(world->trace + world->trace_size, left, format, arguments);
    va_end(arguments);
    if (world->model.is_shown)
        print_message("%s\n", world->trace + world->trace_size);
    if (size > 0 && (size_t)size < left)
        world->trace_size += (size_t)size;
    world->steps++;
}

/* Clients. */

void seam_read(struct seam_client *client, size_t size)
{
    const char *bytes;

    if (!client->socket)
        return;
    size = fake_socket_read(client->socket, size, &bytes);
    sse_reader_feed(&client->reader, bytes, size);
    if (client->reader.error)
        seam_violate(&client->world->model, "every byte stream is well-formed", "%s", client->reader.error);
}

/* Entries that a stream without an id cannot be sent, since its worker has them, or will have them in its snapshot. */
static int known_to_worker(const struct seam_client *client)
{
    const struct seam_world *world = client->world;
    const struct channel *channel =
        worker_rig_channel(world->workers[client->worker], seam_company_names[client->view.company]);

    if (!channel)
        return world->model.truth_count[client->view.company];
    if (!channel->ring)
        return 0;
    return seam_truth_up_to(&world->model, client->view.company, ring_before(channel->ring, ring_end(channel->ring)));
}

void seam_connect(struct seam_client *client, unsigned worker, size_t capacity)
{
    struct seam_world *world = client->world;

    if (client->socket)
        return;
    client->worker = worker;
    client->socket = fake_socket_new(capacity);
    client->gzip = !client->gzip;
    sse_reader_release(&client->reader);
    sse_reader_init(&client->reader, client->chunked, seam_view_block, &client->view);
    seam_view_open(&client->view, known_to_worker(client));
    worker_rig_filter(world->workers[worker], client->view.filter);
    worker_rig_compress(world->workers[worker], client->gzip);
    worker_rig_open(world->workers[worker], client->socket, seam_company_names[client->view.company], client->chunked,
                    client->view.last_id[0] ? client->view.last_id : NULL);
}

void seam_disconnect(struct seam_client *client)
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

static void make_workers(struct seam_world *world, const struct seam_setting *setting)
{
    unsigned buffer_events = setting->exhaustive ? 2 : 2 + seam_roll(world, 4);

    for (unsigned i = 0; i < SEAM_WORKERS; i++)
        world->workers[i] = worker_rig_new(&(struct worker_rig_options){
            .index = i,
            .hub_worker = &world->hub_workers[i],
            .registry = world->registry,
            .metrics = world->metrics,
            .buffer_events = buffer_events,
            .buffer_bytes = setting->small_bytes ? 500 : 100000,
            .recent_events = 1,
            .recent_bytes = setting->small_bytes ? 600 : 1000000,
            .refill = setting->refill,
        });
}

static void make_bridge(struct seam_world *world, const struct seam_setting *setting)
{
    bridge_rig_init(&world->bridge, &(struct bridge_rig_options){
                                        .state = STORE_READY,
                                        .recent_events = setting->exhaustive ? 1 : 1 + seam_roll(world, 6),
                                        .recent_bytes = setting->small_bytes ? 8 * 600 : 0,
                                        .flush_window_ms = setting->exhaustive ? 0 : 5 * seam_roll(world, 2),
                                        .max_waiting = 2,
                                        .workers = world->hub_workers,
                                        .worker_count = SEAM_WORKERS,
                                        .metrics = world->metrics,
                                    });
    world->model.store = setting->refill ? world->bridge.store : NULL;
    /* With a refill, what has left the store is all that a client can miss: often there is little in it. */
    fake_store_set_limits(world->bridge.store, setting->exhaustive ? 2 : 1 + seam_roll(world, 4),
                          setting->refill && !setting->exhaustive && seam_roll(world, 2) == 0 ? 2 + seam_roll(world, 6)
                                                                                              : 1000);
}

void seam_world_init(struct seam_world *world, const struct seam_setting *setting)
{
    memset(world, 0, offsetof(struct seam_world, trace));
    world->trace[0] = '\0';
    world->random = setting->seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    world->exhaustive = setting->exhaustive;
    seam_model_begin(&world->model);
    world->metrics = metrics_new();
    world->registry = registry_new(1000, 1, world->metrics);
    make_workers(world, setting);
    make_bridge(world, setting);
    for (int i = 0; i < SEAM_CLIENTS; i++) {
        struct seam_client *client = &world->clients[i];

        client->world = world;
        client->chunked = i != 1;
        client->gzip = i % 2 == 0;
        client->reader.gzip = false;
        client->socket = NULL;
        seam_view_init(&client->view, &world->model, i, i == SEAM_CLIENTS - 1 ? 1 : 0);
        if (i == 2 || (i == 0 && setting->filtered))
            client->view.filter = "metric_updated";
    }
}

void seam_world_release(struct seam_world *world)
{
    seam_model_end();
    bridge_rig_release(&world->bridge);
    for (unsigned i = 0; i < SEAM_WORKERS; i++)
        worker_rig_free(world->workers[i]);
    for (int i = 0; i < SEAM_CLIENTS; i++) {
        fake_socket_free(world->clients[i].socket);
        sse_reader_release(&world->clients[i].reader);
    }
    worker_rig_forget_asked();
    registry_free(world->registry);
    metrics_free(world->metrics);
}

/* Steps. */

static void turn(struct seam_world *world, unsigned worker, bool sockets)
{
    struct fake_socket *own[SEAM_CLIENTS] = {NULL};

    for (int i = 0; i < SEAM_CLIENTS; i++)
        if (sockets && world->clients[i].worker == worker)
            own[i] = world->clients[i].socket;
    worker_rig_turn(world->workers[worker], own, SEAM_CLIENTS);
}

void seam_turn_workers(struct seam_world *world)
{
    for (unsigned i = 0; i < SEAM_WORKERS; i++)
        turn(world, i, true);
}

void seam_turn_worker(struct seam_world *world, unsigned worker, bool sockets)
{
    bool is_pressed = !world->exhaustive && seam_roll(world, 4) == 0;

    seam_trace(world, " turn%u%s%s", worker, sockets ? "s" : "", is_pressed ? "p" : "");
    worker_rig_press(world->workers[worker], is_pressed);
    turn(world, worker, sockets);
    worker_rig_press(world->workers[worker], false);
}

void seam_publish(struct seam_world *world, int company)
{
    bool is_metric = world->exhaustive ? world->published % 2 == 0 : seam_roll(world, 3) == 0;

    seam_trace(world, " pub:%s=%d%s", seam_company_names[company], world->published, is_metric ? "" : "v");
    bridge_rig_publish_to(&world->bridge, is_metric ? "metrics.calculated" : "q2q.viewed", seam_company_names[company],
                          world->published++);
    bridge_rig_flush(&world->bridge);
}

void seam_make_hole(struct seam_world *world)
{
    seam_trace(world, " hole");
    world->model.hole_ms = (uint64_t)clock_unix_ms();
    bridge_rig_hole(&world->bridge);
    bridge_rig_flush(&world->bridge);
}

void seam_answer_asked(struct seam_world *world)
{
    seam_trace(world, " ask%zu", worker_rig_asked());
    worker_rig_answer(&world->bridge);
    bridge_rig_flush(&world->bridge);
}

void seam_answer_store(struct seam_world *world)
{
    seam_trace(world, " store%d", (int)fake_store_first(world->bridge.store));
    fake_store_answer(world->bridge.store);
    bridge_rig_flush(&world->bridge);
}

/* A company that is loaded without the store's word does not know what there was. */
void seam_fail_store(struct seam_world *world)
{
    bool carried_out = seam_roll(world, 2) == 0;

    seam_trace(world, " fail%d%s", (int)fake_store_first(world->bridge.store), carried_out ? "+" : "");
    if (fake_store_first(world->bridge.store) == FAKE_LOAD)
        seam_model_doubt(&world->model);
    world->model.is_unreadable |= fake_store_first(world->bridge.store) == FAKE_READ;
    fake_store_fail(world->bridge.store, carried_out, -EAGAIN);
    bridge_rig_flush(&world->bridge);
}

void seam_lose_store(struct seam_world *world)
{
    size_t carried_out = seam_roll(world, 3);

    seam_trace(world, " lose%zu", carried_out);
    seam_model_doubt(&world->model);
    world->model.is_unreadable = true;
    fake_store_lose(world->bridge.store, carried_out);
    bridge_rig_flush(&world->bridge);
}

void seam_restore_store(struct seam_world *world)
{
    seam_trace(world, " restore");
    fake_store_restore(world->bridge.store);
    bridge_rig_flush(&world->bridge);
}

void seam_drop_data(struct seam_world *world)
{
    const char *company = seam_company_names[seam_roll(world, SEAM_COMPANIES)];
    size_t frames = 1 + seam_roll(world, 4);

    seam_model_doubt(&world->model);
    world->model.data_lost = true;
    world->model.is_unreadable = true;
    fake_store_lose(world->bridge.store, 0);
    if (seam_roll(world, 4) == 0) {
        seam_trace(world, " dropall");
        fake_store_drop_everything(world->bridge.store);
    } else {
        seam_trace(world, " drop:%s-%zu", company, frames);
        fake_store_drop_tail(world->bridge.store, company, frames);
    }
    bridge_rig_flush(&world->bridge);
}

void seam_trim_store(struct seam_world *world)
{
    int company = (int)seam_roll(world, SEAM_COMPANIES);
    size_t keep = seam_roll(world, 4);

    seam_trace(world, " trim:%s-%zu", seam_company_names[company], keep);
    fake_store_trim(world->bridge.store, seam_company_names[company], keep);
}

void seam_tick(struct seam_world *world)
{
    seam_trace(world, " tick");
    appender_tick(world->bridge.appender);
    bridge_rig_tick(&world->bridge);
    bridge_rig_flush(&world->bridge);
}

void seam_pass_time(struct seam_world *world)
{
    static const int64_t steps_ms[] = {1, 1, 6, 6, 6, 6, 6, 6, 500, 31000};
    int64_t ms = steps_ms[seam_roll(world, 10)];

    seam_trace(world, " +%" PRId64, ms);
    fake_clock_advance_ms(ms);
}

void seam_pass_quiet_time(struct seam_world *world)
{
    seam_trace(world, " quiet");
    fake_clock_advance_ms(INT64_C(11) * 60 * 1000);
}

static struct seam_client *any_client(struct seam_world *world)
{
    return &world->clients[seam_roll(world, SEAM_CLIENTS)];
}

void seam_connect_any(struct seam_world *world, unsigned workers)
{
    static const size_t capacities[] = {40, 150, 600, 100000};
    struct seam_client *client = any_client(world);

    if (client->socket)
        return;
    seam_trace(world, " open%d(%s)", (int)(client - world->clients), client->view.last_id);
    seam_connect(client, seam_roll(world, workers), capacities[seam_roll(world, 4)]);
}

void seam_read_any(struct seam_world *world)
{
    static const size_t sizes[] = {1, 10, 100, 400, 100000, 100000};
    struct seam_client *client = any_client(world);
    size_t size = sizes[seam_roll(world, 6)];

    if (!client->socket)
        return;
    seam_trace(world, " read%d:%zu", (int)(client - world->clients), size);
    seam_read(client, size);
}

void seam_disconnect_any(struct seam_world *world)
{
    struct seam_client *client = any_client(world);

    if (!client->socket)
        return;
    seam_trace(world, " gone%d", (int)(client - world->clients));
    seam_disconnect(client);
}
