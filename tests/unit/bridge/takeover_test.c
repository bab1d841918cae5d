/*
 * One replica goes on for another, step by step: the schedules of bridge/replica_test.c that found faults, each as short as it can be.
 * REPLICA_SHOW shows them, REPLICA_TEST chooses some by a pattern.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "support/fake_clock.h"
#include "support/fake_source.h"
#include "support/replica_pair.h"

static struct replica_world world;
static struct world_replica *owner;
static struct world_replica *follower;

static void begin_pair(void)
{
    struct replica_pair pair = replica_pair_begin(&world);

    owner = pair.owner;
    follower = pair.follower;
}

static void end_schedule(void)
{
    replica_pair_end(&world);
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

/* Takes and sends all that is on its way to it and from it, and lets its store do what it was asked for, or not. */
static void step(struct world_replica *replica, bool carry_out)
{
    world_deliver(replica, SIZE_MAX);
    world_turn(replica, SIZE_MAX);
    world_send(replica, SIZE_MAX);
    if (carry_out)
        world_carry_out(replica, SIZE_MAX);
}

/* Who asks for it is not answered before the store has it: there is no other way to it. */
static void what_nats_does_not_take_is_had_from_the_store(void **state)
{
    (void)state;
    begin_pair();
    world_subscribe(owner, 0);
    world_subscribe(follower, 0);
    world_publish(&world, 0, 0, false);
    world_pass(&world, 1000);
    assert_int_equal(follower->views[0].last.seq, 1);
    fake_source_set_max_payload(owner->source, 200);
    world_publish(&world, 0, 0, false);
    step(owner, false);
    assert_int_equal(owner->views[0].last.seq, 2);
    fake_source_set_max_payload(owner->source, 0);
    world_publish(&world, 0, 0, false);
    step(owner, false);
    for (int i = 0; i < 5; i++) {
        step(follower, true);
        step(owner, false);
        fake_clock_advance_ms(1);
    }
    assert_int_equal(follower->views[0].last.seq, 1);
    step(owner, true);
    world_pass(&world, 1000);
    assert_int_equal(follower->views[0].last.seq, 3);
    end_schedule();
}

/* Else its clients would have events that may be sent to nobody, should it die now. */
static void what_nats_does_not_take_waits_for_what_is_on_its_way(void **state)
{
    (void)state;
    begin_pair();
    world_subscribe(owner, 0);
    world_pass(&world, 100);
    world_publish(&world, 0, 0, false);
    world_publish(&world, 0, 0, false);
    world_deliver(owner, 1);
    world_turn(owner, SIZE_MAX);
    fake_source_set_max_payload(owner->source, 200);
    world_deliver(owner, 1);
    world_turn(owner, SIZE_MAX);
    assert_int_equal(owner->views[0].last.seq, 0);
    fake_source_set_max_payload(owner->source, 0);
    step(owner, false);
    step(owner, false);
    assert_int_equal(owner->views[0].last.seq, 2);
    world_pass(&world, 1000);
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

/* It waited for its company's head, and not for the owner's next sign of life. */
static void the_first_event_of_a_company_is_told_at_once(void **state)
{
    (void)state;
    begin_pair();
    world_subscribe(follower, 0);
    world_pass(&world, 20);
    for (int ms = 0; ms < 300; ms += 50) {
        world_publish(&world, 0, 0, false);
        world_pass(&world, 50);
        assert_int_equal(follower->views[0].last.seq, 1 + ms / 50);
    }
    end_schedule();
}

/* An hour ahead or behind, and back again: numbers and ids go on as if it were not, also over two takeovers. */
static void clocks_that_are_wrong_change_nothing(void **state)
{
    static const int64_t hour_ms = 3600000;

    (void)state;
    for (int i = 0; i < 4; i++) {
        begin_pair();
        world.skew_ms[i < 2 ? owner->number : follower->number] = i % 2 == 0 ? hour_ms : -hour_ms;
        world_subscribe(follower, 0);
        for (int n = 0; n < 3; n++) {
            world_publish(&world, 0, 0, false);
            world_pass(&world, 100);
        }
        world_publish(&world, 0, 0, false);
        world_kill(owner, 0, 0);
        world_pass(&world, 5000);
        assert_true(world_is_owner(follower));
        assert_int_equal(follower->views[0].last.seq, 4);
        world_start(&world, owner->number);
        world_pass(&world, 3000);
        world_subscribe(owner, 0);
        world_publish(&world, 0, 0, false);
        world_kill(follower, 0, 0);
        world_pass(&world, 5000);
        assert_true(world_is_owner(owner));
        assert_int_equal(owner->views[0].last.seq, 5);
        end_schedule();
    }
}

/* Of three the owner is gone, and the follower has asked for the lease: there is no answer yet. */
static void begin_asking(void)
{
    begin_pair();
    world_start(&world, 2);
    world_pass(&world, 2500);
    world_kill(owner, 0, 0);
    fake_redis_lose_lease(world.redis);
    for (int ms = 0; ms < 5000 && fake_redis_waiting(follower->store) == 0; ms += 10)
        world_pass(&world, 10);
}

/* Nobody else could number until it ends. */
static void who_leaves_gives_back_the_lease_that_it_has_asked_for(void **state)
{
    (void)state;
    begin_asking();
    world_leave(follower);
    world_turn(follower, 512);
    assert_false(follower->alive);
    assert_null(fake_redis_holder(world.redis));
    end_schedule();
}

/* It asked for the lease before it had missed anything. */
static void who_misses_messages_while_it_asks_for_the_lease_lets_others_go_on(void **state)
{
    (void)state;
    begin_asking();
    world_publish(&world, 0, 0, false);
    world_cut_nats(follower, 0);
    world_restore_nats(follower);
    world_confirm(follower);
    world_pass(&world, 4000);
    assert_true(world_is_owner(&world.replicas[2]));
    end_schedule();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_owner_that_was_stopped_numbers_nothing_that_waited_for_a_head),
        cmocka_unit_test(one_that_came_lets_another_go_on_who_missed_nothing),
        cmocka_unit_test(one_that_was_stopped_lets_another_go_on_who_was_not),
        cmocka_unit_test(what_an_owner_numbered_alone_reaches_one_that_was_stopped),
        cmocka_unit_test(what_nats_does_not_take_is_had_from_the_store),
        cmocka_unit_test(what_nats_does_not_take_waits_for_what_is_on_its_way),
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
        cmocka_unit_test(the_first_event_of_a_company_is_told_at_once),
        cmocka_unit_test(clocks_that_are_wrong_change_nothing),
        cmocka_unit_test(who_leaves_gives_back_the_lease_that_it_has_asked_for),
        cmocka_unit_test(who_misses_messages_while_it_asks_for_the_lease_lets_others_go_on),
    };

    if (getenv("REPLICA_TEST"))
        cmocka_set_test_filter(getenv("REPLICA_TEST"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
