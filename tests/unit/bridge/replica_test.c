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
#include "support/replica_world.h"

enum { KINDS_MAX = 16 };

static struct replica_world world;

/* What went wrong, each kind with its shortest schedule. */
struct finding {
    const char *what;
    int count;
    uint64_t seed;
    int steps;
    char detail[512];
    char trace[WORLD_TRACE_MAX];
};

static struct finding findings[KINDS_MAX];
static int kinds;

static void note_finding(uint64_t seed)
{
    struct finding *finding = findings;

    if (!world.model.violation)
        return;
    while (finding < findings + kinds && strcmp(finding->what, world.model.violation) != 0)
        finding++;
    if (finding == findings + KINDS_MAX)
        return;
    if (finding == findings + kinds) {
        kinds++;
        *finding = (struct finding){.what = world.model.violation, .steps = INT32_MAX};
    }
    finding->count++;
    if (world.steps >= finding->steps)
        return;
    finding->steps = world.steps;
    finding->seed = seed;
    strcpy(finding->detail, world.model.detail);
    strcpy(finding->trace, world.trace);
}

static void report(void)
{
    for (int i = 0; i < kinds; i++)
        print_error("VIOLATION (%d times): %s: %s\n  seed %" PRIu64 ":%s\n", findings[i].count, findings[i].what,
                    findings[i].detail, findings[i].seed, findings[i].trace);
    assert_int_equal(kinds, 0);
    assert_int_equal(fake_messages_alive(), 0);
}

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
    note_finding(setting->seed);
    world_release(&world);
}

static void run_all_random(bool intact, bool forgetful)
{
    uint64_t first = number_or("REPLICA_SEED", 1);
    uint64_t count = number_or("REPLICA_SCHEDULES", 300);

    kinds = 0;
    print_message("seeds %" PRIu64 " to %" PRIu64 "\n", first, first + count - 1);
    for (uint64_t seed = first; seed < first + count; seed++)
        run_random(&(struct world_setting){
            .seed = seed, .replicas = 2 + (unsigned)(seed % 2), .intact = intact, .forgetful = forgetful});
    report();
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
    kinds = 0;
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
        note_finding(schedule);
        world_release(&world);
    }
    report();
}

/* Schedules of the faults that were found, each as short as it can be. */

static struct world_replica *owner;
static struct world_replica *follower;

/* Two replicas that know of each other, and promise to lose nothing. */
static void begin_pair(void)
{
    kinds = 0;
    fake_clock_set_ms(INT64_C(1700000000000));
    world_init(&world, &(struct world_setting){.seed = 1, .replicas = 2, .intact = true, .exhaustive = true});
    for (unsigned i = 0; i < 2; i++)
        world_start(&world, i);
    world_pass(&world, 2500);
    owner = &world.replicas[world_is_owner(&world.replicas[0]) ? 0 : 1];
    follower = &world.replicas[1 - owner->number];
    assert_true(world_is_owner(owner));
    assert_true(owner->covered && follower->covered);
    model_promise(&world.model);
}

static void end_schedule(void)
{
    if (!world.model.violation)
        world_finish(&world);
    note_finding(0);
    world_release(&world);
    report();
}

static void an_owner_that_was_stopped_numbers_nothing_that_waited_for_a_head(void **state)
{
    (void)state;
    begin_pair();
    world_publish(&world, 0, 0, false);
    world_deliver(owner, 1);
    world_stop(owner, 3);
    world_pass(&world, 5000);
    assert_true(world_is_owner(follower));
    world_continue(owner);
    world_turn(owner, 0);
    end_schedule();
}

/* At each time between two beats of the owner, since all depends on who asks for the lease first. */
static void one_that_came_lets_another_go_on_who_missed_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < 60; i++) {
        begin_pair();
        world_pass(&world, 50 * (i % 6));
        world_publish(&world, 0, 0, false);
        world_kill(owner, 0, 0);
        world_pass(&world, 600 + 100 * (i / 6));
        world_start(&world, owner->number);
        world_pass(&world, 3000);
        assert_true(world_is_owner(follower));
        end_schedule();
    }
}

/* It has heard of the owner that came meanwhile, and not yet what that one numbered. */
static void one_that_was_stopped_lets_another_go_on_who_was_not(void **state)
{
    (void)state;
    for (int ms = 0; ms < 300; ms += 20) {
        struct world_replica *next;
        struct world_replica *other;

        begin_pair();
        world_start(&world, 2);
        world_pass(&world, 2500);
        world_stop(owner, 0);
        world_pass(&world, 4000 + ms);
        next = world_is_owner(follower) ? follower : &world.replicas[2];
        other = world_is_owner(follower) ? &world.replicas[2] : follower;
        assert_true(world_is_owner(next));
        /* All that is known of the owner reaches both at once. */
        world_stop(other, 0);
        world_pass(&world, 400);
        world_publish(&world, 0, 0, false);
        world_kill(next, 0, 0);
        world_continue(owner);
        world_continue(other);
        world_pass(&world, 3000);
        end_schedule();
    }
}

/*
 * The owner thought itself alone, and told nobody: what follows in a company that was heard of before is still missing.
 */
static void what_an_owner_numbered_alone_reaches_one_that_was_stopped(void **state)
{
    (void)state;
    begin_pair();
    world_subscribe(owner, 0);
    world_stop(owner, 0);
    world_publish(&world, 0, 0, false);
    world_pass(&world, 4500);
    world_publish(&world, 0, 0, false);
    world_pass(&world, 100);
    world_continue(owner);
    world_pass(&world, 1000);
    assert_int_equal(owner->views[0].last.seq, 2);
    end_schedule();
}

/* It was stopped for so long that it must read from the store what it missed, and nobody else is left. */
static void who_takes_over_first_reads_what_it_missed(void **state)
{
    (void)state;
    begin_pair();
    world.model.intact = false;
    world_subscribe(follower, 0);
    for (int i = 0; i < 3; i++)
        world_publish(&world, 0, 0, false);
    world_pass(&world, 20);
    world_stop(follower, 0);
    world_pass(&world, 4000);
    for (int i = 0; i < 3; i++) {
        world_publish(&world, 0, 0, false);
        world_pass(&world, 20);
    }
    world_kill(owner, SIZE_MAX, SIZE_MAX);
    world_continue(follower);
    world_pass(&world, 4000);
    assert_true(follower->views[0].last.seq == 6);
    assert_false(follower->views[0].jumped);
    end_schedule();
}

static void a_company_that_is_heard_of_on_the_way_to_welcome_is_read_too(void **state)
{
    (void)state;
    begin_pair();
    world_stop(owner, 0);
    world_publish(&world, 0, 0, false);
    world_pass(&world, 4500);
    world_publish(&world, 0, 0, false);
    world_continue(owner);
    world_pass(&world, 1000);
    world_subscribe(owner, 0);
    world_pass(&world, 100);
    assert_int_equal(owner->views[0].last.seq, 2);
    end_schedule();
}

static void what_was_sent_and_not_heard_yet_is_not_said_to_be_stored(void **state)
{
    (void)state;
    begin_pair();
    world_publish(&world, 0, 0, false);
    world_pass(&world, 200);
    for (int i = 0; i < 3; i++)
        world_publish(&world, 0, 0, false);
    world_deliver(owner, SIZE_MAX);
    world_deliver(follower, SIZE_MAX);
    world_turn(owner, 512);
    fake_clock_advance_ms(350);
    world_turn(owner, 512);
    world_send(owner, SIZE_MAX);
    world_deliver(follower, SIZE_MAX);
    world_turn(follower, 512);
    world_kill(owner, 0, 0);
    end_schedule();
}

/* A renewal of its lease was on its way when it was stopped, and is answered when it has ended. */
static void an_owner_that_begins_again_is_heard(void **state)
{
    (void)state;
    begin_pair();
    world_publish(&world, 0, 0, false);
    world_pass(&world, 1000);
    while (fake_redis_waiting(owner->store) == 0) {
        fake_clock_advance_ms(10);
        world_turn(owner, 512);
    }
    world_stop(owner, 0);
    world_pass(&world, 1300);
    world_continue(owner);
    world_turn(owner, 512);
    world_publish(&world, 0, 0, false);
    end_schedule();
}

static void an_owner_leaves_when_another_knows_all(void **state)
{
    (void)state;
    for (int ms = 300; ms < 900; ms += 50) {
        begin_pair();
        world_kill(follower, 0, 0);
        world_pass(&world, 1000);
        world_start(&world, 2);
        world_pass(&world, ms);
        world_publish(&world, 0, 0, false);
        world_leave(owner);
        world_publish(&world, 0, 0, false);
        world_pass(&world, 2000);
        assert_false(owner->alive);
        end_schedule();
    }
}

/* It sends its last batch when it goes on, and hears only then that another has begun. */
static void one_that_came_does_not_listen_to_an_owner_that_was_stopped(void **state)
{
    (void)state;
    begin_pair();
    world_publish(&world, 0, 0, false);
    world_pass(&world, 1000);
    world_publish(&world, 1, 0, false);
    world_publish(&world, 0, 0, false);
    world_deliver(owner, 1);
    world_stop(owner, 2);
    world_pass(&world, 4000);
    assert_true(world_is_owner(follower));
    world_start(&world, 2);
    world_confirm(&world.replicas[2]);
    world_continue(owner);
    world_turn(owner, 0);
    world_send(owner, SIZE_MAX);
    world_deliver(&world.replicas[2], SIZE_MAX);
    world_turn(&world.replicas[2], 512);
    world_pass(&world, 2000);
    end_schedule();
}

/* The new owner does not have the company in memory, whose clients are another's. */
static void a_hole_reaches_the_clients_of_all_replicas(void **state)
{
    (void)state;
    begin_pair();
    world.model.intact = false;
    world_subscribe(follower, 0);
    world_publish(&world, 0, 0, false);
    world_pass(&world, 100);
    world_stop(follower, 0);
    world_kill(owner, SIZE_MAX, SIZE_MAX);
    world_publish(&world, 0, 0, false);
    world_start(&world, 2);
    world_pass(&world, 5000);
    assert_true(world_is_owner(&world.replicas[2]));
    world_continue(follower);
    world_pass(&world, 2000);
    end_schedule();
}

/* It has heard all that the next one sent, from its beginning on. */
static void an_owner_that_ended_knows_all(void **state)
{
    (void)state;
    begin_pair();
    world_stop(owner, 0);
    world_publish(&world, 0, 0, false);
    world_pass(&world, 1600);
    while (!world_is_owner(follower))
        world_pass(&world, 10);
    world_continue(owner);
    world_pass(&world, 50);
    world_publish(&world, 0, 0, false);
    world_kill(follower, 0, 0);
    world_pass(&world, 3000);
    end_schedule();
}

/* It was stopped for so long that it may have missed something; the lease is still its own. */
static void an_owner_that_was_stopped_lets_another_go_on_who_knows_all(void **state)
{
    (void)state;
    for (int ms = 0; ms < 300; ms += 50) {
        begin_pair();
        world_start(&world, 2);
        world_pass(&world, 2000 + ms);
        world_stop(owner, 0);
        world_pass(&world, 500);
        world_kill(follower, 0, 0);
        world_stop(&world.replicas[2], 0);
        world_publish(&world, 0, 0, false);
        world_pass(&world, 900);
        world_continue(&world.replicas[2]);
        world_pass(&world, 700);
        world_continue(owner);
        world_pass(&world, 3000);
        end_schedule();
    }
}

/* It was away, and what it had got before is in front of the hole. */
static void a_hole_stands_where_it_was(void **state)
{
    (void)state;
    begin_pair();
    world.model.intact = false;
    world_subscribe(owner, 0);
    world_publish(&world, 0, 0, false);
    world_pass(&world, 100);
    world_kill(follower, 0, 0);
    world_publish(&world, 0, 0, false);
    world_deliver(owner, SIZE_MAX);
    world_turn(owner, 512);
    world_cut_nats(owner, 0);
    world_publish(&world, 0, 0, false);
    world_restore_nats(owner);
    world_confirm(owner);
    world_publish(&world, 0, 0, false);
    world_pass(&world, 4000);
    end_schedule();
}

/* The store does not have it: it is repeated, and the newcomer appends it when it takes over. */
static void what_only_memory_has_is_handed_to_one_that_came(void **state)
{
    (void)state;
    begin_pair();
    world_publish(&world, 0, 0, false);
    world_pass(&world, 100);
    world_set_store(&world, true);
    world_publish(&world, 0, 0, false);
    world_pass(&world, 100);
    world_kill(follower, 0, 0);
    world_start(&world, 2);
    world_pass(&world, 1500);
    world_set_store(&world, false);
    world_kill(owner, 0, 0);
    world_pass(&world, 4000);
    end_schedule();
}

/*
 * One has the lease and no NATS, the other NATS and no store, so that it begins without: its epoch is the later one, and the
 * lease is the other's.
 */
static void two_who_have_half_each_agree_when_they_have_all(void **state)
{
    (void)state;
    begin_pair();
    world.model.intact = false;
    world_stop(follower, 0);
    world_pass(&world, 3500);
    world_cut_nats(owner, 0);
    world_cut_store(follower, 0);
    world_continue(follower);
    world_pass(&world, 6000);
    assert_true(world_is_owner(owner) && world_is_owner(follower));
    end_schedule();
}

/* It was noted while the store, which has older events, was not there. */
static void a_hole_in_front_of_what_the_store_knows_is_stored(void **state)
{
    (void)state;
    begin_pair();
    world.model.intact = false;
    world_publish(&world, 0, 0, false);
    world_pass(&world, 100);
    world_set_store(&world, true);
    world_kill(owner, 0, 0);
    world_kill(follower, 0, 0);
    world_publish(&world, 0, 0, false);
    world_start(&world, 2);
    world_pass(&world, 100);
    hub_subscribe(world.replicas[2].hub, replica_company(world.replicas[2].replica, model_company_names[0]), 0,
                  &world.replicas[2].views[0]);
    world.replicas[2].subscribed[0] = true;
    world_pass(&world, 4000);
    world_set_store(&world, false);
    end_schedule();
}

/* What is repeated for one that came says nothing of messages that come later. */
static void an_equal_message_behind_a_repeated_event_is_not_taken_for_it(void **state)
{
    (void)state;
    begin_pair();
    world_publish(&world, 0, 0, false);
    world_pass(&world, 20);
    world_start(&world, 2);
    world_pass(&world, 1500);
    world_publish(&world, 0, 0, true);
    world_deliver(follower, SIZE_MAX);
    world_kill(owner, 0, 0);
    world_pass(&world, 3000);
    end_schedule();
}

/* The owner has numbered it and lets it go from memory before it hears of the one that came. */
static void what_was_numbered_before_one_came_is_not_numbered_again(void **state)
{
    (void)state;
    begin_pair();
    world_publish(&world, 0, 0, false);
    world_kill(follower, 0, 0);
    world_pass(&world, 4000);
    world_start(&world, 2);
    for (int i = 0; i < 3; i++)
        world_publish(&world, 0, 0, false);
    world_deliver(&world.replicas[2], SIZE_MAX);
    world_deliver(owner, SIZE_MAX);
    for (int i = 0; i < 2; i++) {
        world_turn(owner, 512);
        world_carry_out(owner, SIZE_MAX);
    }
    world_turn(owner, 512);
    world_pass(&world, 2000);
    world_kill(owner, 0, 0);
    world_pass(&world, 3000);
    end_schedule();
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
        cmocka_unit_test(an_owner_that_was_stopped_numbers_nothing_that_waited_for_a_head),
        cmocka_unit_test(one_that_came_lets_another_go_on_who_missed_nothing),
        cmocka_unit_test(one_that_was_stopped_lets_another_go_on_who_was_not),
        cmocka_unit_test(what_an_owner_numbered_alone_reaches_one_that_was_stopped),
        cmocka_unit_test(who_takes_over_first_reads_what_it_missed),
        cmocka_unit_test(a_company_that_is_heard_of_on_the_way_to_welcome_is_read_too),
        cmocka_unit_test(what_was_sent_and_not_heard_yet_is_not_said_to_be_stored),
        cmocka_unit_test(an_owner_that_begins_again_is_heard),
        cmocka_unit_test(an_owner_leaves_when_another_knows_all),
        cmocka_unit_test(one_that_came_does_not_listen_to_an_owner_that_was_stopped),
        cmocka_unit_test(a_hole_reaches_the_clients_of_all_replicas),
        cmocka_unit_test(an_owner_that_ended_knows_all),
        cmocka_unit_test(an_owner_that_was_stopped_lets_another_go_on_who_knows_all),
        cmocka_unit_test(a_hole_stands_where_it_was),
        cmocka_unit_test(what_only_memory_has_is_handed_to_one_that_came),
        cmocka_unit_test(two_who_have_half_each_agree_when_they_have_all),
        cmocka_unit_test(a_hole_in_front_of_what_the_store_knows_is_stored),
        cmocka_unit_test(an_equal_message_behind_a_repeated_event_is_not_taken_for_it),
        cmocka_unit_test(what_was_numbered_before_one_came_is_not_numbered_again),
        cmocka_unit_test(every_short_schedule_loses_nothing),
        cmocka_unit_test(whoever_goes_nothing_is_lost_while_nats_and_the_store_stay),
        cmocka_unit_test(whatever_goes_it_is_told_where_something_is_lost),
        cmocka_unit_test(whatever_goes_it_is_told_where_something_is_lost_by_the_store),
    };

    if (getenv("REPLICA_TEST"))
        cmocka_set_test_filter(getenv("REPLICA_TEST"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
