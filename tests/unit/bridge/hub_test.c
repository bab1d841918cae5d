/* Fan-out and resume: bridge/hub.c over a store on a script. What resuming clients are told is in hub_gap_test.c. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "support/fake_clock.h"
#include "support/hub_rig.h"

/* Resume. */

static void an_id_in_memory_is_followed_by_what_came_after_it(void **state)
{
    (void)state;
    hub_rig_have_nine(100);
    hub_rig_assert_no_gap(HUB_ID(4), 5, 9);
    hub_rig_assert_no_gap(HUB_ID(1), 2, 9);
    assert_int_equal(metrics_get(hub_rig.metrics, METRIC_REPLAY_HITS), 2);
}

static void an_id_in_the_store_is_followed_by_what_came_after_it(void **state)
{
    (void)state;
    hub_rig_have_nine(2);
    hub_rig_assert_no_gap(HUB_ID(1), 2, 9);
    hub_rig_assert_no_gap(HUB_ID(6), 7, 9);
}

static void the_id_in_front_of_memory_needs_no_store(void **state)
{
    (void)state;
    hub_rig_have_nine(2);
    fake_store_lose(hub_rig.store, 0);
    bridge_rig_skip(&hub_rig, 0);
    hub_rig_assert_no_gap(HUB_ID(7), 8, 9);
}

static void behind_the_head_there_is_nothing(void **state)
{
    (void)state;
    hub_rig_have_nine(2);
    hub_rig_assert_no_gap(HUB_ID(9), 0, 0);
}

/* Another replica's, which has not been heard here yet: it comes as a live event. */
static void what_the_store_has_behind_the_head_is_no_history(void **state)
{
    (void)state;
    hub_rig_have_nine(2);
    fake_store_put(hub_rig.store, "acme", (struct event_position){.ms = HUB_NOW + 11, .seq = 10});
    hub_rig_assert_no_gap(HUB_ID(1), 2, 9);
    hub_rig_assert_no_gap(HUB_ID(6), 7, 9);
}

static void the_head_is_known_after_all_events_are_gone(void **state)
{
    struct hub_read read;

    (void)state;
    hub_rig_have_nine(2);
    fake_store_trim(hub_rig.store, "acme", 0);
    bridge_rig_unsubscribe(&hub_rig, "acme", 1, &hub_token);
    fake_clock_advance_ms(HUB_HOUR_MS);
    bridge_rig_tick(&hub_rig);
    assert_null(bridge_rig_company(&hub_rig, "acme"));
    read = hub_rig_make_read(HUB_ID(9), true);
    bridge_rig_read(&hub_rig, "acme", &read);
    fake_store_answer_all(hub_rig.store);
    assert_null(hub_rig.mail[0]);
    hub_rig_assert_page(bridge_rig_take_page(&hub_rig, 0), 0, 0);
}

static void a_start_id_is_followed_by_everything(void **state)
{
    (void)state;
    hub_rig_have_nine(100);
    hub_rig_assert_no_gap("start-0-1700000000000", 1, 9);
}

static void a_start_id_is_followed_by_everything_in_the_store(void **state)
{
    (void)state;
    hub_rig_have_nine(2);
    hub_rig_assert_no_gap("start-0-1700000000000", 1, 9);
}

static void a_page_that_is_not_the_last_says_so(void **state)
{
    struct hub_page *page;

    (void)state;
    hub_rig_have_nine(1);
    fake_store_set_limits(hub_rig.store, 3, 100);
    page = hub_rig_resume(HUB_ID(2));
    assert_false(page->last);
    assert_int_equal(page->count, 3);
    hub_rig_release(page);
    page = hub_rig_resume(HUB_ID(6));
    assert_true(page->last);
    assert_int_equal(page->count, 3);
    hub_rig_release(page);
}

static void streams_at_the_same_place_share_a_reading(void **state)
{
    struct hub_read reads[3];

    (void)state;
    hub_rig_have_nine(1);
    for (unsigned i = 0; i < 3; i++) {
        reads[i] = hub_rig_make_read(HUB_ID(2), true);
        reads[i].worker = i == 1 ? 0 : 2;
        bridge_rig_read(&hub_rig, "acme", &reads[i]);
    }
    assert_int_equal(fake_store_waiting(hub_rig.store), 1);
    fake_store_answer(hub_rig.store);
    bridge_rig_skip(&hub_rig, 1);
    hub_rig_assert_page(bridge_rig_take_page(&hub_rig, 0), 3, 9);
    hub_rig_assert_page(bridge_rig_take_page(&hub_rig, 2), 3, 9);
    hub_rig_assert_page(bridge_rig_take_page(&hub_rig, 2), 3, 9);
}

static void a_reading_waits_for_the_numbering(void **state)
{
    struct hub_read read;

    (void)state;
    hub_rig_have_nine(1);
    bridge_rig_unsubscribe(&hub_rig, "acme", 1, &hub_token);
    fake_clock_advance_ms(HUB_HOUR_MS);
    bridge_rig_tick(&hub_rig);
    read = hub_rig_make_read(HUB_ID(2), true);
    bridge_rig_read(&hub_rig, "acme", &read);
    bridge_rig_publish(&hub_rig, "acme", 10);
    assert_null(bridge_rig_take(&hub_rig, 0));
    assert_int_equal(fake_store_first(hub_rig.store), FAKE_LOAD);
    fake_store_answer(hub_rig.store);
    assert_int_equal(fake_store_first(hub_rig.store), FAKE_READ);
    fake_store_answer(hub_rig.store);
    hub_rig_assert_page(bridge_rig_take_page(&hub_rig, 0), 3, 9);
}

static void readings_at_the_end_are_answered(void **state)
{
    struct hub_read read;

    (void)state;
    hub_rig_have_nine(1);
    read = hub_rig_make_read(HUB_ID(2), true);
    bridge_rig_read(&hub_rig, "acme", &read);
    assert_int_equal(fake_store_waiting(hub_rig.store), 1);
}

/* Fan-out. */

/* Checks that the next message to the worker is events with exactly these numbers. */
static void assert_events(unsigned worker, uint64_t first, uint64_t last)
{
    struct message *message = bridge_rig_take(&hub_rig, worker);
    struct hub_events *events = (struct hub_events *)(void *)message;

    assert_non_null(message);
    assert_int_equal(message->type, HUB_EVENTS);
    assert_int_equal(events->count, last - first + 1);
    for (size_t i = 0; i < events->count; i++) {
        assert_int_equal(frame_position(events->events[i].frame).seq, first + i);
        assert_ptr_equal(events->events[i].token, &hub_token);
    }
    message->release(message);
}

static void assert_nothing(unsigned worker)
{
    assert_null(bridge_rig_take(&hub_rig, worker));
}

static void a_subscription_begins_with_what_is_in_memory(void **state)
{
    struct hub_snapshot *snapshot;

    (void)state;
    hub_rig_have_nine(3);
    bridge_rig_subscribe(&hub_rig, "acme", 0, &hub_token);
    snapshot = bridge_rig_take_snapshot(&hub_rig, 0);
    assert_ptr_equal(snapshot->token, &hub_token);
    assert_int_equal(snapshot->before.seq, 6);
    assert_int_equal(snapshot->count, 3);
    assert_int_equal(frame_position(snapshot->frames[0]).seq, 7);
    assert_string_equal(snapshot->head_id, HUB_ID(9));
    snapshot->message.release(&snapshot->message);
    assert_nothing(0);
}

/* The next snapshot for worker 0, of a company without events. */
static void assert_start(const char *id)
{
    struct hub_snapshot *snapshot = bridge_rig_take_snapshot(&hub_rig, 0);

    assert_string_equal(snapshot->head_id, id);
    assert_int_equal(snapshot->count, 0);
    snapshot->message.release(&snapshot->message);
}

/* The page for worker 0, with nothing in it, and nothing missing. */
static void assert_empty_page(void)
{
    struct hub_page *page = bridge_rig_take_page(&hub_rig, 0);

    assert_null(page->gap);
    hub_rig_assert_page(page, 0, 0);
}

static void a_company_without_events_has_a_start_id(void **state)
{
    (void)state;
    hub_rig_begin(&(struct bridge_rig_options){.state = STORE_READY});
    bridge_rig_subscribe(&hub_rig, "acme", 0, &hub_token);
    assert_nothing(0);
    fake_store_answer(hub_rig.store);
    assert_start("start-0-0");
}

/* It may have been numbered where the clock is behind, or while the company was loaded. */
static void a_start_id_is_in_front_of_an_event_that_is_older_than_the_stream(void **state)
{
    (void)state;
    hub_rig_begin(&(struct bridge_rig_options){.state = STORE_READY});
    bridge_rig_subscribe(&hub_rig, "acme", 0, &hub_token);
    fake_store_answer(hub_rig.store);
    assert_start("start-0-0");
    fake_clock_set_ms(HUB_NOW - HUB_HOUR_MS);
    bridge_rig_publish(&hub_rig, "acme", 1);
    bridge_rig_settle(&hub_rig);
    bridge_rig_skip(&hub_rig, 0);
    hub_rig_assert_no_gap("start-0-0", 1, 1);
}

/* Who comes now need not be told of what was missed before. */
static void a_start_id_is_behind_the_hole_that_is_noted(void **state)
{
    (void)state;
    hub_rig_begin(&(struct bridge_rig_options){.state = STORE_READY});
    bridge_rig_subscribe(&hub_rig, "acme", 1, &hub_token);
    fake_store_answer(hub_rig.store);
    store_note_hole(fake_store_base(hub_rig.store), HUB_NOW - 5);
    bridge_rig_subscribe(&hub_rig, "acme", 0, &hub_token);
    assert_start("start-0-1699999999996");
}

static void have_unknown_head(void)
{
    hub_rig_begin(&(struct bridge_rig_options){.state = STORE_READY});
    bridge_rig_subscribe(&hub_rig, "acme", 0, &hub_token);
    fake_store_fail(hub_rig.store, false, -EAGAIN);
    assert_start("start-0-1699999990000");
}

/* Others may have numbered by then what is heard here later. */
static void where_the_head_cannot_be_read_the_start_is_a_while_before(void **state)
{
    struct hub_read read;

    (void)state;
    have_unknown_head();
    read = hub_rig_make_read("start-0-1699999990000", true);
    bridge_rig_read(&hub_rig, "acme", &read);
    assert_empty_page();
}

static void an_event_of_a_company_whose_head_could_not_be_read_is_for_the_store_to_judge(void **state)
{
    (void)state;
    have_unknown_head();
    fake_store_put(hub_rig.store, "acme", (struct event_position){.ms = HUB_NOW - 7, .seq = 3});
    fake_store_put(hub_rig.store, "acme", (struct event_position){.ms = HUB_NOW - 5, .seq = 4});
    hub_rig_assert_no_gap("metrics.calculated-3-1699999999993", 4, 4);
}

static void frames_of_before_do_not_come_again_behind_the_snapshot(void **state)
{
    struct hub_snapshot *snapshot;

    (void)state;
    hub_rig_have_nine(100);
    bridge_rig_skip(&hub_rig, 1);
    bridge_rig_publish(&hub_rig, "acme", 10);
    bridge_rig_subscribe(&hub_rig, "acme", 0, &hub_token);
    bridge_rig_publish(&hub_rig, "acme", 11);
    bridge_rig_flush_late(&hub_rig);
    snapshot = bridge_rig_take_snapshot(&hub_rig, 0);
    assert_int_equal(snapshot->count, 10);
    snapshot->message.release(&snapshot->message);
    assert_events(0, 11, 11);
    assert_nothing(0);
}

static void parked_frames_come_behind_the_snapshot(void **state)
{
    struct hub_snapshot *snapshot;

    (void)state;
    hub_rig_begin(&(struct bridge_rig_options){.state = STORE_READY});
    bridge_rig_subscribe(&hub_rig, "acme", 0, &hub_token);
    bridge_rig_publish(&hub_rig, "acme", 1);
    bridge_rig_publish(&hub_rig, "acme", 2);
    fake_store_answer(hub_rig.store);
    bridge_rig_flush_late(&hub_rig);
    snapshot = bridge_rig_take_snapshot(&hub_rig, 0);
    assert_int_equal(snapshot->count, 0);
    snapshot->message.release(&snapshot->message);
    assert_events(0, 1, 2);
}

static void each_worker_gets_only_its_companies(void **state)
{
    (void)state;
    hub_rig_have_nine(100);
    bridge_rig_subscribe(&hub_rig, "beta", 0, &hub_token);
    bridge_rig_settle(&hub_rig);
    bridge_rig_skip(&hub_rig, 0);
    bridge_rig_skip(&hub_rig, 1);
    bridge_rig_publish(&hub_rig, "acme", 10);
    bridge_rig_flush_late(&hub_rig);
    assert_nothing(0);
    assert_events(1, 10, 10);
    assert_nothing(2);
}

static void nothing_follows_the_end_of_a_subscription(void **state)
{
    struct message *message;

    (void)state;
    hub_rig_have_nine(100);
    bridge_rig_skip(&hub_rig, 1);
    bridge_rig_publish(&hub_rig, "acme", 10);
    bridge_rig_unsubscribe(&hub_rig, "acme", 1, &hub_token);
    bridge_rig_publish(&hub_rig, "acme", 11);
    bridge_rig_flush_late(&hub_rig);
    assert_events(1, 10, 10);
    message = bridge_rig_take(&hub_rig, 1);
    assert_int_equal(message->type, HUB_UNSUBSCRIBED);
    assert_ptr_equal(((struct hub_mark *)(void *)message)->token, &hub_token);
    message->release(message);
    assert_nothing(1);
}

static void a_page_never_overtakes_the_events_before_it(void **state)
{
    struct hub_read read;

    (void)state;
    hub_rig_have_nine(100);
    bridge_rig_subscribe(&hub_rig, "acme", 0, &hub_token);
    bridge_rig_skip(&hub_rig, 0);
    bridge_rig_publish(&hub_rig, "acme", 10);
    read = hub_rig_make_read(HUB_ID(4), true);
    bridge_rig_read(&hub_rig, "acme", &read);
    assert_events(0, 10, 10);
    hub_rig_assert_page(bridge_rig_take_page(&hub_rig, 0), 5, 10);
}

static void a_replay_state_never_overtakes_the_events_before_it(void **state)
{
    struct message *message;

    (void)state;
    hub_rig_have_nine(100);
    bridge_rig_skip(&hub_rig, 1);
    bridge_rig_publish(&hub_rig, "acme", 10);
    fake_store_lose(hub_rig.store, 0);
    assert_events(1, 10, 10);
    message = bridge_rig_take(&hub_rig, 1);
    assert_int_equal(message->type, HUB_REPLAY_STATE);
    message->release(message);
}

static void a_worker_that_is_behind_holds_the_intake_up(void **state)
{
    (void)state;
    hub_rig_have_nine(100);
    bridge_rig_skip(&hub_rig, 1);
    atomic_store(&hub_rig.workers[1].behind, HUB_BEHIND_MAX);
    assert_false(hub_is_behind(hub_rig.hub));
    bridge_rig_publish(&hub_rig, "acme", 10);
    bridge_rig_flush_late(&hub_rig);
    assert_true(hub_is_behind(hub_rig.hub));
}

static void have_windows(size_t max_waiting)
{
    hub_rig_begin(&(struct bridge_rig_options){.state = STORE_READY, .flush_window_ms = 5, .max_waiting = max_waiting});
    bridge_rig_subscribe(&hub_rig, "acme", 0, &hub_token);
    bridge_rig_settle(&hub_rig);
    bridge_rig_skip(&hub_rig, 0);
}

static void the_first_frame_leaves_at_once_and_the_next_gather(void **state)
{
    (void)state;
    have_windows(100);
    bridge_rig_publish(&hub_rig, "acme", 1);
    hub_flush(hub_rig.hub);
    assert_events(0, 1, 1);
    bridge_rig_publish(&hub_rig, "acme", 2);
    bridge_rig_publish(&hub_rig, "acme", 3);
    hub_flush(hub_rig.hub);
    assert_nothing(0);
    fake_clock_advance_ms(5);
    hub_flush(hub_rig.hub);
    assert_events(0, 2, 3);
    fake_clock_advance_ms(5);
    bridge_rig_publish(&hub_rig, "acme", 4);
    hub_flush(hub_rig.hub);
    assert_events(0, 4, 4);
}

static void many_that_wait_leave_before_the_window_ends(void **state)
{
    (void)state;
    have_windows(3);
    for (int i = 1; i <= 4; i++) {
        bridge_rig_publish(&hub_rig, "acme", i);
        hub_flush(hub_rig.hub);
    }
    assert_events(0, 1, 1);
    assert_events(0, 2, 4);
    assert_nothing(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HUB_TEST(an_id_in_memory_is_followed_by_what_came_after_it),
        HUB_TEST(an_id_in_the_store_is_followed_by_what_came_after_it),
        HUB_TEST(the_id_in_front_of_memory_needs_no_store),
        HUB_TEST(behind_the_head_there_is_nothing),
        HUB_TEST(what_the_store_has_behind_the_head_is_no_history),
        HUB_TEST(the_head_is_known_after_all_events_are_gone),
        HUB_TEST(a_start_id_is_followed_by_everything),
        HUB_TEST(a_start_id_is_followed_by_everything_in_the_store),
        HUB_TEST(a_page_that_is_not_the_last_says_so),
        HUB_TEST(streams_at_the_same_place_share_a_reading),
        HUB_TEST(a_reading_waits_for_the_numbering),
        HUB_TEST(readings_at_the_end_are_answered),
        HUB_TEST(a_subscription_begins_with_what_is_in_memory),
        HUB_TEST(a_company_without_events_has_a_start_id),
        HUB_TEST(a_start_id_is_in_front_of_an_event_that_is_older_than_the_stream),
        HUB_TEST(a_start_id_is_behind_the_hole_that_is_noted),
        HUB_TEST(where_the_head_cannot_be_read_the_start_is_a_while_before),
        HUB_TEST(an_event_of_a_company_whose_head_could_not_be_read_is_for_the_store_to_judge),
        HUB_TEST(frames_of_before_do_not_come_again_behind_the_snapshot),
        HUB_TEST(parked_frames_come_behind_the_snapshot),
        HUB_TEST(each_worker_gets_only_its_companies),
        HUB_TEST(nothing_follows_the_end_of_a_subscription),
        HUB_TEST(a_page_never_overtakes_the_events_before_it),
        HUB_TEST(a_replay_state_never_overtakes_the_events_before_it),
        HUB_TEST(a_worker_that_is_behind_holds_the_intake_up),
        HUB_TEST(the_first_frame_leaves_at_once_and_the_next_gather),
        HUB_TEST(many_that_wait_leave_before_the_window_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
