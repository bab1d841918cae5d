/* Who numbers the events: the rules of bridge/ownership.c, one by one, over a store that answers as the test wants. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "bridge/ownership.h"
#include "core/clock.h"
#include "replay/store_memory.h"
#include "support/fake_clock.h"
#include "support/fake_store.h"

enum { SENT_MAX = 64 };

static struct fake_store *fake;
static struct ownership *ownership;
static struct metrics *metrics;
static struct live_header sent[SENT_MAX];
static size_t sent_count;
static int begun;
static int ended;
static struct ownership_turn turn;

static const struct live_id own_id = {{5}};
static const struct live_id low_id = {{1}};
static const struct live_id high_id = {{9}};

static void on_send(void *context, struct live_header *header)
{
    (void)context;
    if (sent_count < SENT_MAX)
        sent[sent_count++] = *header;
}

static void on_began(void *context)
{
    (void)context;
    begun++;
}

static void on_ended(void *context)
{
    (void)context;
    ended++;
}

static void make(struct store *store)
{
    sent_count = 0;
    begun = 0;
    ended = 0;
    turn = (struct ownership_turn){.connected = true, .caught_up = true};
    metrics = metrics_new();
    ownership = ownership_new(&(struct ownership_options){
        .id = own_id,
        .store = store,
        .send = on_send,
        .began = on_began,
        .ended = on_ended,
        .metrics = metrics,
    });
}

static int set_up(void **state)
{
    (void)state;
    fake_clock_set_ms(INT64_C(1700000000000));
    fake = fake_store_new(STORE_READY);
    make(fake_store_base(fake));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    store_free(fake_store_base(fake));
    ownership_free(ownership);
    metrics_free(metrics);
    return 0;
}

static void run_after(int64_t ms)
{
    fake_clock_advance_ms(ms);
    turn.now_ns = clock_monotonic_ns();
    ownership_run(ownership, &turn);
}

/* Runs every 10 ms for so long; answers: the store answers. */
static void pass(int64_t ms, bool answers)
{
    for (; ms > 0; ms -= 10) {
        run_after(10);
        if (answers)
            fake_store_answer_all(fake);
    }
}

static bool owns(void)
{
    return ownership_is_owner(ownership) && ownership_may_number(ownership, clock_monotonic_ns());
}

static struct live_header header_of(enum live_type type, struct live_id from, uint64_t epoch, uint64_t batch)
{
    return (struct live_header){.type = type, .from = from, .epoch = epoch, .batch = batch};
}

static enum ownership_hearing hear(enum live_type type, struct live_id from, uint64_t epoch, uint64_t batch)
{
    struct live_header header = header_of(type, from, epoch, batch);

    return ownership_hear(ownership, &header, clock_monotonic_ns());
}

/* What was sent since the last call comes back. */
static void echo(void)
{
    for (size_t i = 0; i < sent_count; i++)
        (void)ownership_hear(ownership, &sent[i], clock_monotonic_ns());
    sent_count = 0;
}

static const struct live_header *last_sent(enum live_type type)
{
    for (size_t i = sent_count; i > 0; i--)
        if (sent[i - 1].type == type)
            return &sent[i - 1];
    return NULL;
}

static void become_owner(void)
{
    pass(500, true);
    assert_true(owns());
}

static void hold_by_another(uint64_t epoch, int64_t left_ms)
{
    fake_store_set_lease(fake, &(struct store_lease){.epoch = epoch, .left_ms = left_ms});
}

static void grant(uint64_t epoch)
{
    fake_store_set_lease(fake, &(struct store_lease){.mine = true, .epoch = epoch});
}

static void a_free_lease_is_claimed_when_no_owner_is_heard(void **state)
{
    (void)state;
    pass(140, true);
    assert_string_equal(fake_store_claim(fake)->holder, "");
    pass(60, true);
    assert_int_equal(strlen(fake_store_claim(fake)->holder), 2 * LIVE_ID_SIZE);
    assert_true(ownership_has_owner(ownership));
    assert_true(owns());
    assert_int_equal(begun, 1);
    assert_non_null(last_sent(LIVE_OWNER));
    assert_int_equal(fake_store_epoch(fake), 1);
}

static void a_lease_that_is_held_is_asked_for_again_when_it_ends(void **state)
{
    (void)state;
    hold_by_another(7, 100);
    pass(200, true);
    assert_false(owns());
    grant(8);
    pass(300, true);
    assert_true(owns());
    assert_int_equal(ownership_epoch(ownership), 8);
}

static void without_nats_nothing_is_claimed(void **state)
{
    (void)state;
    turn.connected = false;
    pass(3000, true);
    assert_string_equal(fake_store_claim(fake)->holder, "");
    assert_int_equal(sent_count, 0);
}

static void an_owner_that_is_heard_is_not_disturbed(void **state)
{
    (void)state;
    hear(LIVE_OWNER, low_id, 4, 0);
    for (int i = 0; i < 10; i++) {
        pass(300, true);
        hear(LIVE_OWNER, low_id, 4, 0);
    }
    assert_string_equal(fake_store_claim(fake)->holder, "");
    assert_int_equal(ownership_epoch(ownership), 4);
}

static void the_lease_of_an_owner_that_fell_silent_is_claimed_with_a_later_epoch(void **state)
{
    (void)state;
    hear(LIVE_OWNER, low_id, 4, 3);
    pass(1490, true);
    assert_string_equal(fake_store_claim(fake)->holder, "");
    pass(30, true);
    assert_int_equal(fake_store_claim(fake)->epoch, 5);
    pass(300, true);
    assert_true(owns());
    assert_int_equal(ownership_epoch(ownership), 5);
}

static void while_something_is_still_to_be_heard_nobody_is_silent(void **state)
{
    (void)state;
    hear(LIVE_OWNER, low_id, 4, 0);
    turn.caught_up = false;
    pass(5000, true);
    assert_string_equal(fake_store_claim(fake)->holder, "");
}

static void a_release_is_followed_at_once(void **state)
{
    (void)state;
    hear(LIVE_OWNER, low_id, 4, 0);
    pass(500, true);
    /* Of another than the owner it means nothing. */
    hear(LIVE_RELEASE, high_id, 4, 0);
    pass(20, true);
    assert_string_equal(fake_store_claim(fake)->holder, "");
    hear(LIVE_RELEASE, low_id, 4, 0);
    pass(20, true);
    assert_int_equal(fake_store_claim(fake)->epoch, 5);
}

static void the_lease_is_renewed_with_the_same_epoch(void **state)
{
    (void)state;
    become_owner();
    grant(1);
    pass(5000, true);
    assert_true(owns());
    assert_int_equal(fake_store_claim(fake)->epoch, 1);
    assert_int_equal(begun, 1);
    assert_int_equal(ended, 0);
}

static void who_loses_the_lease_ends(void **state)
{
    (void)state;
    become_owner();
    hold_by_another(2, 1000);
    pass(400, true);
    assert_false(owns());
    assert_int_equal(ended, 1);
    assert_int_equal(fake_store_epoch(fake), 0);
}

static void an_owner_without_the_store_goes_on_by_its_echo(void **state)
{
    (void)state;
    become_owner();
    fake_store_lose(fake, 0);
    for (int i = 0; i < 30; i++) {
        pass(100, true);
        echo();
        assert_true(owns());
    }
    assert_int_equal(begun, 1);
}

static void without_renewal_and_echo_it_ends_before_others_begin(void **state)
{
    (void)state;
    become_owner();
    pass(300, true);
    fake_store_lose(fake, 0);
    sent_count = 0;
    pass(1210, false);
    assert_false(owns());
    assert_int_equal(ended, 1);
}

static void an_owner_that_was_stopped_ends_before_it_numbers(void **state)
{
    (void)state;
    become_owner();
    fake_clock_advance_ms(20000);
    assert_false(ownership_may_number(ownership, clock_monotonic_ns()));
    assert_int_equal(ended, 1);
    /* Others may claim the lease first. */
    pass(200, false);
    assert_int_equal(fake_store_waiting(fake), 0);
}

static void an_owner_that_was_stopped_ends_before_it_forgets_its_peers(void **state)
{
    (void)state;
    become_owner();
    hear(LIVE_PEER, low_id, 1, 0);
    run_after(20000);
    assert_int_equal(ended, 1);
    assert_true(ownership_may_have_peers(ownership));
}

static void a_renewal_that_comes_after_the_end_begins_nothing(void **state)
{
    (void)state;
    become_owner();
    pass(400, false);
    assert_int_equal(fake_store_first(fake), FAKE_CLAIM);
    run_after(2000);
    assert_int_equal(ended, 1);
    grant(1);
    fake_store_answer(fake);
    assert_false(ownership_is_salvaging(ownership));
    pass(200, false);
    assert_int_equal(fake_store_claim(fake)->epoch, 1);
    pass(100, false);
    assert_int_equal(fake_store_claim(fake)->epoch, 2);
}

static void without_the_store_the_lowest_id_begins(void **state)
{
    (void)state;
    fake_store_lose(fake, 0);
    hear(LIVE_OWNER, high_id, 4, 0);
    for (int i = 0; i < 10; i++) {
        struct live_header peer = header_of(LIVE_PEER, low_id, 4, 0);

        peer.store_lost = true;
        pass(300, true);
        (void)ownership_hear(ownership, &peer, clock_monotonic_ns());
        echo();
    }
    assert_false(ownership_is_salvaging(ownership) || ownership_is_owner(ownership));
    /* The lowest one is gone after a while. */
    for (int i = 0; i < 50; i++) {
        pass(100, true);
        echo();
    }
    assert_true(owns());
    assert_true(ownership_epoch(ownership) > 4);
}

static void without_the_store_one_that_has_it_is_waited_for(void **state)
{
    (void)state;
    fake_store_lose(fake, 0);
    for (int i = 0; i < 20; i++) {
        hear(LIVE_PEER, high_id, 0, 0);
        pass(300, true);
        echo();
    }
    assert_false(ownership_is_salvaging(ownership) || ownership_is_owner(ownership));
}

static void begin_without_store(void)
{
    fake_store_lose(fake, 0);
    for (int i = 0; i < 30 && !ownership_is_owner(ownership); i++) {
        pass(100, true);
        echo();
    }
    assert_true(owns());
}

static void of_two_that_began_without_the_store_the_lower_id_stays(void **state)
{
    uint64_t epoch;

    (void)state;
    begin_without_store();
    epoch = ownership_epoch(ownership);
    assert_int_equal(hear(LIVE_OWNER, high_id, epoch, 0), OWNERSHIP_STALE);
    assert_true(owns());
    assert_int_equal(hear(LIVE_OWNER, low_id, epoch, 0), OWNERSHIP_HEARD);
    assert_false(owns());
    assert_int_equal(ended, 1);
}

static void an_owner_without_the_store_lets_one_go_on_that_has_it_and_knows_all(void **state)
{
    struct live_header peer = header_of(LIVE_PEER, high_id, 0, 0);

    (void)state;
    begin_without_store();
    peer.has_hole = true;
    for (int i = 0; i < 10; i++) {
        (void)ownership_hear(ownership, &peer, clock_monotonic_ns());
        pass(200, true);
        echo();
    }
    assert_true(owns());
    peer.has_hole = false;
    (void)ownership_hear(ownership, &peer, clock_monotonic_ns());
    pass(20, true);
    assert_false(owns());
    assert_non_null(last_sent(LIVE_RELEASE));
}

static void an_owner_without_nats_lets_others_go_on(void **state)
{
    (void)state;
    become_owner();
    hear(LIVE_PEER, high_id, 1, 0);
    turn.connected = false;
    run_after(10);
    assert_false(owns());
    assert_int_equal(strlen(fake_store_released_by(fake)), 2 * LIVE_ID_SIZE);
}

static void an_owner_of_whom_a_later_one_is_known_gives_up(void **state)
{
    (void)state;
    become_owner();
    hear(LIVE_PEER, high_id, 1, 0);
    assert_true(owns());
    hear(LIVE_PEER, high_id, 6, 0);
    assert_false(owns());
    pass(400, false);
    assert_int_equal(fake_store_claim(fake)->epoch, 7);
}

static void a_new_owner_waits_for_what_others_heard(void **state)
{
    (void)state;
    hear(LIVE_OWNER, low_id, 4, 3);
    hear(LIVE_PEER, high_id, 4, 0);
    hear(LIVE_RELEASE, low_id, 4, 3);
    pass(200, true);
    assert_true(ownership_is_salvaging(ownership));
    assert_int_equal(last_sent(LIVE_OWNER)->former_epoch, 4);
    assert_int_equal(last_sent(LIVE_OWNER)->former_batch, 3);
    hear(LIVE_SALVAGED, low_id, 5, 0);
    run_after(10);
    assert_true(ownership_is_salvaging(ownership));
    hear(LIVE_SALVAGED, high_id, 5, 0);
    run_after(10);
    assert_true(owns());
}

static void a_new_owner_does_not_wait_for_long(void **state)
{
    (void)state;
    hear(LIVE_OWNER, low_id, 4, 3);
    hear(LIVE_RELEASE, low_id, 4, 3);
    pass(170, true);
    assert_true(ownership_is_salvaging(ownership));
    pass(250, true);
    assert_true(owns());
}

static void what_an_earlier_owner_says_is_stale(void **state)
{
    (void)state;
    assert_int_equal(hear(LIVE_OWNER, low_id, 4, 0), OWNERSHIP_HEARD);
    assert_int_equal(hear(LIVE_OWNER, high_id, 3, 0), OWNERSHIP_STALE);
    assert_int_equal(hear(LIVE_FRAMES, high_id, 3, 1), OWNERSHIP_STALE);
    assert_int_equal(hear(LIVE_WELCOME, high_id, 3, 0), OWNERSHIP_STALE);
    assert_int_equal(ownership_epoch(ownership), 4);
}

static void batches_are_counted(void **state)
{
    (void)state;
    /* Not of one that has not said that it owns. */
    assert_int_equal(hear(LIVE_FRAMES, low_id, 4, 1), OWNERSHIP_STALE);
    assert_int_equal(hear(LIVE_OWNER, low_id, 4, 0), OWNERSHIP_HEARD);
    assert_int_equal(hear(LIVE_FRAMES, low_id, 4, 1), OWNERSHIP_HEARD);
    assert_int_equal(hear(LIVE_FRAMES, low_id, 4, 1), OWNERSHIP_STALE);
    assert_int_equal(hear(LIVE_FRAMES, low_id, 4, 0), OWNERSHIP_HEARD);
    assert_int_equal(hear(LIVE_FRAMES, low_id, 4, 3), OWNERSHIP_MISSED);
    assert_int_equal(hear(LIVE_FRAMES, low_id, 4, 4), OWNERSHIP_HEARD);
    assert_int_equal(hear(LIVE_OWNER, low_id, 4, 5), OWNERSHIP_MISSED);
    assert_int_equal(hear(LIVE_OWNER, low_id, 4, 5), OWNERSHIP_HEARD);
    /* A new owner counts from its beginning. */
    assert_int_equal(hear(LIVE_OWNER, high_id, 5, 0), OWNERSHIP_HEARD);
    assert_int_equal(hear(LIVE_FRAMES, high_id, 5, 1), OWNERSHIP_HEARD);
}

static void one_that_missed_messages_lets_others_go_first(void **state)
{
    (void)state;
    turn.may_have_hole = true;
    for (int i = 0; i < 9; i++) {
        hear(LIVE_PEER, high_id, 0, 0);
        pass(300, true);
    }
    assert_string_equal(fake_store_claim(fake)->holder, "");
    /* Not for ever. */
    for (int i = 0; i < 3; i++) {
        hear(LIVE_PEER, high_id, 0, 0);
        pass(300, true);
    }
    assert_true(owns());
}

static void one_that_missed_messages_does_not_wait_for_others_that_did(void **state)
{
    struct live_header peer = header_of(LIVE_PEER, high_id, 0, 0);

    (void)state;
    peer.has_hole = true;
    turn.may_have_hole = true;
    (void)ownership_hear(ownership, &peer, clock_monotonic_ns());
    pass(600, true);
    assert_true(owns() || ownership_is_salvaging(ownership));
}

static void a_hello_is_answered_at_once(void **state)
{
    (void)state;
    pass(100, true);
    sent_count = 0;
    hear(LIVE_HELLO, high_id, 0, 0);
    run_after(1);
    assert_non_null(last_sent(LIVE_PEER));
}

static void who_retires_gives_the_lease_back_and_never_takes_it_again(void **state)
{
    (void)state;
    become_owner();
    ownership_retire(ownership);
    assert_false(owns());
    assert_int_equal(ended, 1);
    assert_int_equal(strlen(fake_store_released_by(fake)), 2 * LIVE_ID_SIZE);
    assert_non_null(last_sent(LIVE_RELEASE));
    pass(5000, true);
    assert_false(ownership_is_owner(ownership));
}

static void a_lease_that_comes_when_an_owner_was_heard_is_given_back(void **state)
{
    (void)state;
    pass(200, false);
    assert_int_equal(fake_store_first(fake), FAKE_CLAIM);
    hear(LIVE_OWNER, low_id, 4, 0);
    fake_store_answer_all(fake);
    assert_false(ownership_is_salvaging(ownership));
    assert_int_equal(strlen(fake_store_released_by(fake)), 2 * LIVE_ID_SIZE);
}

static void with_a_store_in_memory_this_process_owns_for_ever(void **state)
{
    struct store_limits limits = {.ttl_ms = 1000, .max_events = 10, .max_bytes = 1000};
    struct store *memory = store_memory_new(&limits, 10000);

    (void)state;
    ownership_free(ownership);
    metrics_free(metrics);
    make(memory);
    assert_true(ownership_is_alone(ownership));
    run_after(100000);
    assert_true(owns());
    ownership_release(ownership, "no reason");
    assert_true(owns());
    assert_int_equal(sent_count, 0);
    store_free(memory);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_free_lease_is_claimed_when_no_owner_is_heard),
        TEST(a_lease_that_is_held_is_asked_for_again_when_it_ends),
        TEST(without_nats_nothing_is_claimed),
        TEST(an_owner_that_is_heard_is_not_disturbed),
        TEST(the_lease_of_an_owner_that_fell_silent_is_claimed_with_a_later_epoch),
        TEST(while_something_is_still_to_be_heard_nobody_is_silent),
        TEST(a_release_is_followed_at_once),
        TEST(the_lease_is_renewed_with_the_same_epoch),
        TEST(who_loses_the_lease_ends),
        TEST(an_owner_without_the_store_goes_on_by_its_echo),
        TEST(without_renewal_and_echo_it_ends_before_others_begin),
        TEST(an_owner_that_was_stopped_ends_before_it_numbers),
        TEST(an_owner_that_was_stopped_ends_before_it_forgets_its_peers),
        TEST(a_renewal_that_comes_after_the_end_begins_nothing),
        TEST(without_the_store_the_lowest_id_begins),
        TEST(without_the_store_one_that_has_it_is_waited_for),
        TEST(of_two_that_began_without_the_store_the_lower_id_stays),
        TEST(an_owner_without_the_store_lets_one_go_on_that_has_it_and_knows_all),
        TEST(an_owner_without_nats_lets_others_go_on),
        TEST(an_owner_of_whom_a_later_one_is_known_gives_up),
        TEST(a_new_owner_waits_for_what_others_heard),
        TEST(a_new_owner_does_not_wait_for_long),
        TEST(what_an_earlier_owner_says_is_stale),
        TEST(batches_are_counted),
        TEST(one_that_missed_messages_lets_others_go_first),
        TEST(one_that_missed_messages_does_not_wait_for_others_that_did),
        TEST(a_hello_is_answered_at_once),
        TEST(who_retires_gives_the_lease_back_and_never_takes_it_again),
        TEST(a_lease_that_comes_when_an_owner_was_heard_is_given_back),
        TEST(with_a_store_in_memory_this_process_owns_for_ever),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
