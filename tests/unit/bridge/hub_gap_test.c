/* What a client is told that resumes where something is missing: bridge/hub.c over a store on a script. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "support/fake_clock.h"
#include "support/hub_rig.h"

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

static void assert_gap(const char *id, const char *sse, enum gap_reason reason, uint64_t first, uint64_t last)
{
    struct hub_page *page = hub_rig_resume(id);

    assert_non_null(page->gap);
    assert_sse(page->gap, sse);
    assert_int_equal(page->reason, reason);
    hub_rig_assert_page(page, first, last);
}

static void a_start_id_behind_which_events_were_trimmed_is_expired(void **state)
{
    (void)state;
    hub_rig_have_nine(2);
    fake_store_trim(hub_rig.store, "acme", 4);
    assert_gap("start-0-1700000000000", GAP("expired", "\"start-0-1700000000000\"", "\"" HUB_ID(6) "\"", "5"),
               GAP_EXPIRED, 6, 9);
}

static void an_id_that_never_was_is_unknown(void **state)
{
    (void)state;
    hub_rig_have_nine(2);
    assert_gap("other-4-1700000000003", GAP("unknown_id", "\"other-4-1700000000003\"", "\"" HUB_ID(1) "\"", "null"),
               GAP_UNKNOWN_ID, 4, 9);
    assert_gap("other-9-1700000000008", GAP("unknown_id", "\"other-9-1700000000008\"", "\"" HUB_ID(8) "\"", "null"),
               GAP_UNKNOWN_ID, 9, 9);
    assert_int_equal(metrics_get(hub_rig.metrics, METRIC_REPLAY_MISSES), 2);
}

static void an_id_from_the_future_is_unknown(void **state)
{
    (void)state;
    hub_rig_have_nine(2);
    assert_gap("other-99-1800000000000", GAP("unknown_id", "\"other-99-1800000000000\"", "\"" HUB_ID(8) "\"", "null"),
               GAP_UNKNOWN_ID, 0, 0);
}

static void an_expired_id_is_told_exactly_how_much_is_missing(void **state)
{
    (void)state;
    hub_rig_have_nine(2);
    fake_store_trim(hub_rig.store, "acme", 3);
    assert_gap(HUB_ID(2), GAP("expired", "\"" HUB_ID(2) "\"", "\"" HUB_ID(7) "\"", "4"), GAP_EXPIRED, 7, 9);
}

static void an_expired_id_with_nothing_held_is_told_how_much_is_missing(void **state)
{
    (void)state;
    hub_rig_have_nine(1);
    fake_store_trim(hub_rig.store, "acme", 0);
    assert_gap(HUB_ID(3), GAP("expired", "\"" HUB_ID(3) "\"", "\"" HUB_ID(9) "\"", "5"), GAP_EXPIRED, 0, 0);
}

static void events_past_the_retention_count_as_expired(void **state)
{
    (void)state;
    hub_rig_have_nine(1);
    fake_clock_set_ms(HUB_NOW + 6 + 24 * HUB_HOUR_MS);
    fake_store_set_cutoff(hub_rig.store, (uint64_t)HUB_NOW + 6);
    assert_gap(HUB_ID(2), GAP("expired", "\"" HUB_ID(2) "\"", "\"" HUB_ID(6) "\"", "3"), GAP_EXPIRED, 6, 9);
}

static void nothing_is_missing_behind_the_last_event_that_was_trimmed(void **state)
{
    (void)state;
    hub_rig_have_nine(2);
    fake_store_trim(hub_rig.store, "acme", 3);
    hub_rig_assert_no_gap(HUB_ID(6), 7, 9);
}

static void how_much_is_missing_is_not_known_across_a_new_numbering(void **state)
{
    (void)state;
    hub_rig_have_nine(2);
    fake_store_trim(hub_rig.store, "acme", 3);
    fake_store_set_since(hub_rig.store, "acme", (uint64_t)HUB_NOW + 5);
    assert_gap(HUB_ID(2), GAP("expired", "\"" HUB_ID(2) "\"", "\"" HUB_ID(7) "\"", "null"), GAP_EXPIRED, 7, 9);
}

static void without_the_store_an_id_that_left_memory_is_told_so(void **state)
{
    struct hub_page *page;

    (void)state;
    hub_rig_have_nine(2);
    fake_store_lose(hub_rig.store, 0);
    bridge_rig_skip(&hub_rig, 0);
    page = hub_rig_resume(HUB_ID(3));
    assert_sse(page->gap, GAP("replay_unavailable", "\"" HUB_ID(3) "\"", "\"" HUB_ID(8) "\"", "null"));
    assert_false(page->available);
    assert_true(page->last);
    assert_int_equal(page->count, 2);
    assert_int_equal(frame_position(page->frames[0]).seq, 8);
    assert_int_equal(page->floor.seq, 7);
    hub_rig_release(page);
}

static void a_member_that_cannot_be_read_is_a_gap_in_the_page(void **state)
{
    struct hub_page *page;

    (void)state;
    hub_rig_have_nine(1);
    fake_store_drop_frame(hub_rig.store, "acme", 4);
    fake_store_drop_frame(hub_rig.store, "acme", 4);
    page = hub_rig_resume(HUB_ID(2));
    assert_null(page->gap);
    assert_int_equal(page->count, 6);
    assert_int_equal(frame_position(page->frames[1]).seq, 4);
    assert_int_equal(frame_kind(page->frames[2]), FRAME_CONTROL);
    assert_sse(page->frames[2], GAP("replay_unavailable", "null", "\"" HUB_ID(7) "\"", "2"));
    assert_int_equal(frame_position(page->frames[3]).seq, 7);
    hub_rig_release(page);
}

static void further_pages_do_not_judge_the_place(void **state)
{
    struct hub_read read;
    struct hub_page *page;

    (void)state;
    hub_rig_have_nine(1);
    fake_store_trim(hub_rig.store, "acme", 5);
    read = hub_rig_make_read(HUB_ID(3), false);
    bridge_rig_read(&hub_rig, "acme", &read);
    fake_store_answer_all(hub_rig.store);
    page = bridge_rig_take_page(&hub_rig, 0);
    assert_null(page->gap);
    assert_int_equal(page->floor.seq, 4);
    assert_int_equal(frame_position(page->frames[0]).seq, 5);
    hub_rig_release(page);
}

static void a_hole_in_front_of_the_first_event_is_told_to_a_start_id(void **state)
{
    struct hub_page *page;

    (void)state;
    hub_rig_begin(&(struct bridge_rig_options){.state = STORE_READY, .recent_events = 2});
    bridge_rig_subscribe(&hub_rig, "acme", 1, &hub_token);
    bridge_rig_settle(&hub_rig);
    bridge_rig_hole(&hub_rig);
    for (int i = 1; i <= 5; i++)
        bridge_rig_publish(&hub_rig, "acme", i);
    bridge_rig_settle(&hub_rig);
    page = hub_rig_resume("start-0-1700000000000");
    assert_int_equal(page->reason, GAP_SOURCE);
    hub_rig_assert_page(page, 1, 5);
}

/* In the same millisecond, and of a company that was not in memory and whose head could not be read. */
static void a_hole_in_front_of_the_first_event_is_told_though_the_head_is_not_known(void **state)
{
    struct hub_page *page;

    (void)state;
    hub_rig_begin(&(struct bridge_rig_options){.state = STORE_READY});
    bridge_rig_hole(&hub_rig);
    bridge_rig_publish(&hub_rig, "acme", 1);
    assert_int_equal(fake_store_first(hub_rig.store), FAKE_LOAD);
    fake_store_fail(hub_rig.store, false, -EAGAIN);
    bridge_rig_settle(&hub_rig);
    page = hub_rig_resume("start-0-1700000000000");
    assert_non_null(page->gap);
    hub_rig_assert_page(page, 1, 1);
}

/* The store has events up to that number that this replica has not heard; those who are there have the first nine. */
static void miss_up_to(uint64_t last)
{
    hub_rig_have_nine(100);
    bridge_rig_skip(&hub_rig, 1);
    for (uint64_t seq = 10; seq <= last; seq++)
        fake_store_put(hub_rig.store, "acme", (struct event_position){.ms = (uint64_t)HUB_NOW + seq, .seq = seq});
}

static void fill(void)
{
    heads_fill(hub_rig.heads, bridge_rig_company(&hub_rig, "acme"));
    fake_store_answer_all(hub_rig.store);
}

/* What those who are there get next. */
static struct hub_events *take_events(size_t count)
{
    struct message *message;
    struct hub_events *events;

    hub_flush(hub_rig.hub);
    message = bridge_rig_take(&hub_rig, 1);
    assert_non_null(message);
    assert_int_equal(message->type, HUB_EVENTS);
    events = (struct hub_events *)(void *)message;
    assert_int_equal(events->count, count);
    return events;
}

/* As above, where a replica reads what it has not heard. */
static void a_member_that_cannot_be_read_is_a_hole_for_those_who_are_there(void **state)
{
    struct hub_events *events;

    (void)state;
    miss_up_to(14);
    fake_store_drop_frame(hub_rig.store, "acme", 10);
    fake_store_drop_frame(hub_rig.store, "acme", 10);
    fill();
    events = take_events(4);
    assert_int_equal(frame_position(events->events[0].frame).seq, 10);
    assert_int_equal(frame_kind(events->events[1].frame), FRAME_HOLE);
    assert_int_equal(gap_hole_reason(events->events[1].frame), GAP_SOURCE);
    assert_int_equal(frame_position(events->events[1].frame).seq, 12);
    assert_int_equal(frame_position(events->events[2].frame).seq, 13);
    assert_int_equal(frame_position(events->events[3].frame).seq, 14);
    events->message.release(&events->message);
}

/* What the store had last is not there any more, or cannot be read: who numbers next tells it. */
static void what_the_store_should_have_last_is_told_by_the_next_number(void **state)
{
    struct hub_events *events;

    (void)state;
    miss_up_to(12);
    fake_store_drop_frame(hub_rig.store, "acme", 11);
    fill();
    fake_clock_set_ms(HUB_NOW + 100);
    bridge_rig_publish(&hub_rig, "acme", 13);
    events = take_events(4);
    assert_int_equal(frame_position(events->events[0].frame).seq, 10);
    assert_int_equal(frame_position(events->events[1].frame).seq, 11);
    assert_int_equal(frame_kind(events->events[2].frame), FRAME_HOLE);
    assert_int_equal(frame_kind(events->events[3].frame), FRAME_EVENT);
    events->message.release(&events->message);
}

static void sharing_streams_are_told_their_own_id(void **state)
{
    struct hub_read one;
    struct hub_read other;
    struct hub_page *page;

    (void)state;
    hub_rig_have_nine(1);
    one = hub_rig_make_read("one-4-1700000000003", true);
    other = hub_rig_make_read("other-4-1700000000003", true);
    bridge_rig_read(&hub_rig, "acme", &one);
    bridge_rig_read(&hub_rig, "acme", &other);
    fake_store_answer_all(hub_rig.store);
    for (int i = 0; i < 2; i++) {
        page = bridge_rig_take_page(&hub_rig, 0);
        assert_sse(page->gap, i == 0 ? GAP("unknown_id", "\"other-4-1700000000003\"", "\"" HUB_ID(1) "\"", "null")
                                     : GAP("unknown_id", "\"one-4-1700000000003\"", "\"" HUB_ID(1) "\"", "null"));
        hub_rig_release(page);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HUB_TEST(a_start_id_behind_which_events_were_trimmed_is_expired),
        HUB_TEST(an_id_that_never_was_is_unknown),
        HUB_TEST(an_id_from_the_future_is_unknown),
        HUB_TEST(an_expired_id_is_told_exactly_how_much_is_missing),
        HUB_TEST(an_expired_id_with_nothing_held_is_told_how_much_is_missing),
        HUB_TEST(events_past_the_retention_count_as_expired),
        HUB_TEST(nothing_is_missing_behind_the_last_event_that_was_trimmed),
        HUB_TEST(how_much_is_missing_is_not_known_across_a_new_numbering),
        HUB_TEST(without_the_store_an_id_that_left_memory_is_told_so),
        HUB_TEST(a_member_that_cannot_be_read_is_a_gap_in_the_page),
        HUB_TEST(a_member_that_cannot_be_read_is_a_hole_for_those_who_are_there),
        HUB_TEST(what_the_store_should_have_last_is_told_by_the_next_number),
        HUB_TEST(further_pages_do_not_judge_the_place),
        HUB_TEST(a_hole_in_front_of_the_first_event_is_told_to_a_start_id),
        HUB_TEST(a_hole_in_front_of_the_first_event_is_told_though_the_head_is_not_known),
        HUB_TEST(sharing_streams_are_told_their_own_id),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
