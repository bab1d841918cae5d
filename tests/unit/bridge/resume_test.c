/* What a client is told that wants all events since a time: bridge/resume.c in bridge/hub.c, over a store on a script. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "support/fake_clock.h"
#include "support/hub_rig.h"

/* The first page since that time. */
static struct hub_page *since(int64_t unix_ms)
{
    struct hub_read read = {
        .token = &hub_token,
        .first = true,
        .since = true,
        .after = {.ms = (uint64_t)unix_ms - 1, .seq = EVENT_NUMBER_MAX},
    };

    bridge_rig_read(&hub_rig, "acme", &read);
    fake_store_answer_all(hub_rig.store);
    return bridge_rig_take_page(&hub_rig, 0);
}

static void assert_all(int64_t unix_ms, uint64_t first, uint64_t last)
{
    struct hub_page *page = since(unix_ms);

    assert_null(page->gap);
    assert_int_equal(page->reason, GAP_NONE);
    hub_rig_assert_page(page, first, last);
}

/* missed: as it stands in the gap. */
static void assert_gap(int64_t unix_ms, enum gap_reason reason, const char *missed, uint64_t first, uint64_t last)
{
    struct hub_page *page = since(unix_ms);
    char expected[64];
    char text[1024] = "";
    size_t size;
    const char *bytes;

    assert_non_null(page->gap);
    assert_int_equal(page->reason, reason);
    bytes = frame_bytes(page->gap, false, &size);
    assert_true(size < sizeof text);
    memcpy(text, bytes, size);
    assert_non_null(strstr(text, "\"requested\":null"));
    snprintf(expected, sizeof expected, "\"missed\":%s}", missed);
    assert_non_null(strstr(text, expected));
    hub_rig_assert_page(page, first, last);
}

/* The company has been quiet for so long that the store alone knows it. */
static void forget_company(void)
{
    bridge_rig_unsubscribe(&hub_rig, "acme", 1, &hub_token);
    fake_clock_advance_ms(INT64_C(20) * 60 * 1000);
    bridge_rig_tick(&hub_rig);
    assert_null(bridge_rig_company(&hub_rig, "acme"));
    bridge_rig_subscribe(&hub_rig, "acme", 1, &hub_token);
    bridge_rig_settle(&hub_rig);
    bridge_rig_skip(&hub_rig, 0);
}

static void everything_that_is_held_since_then_is_given(void **state)
{
    (void)state;
    hub_rig_have_nine(2);
    assert_all(HUB_NOW - HUB_HOUR_MS, 1, 9);
    assert_all(1, 1, 9);
    assert_all(HUB_NOW + 1, 1, 9);
    assert_all(HUB_NOW + 2, 2, 9);
    assert_all(HUB_NOW + 7, 7, 9);
    assert_all(HUB_NOW + 8, 8, 9);
    assert_all(HUB_NOW + 10, 0, 0);
    assert_int_equal(metrics_get(hub_rig.metrics, METRIC_REPLAY_MISSES), 0);
}

static void what_was_trimmed_later_than_that_is_expired(void **state)
{
    (void)state;
    hub_rig_have_nine(2);
    fake_store_trim(hub_rig.store, "acme", 4);
    assert_gap(HUB_NOW + 2, GAP_EXPIRED, "null", 6, 9);
    assert_gap(HUB_NOW + 5, GAP_EXPIRED, "null", 6, 9);
    /* The numbering began at that time: all that is not there is missing. */
    assert_gap(HUB_NOW + 1, GAP_EXPIRED, "5", 6, 9);
    assert_gap(1, GAP_EXPIRED, "5", 6, 9);
}

static void what_was_trimmed_earlier_than_that_is_no_gap(void **state)
{
    (void)state;
    hub_rig_have_nine(2);
    fake_store_trim(hub_rig.store, "acme", 4);
    assert_all(HUB_NOW + 6, 6, 9);
    assert_all(HUB_NOW + 7, 7, 9);
}

static void where_everything_was_trimmed_the_last_event_decides(void **state)
{
    (void)state;
    hub_rig_have_nine(1);
    fake_store_trim(hub_rig.store, "acme", 0);
    forget_company();
    assert_gap(HUB_NOW + 9, GAP_EXPIRED, "null", 0, 0);
    assert_all(HUB_NOW + 10, 0, 0);
}

/* Redis lets the whole log go by itself, and the head's floor stays behind. */
static void a_log_that_is_gone_with_its_floor_left_is_expired(void **state)
{
    (void)state;
    hub_rig_have_nine(1);
    while (fake_store_count(hub_rig.store, "acme") > 0)
        fake_store_drop_frame(hub_rig.store, "acme", 0);
    forget_company();
    assert_gap(HUB_NOW + 9, GAP_EXPIRED, "null", 0, 0);
    assert_gap(1, GAP_EXPIRED, "9", 0, 0);
    assert_all(HUB_NOW + 10, 0, 0);
}

static void what_a_store_lost_that_came_back_empty_is_told(void **state)
{
    (void)state;
    hub_rig_have_nine(2);
    fake_store_lose(hub_rig.store, 0);
    fake_store_drop_everything(hub_rig.store);
    fake_store_restore(hub_rig.store);
    bridge_rig_settle(&hub_rig);
    bridge_rig_skip(&hub_rig, 0);
    assert_int_equal(fake_store_count(hub_rig.store, "acme"), 2);
    assert_gap(HUB_NOW + 3, GAP_EXPIRED, "null", 8, 9);
    assert_gap(1, GAP_EXPIRED, "7", 8, 9);
    assert_all(HUB_NOW + 8, 8, 9);
}

static void of_a_company_without_events_nothing_is_missing(void **state)
{
    (void)state;
    hub_rig_begin(&(struct bridge_rig_options){.state = STORE_READY, .recent_events = 2});
    bridge_rig_subscribe(&hub_rig, "acme", 1, &hub_token);
    bridge_rig_settle(&hub_rig);
    assert_all(1, 0, 0);
    assert_all(HUB_NOW, 0, 0);
}

static void a_hole_in_front_of_the_first_event_is_told(void **state)
{
    (void)state;
    hub_rig_begin(&(struct bridge_rig_options){.state = STORE_READY, .recent_events = 2});
    bridge_rig_subscribe(&hub_rig, "acme", 1, &hub_token);
    bridge_rig_settle(&hub_rig);
    bridge_rig_hole(&hub_rig);
    for (int i = 1; i <= 5; i++)
        bridge_rig_publish(&hub_rig, "acme", i);
    bridge_rig_settle(&hub_rig);
    assert_gap(HUB_NOW - 1000, GAP_SOURCE, "null", 1, 5);
}

static void without_the_store_memory_is_given_and_the_rest_told(void **state)
{
    struct hub_page *page;

    (void)state;
    hub_rig_have_nine(2);
    fake_store_lose(hub_rig.store, 0);
    bridge_rig_skip(&hub_rig, 0);
    page = since(HUB_NOW + 3);
    assert_int_equal(page->reason, GAP_REPLAY_UNAVAILABLE);
    assert_false(page->available);
    assert_int_equal(page->count, 2);
    hub_rig_release(page);
    assert_all(HUB_NOW + 8, 8, 9);
}

/* An id too: a hole has the number of the event in front of it, and is none of those that are there. */
static void an_expired_id_in_front_of_a_hole_is_told_exactly_how_much_is_missing(void **state)
{
    struct hub_page *page;
    char text[1024] = "";
    size_t size;
    const char *bytes;

    (void)state;
    hub_rig_have_nine(1);
    bridge_rig_hole(&hub_rig);
    bridge_rig_publish(&hub_rig, "acme", 10);
    bridge_rig_settle(&hub_rig);
    bridge_rig_skip(&hub_rig, 0);
    fake_store_trim(hub_rig.store, "acme", 2);
    page = hub_rig_resume(HUB_ID(2));
    assert_int_equal(page->reason, GAP_EXPIRED);
    bytes = frame_bytes(page->gap, false, &size);
    memcpy(text, bytes, size);
    assert_non_null(strstr(text, "\"missed\":7}"));
    assert_int_equal(frame_kind(page->frames[0]), FRAME_HOLE);
    hub_rig_release(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HUB_TEST(everything_that_is_held_since_then_is_given),
        HUB_TEST(what_was_trimmed_later_than_that_is_expired),
        HUB_TEST(what_was_trimmed_earlier_than_that_is_no_gap),
        HUB_TEST(where_everything_was_trimmed_the_last_event_decides),
        HUB_TEST(a_log_that_is_gone_with_its_floor_left_is_expired),
        HUB_TEST(what_a_store_lost_that_came_back_empty_is_told),
        HUB_TEST(of_a_company_without_events_nothing_is_missing),
        HUB_TEST(a_hole_in_front_of_the_first_event_is_told),
        HUB_TEST(without_the_store_memory_is_given_and_the_rest_told),
        HUB_TEST(an_expired_id_in_front_of_a_hole_is_told_exactly_how_much_is_missing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
