/*
 * Several replicas on one NATS and one Redis, by model: whoever of them dies, is stopped, ends or comes, every event is
 * numbered once, all hear the same in the same order, and what is missing is told in its place. Random schedules of
 * everything that can come between two steps, and all short ones. REPLICA_SEED and REPLICA_SCHEDULES run others,
 * REPLICA_SHOW shows them, REPLICA_TEST chooses tests by a pattern.
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
#include "support/replica_report.h"
#include "support/replica_world.h"

static struct replica_world world;

static uint64_t number_or(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text ? strtoull(text, NULL, 10) : otherwise;
}

/* Steps. */

static struct world_replica *any(void)
{
    return &world.replicas[world_roll(&world, WORLD_REPLICAS)];
}

static unsigned alive(void)
{
    unsigned count = 0;

    for (int i = 0; i < WORLD_REPLICAS; i++)
        count += world.replicas[i].alive;
    return count;
}

static void publish(void)
{
    unsigned count = world_roll(&world, 4) == 0 ? 1 + world_roll(&world, 6) : 1;
    int publisher = (int)world_roll(&world, MODEL_PUBLISHERS);
    int company = world_roll(&world, 3) == 0;

    while (count-- > 0)
        world_publish(&world, publisher, company, world_roll(&world, 6) == 0);
}

static void pass(void)
{
    static const int64_t steps_ms[] = {1, 5, 5, 20, 20, 50, 50, 150, 400, 1000, 1600, 4000};
    int64_t ms = steps_ms[world_roll(&world, 12)];

    world_trace(&world, " +%" PRId64, ms);
    world_pass(&world, ms);
}

static void network_step(unsigned choice)
{
    struct world_replica *replica = any();
    size_t count = 1 + world_roll(&world, 3);

    if (!replica->alive)
        return;
    if (choice < 8) {
        world_trace(&world, " send%u:%zu", replica->number, count);
        world_send(replica, count);
    } else if (choice < 18 && !replica->stopped) {
        world_trace(&world, " get%u:%zu", replica->number, count);
        world_deliver(replica, count);
    } else if (choice < 28) {
        world_trace(&world, " store%u:%zu", replica->number, count);
        world_carry_out(replica, count);
    } else if (!replica->stopped) {
        size_t events = world_roll(&world, 2) == 0 ? 512 : world_roll(&world, 3);

        world_trace(&world, " turn%u:%zu", replica->number, events);
        world_turn(replica, events);
    }
}

static void process_step(unsigned choice)
{
    struct world_replica *replica = any();
    bool may_go = !world.setting.intact || world_has_other(replica);

    if (choice < 3 && may_go)
        world_kill(replica, world_roll(&world, 4), world_roll(&world, 4));
    else if (choice < 6 && may_go)
        world_stop(replica, (int)world_roll(&world, 4));
    else if (choice < 8)
        world_continue(replica);
    else if (choice < 11 && alive() < world.setting.replicas)
        world_start(&world, replica->number);
    else if (choice < 12 && may_go)
        world_leave(replica);
    else if (choice < 14)
        world_subscribe(replica, (int)world_roll(&world, MODEL_COMPANIES));
    else if (choice < 15)
        world_unsubscribe(replica, (int)world_roll(&world, MODEL_COMPANIES));
}

static void trouble_step(void)
{
    static const int64_t lost_ms[] = {50, 1000, 5000, 0};
    struct world_replica *replica = any();
    unsigned choice = world_roll(&world, 20);

    world_trace(&world, " trouble%u.%u", choice, replica->number);
    if (choice < 4 && replica->alive)
        world_cut_nats(replica, world_roll(&world, 3));
    else if (choice < 8)
        world_restore_nats(replica);
    else if (choice < 9)
        world_set_nats(&world, true);
    else if (choice < 11)
        world_set_nats(&world, false);
    else if (choice < 13)
        world_cut_store(replica, world_roll(&world, 3));
    else if (choice < 15)
        world_restore_store(replica);
    else if (choice < 16)
        world_set_store(&world, true);
    else if (choice < 19)
        world_set_store(&world, false);
    else if (world.setting.forgetful)
        world_lose_data(&world, lost_ms[world_roll(&world, 4)]);
}

static void random_step(void)
{
    unsigned choice = world_roll(&world, 100);

    if (!world.setting.intact && world_roll(&world, 8) == 0)
        trouble_step();
    if (choice < 28)
        publish();
    else if (choice < 70)
        network_step(choice - 28);
    else if (choice < 85)
        pass();
    else
        process_step(choice - 85);
}

static void run_random(const struct world_setting *setting)
{
    unsigned steps;

    fake_clock_set_ms(INT64_C(1700000000000));
    world_init(&world, setting);
    steps = 20 + world_roll(&world, 120);
    for (unsigned i = 0; i < setting->replicas; i++) {
        world_start(&world, i);
        if (world_roll(&world, 2) == 0)
            pass();
    }
    /* What was published before the first one came was missed, and told; there is nothing before the schedule. */
    world_trace(&world, " +1500");
    world_pass(&world, 1500);
    for (unsigned i = 0; i < setting->replicas; i++)
        world_subscribe(&world.replicas[i], (int)world_roll(&world, MODEL_COMPANIES));
    if (setting->intact)
        model_promise(&world.model);
    for (unsigned i = 0; i < steps && !world.model.violation; i++)
        random_step();
    if (!world.model.violation)
        world_finish(&world);
    replica_report_note(&world, setting->seed);
    world_release(&world);
}

static void run_all_random(bool intact, bool forgetful)
{
    uint64_t first = number_or("REPLICA_SEED", 1);
    uint64_t count = number_or("REPLICA_SCHEDULES", 700);

    replica_report_begin();
    print_message("seeds %" PRIu64 " to %" PRIu64 "\n", first, first + count - 1);
    for (uint64_t seed = first; seed < first + count; seed++)
        run_random(&(struct world_setting){
            .seed = seed, .replicas = 2 + (unsigned)(seed % 2), .intact = intact, .forgetful = forgetful});
    replica_report_end();
}

/*
 * All schedules of SHORT steps behind one beginning: two replicas that know of each other, and an event on its way. Whoever
 * may go goes.
 */
enum { SHORT = 5, CHOICES = 9 };

static void short_step(unsigned choice)
{
    struct world_replica *a = &world.replicas[0];
    struct world_replica *b = &world.replicas[1];

    switch (choice) {
    case 0:
        world_publish(&world, 0, 0, world.steps % 2 == 0);
        break;
    case 1:
    case 2:
        world_trace(&world, " turn%u", choice - 1);
        world_deliver(&world.replicas[choice - 1], SIZE_MAX);
        world_turn(&world.replicas[choice - 1], 512);
        break;
    case 3:
        world_trace(&world, " send");
        world_send(a, 1);
        world_send(b, 1);
        break;
    case 4:
        world_trace(&world, " store");
        world_carry_out(a, SIZE_MAX);
        world_carry_out(b, SIZE_MAX);
        break;
    case 5:
        world_trace(&world, " +310");
        world_pass(&world, 310);
        break;
    case 6:
        if (world_has_other(a))
            world_kill(a, 0, 0);
        else
            world_continue(b);
        break;
    case 7:
        if (!a->stopped && world_has_other(a))
            world_stop(a, 2);
        else
            world_continue(a);
        break;
    default:
        if (world_has_other(a))
            world_leave(a);
        else
            world_start(&world, 2);
        break;
    }
}

static void every_short_schedule_loses_nothing(void **state)
{
    uint64_t steps = number_or("REPLICA_STEPS", SHORT - 1);
    uint64_t count = 1;

    (void)state;
    replica_report_begin();
    for (uint64_t i = 0; i < steps; i++)
        count *= CHOICES;
    for (uint64_t schedule = 0; schedule < count; schedule++) {
        uint64_t left = schedule;

        fake_clock_set_ms(INT64_C(1700000000000));
        world_init(&world, &(struct world_setting){.seed = 1, .replicas = 2, .intact = true, .exhaustive = true});
        for (unsigned i = 0; i < 2; i++)
            world_start(&world, i);
        world_pass(&world, 1800);
        world_subscribe(&world.replicas[1], 0);
        model_promise(&world.model);
        world_publish(&world, 0, 0, false);
        for (uint64_t i = 0; i < steps && !world.model.violation; i++, left /= CHOICES)
            short_step((unsigned)(left % CHOICES));
        if (!world.model.violation)
            world_finish(&world);
        replica_report_note(&world, schedule);
        world_release(&world);
    }
    replica_report_end();
}

static void whoever_goes_nothing_is_lost_while_nats_and_the_store_stay(void **state)
{
    (void)state;
    run_all_random(true, false);
}

static void whatever_goes_it_is_told_where_something_is_lost(void **state)
{
    (void)state;
    run_all_random(false, false);
}

static void whatever_goes_it_is_told_where_something_is_lost_by_the_store(void **state)
{
    (void)state;
    run_all_random(false, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_short_schedule_loses_nothing),
        cmocka_unit_test(whoever_goes_nothing_is_lost_while_nats_and_the_store_stay),
        cmocka_unit_test(whatever_goes_it_is_told_where_something_is_lost),
        cmocka_unit_test(whatever_goes_it_is_told_where_something_is_lost_by_the_store),
    };

    if (getenv("REPLICA_TEST"))
        cmocka_set_test_filter(getenv("REPLICA_TEST"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
