/*
 * The promise of docs/protocol.md, by model: a client, across its reconnects, gets every event of its company exactly once
 * and in order, or is told in front of the event that follows the hole. A real worker over fake sockets, a real hub, intake
 * and appender over a fake store, and clients that parse bytes, are driven through random schedules of everything that can
 * come between two steps, and through all short ones. SEAM_SEED and SEAM_SCHEDULES run others,
 * SEAM_SHOW shows them.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/fake_clock.h"
#include "support/fake_source.h"
#include "support/seam_world.h"

enum { ROUNDS_MAX = 400, KINDS_MAX = 32 };

static void random_step(struct seam_world *world, const struct seam_setting *setting)
{
    unsigned choice = seam_roll(world, 100);

    if (choice < 20)
        seam_publish(world, seam_roll(world, 3) == 0);
    else if (choice < 22)
        seam_make_hole(world);
    else if (choice < 32)
        seam_answer_asked(world);
    else if (choice < 42)
        seam_answer_store(world);
    else if (choice < 44)
        seam_fail_store(world);
    else if (choice < 45)
        seam_lose_store(world);
    else if (choice < 47)
        seam_restore_store(world);
    else if (choice < 48 && setting->forgetful)
        seam_drop_data(world);
    else if (choice < 49)
        seam_trim_store(world);
    else if (choice < 51)
        seam_tick(world);
    else if (choice < 62)
        seam_pass_time(world);
    else if (choice < 63)
        seam_pass_quiet_time(world);
    else if (choice < 73)
        seam_connect_any(world, setting->workers);
    else if (choice < 85)
        seam_read_any(world);
    else if (choice < 89)
        seam_disconnect_any(world);
    else
        seam_turn_worker(world, seam_roll(world, setting->workers), seam_roll(world, 4) > 0);
}

/* In the end everything works, and everybody reads: then nobody may be left behind. */

static void read_all(struct seam_world *world)
{
    for (int i = 0; i < SEAM_CLIENTS; i++)
        seam_read(&world->clients[i], SIZE_MAX);
}

static bool is_quiet(const struct seam_world *world)
{
    for (unsigned i = 0; i < SEAM_WORKERS; i++)
        if (worker_rig_is_busy(world->workers[i]))
            return false;
    return worker_rig_asked() == 0 && fake_store_waiting(world->bridge.store) == 0 &&
           hub_deadline_ns(world->bridge.hub) == INT64_MAX;
}

static void settle(struct seam_world *world)
{
    int quiet = 0;

    for (int round = 0; quiet < 3 && !world->model.violation; round++) {
        if (round == ROUNDS_MAX) {
            seam_violate(&world->model, "everything comes to rest", "%zu asked, %zu at the store", worker_rig_asked(),
                         fake_store_waiting(world->bridge.store));
            return;
        }
        while (worker_rig_asked() > 0)
            worker_rig_answer(&world->bridge);
        bridge_rig_flush(&world->bridge);
        fake_store_answer_all(world->bridge.store);
        bridge_rig_flush(&world->bridge);
        appender_tick(world->bridge.appender);
        bridge_rig_flush(&world->bridge);
        fake_clock_advance_ms(BRIDGE_RIG_GATHER_MS);
        seam_turn_workers(world);
        read_all(world);
        quiet = is_quiet(world) ? quiet + 1 : 0;
    }
}

static void open_all(struct seam_world *world)
{
    for (int i = 0; i < SEAM_CLIENTS; i++) {
        struct seam_client *client = &world->clients[i];

        if (client->socket)
            fake_socket_set_capacity(client->socket, 1000000);
        else
            seam_connect(client, 0, 1000000);
    }
}

static void check_end(struct seam_world *world)
{
    for (int i = 0; i < SEAM_CLIENTS; i++) {
        const struct seam_client *client = &world->clients[i];

        if (client->socket->closed)
            seam_violate(&world->model, "a stream stays open", "client %d", i);
        else if (!client->view.ready)
            seam_violate(&world->model, "a stream becomes ready", "client %d", i);
        else if (seam_view_lacks(&client->view))
            seam_violate(&world->model, "a client is not left behind", "client %d is at %d of %d", i, client->view.at,
                         world->model.truth_count[client->view.company]);
        else if (client->view.store_state != 0)
            seam_violate(&world->model, "a client is told that the store is back", "client %d", i);
    }
    if (appender_backlog_events(world->bridge.appender) != 0)
        seam_violate(&world->model, "the store gets everything", "%" PRId64 " events wait",
                     appender_backlog_events(world->bridge.appender));
    if (!hub_replay_ok(world->bridge.hub))
        seam_violate(&world->model, "the replay is back when the store is", "%s", "");
    if (fake_store_misused(world->bridge.store))
        seam_violate(&world->model, "appends come in order and one at a time", "%s", "");
}

static void check_goodbye(struct seam_world *world)
{
    for (unsigned i = 0; i < SEAM_WORKERS; i++)
        worker_rig_drain(world->workers[i]);
    seam_turn_workers(world);
    read_all(world);
    for (int i = 0; i < SEAM_CLIENTS; i++) {
        const struct seam_client *client = &world->clients[i];

        if (!client->socket->closed || !client->view.ended || (client->chunked && client->reader.state != SSE_ENDED))
            seam_violate(&world->model, "a drained stream ends with its last chunk", "client %d", i);
        if (client->gzip && !client->reader.gzip_ended)
            seam_violate(&world->model, "a compressed stream ends with its sum", "client %d", i);
    }
}

static void finish(struct seam_world *world)
{
    seam_trace(world, " | end");
    seam_restore_store(world);
    settle(world);
    open_all(world);
    settle(world);
    for (int i = 0; i < SEAM_COMPANIES && !world->model.violation; i++)
        seam_publish(world, i);
    settle(world);
    if (!world->model.violation)
        check_end(world);
    if (!world->model.violation)
        check_goodbye(world);
}

/* Results: the shortest schedule of each kind of violation. */

struct finding {
    const char *violation;
    int count;
    int steps;
    uint64_t seed;
    char detail[512];
    char trace[SEAM_TRACE_MAX];
};

struct findings {
    int count;
    struct finding list[KINDS_MAX];
};

static void note_finding(struct findings *findings, const struct seam_world *world, uint64_t seed)
{
    struct finding *finding = findings->list;

    if (!world->model.violation)
        return;
    while (finding < findings->list + findings->count && strcmp(finding->violation, world->model.violation) != 0)
        finding++;
    if (finding == findings->list + findings->count) {
        if (findings->count == KINDS_MAX)
            return;
        findings->count++;
        *finding = (struct finding){.violation = world->model.violation, .steps = INT32_MAX};
    }
    finding->count++;
    if (world->steps >= finding->steps)
        return;
    finding->steps = world->steps;
    finding->seed = seed;
    strcpy(finding->detail, world->model.detail);
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

static struct seam_world world;
static struct findings all_findings;

static void run_random(const struct seam_setting *setting, struct findings *findings)
{
    unsigned steps;

    fake_clock_set_ms(INT64_C(1700000000000));
    seam_world_init(&world, setting);
    steps = 4 + seam_roll(&world, 60);
    for (unsigned i = 0; i < steps && !world.model.violation; i++)
        random_step(&world, setting);
    if (!world.model.violation)
        finish(&world);
    note_finding(findings, &world, setting->seed);
    seam_world_release(&world);
}

static uint64_t number_or(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text ? strtoull(text, NULL, 10) : otherwise;
}

static void run_all_random(const struct seam_setting *kind)
{
    uint64_t first = number_or("SEAM_SEED", 1);
    uint64_t count = number_or("SEAM_SCHEDULES", 7000);

    memset(&all_findings, 0, sizeof all_findings);
    print_message("seeds %" PRIu64 " to %" PRIu64 "\n", first, first + count - 1);
    for (uint64_t seed = first; seed < first + count; seed++)
        run_random(&(struct seam_setting){.seed = seed,
                                          .forgetful = kind->forgetful,
                                          .small_bytes = kind->small_bytes,
                                          .refill = kind->refill,
                                          .workers = 1 + (unsigned)(seed % SEAM_WORKERS)},
                   &all_findings);
    assert_int_equal(fake_messages_alive(), 0);
    report(&all_findings);
}

static void every_event_once_or_a_gap(void **state)
{
    (void)state;
    run_all_random(&(struct seam_setting){0});
}

static void every_event_once_or_a_gap_while_rings_are_cut_by_bytes(void **state)
{
    (void)state;
    run_all_random(&(struct seam_setting){.small_bytes = true});
}

static void every_event_once_or_a_gap_while_the_store_loses_data(void **state)
{
    (void)state;
    run_all_random(&(struct seam_setting){.forgetful = true});
}

static void with_refill_every_event_once_or_a_gap(void **state)
{
    (void)state;
    run_all_random(&(struct seam_setting){.refill = true});
}

static void with_refill_every_event_once_or_a_gap_while_rings_are_cut_by_bytes(void **state)
{
    (void)state;
    run_all_random(&(struct seam_setting){.refill = true, .small_bytes = true});
}

static void with_refill_every_event_once_or_a_gap_while_the_store_loses_data(void **state)
{
    (void)state;
    run_all_random(&(struct seam_setting){.refill = true, .forgetful = true});
}

/*
 * All schedules of SHORT steps behind one beginning: a client has the first of four events and comes back, its place has
 * left the hub's memory, and the store holds all.
 */
enum { SHORT = 5, CHOICES = 8 };

static void settle_bridge(struct seam_world *of)
{
    for (int i = 0; i < 4; i++) {
        while (worker_rig_asked() > 0)
            worker_rig_answer(&of->bridge);
        fake_clock_advance_ms(BRIDGE_RIG_GATHER_MS);
        bridge_rig_flush(&of->bridge);
        fake_store_answer_all(of->bridge.store);
        bridge_rig_flush(&of->bridge);
        seam_turn_workers(of);
    }
}

static void begin_short(struct seam_world *of)
{
    struct seam_client *client = &of->clients[0];

    seam_connect(client, 0, 100000);
    seam_turn_workers(of);
    settle_bridge(of);
    seam_publish(of, 0);
    settle_bridge(of);
    seam_read(client, SIZE_MAX);
    seam_disconnect(client);
    for (int i = 0; i < 3; i++)
        seam_publish(of, 0);
    settle_bridge(of);
    /* The last subscription ends, so that the next one begins with what the hub still has. */
    fake_clock_advance_ms(31000);
    seam_turn_workers(of);
    settle_bridge(of);
    seam_connect(client, 0, 150);
    seam_turn_worker(of, 0, true);
}

static void short_step(struct seam_world *of, unsigned choice)
{
    struct seam_client *client = &of->clients[0];

    switch (choice) {
    case 0:
        seam_publish(of, 0);
        break;
    case 1:
        seam_make_hole(of);
        break;
    case 2:
        seam_answer_asked(of);
        break;
    case 3:
        seam_answer_store(of);
        break;
    case 4:
        seam_fail_store(of);
        break;
    case 5:
        fake_clock_advance_ms(6);
        seam_turn_worker(of, 0, true);
        break;
    case 6:
        seam_trace(of, " read");
        seam_read(client, 120);
        break;
    default:
        seam_trace(of, " %s(%s)", client->socket ? "gone" : "open", client->view.last_id);
        if (client->socket)
            seam_disconnect(client);
        else
            seam_connect(client, 0, 150);
        break;
    }
}

static void run_all_short(bool filtered, bool refill)
{
    unsigned count = 1;

    for (int i = 0; i < SHORT; i++)
        count *= CHOICES;
    memset(&all_findings, 0, sizeof all_findings);
    for (unsigned schedule = 0; schedule < count; schedule++) {
        unsigned left = schedule;

        fake_clock_set_ms(INT64_C(1700000000000));
        seam_world_init(&world,
                        &(struct seam_setting){.seed = 1, .exhaustive = true, .filtered = filtered, .refill = refill});
        begin_short(&world);
        for (int i = 0; i < SHORT && !world.model.violation; i++, left /= CHOICES)
            short_step(&world, left % CHOICES);
        if (!world.model.violation)
            finish(&world);
        note_finding(&all_findings, &world, schedule);
        seam_world_release(&world);
    }
    report(&all_findings);
}

static void every_short_schedule_keeps_the_promise(void **state)
{
    (void)state;
    run_all_short(false, false);
}

static void every_short_schedule_keeps_the_promise_to_a_client_of_some_events(void **state)
{
    (void)state;
    run_all_short(true, false);
}

static void every_short_schedule_keeps_the_promise_with_refill(void **state)
{
    (void)state;
    run_all_short(false, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_short_schedule_keeps_the_promise),
        cmocka_unit_test(every_short_schedule_keeps_the_promise_to_a_client_of_some_events),
        cmocka_unit_test(every_event_once_or_a_gap),
        cmocka_unit_test(every_event_once_or_a_gap_while_rings_are_cut_by_bytes),
        cmocka_unit_test(every_event_once_or_a_gap_while_the_store_loses_data),
        cmocka_unit_test(every_short_schedule_keeps_the_promise_with_refill),
        cmocka_unit_test(with_refill_every_event_once_or_a_gap),
        cmocka_unit_test(with_refill_every_event_once_or_a_gap_while_rings_are_cut_by_bytes),
        cmocka_unit_test(with_refill_every_event_once_or_a_gap_while_the_store_loses_data),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
