/*
 * One replica goes on for another while NATS or the store is away, or the store has lost data: what is lost is told in its
 * place, and nothing comes twice. The schedules of bridge/replica_test.c that found faults, each as short as it can be.
 * REPLICA_SHOW shows them, REPLICA_TEST chooses some by a pattern.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "support/fake_clock.h"
#include "support/replica_pair.h"

static struct replica_world world;
static struct world_replica *owner;
static struct world_replica *follower;

/* Something may be lost here. */
static void begin_pair(void)
{
    struct replica_pair pair = replica_pair_begin(&world);

    world.model.intact = false;
    world.setting.intact = false;
    owner = pair.owner;
    follower = pair.follower;
}

static void end_schedule(void)
{
    replica_pair_end(&world);
}

static void publish_and_pass(int company, int64_t ms)
{
    world_publish(&world, 0, company, false);
    world_pass(&world, ms);
}

/* Until it says that it begins. */
static void pass_until_takeover(struct world_replica *replica)
{
    for (int ms = 0; ms < 5000 && metrics_get(replica->metrics, METRIC_TAKEOVERS) == 0; ms += 10)
        world_pass(&world, 10);
    assert_int_equal(metrics_get(replica->metrics, METRIC_TAKEOVERS), 1);
}

/* The next one took it for gone, told nobody what it numbered, and is gone itself. */
static void an_owner_that_was_stopped_does_not_number_again_what_another_did(void **state)
{
    (void)state;
    begin_pair();
    world_stop(owner, 0);
    world_pass(&world, 4000);
    assert_true(world_is_owner(follower));
    publish_and_pass(0, 50);
    world_kill(follower, 0, SIZE_MAX);
    world_continue(owner);
    world_turn(owner, 0);
    world_pass(&world, 4000);
    end_schedule();
}

/* It numbered without the store, and another with it: the store's order goes on in front of its own head. */
static void what_the_store_got_from_another_is_not_passed_over(void **state)
{
    (void)state;
    begin_pair();
    world_kill(follower, 0, 0);
    world_pass(&world, 2000);
    world_cut_store(owner, 0);
    world_pass(&world, 100);
    publish_and_pass(0, 10);
    world_subscribe(owner, 0);
    publish_and_pass(0, 400);
    world_stop(owner, 3);
    world_start(&world, 2);
    world_pass(&world, 1700);
    assert_true(world_is_owner(&world.replicas[2]));
    for (int i = 0; i < 4; i++)
        world_publish(&world, 0, 0, false);
    world_pass(&world, 50);
    world_restore_store(owner);
    world_continue(owner);
    world_pass(&world, 2000);
    end_schedule();
}

/* It found out about the hole while nobody owned, and would have asked the owner. */
static void who_takes_over_writes_down_the_hole_that_was_noted_before(void **state)
{
    (void)state;
    begin_pair();
    publish_and_pass(1, 400);
    world_kill(owner, 0, 0);
    world_kill(follower, 0, 0);
    world_publish(&world, 0, 1, false);
    world_start(&world, 0);
    world_pass(&world, 4000);
    world_stop(&world.replicas[0], 0);
    world_pass(&world, 1300);
    world_continue(&world.replicas[0]);
    world_turn(&world.replicas[0], 0);
    assert_false(world_is_owner(&world.replicas[0]));
    world_subscribe(&world.replicas[0], 1);
    world_pass(&world, 4000);
    assert_true(world_is_owner(&world.replicas[0]));
    end_schedule();
}

/* It had missed them, told that, and went on behind: they have no place any more. */
static void what_an_owner_told_to_be_missed_is_not_numbered_behind_it(void **state)
{
    struct world_replica *next = &world.replicas[2];

    (void)state;
    begin_pair();
    publish_and_pass(0, 400);
    world_kill(owner, 0, SIZE_MAX);
    world_cut_store(follower, 0);
    publish_and_pass(0, 20);
    publish_and_pass(0, 20);
    world_start(&world, 2);
    pass_until_takeover(next);
    world_pass(&world, 220);
    assert_true(world_is_owner(next));
    publish_and_pass(0, 20);
    world_turn(next, 512);
    world_kill(next, SIZE_MAX, SIZE_MAX);
    world_restore_store(follower);
    world_pass(&world, 4000);
    end_schedule();
}

/* The owner repeats nothing of it, since the store has it. */
static void what_cannot_be_read_from_the_store_is_told_by_who_numbers_next(void **state)
{
    (void)state;
    begin_pair();
    world_subscribe(follower, 0);
    publish_and_pass(0, 400);
    world_cut_nats(follower, 0);
    publish_and_pass(0, 400);
    publish_and_pass(0, 400);
    world_cut_store(follower, 0);
    world_restore_nats(follower);
    world_confirm(follower);
    world_pass(&world, 1500);
    world_kill(owner, 0, 0);
    world_pass(&world, 5000);
    assert_true(world_is_owner(follower));
    publish_and_pass(0, 400);
    end_schedule();
}

/* Frames are missed while the follower has no NATS; they are in the store, or with the owner alone. */
static void miss_frames(bool stored)
{
    world_subscribe(follower, 0);
    publish_and_pass(0, 400);
    world_cut_nats(follower, 0);
    for (int i = 0; i < 3; i++)
        publish_and_pass(0, stored ? 400 : 1);
}

static void come_back(void)
{
    world_restore_nats(follower);
    world_confirm(follower);
}

static void end_without_gap(void)
{
    world_pass(&world, 4000);
    assert_int_equal(metrics_get(follower->metrics, METRIC_REPLICA_BREAKS), 0);
    end_schedule();
}

static void what_the_store_cannot_give_now_is_fetched_when_it_is_back(void **state)
{
    (void)state;
    begin_pair();
    miss_frames(true);
    world_cut_store(follower, 0);
    come_back();
    world_pass(&world, 1500);
    publish_and_pass(0, 400);
    publish_and_pass(0, 1600);
    world_restore_store(follower);
    end_without_gap();
}

/* Told to those who wait, and not again. */
static void what_the_store_does_not_give_for_long_is_told(void **state)
{
    (void)state;
    begin_pair();
    miss_frames(true);
    world_cut_store(follower, 0);
    come_back();
    world_pass(&world, 1500);
    publish_and_pass(0, 3000);
    assert_int_equal(metrics_get(follower->metrics, METRIC_REPLICA_BREAKS), 0);
    world_pass(&world, 4000);
    assert_int_equal(metrics_get(follower->metrics, METRIC_REPLICA_BREAKS), 1);
    publish_and_pass(0, 400);
    assert_int_equal(metrics_get(follower->metrics, METRIC_REPLICA_BREAKS), 1);
    world_restore_store(follower);
    end_schedule();
}

/*
 * Who ended left a message to whoever goes on. One that came since has given it up; the other has it, says that it begins, and
 * is gone before it has numbered it.
 */
static void an_owner_that_has_not_begun_has_told_of_nothing_that_waits(void **state)
{
    struct world_replica *next = &world.replicas[2];

    (void)state;
    begin_pair();
    publish_and_pass(0, 400);
    world_stop(owner, 0);
    world_start(&world, 2);
    world_pass(&world, 60);
    world_continue(owner);
    world_leave(owner);
    world_publish(&world, 0, 0, false);
    world_deliver(next, SIZE_MAX);
    world_deliver(owner, SIZE_MAX);
    world_turn(owner, 0);
    assert_false(owner->alive);
    world_deliver(follower, SIZE_MAX);
    world_turn(follower, 512);
    world_stop(follower, 0);
    world_pass(&world, 400);
    world_continue(follower);
    pass_until_takeover(follower);
    world_kill(follower, SIZE_MAX, 0);
    world_pass(&world, 5000);
    assert_true(world_is_owner(next));
    end_schedule();
}

/* The events around it are there, and have no number between them. */
static void a_hole_that_the_store_lost_is_stored_again(void **state)
{
    (void)state;
    begin_pair();
    publish_and_pass(0, 400);
    world_kill(owner, 0, 0);
    world_kill(follower, 0, 0);
    world_publish(&world, 0, 0, false);
    world_start(&world, 0);
    world_pass(&world, 4000);
    publish_and_pass(0, 500);
    assert_int_equal(fake_redis_count(world.redis, model_company_names[0]), 3);
    world_lose_data(&world, 1000);
    assert_int_equal(fake_redis_count(world.redis, model_company_names[0]), 1);
    world_pass(&world, 100);
    world_set_store(&world, false);
    end_schedule();
}

/* It went out once and was lost, is repeated for one that came, and its owner is none any more when it hears it. */
static void what_is_heard_only_as_repeated_is_not_numbered_again(void **state)
{
    (void)state;
    begin_pair();
    publish_and_pass(0, 400);
    world_publish(&world, 0, 0, false);
    world_deliver(owner, SIZE_MAX);
    world_deliver(follower, SIZE_MAX);
    world_turn(owner, 512);
    world_cut_nats(owner, 0);
    world_cut_nats(follower, 0);
    world_restore_nats(owner);
    world_restore_nats(follower);
    world_confirm(follower);
    world_turn(follower, 512);
    world_send(follower, SIZE_MAX);
    world_deliver(owner, SIZE_MAX);
    world_confirm(owner);
    world_turn(owner, 512);
    world_pass(&world, 4000);
    end_schedule();
}

/* It reached the store late, when another had taken over and before that one had anything to append. */
static void a_late_append_of_a_former_owner_is_refused(void **state)
{
    (void)state;
    begin_pair();
    publish_and_pass(0, 400);
    world_stop(follower, 0);
    world_pass(&world, 4000);
    world_publish(&world, 0, 0, false);
    world_deliver(owner, SIZE_MAX);
    world_turn(owner, 512);
    fake_clock_advance_ms(10);
    world_turn(owner, 512);
    fake_redis_delay(owner->store);
    world_kill(owner, 0, 0);
    world_continue(follower);
    world_pass(&world, 5000);
    assert_true(world_is_owner(follower));
    assert_true(fake_redis_carry_out_late(world.redis));
    assert_int_equal(fake_redis_refused(world.redis), 1);
    end_schedule();
}

/* It came while the other was stopped, for less than others wait, and was gone before it had heard of it. */
static void who_has_just_come_does_not_number_as_if_it_were_alone(void **state)
{
    struct world_replica *next = &world.replicas[2];

    (void)state;
    begin_pair();
    publish_and_pass(0, 400);
    world_stop(follower, 0);
    world_leave(owner);
    world_turn(owner, 512);
    assert_false(owner->alive);
    world_start(&world, 2);
    world_pass(&world, 500);
    assert_true(world_is_owner(next));
    publish_and_pass(0, 50);
    world_leave(next);
    world_pass(&world, 100);
    assert_false(next->alive);
    world_continue(follower);
    world_pass(&world, 4000);
    end_schedule();
}

/* The store told it of the hole before the owner did, which had missed what it has itself. */
static void what_an_owner_missed_is_not_numbered_behind_it_by_who_read_of_the_hole(void **state)
{
    (void)state;
    begin_pair();
    world_cut_store(follower, 0);
    world_pass(&world, 400);
    world_stop(follower, 1);
    world_publish(&world, 0, 0, false);
    world_cut_nats(owner, 0);
    world_restore_nats(owner);
    world_confirm(owner);
    world_pass(&world, 1000);
    assert_true(world_is_owner(owner));
    publish_and_pass(0, 100);
    world_restore_store(follower);
    world_continue(follower);
    world_pass(&world, 100);
    world_kill(owner, SIZE_MAX, SIZE_MAX);
    world_pass(&world, 4000);
    end_schedule();
}

/* The first of them was heard as an event in the message that told of a hole, by which its own message was given up. */
static void an_equal_message_behind_a_hole_is_not_taken_for_the_one_before(void **state)
{
    (void)state;
    begin_pair();
    publish_and_pass(0, 400);
    world_cut_store(follower, 0);
    world_pass(&world, 400);
    world_cut_nats(owner, 0);
    world_restore_nats(owner);
    world_confirm(owner);
    world_restore_store(follower);
    world_publish(&world, 0, 0, false);
    publish_and_pass(0, 1000);
    world_publish(&world, 0, 0, true);
    world_kill(owner, 0, 0);
    world_pass(&world, 4000);
    assert_true(world_is_owner(follower));
    end_schedule();
}

/* What the owner said while it was stopped, it hears late: the owner had not told what this one has given up. */
static void who_was_stopped_for_a_moment_still_knows_that_it_misses_something(void **state)
{
    struct world_replica *next = &world.replicas[2];

    (void)state;
    begin_pair();
    publish_and_pass(0, 400);
    world_set_store(&world, true);
    publish_and_pass(0, 400);
    world_leave(owner);
    world_pass(&world, 50);
    world_start(&world, 2);
    publish_and_pass(0, 300);
    world_stop(next, 0);
    world_pass(&world, 1600);
    world_continue(next);
    world_turn(next, 512);
    world_pass(&world, 20);
    world_kill(follower, 0, 0);
    world_kill(owner, 0, 0);
    world_set_store(&world, false);
    world_pass(&world, 5000);
    assert_true(world_is_owner(next));
    end_schedule();
}

/* One began without the store, and one with it that had not heard of that: the later epoch stays, and knows what it missed. */
static void what_another_numbered_apart_is_not_numbered_again(void **state)
{
    (void)state;
    begin_pair();
    publish_and_pass(0, 400);
    world_set_store(&world, true);
    world_stop(owner, 0);
    world_cut_nats(owner, 0);
    world_pass(&world, 4000);
    assert_true(world_is_owner(follower));
    world_stop(follower, 2);
    world_set_store(&world, false);
    world_continue(owner);
    world_restore_nats(owner);
    world_pass(&world, 1500);
    assert_true(world_is_owner(owner));
    publish_and_pass(0, 50);
    publish_and_pass(0, 50);
    world_continue(follower);
    world_pass(&world, 4000);
    end_schedule();
}

/* Only a follower has clients of the company: the owner does not know of it when NATS comes back, and numbers its first event then. */
static void a_hole_in_front_of_the_first_event_is_told_where_only_a_follower_has_clients(void **state)
{
    (void)state;
    for (int ms = 0; ms < 2000; ms += 40) {
        begin_pair();
        world_subscribe(follower, 0);
        world_pass(&world, 200);
        world_cut_nats(owner, 0);
        world_cut_nats(follower, 0);
        publish_and_pass(0, 1000);
        world_restore_nats(owner);
        world_restore_nats(follower);
        world_pass(&world, ms);
        publish_and_pass(0, 400);
        end_schedule();
    }
}

/* Each takes the moment in which its client came for the company's beginning: where that is the owner's later one, nothing is missing. */
static void a_company_that_begins_without_the_store_has_no_hole_in_front(void **state)
{
    (void)state;
    for (int ms = 0; ms < 20; ms += 5) {
        begin_pair();
        world_set_store(&world, true);
        world_pass(&world, 1000);
        model_promise(&world.model);
        world_subscribe(follower, 0);
        world_pass(&world, ms);
        world_subscribe(owner, 0);
        world_pass(&world, 50);
        publish_and_pass(0, 400);
        end_schedule();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_owner_that_was_stopped_does_not_number_again_what_another_did),
        cmocka_unit_test(what_the_store_got_from_another_is_not_passed_over),
        cmocka_unit_test(who_takes_over_writes_down_the_hole_that_was_noted_before),
        cmocka_unit_test(what_an_owner_told_to_be_missed_is_not_numbered_behind_it),
        cmocka_unit_test(what_cannot_be_read_from_the_store_is_told_by_who_numbers_next),
        cmocka_unit_test(what_the_store_cannot_give_now_is_fetched_when_it_is_back),
        cmocka_unit_test(what_the_store_does_not_give_for_long_is_told),
        cmocka_unit_test(an_owner_that_has_not_begun_has_told_of_nothing_that_waits),
        cmocka_unit_test(a_hole_that_the_store_lost_is_stored_again),
        cmocka_unit_test(what_is_heard_only_as_repeated_is_not_numbered_again),
        cmocka_unit_test(a_late_append_of_a_former_owner_is_refused),
        cmocka_unit_test(who_has_just_come_does_not_number_as_if_it_were_alone),
        cmocka_unit_test(what_an_owner_missed_is_not_numbered_behind_it_by_who_read_of_the_hole),
        cmocka_unit_test(an_equal_message_behind_a_hole_is_not_taken_for_the_one_before),
        cmocka_unit_test(who_was_stopped_for_a_moment_still_knows_that_it_misses_something),
        cmocka_unit_test(what_another_numbered_apart_is_not_numbered_again),
        cmocka_unit_test(a_hole_in_front_of_the_first_event_is_told_where_only_a_follower_has_clients),
        cmocka_unit_test(a_company_that_begins_without_the_store_has_no_hole_in_front),
    };

    if (getenv("REPLICA_TEST"))
        cmocka_set_test_filter(getenv("REPLICA_TEST"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
