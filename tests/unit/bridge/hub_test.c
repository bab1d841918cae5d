/* Fan-out and resume: bridge/hub.c over a store on a script. */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "support/bridge_rig.h"
#include "support/fake_clock.h"

#define NOW INT64_C(1700000000000)
#define HOUR_MS (INT64_C(3600) * 1000)
#define ID(seq) "metrics.calculated-" #seq "-170000000000" #seq

static struct bridge_rig rig;
static int token;

static void begin(const struct bridge_rig_options *options)
{
    fake_clock_set_ms(NOW);
    bridge_rig_init(&rig, options);
}

static int tear_down(void **state)
{
    (void)state;
    bridge_rig_release(&rig);
    return 0;
}

/* Nine events in the store, each in a millisecond of its own, so that ID() names them; the last `recent` in memory. */
static void have_nine(size_t recent)
{
    begin(&(struct bridge_rig_options){.state = STORE_READY, .recent_events = recent});
    bridge_rig_subscribe(&rig, "acme", 1, &token);
    fake_store_answer(rig.store);
    for (int i = 1; i <= 9; i++) {
        fake_clock_set_ms(NOW + i);
        bridge_rig_publish(&rig, "acme", i);
    }
    fake_clock_set_ms(NOW + 10);
    bridge_rig_settle(&rig);
    fake_clock_set_ms(NOW + 10);
    assert_int_equal(fake_store_count(rig.store, "acme"), 9);
}

static struct hub_read make_read(const char *id, bool first)
{
    struct hub_read read = {.worker = 0, .token = &token, .first = first};

    assert_true(event_id_parse(id, strlen(id), &read.after));
    strcpy(read.requested, id);
    return read;
}

static struct hub_page *resume(const char *id)
{
    struct hub_read read = make_read(id, true);
    struct hub_page *page;

    bridge_rig_read(&rig, "acme", &read);
    fake_store_answer_all(rig.store);
    page = bridge_rig_take_page(&rig, 0);
    assert_ptr_equal(page->token, &token);
    return page;
}

static void release(struct hub_page *page)
{
    page->message.release(&page->message);
}

static void assert_sse(struct frame *frame, const char *expected)
{
    size_t size;
    const char *bytes = frame_bytes(frame, false, &size);
    char text[1024] = "";

    assert_true(size < sizeof text);
    memcpy(text, bytes, size);
    assert_string_equal(text, expected);
}

#define GAP(reason, requested, oldest, missed)                                                           \
    "event: stream.gap\ndata: {\"reason\":\"" reason "\",\"requested\":" requested ",\"oldest\":" oldest \
    ",\"missed\":" missed "}\n\n"

/* Checks that the page holds exactly the events first..last (none: 0, 0), and all there is; releases it. */
static void assert_page(struct hub_page *page, uint64_t first, uint64_t last)
{
    size_t count = first > 0 ? (size_t)(last - first + 1) : 0;

    assert_true(page->available);
    assert_true(page->last);
    assert_int_equal(page->count, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(frame_position(page->frames[i]).seq, first + i);
    release(page);
}

static void assert_no_gap(const char *id, uint64_t first, uint64_t last)
{
    struct hub_page *page = resume(id);

    assert_null(page->gap);
    assert_int_equal(page->reason, GAP_NONE);
    assert_page(page, first, last);
}

static void assert_gap(const char *id, const char *sse, enum gap_reason reason, uint64_t first, uint64_t last)
{
    struct hub_page *page = resume(id);

    assert_non_null(page->gap);
    assert_sse(page->gap, sse);
    assert_int_equal(page->reason, reason);
    assert_page(page, first, last);
}

/* Resume. */

static void an_id_in_memory_is_followed_by_what_came_after_it(void **state)
{
    (void)state;
    have_nine(100);
    assert_no_gap(ID(4), 5, 9);
    assert_no_gap(ID(1), 2, 9);
    assert_int_equal(metrics_get(rig.metrics, METRIC_REPLAY_HITS), 2);
}

static void an_id_in_the_store_is_followed_by_what_came_after_it(void **state)
{
    (void)state;
    have_nine(2);
    assert_no_gap(ID(1), 2, 9);
    assert_no_gap(ID(6), 7, 9);
}

static void the_id_in_front_of_memory_needs_no_store(void **state)
{
    (void)state;
    have_nine(2);
    fake_store_lose(rig.store, 0);
    bridge_rig_skip(&rig, 0);
    assert_no_gap(ID(7), 8, 9);
}

static void behind_the_head_there_is_nothing(void **state)
{
    (void)state;
    have_nine(2);
    assert_no_gap(ID(9), 0, 0);
}

static void the_head_is_known_after_all_events_are_gone(void **state)
{
    struct hub_read read;

    (void)state;
    have_nine(2);
    fake_store_trim(rig.store, "acme", 0);
    bridge_rig_unsubscribe(&rig, "acme", 1, &token);
    fake_clock_advance_ms(HOUR_MS);
    intake_tick(rig.intake);
    assert_null(bridge_rig_company(&rig, "acme"));
    read = make_read(ID(9), true);
    bridge_rig_read(&rig, "acme", &read);
    fake_store_answer_all(rig.store);
    assert_null(rig.mail[0]);
    assert_page(bridge_rig_take_page(&rig, 0), 0, 0);
}

static void a_start_id_is_followed_by_everything(void **state)
{
    (void)state;
    have_nine(100);
    assert_no_gap("start-0-1700000000000", 1, 9);
}

static void a_start_id_is_followed_by_everything_in_the_store(void **state)
{
    (void)state;
    have_nine(2);
    assert_no_gap("start-0-1700000000000", 1, 9);
}

static void a_start_id_behind_which_events_were_trimmed_is_expired(void **state)
{
    (void)state;
    have_nine(2);
    fake_store_trim(rig.store, "acme", 4);
    assert_gap("start-0-1700000000000", GAP("expired", "\"start-0-1700000000000\"", "\"" ID(6) "\"", "5"), GAP_EXPIRED,
               6, 9);
}

static void an_id_that_never_was_is_unknown(void **state)
{
    (void)state;
    have_nine(2);
    assert_gap("other-4-1700000000003", GAP("unknown_id", "\"other-4-1700000000003\"", "\"" ID(1) "\"", "null"),
               GAP_UNKNOWN_ID, 4, 9);
    assert_gap("other-9-1700000000008", GAP("unknown_id", "\"other-9-1700000000008\"", "\"" ID(8) "\"", "null"),
               GAP_UNKNOWN_ID, 9, 9);
    assert_int_equal(metrics_get(rig.metrics, METRIC_REPLAY_MISSES), 2);
}

static void an_id_from_the_future_is_unknown(void **state)
{
    (void)state;
    have_nine(2);
    assert_gap("other-99-1800000000000", GAP("unknown_id", "\"other-99-1800000000000\"", "\"" ID(8) "\"", "null"),
               GAP_UNKNOWN_ID, 0, 0);
}

static void an_expired_id_is_told_exactly_how_much_is_missing(void **state)
{
    (void)state;
    have_nine(2);
    fake_store_trim(rig.store, "acme", 3);
    assert_gap(ID(2), GAP("expired", "\"" ID(2) "\"", "\"" ID(7) "\"", "4"), GAP_EXPIRED, 7, 9);
}

static void an_expired_id_with_nothing_held_is_told_how_much_is_missing(void **state)
{
    (void)state;
    have_nine(1);
    fake_store_trim(rig.store, "acme", 0);
    assert_gap(ID(3), GAP("expired", "\"" ID(3) "\"", "null", "6"), GAP_EXPIRED, 0, 0);
}

static void events_past_the_retention_count_as_expired(void **state)
{
    (void)state;
    have_nine(1);
    fake_clock_set_ms(NOW + 6 + 24 * HOUR_MS);
    fake_store_set_cutoff(rig.store, (uint64_t)NOW + 6);
    assert_gap(ID(2), GAP("expired", "\"" ID(2) "\"", "\"" ID(6) "\"", "3"), GAP_EXPIRED, 6, 9);
}

static void nothing_is_missing_behind_the_last_event_that_was_trimmed(void **state)
{
    (void)state;
    have_nine(2);
    fake_store_trim(rig.store, "acme", 3);
    assert_no_gap(ID(6), 7, 9);
}

static void how_much_is_missing_is_not_known_across_a_new_numbering(void **state)
{
    (void)state;
    have_nine(2);
    fake_store_trim(rig.store, "acme", 3);
    fake_store_set_since(rig.store, "acme", (uint64_t)NOW + 5);
    assert_gap(ID(2), GAP("expired", "\"" ID(2) "\"", "\"" ID(7) "\"", "null"), GAP_EXPIRED, 7, 9);
}

static void without_the_store_an_id_that_left_memory_is_told_so(void **state)
{
    struct hub_page *page;

    (void)state;
    have_nine(2);
    fake_store_lose(rig.store, 0);
    bridge_rig_skip(&rig, 0);
    page = resume(ID(3));
    assert_sse(page->gap, GAP("replay_unavailable", "\"" ID(3) "\"", "\"" ID(8) "\"", "null"));
    assert_false(page->available);
    assert_int_equal(page->count, 0);
    release(page);
}

static void a_member_that_cannot_be_read_is_a_gap_in_the_page(void **state)
{
    struct hub_page *page;

    (void)state;
    have_nine(1);
    fake_store_drop_frame(rig.store, "acme", 4);
    fake_store_drop_frame(rig.store, "acme", 4);
    page = resume(ID(2));
    assert_null(page->gap);
    assert_int_equal(page->count, 6);
    assert_int_equal(frame_position(page->frames[1]).seq, 4);
    assert_int_equal(frame_kind(page->frames[2]), FRAME_CONTROL);
    assert_sse(page->frames[2], GAP("replay_unavailable", "null", "\"" ID(7) "\"", "2"));
    assert_int_equal(frame_position(page->frames[3]).seq, 7);
    release(page);
}

static void a_member_missing_behind_the_id_is_a_gap_too(void **state)
{
    struct hub_page *page;

    (void)state;
    have_nine(1);
    fake_store_drop_frame(rig.store, "acme", 2);
    page = resume(ID(2));
    assert_null(page->gap);
    assert_sse(page->frames[0], GAP("replay_unavailable", "null", "\"" ID(4) "\"", "1"));
    assert_int_equal(frame_position(page->frames[1]).seq, 4);
    release(page);
}

static void a_page_that_is_not_the_last_says_so(void **state)
{
    struct hub_page *page;

    (void)state;
    have_nine(1);
    fake_store_set_limits(rig.store, 3, 100);
    page = resume(ID(2));
    assert_false(page->last);
    assert_int_equal(page->count, 3);
    release(page);
    page = resume(ID(6));
    assert_true(page->last);
    assert_int_equal(page->count, 3);
    release(page);
}

static void further_pages_do_not_judge_the_place(void **state)
{
    struct hub_read read;
    struct hub_page *page;

    (void)state;
    have_nine(1);
    fake_store_trim(rig.store, "acme", 5);
    read = make_read(ID(3), false);
    bridge_rig_read(&rig, "acme", &read);
    fake_store_answer_all(rig.store);
    page = bridge_rig_take_page(&rig, 0);
    assert_null(page->gap);
    assert_sse(page->frames[0], GAP("replay_unavailable", "null", "\"" ID(5) "\"", "1"));
    assert_int_equal(frame_position(page->frames[1]).seq, 5);
    release(page);
}

static void a_hole_in_front_of_the_first_event_is_told_to_a_start_id(void **state)
{
    struct hub_page *page;

    (void)state;
    begin(&(struct bridge_rig_options){.state = STORE_READY, .recent_events = 2});
    bridge_rig_subscribe(&rig, "acme", 1, &token);
    bridge_rig_settle(&rig);
    bridge_rig_hole(&rig);
    for (int i = 1; i <= 5; i++)
        bridge_rig_publish(&rig, "acme", i);
    bridge_rig_settle(&rig);
    page = resume("start-0-1700000000000");
    assert_int_equal(page->reason, GAP_SOURCE);
    assert_page(page, 1, 5);
}

static void streams_at_the_same_place_share_a_reading(void **state)
{
    struct hub_read reads[3];

    (void)state;
    have_nine(1);
    for (unsigned i = 0; i < 3; i++) {
        reads[i] = make_read(ID(2), true);
        reads[i].worker = i == 1 ? 0 : 2;
        bridge_rig_read(&rig, "acme", &reads[i]);
    }
    assert_int_equal(fake_store_waiting(rig.store), 1);
    fake_store_answer(rig.store);
    bridge_rig_skip(&rig, 1);
    assert_page(bridge_rig_take_page(&rig, 0), 3, 9);
    assert_page(bridge_rig_take_page(&rig, 2), 3, 9);
    assert_page(bridge_rig_take_page(&rig, 2), 3, 9);
}

static void sharing_streams_are_told_their_own_id(void **state)
{
    struct hub_read one;
    struct hub_read other;
    struct hub_page *page;

    (void)state;
    have_nine(1);
    one = make_read("one-4-1700000000003", true);
    other = make_read("other-4-1700000000003", true);
    bridge_rig_read(&rig, "acme", &one);
    bridge_rig_read(&rig, "acme", &other);
    fake_store_answer_all(rig.store);
    for (int i = 0; i < 2; i++) {
        page = bridge_rig_take_page(&rig, 0);
        assert_sse(page->gap, i == 0 ? GAP("unknown_id", "\"other-4-1700000000003\"", "\"" ID(1) "\"", "null")
                                     : GAP("unknown_id", "\"one-4-1700000000003\"", "\"" ID(1) "\"", "null"));
        release(page);
    }
}

static void a_reading_waits_for_the_numbering(void **state)
{
    struct hub_read read;

    (void)state;
    have_nine(1);
    bridge_rig_unsubscribe(&rig, "acme", 1, &token);
    fake_clock_advance_ms(HOUR_MS);
    intake_tick(rig.intake);
    read = make_read(ID(2), true);
    bridge_rig_read(&rig, "acme", &read);
    bridge_rig_publish(&rig, "acme", 10);
    assert_null(bridge_rig_take(&rig, 0));
    assert_int_equal(fake_store_first(rig.store), FAKE_LOAD);
    fake_store_answer(rig.store);
    assert_int_equal(fake_store_first(rig.store), FAKE_READ);
    fake_store_answer(rig.store);
    assert_page(bridge_rig_take_page(&rig, 0), 3, 9);
}

static void readings_at_the_end_are_answered(void **state)
{
    struct hub_read read;

    (void)state;
    have_nine(1);
    read = make_read(ID(2), true);
    bridge_rig_read(&rig, "acme", &read);
    assert_int_equal(fake_store_waiting(rig.store), 1);
}

/* Fan-out. */

/* Checks that the next message to the worker is events with exactly these numbers. */
static void assert_events(unsigned worker, uint64_t first, uint64_t last)
{
    struct message *message = bridge_rig_take(&rig, worker);
    struct hub_events *events = (struct hub_events *)(void *)message;

    assert_non_null(message);
    assert_int_equal(message->type, HUB_EVENTS);
    assert_int_equal(events->count, last - first + 1);
    for (size_t i = 0; i < events->count; i++) {
        assert_int_equal(frame_position(events->events[i].frame).seq, first + i);
        assert_ptr_equal(events->events[i].token, &token);
    }
    message->release(message);
}

static void assert_nothing(unsigned worker)
{
    assert_null(bridge_rig_take(&rig, worker));
}

static void a_subscription_begins_with_what_is_in_memory(void **state)
{
    struct hub_snapshot *snapshot;

    (void)state;
    have_nine(3);
    bridge_rig_subscribe(&rig, "acme", 0, &token);
    snapshot = bridge_rig_take_snapshot(&rig, 0);
    assert_ptr_equal(snapshot->token, &token);
    assert_int_equal(snapshot->before.seq, 6);
    assert_int_equal(snapshot->count, 3);
    assert_int_equal(frame_position(snapshot->frames[0]).seq, 7);
    assert_string_equal(snapshot->head_id, ID(9));
    assert_true(snapshot->replay_ok);
    snapshot->message.release(&snapshot->message);
    assert_nothing(0);
}

static void a_company_without_events_has_a_start_id(void **state)
{
    struct hub_snapshot *snapshot;

    (void)state;
    begin(&(struct bridge_rig_options){.state = STORE_READY});
    bridge_rig_subscribe(&rig, "acme", 0, &token);
    assert_nothing(0);
    fake_store_answer(rig.store);
    snapshot = bridge_rig_take_snapshot(&rig, 0);
    assert_string_equal(snapshot->head_id, "start-0-1700000000000");
    assert_int_equal(snapshot->count, 0);
    snapshot->message.release(&snapshot->message);
}

static void frames_of_before_do_not_come_again_behind_the_snapshot(void **state)
{
    struct hub_snapshot *snapshot;

    (void)state;
    have_nine(100);
    bridge_rig_skip(&rig, 1);
    bridge_rig_publish(&rig, "acme", 10);
    bridge_rig_subscribe(&rig, "acme", 0, &token);
    bridge_rig_publish(&rig, "acme", 11);
    bridge_rig_flush_late(&rig);
    snapshot = bridge_rig_take_snapshot(&rig, 0);
    assert_int_equal(snapshot->count, 10);
    snapshot->message.release(&snapshot->message);
    assert_events(0, 11, 11);
    assert_nothing(0);
}

static void parked_frames_come_behind_the_snapshot(void **state)
{
    struct hub_snapshot *snapshot;

    (void)state;
    begin(&(struct bridge_rig_options){.state = STORE_READY});
    bridge_rig_subscribe(&rig, "acme", 0, &token);
    bridge_rig_publish(&rig, "acme", 1);
    bridge_rig_publish(&rig, "acme", 2);
    fake_store_answer(rig.store);
    bridge_rig_flush_late(&rig);
    snapshot = bridge_rig_take_snapshot(&rig, 0);
    assert_int_equal(snapshot->count, 0);
    snapshot->message.release(&snapshot->message);
    assert_events(0, 1, 2);
}

static void each_worker_gets_only_its_companies(void **state)
{
    (void)state;
    have_nine(100);
    bridge_rig_subscribe(&rig, "beta", 0, &token);
    bridge_rig_settle(&rig);
    bridge_rig_skip(&rig, 0);
    bridge_rig_skip(&rig, 1);
    bridge_rig_publish(&rig, "acme", 10);
    bridge_rig_flush_late(&rig);
    assert_nothing(0);
    assert_events(1, 10, 10);
    assert_nothing(2);
}

static void nothing_follows_the_end_of_a_subscription(void **state)
{
    struct message *message;

    (void)state;
    have_nine(100);
    bridge_rig_skip(&rig, 1);
    bridge_rig_publish(&rig, "acme", 10);
    bridge_rig_unsubscribe(&rig, "acme", 1, &token);
    bridge_rig_publish(&rig, "acme", 11);
    bridge_rig_flush_late(&rig);
    assert_events(1, 10, 10);
    message = bridge_rig_take(&rig, 1);
    assert_int_equal(message->type, HUB_UNSUBSCRIBED);
    assert_ptr_equal(((struct hub_unsubscribed *)(void *)message)->token, &token);
    message->release(message);
    assert_nothing(1);
}

static void a_page_never_overtakes_the_events_before_it(void **state)
{
    struct hub_read read;

    (void)state;
    have_nine(100);
    bridge_rig_subscribe(&rig, "acme", 0, &token);
    bridge_rig_skip(&rig, 0);
    bridge_rig_publish(&rig, "acme", 10);
    read = make_read(ID(4), true);
    bridge_rig_read(&rig, "acme", &read);
    assert_events(0, 10, 10);
    assert_page(bridge_rig_take_page(&rig, 0), 5, 10);
}

static void a_replay_state_never_overtakes_the_events_before_it(void **state)
{
    struct message *message;

    (void)state;
    have_nine(100);
    bridge_rig_skip(&rig, 1);
    bridge_rig_publish(&rig, "acme", 10);
    fake_store_lose(rig.store, 0);
    assert_events(1, 10, 10);
    message = bridge_rig_take(&rig, 1);
    assert_int_equal(message->type, HUB_REPLAY_STATE);
    message->release(message);
}

static void a_worker_that_is_behind_holds_the_intake_up(void **state)
{
    (void)state;
    have_nine(100);
    bridge_rig_skip(&rig, 1);
    atomic_store(&rig.workers[1].behind, HUB_BEHIND_MAX);
    assert_false(hub_is_behind(rig.hub));
    bridge_rig_publish(&rig, "acme", 10);
    bridge_rig_flush_late(&rig);
    assert_true(hub_is_behind(rig.hub));
}

static void have_windows(size_t max_waiting)
{
    begin(&(struct bridge_rig_options){.state = STORE_READY, .flush_window_ms = 5, .max_waiting = max_waiting});
    bridge_rig_subscribe(&rig, "acme", 0, &token);
    bridge_rig_settle(&rig);
    bridge_rig_skip(&rig, 0);
}

static void the_first_frame_leaves_at_once_and_the_next_gather(void **state)
{
    (void)state;
    have_windows(100);
    bridge_rig_publish(&rig, "acme", 1);
    hub_flush(rig.hub);
    assert_events(0, 1, 1);
    bridge_rig_publish(&rig, "acme", 2);
    bridge_rig_publish(&rig, "acme", 3);
    hub_flush(rig.hub);
    assert_nothing(0);
    fake_clock_advance_ms(5);
    hub_flush(rig.hub);
    assert_events(0, 2, 3);
    fake_clock_advance_ms(5);
    bridge_rig_publish(&rig, "acme", 4);
    hub_flush(rig.hub);
    assert_events(0, 4, 4);
}

static void many_that_wait_leave_before_the_window_ends(void **state)
{
    (void)state;
    have_windows(3);
    for (int i = 1; i <= 4; i++) {
        bridge_rig_publish(&rig, "acme", i);
        hub_flush(rig.hub);
    }
    assert_events(0, 1, 1);
    assert_events(0, 2, 4);
    assert_nothing(0);
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_id_in_memory_is_followed_by_what_came_after_it),
        TEST(an_id_in_the_store_is_followed_by_what_came_after_it),
        TEST(the_id_in_front_of_memory_needs_no_store),
        TEST(behind_the_head_there_is_nothing),
        TEST(the_head_is_known_after_all_events_are_gone),
        TEST(a_start_id_is_followed_by_everything),
        TEST(a_start_id_is_followed_by_everything_in_the_store),
        TEST(a_start_id_behind_which_events_were_trimmed_is_expired),
        TEST(an_id_that_never_was_is_unknown),
        TEST(an_id_from_the_future_is_unknown),
        TEST(an_expired_id_is_told_exactly_how_much_is_missing),
        TEST(an_expired_id_with_nothing_held_is_told_how_much_is_missing),
        TEST(events_past_the_retention_count_as_expired),
        TEST(nothing_is_missing_behind_the_last_event_that_was_trimmed),
        TEST(how_much_is_missing_is_not_known_across_a_new_numbering),
        TEST(without_the_store_an_id_that_left_memory_is_told_so),
        TEST(a_member_that_cannot_be_read_is_a_gap_in_the_page),
        TEST(a_member_missing_behind_the_id_is_a_gap_too),
        TEST(a_page_that_is_not_the_last_says_so),
        TEST(further_pages_do_not_judge_the_place),
        TEST(a_hole_in_front_of_the_first_event_is_told_to_a_start_id),
        TEST(streams_at_the_same_place_share_a_reading),
        TEST(sharing_streams_are_told_their_own_id),
        TEST(a_reading_waits_for_the_numbering),
        TEST(readings_at_the_end_are_answered),
        TEST(a_subscription_begins_with_what_is_in_memory),
        TEST(a_company_without_events_has_a_start_id),
        TEST(frames_of_before_do_not_come_again_behind_the_snapshot),
        TEST(parked_frames_come_behind_the_snapshot),
        TEST(each_worker_gets_only_its_companies),
        TEST(nothing_follows_the_end_of_a_subscription),
        TEST(a_page_never_overtakes_the_events_before_it),
        TEST(a_replay_state_never_overtakes_the_events_before_it),
        TEST(a_worker_that_is_behind_holds_the_intake_up),
        TEST(the_first_frame_leaves_at_once_and_the_next_gather),
        TEST(many_that_wait_leave_before_the_window_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
