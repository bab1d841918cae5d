/* Numbering: bridge/intake.c over a store on a script. */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "support/bridge_rig.h"
#include "support/fake_clock.h"
#include "support/fake_source.h"

#define NOW INT64_C(1700000000000)
#define MINUTE_MS (INT64_C(60) * 1000)

static struct bridge_rig rig;

static int set_up(void **state)
{
    (void)state;
    fake_clock_set_ms(NOW);
    bridge_rig_init(&rig, &(struct bridge_rig_options){.state = STORE_READY});
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    bridge_rig_release(&rig);
    assert_int_equal(fake_messages_alive(), 0);
    return 0;
}

/* The frame that many places behind the first one in memory. */
static struct frame *recent(const char *company, uint64_t index)
{
    const struct ring *ring = bridge_rig_company(&rig, company)->recent;

    assert_true(ring_begin(ring) + index < ring_end(ring));
    return ring_frame(ring, ring_begin(ring) + index);
}

static uint64_t recent_count(const char *company)
{
    const struct ring *ring = bridge_rig_company(&rig, company)->recent;

    return ring_end(ring) - ring_begin(ring);
}

static void assert_id(const char *company, uint64_t index, const char *expected)
{
    char id[EVENT_ID_SIZE];

    frame_id(recent(company, index), id);
    assert_string_equal(id, expected);
}

static void assert_number(const char *company, uint64_t index, int number)
{
    struct buffer payload = buffer_make(1024);
    char expected[128];

    snprintf(expected, sizeof expected, "{\"companyId\":\"%s\",\"n\":%d}", company, number);
    frame_append_payload(recent(company, index), &payload);
    buffer_append(&payload, "", 1);
    assert_string_equal(payload.data, expected);
    buffer_release(&payload);
}

static void numbers_are_dense_for_each_company(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        bridge_rig_publish(&rig, "acme", i);
        bridge_rig_publish(&rig, "beta", i);
        bridge_rig_publish(&rig, "beta", 10 + i);
    }
    bridge_rig_settle(&rig);
    for (uint64_t i = 0; i < 4; i++)
        assert_int_equal(frame_position(recent("acme", i)).seq, i + 1);
    for (uint64_t i = 0; i < 8; i++)
        assert_int_equal(frame_position(recent("beta", i)).seq, i + 1);
}

static void a_new_company_begins_with_one_and_the_time(void **state)
{
    (void)state;
    bridge_rig_publish(&rig, "acme", 1);
    fake_store_answer(rig.store);
    assert_id("acme", 0, "metrics.calculated-1-1700000000000");
    assert_int_equal(bridge_rig_company(&rig, "acme")->since_ms, NOW);
}

static void time_never_runs_backwards_in_ids(void **state)
{
    (void)state;
    bridge_rig_publish(&rig, "acme", 1);
    fake_store_answer(rig.store);
    fake_clock_set_ms(NOW - 5000);
    bridge_rig_publish(&rig, "acme", 2);
    fake_clock_set_ms(NOW + 7);
    bridge_rig_publish(&rig, "acme", 3);
    assert_id("acme", 1, "metrics.calculated-2-1700000000000");
    assert_id("acme", 2, "metrics.calculated-3-1700000000007");
}

static void numbering_goes_on_from_the_head_in_the_store(void **state)
{
    (void)state;
    fake_store_put(rig.store, "acme", (struct event_position){.ms = NOW - 1000, .seq = 41});
    bridge_rig_publish(&rig, "acme", 1);
    fake_store_answer(rig.store);
    assert_id("acme", 0, "metrics.calculated-42-1700000000000");
    assert_int_equal(bridge_rig_company(&rig, "acme")->since_ms, NOW - 1000);
}

static void a_head_in_the_future_keeps_its_time(void **state)
{
    (void)state;
    fake_store_put(rig.store, "acme", (struct event_position){.ms = NOW + 9000, .seq = 5});
    bridge_rig_publish(&rig, "acme", 1);
    fake_store_answer(rig.store);
    assert_id("acme", 0, "metrics.calculated-6-1700000009000");
}

static void without_the_store_numbering_starts_anew(void **state)
{
    (void)state;
    fake_store_put(rig.store, "acme", (struct event_position){.ms = NOW - 1000, .seq = 41});
    bridge_rig_publish(&rig, "acme", 1);
    fake_store_fail(rig.store, false, -EAGAIN);
    assert_id("acme", 0, "metrics.calculated-1-1700000000000");
    assert_true(bridge_rig_company(&rig, "acme")->unsynced);
}

static void a_numbering_not_yet_begun_adopts_a_head_that_comes_late(void **state)
{
    (void)state;
    fake_store_put(rig.store, "acme", (struct event_position){.ms = NOW - 1000, .seq = 41});
    bridge_rig_subscribe(&rig, "acme", 0, &rig);
    fake_store_fail(rig.store, false, -EAGAIN);
    bridge_rig_settle(&rig);
    bridge_rig_publish(&rig, "acme", 1);
    assert_id("acme", 0, "metrics.calculated-42-1700000000006");
}

static void messages_wait_in_order_while_the_head_is_loading(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        bridge_rig_publish(&rig, "acme", i);
    assert_int_equal(heads_parked(rig.heads), 5);
    assert_int_equal(fake_store_waiting(rig.store), 1);
    fake_store_answer(rig.store);
    assert_int_equal(heads_parked(rig.heads), 0);
    for (int i = 0; i < 5; i++) {
        assert_number("acme", (uint64_t)i, i);
        assert_int_equal(frame_position(recent("acme", (uint64_t)i)).seq, i + 1);
    }
}

static void parked_messages_hold_the_source_up(void **state)
{
    (void)state;
    for (int i = 0; i < 999; i++)
        bridge_rig_publish(&rig, "acme", i);
    assert_true(heads_may_park(rig.heads));
    bridge_rig_publish(&rig, "acme", 999);
    assert_false(heads_may_park(rig.heads));
    fake_store_answer(rig.store);
    assert_true(heads_may_park(rig.heads));
}

static void large_messages_that_are_parked_hold_the_source_up(void **state)
{
    enum { SIZE = 10000, MAX_BYTES = 100000 };
    char payload[SIZE + 1];

    (void)state;
    snprintf(payload, sizeof payload, "{\"companyId\":\"acme\",\"text\":\"%*s\"}", SIZE - 30, "");
    for (size_t bytes = 0; bytes < MAX_BYTES; bytes += strlen(payload)) {
        assert_true(heads_may_park(rig.heads));
        intake_take(rig.intake, &(struct source_item){.message = fake_message_new("metrics.x", payload)});
    }
    assert_false(heads_may_park(rig.heads));
    fake_store_answer(rig.store);
    assert_true(heads_may_park(rig.heads));
}

static void a_hole_keeps_its_place_among_parked_messages(void **state)
{
    (void)state;
    bridge_rig_publish(&rig, "acme", 1);
    bridge_rig_hole(&rig);
    bridge_rig_publish(&rig, "acme", 2);
    fake_store_answer(rig.store);
    assert_int_equal(recent_count("acme"), 3);
    assert_number("acme", 0, 1);
    assert_int_equal(frame_kind(recent("acme", 1)), FRAME_HOLE);
    assert_number("acme", 2, 2);
}

static void a_hole_has_the_number_before_it_and_a_time_of_its_own(void **state)
{
    (void)state;
    bridge_rig_publish(&rig, "acme", 1);
    fake_store_answer(rig.store);
    bridge_rig_hole(&rig);
    bridge_rig_hole(&rig);
    fake_clock_set_ms(NOW + 50);
    bridge_rig_hole(&rig);
    bridge_rig_publish(&rig, "acme", 2);
    assert_id("acme", 1, "hole-1-1700000000001");
    assert_id("acme", 2, "hole-1-1700000000002");
    assert_id("acme", 3, "hole-1-1700000000050");
    assert_id("acme", 4, "metrics.calculated-2-1700000000050");
}

static void places_increase_whatever_comes(void **state)
{
    struct event_position last = {0, 0};

    (void)state;
    bridge_rig_publish(&rig, "acme", 0);
    fake_store_answer(rig.store);
    for (int i = 1; i < 200; i++) {
        if (i % 7 == 0)
            bridge_rig_hole(&rig);
        if (i % 5 == 0)
            fake_clock_set_ms(NOW + (i * 37) % 100);
        bridge_rig_publish(&rig, "acme", i);
    }
    for (uint64_t i = 0; i < recent_count("acme"); i++) {
        assert_true(event_position_compare(last, frame_position(recent("acme", i))) < 0);
        last = frame_position(recent("acme", i));
    }
    assert_int_equal(last.seq, 200);
}

static void a_hole_reaches_every_company_in_memory(void **state)
{
    (void)state;
    bridge_rig_publish(&rig, "acme", 1);
    bridge_rig_publish(&rig, "beta", 1);
    bridge_rig_settle(&rig);
    bridge_rig_hole(&rig);
    assert_int_equal(frame_kind(recent("acme", 1)), FRAME_HOLE);
    assert_int_equal(frame_kind(recent("beta", 1)), FRAME_HOLE);
    assert_int_equal(store_noted_hole(fake_store_base(rig.store)), clock_unix_ms());
}

static void a_noted_hole_is_added_behind_an_older_head(void **state)
{
    (void)state;
    fake_store_put(rig.store, "acme", (struct event_position){.ms = NOW - 1000, .seq = 7});
    fake_clock_set_ms(NOW - 500);
    bridge_rig_hole(&rig);
    fake_clock_set_ms(NOW);
    bridge_rig_publish(&rig, "acme", 1);
    fake_store_answer(rig.store);
    assert_id("acme", 0, "hole-7-1699999999500");
    assert_id("acme", 1, "metrics.calculated-8-1700000000000");
}

static void a_noted_hole_is_not_added_behind_a_newer_head(void **state)
{
    (void)state;
    fake_store_put(rig.store, "acme", (struct event_position){.ms = NOW - 1000, .seq = 7});
    fake_clock_set_ms(NOW - 2000);
    bridge_rig_hole(&rig);
    fake_clock_set_ms(NOW);
    bridge_rig_publish(&rig, "acme", 1);
    fake_store_answer(rig.store);
    assert_int_equal(recent_count("acme"), 1);
    assert_id("acme", 0, "metrics.calculated-8-1700000000000");
}

static void a_quiet_company_is_forgotten_and_goes_on_where_it_was(void **state)
{
    (void)state;
    bridge_rig_publish(&rig, "acme", 1);
    bridge_rig_publish(&rig, "acme", 2);
    bridge_rig_settle(&rig);
    fake_clock_advance_ms(9 * MINUTE_MS);
    bridge_rig_tick(&rig);
    assert_non_null(bridge_rig_company(&rig, "acme"));
    fake_clock_advance_ms(2 * MINUTE_MS);
    bridge_rig_tick(&rig);
    assert_null(bridge_rig_company(&rig, "acme"));
    bridge_rig_publish(&rig, "acme", 3);
    fake_store_answer(rig.store);
    assert_int_equal(frame_position(recent("acme", 0)).seq, 3);
    assert_int_equal(bridge_rig_company(&rig, "acme")->since_ms, NOW + 6);
}

static void a_company_with_something_to_append_is_not_forgotten(void **state)
{
    (void)state;
    bridge_rig_publish(&rig, "acme", 1);
    fake_store_answer(rig.store);
    fake_store_lose(rig.store, 0);
    fake_clock_advance_ms(20 * MINUTE_MS);
    bridge_rig_tick(&rig);
    assert_non_null(bridge_rig_company(&rig, "acme"));
    fake_store_restore(rig.store);
    bridge_rig_settle(&rig);
    bridge_rig_tick(&rig);
    assert_null(bridge_rig_company(&rig, "acme"));
    assert_int_equal(fake_store_count(rig.store, "acme"), 1);
}

static void a_company_with_a_subscription_is_not_forgotten(void **state)
{
    (void)state;
    bridge_rig_subscribe(&rig, "acme", 0, &rig);
    bridge_rig_publish(&rig, "acme", 1);
    bridge_rig_settle(&rig);
    fake_clock_advance_ms(20 * MINUTE_MS);
    bridge_rig_tick(&rig);
    assert_non_null(bridge_rig_company(&rig, "acme"));
    bridge_rig_unsubscribe(&rig, "acme", 0, &rig);
    assert_null(bridge_rig_company(&rig, "acme"));
}

static void no_company_is_kept_for_mere_subscriptions(void **state)
{
    char name[32];

    (void)state;
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "guess-%d", i);
        bridge_rig_subscribe(&rig, name, 0, &rig);
        bridge_rig_settle(&rig);
        bridge_rig_unsubscribe(&rig, name, 0, &rig);
    }
    bridge_rig_settle(&rig);
    bridge_rig_tick(&rig);
    assert_int_equal(companies_count(rig.companies), 0);
}

static void a_hole_leaves_nothing_in_the_store_for_a_company_without_events(void **state)
{
    (void)state;
    bridge_rig_subscribe(&rig, "guess", 0, &rig);
    bridge_rig_settle(&rig);
    bridge_rig_hole(&rig);
    bridge_rig_settle(&rig);
    assert_int_equal(fake_store_count(rig.store, "guess"), 0);
    assert_int_equal(recent_count("guess"), 1);
    /* Nor when the store was away, or another replica appended until now. */
    fake_store_lose(rig.store, 0);
    fake_store_restore(rig.store);
    bridge_rig_settle(&rig);
    assert_int_equal(fake_store_count(rig.store, "guess"), 0);
    bridge_rig_unsubscribe(&rig, "guess", 0, &rig);
    bridge_rig_tick(&rig);
    assert_int_equal(companies_count(rig.companies), 0);
}

static void a_hole_in_the_millisecond_of_a_start_id_comes_behind_it(void **state)
{
    struct hub_snapshot *snapshot;
    struct event_position start;

    (void)state;
    bridge_rig_subscribe(&rig, "acme", 0, &rig);
    fake_store_answer(rig.store);
    snapshot = bridge_rig_take_snapshot(&rig, 0);
    assert_true(event_id_parse(snapshot->head_id, strlen(snapshot->head_id), &start));
    snapshot->message.release(&snapshot->message);
    bridge_rig_hole(&rig);
    assert_true(event_position_compare(start, frame_position(recent("acme", 0))) < 0);
}

static void what_is_no_event_is_refused_and_changes_nothing(void **state)
{
    static const char *const payloads[] = {
        "", "{", "[]", "{}", "{\"companyId\":1}", "{\"companyId\":\"-\"}", "{\"companyId\":\"a\",\"companyId\":\"b\"}"};

    (void)state;
    for (size_t i = 0; i < sizeof payloads / sizeof payloads[0]; i++)
        intake_take(rig.intake, &(struct source_item){.message = fake_message_new("metrics.x", payloads[i])});
    intake_take(rig.intake, &(struct source_item){.message = fake_message_new("other.x", "{\"companyId\":\"a\"}")});
    assert_int_equal(companies_count(rig.companies), 0);
    assert_int_equal(metrics_get(rig.metrics, METRIC_REJECTED_NOT_JSON), 2);
    assert_int_equal(metrics_get(rig.metrics, METRIC_REJECTED_NOT_OBJECT), 1);
    assert_int_equal(metrics_get(rig.metrics, METRIC_REJECTED_MISSING_COMPANY), 1);
    assert_int_equal(metrics_get(rig.metrics, METRIC_REJECTED_BAD_COMPANY), 2);
    assert_int_equal(metrics_get(rig.metrics, METRIC_REJECTED_DUPLICATE_COMPANY), 1);
    assert_int_equal(metrics_get(rig.metrics, METRIC_REJECTED_NO_EVENT_NAME), 1);
}

/* The library wakes a thread for each message that is freed alone. */
static void messages_are_freed_together(void **state)
{
    enum { MESSAGES = 1000, HELD_MAX = 64 };

    (void)state;
    for (int i = 0; i < MESSAGES; i++) {
        intake_take(rig.intake, &(struct source_item){.message = fake_message_new("metrics.x", "no JSON")});
        assert_true(fake_messages_alive() <= HELD_MAX);
    }
    assert_true(fake_messages_alive() > 1);
    intake_release(rig.intake);
    assert_int_equal(fake_messages_alive(), 0);
    intake_release(rig.intake);
}

static void large_messages_are_freed_soon(void **state)
{
    enum { MESSAGES = 20, BYTES = 100 * 1024, HELD_MAX = 2 };
    char *payload = malloc(BYTES + 1);

    (void)state;
    assert_non_null(payload);
    memset(payload, 'x', BYTES);
    payload[BYTES] = '\0';
    for (int i = 0; i < MESSAGES; i++) {
        intake_take(rig.intake, &(struct source_item){.message = fake_message_new("metrics.x", payload)});
        assert_true(fake_messages_alive() <= HELD_MAX);
    }
    free(payload);
}

static void messages_parked_at_the_end_are_freed(void **state)
{
    (void)state;
    bridge_rig_publish(&rig, "acme", 1);
    bridge_rig_hole(&rig);
    assert_int_equal(fake_messages_alive(), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(numbers_are_dense_for_each_company),
        TEST(a_new_company_begins_with_one_and_the_time),
        TEST(time_never_runs_backwards_in_ids),
        TEST(numbering_goes_on_from_the_head_in_the_store),
        TEST(a_head_in_the_future_keeps_its_time),
        TEST(without_the_store_numbering_starts_anew),
        TEST(a_numbering_not_yet_begun_adopts_a_head_that_comes_late),
        TEST(messages_wait_in_order_while_the_head_is_loading),
        TEST(parked_messages_hold_the_source_up),
        TEST(large_messages_that_are_parked_hold_the_source_up),
        TEST(a_hole_keeps_its_place_among_parked_messages),
        TEST(a_hole_has_the_number_before_it_and_a_time_of_its_own),
        TEST(places_increase_whatever_comes),
        TEST(a_hole_reaches_every_company_in_memory),
        TEST(a_noted_hole_is_added_behind_an_older_head),
        TEST(a_noted_hole_is_not_added_behind_a_newer_head),
        TEST(a_quiet_company_is_forgotten_and_goes_on_where_it_was),
        TEST(a_company_with_something_to_append_is_not_forgotten),
        TEST(a_company_with_a_subscription_is_not_forgotten),
        TEST(no_company_is_kept_for_mere_subscriptions),
        TEST(a_hole_leaves_nothing_in_the_store_for_a_company_without_events),
        TEST(a_hole_in_the_millisecond_of_a_start_id_comes_behind_it),
        TEST(what_is_no_event_is_refused_and_changes_nothing),
        TEST(messages_are_freed_together),
        TEST(large_messages_are_freed_soon),
        TEST(messages_parked_at_the_end_are_freed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
