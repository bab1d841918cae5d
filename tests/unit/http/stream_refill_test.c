/* OVERFLOW=refill: a client that falls behind is caught up, by http/stream_history.c and what stands around it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "support/fake_clock.h"
#include "support/stream_rig.h"

static struct stream_rig rig;

/* Two events may wait, the worker keeps one and the hub two: nearly everything comes from the store. */
static void begin(void)
{
    stream_rig_init(
        &rig, &(struct stream_rig_options){.refill = true, .buffer_events = 2, .ring_events = 1, .recent_events = 2});
    fake_store_set_limits(rig.bridge.store, 3, 1000);
}

static int tear_down(void **state)
{
    (void)state;
    stream_rig_release(&rig);
    return 0;
}

/* A client that has the first of the events 1 to `last`, in part, and waits for the rest. */
static struct fake_socket *fall_behind(bool chunked, int last)
{
    struct fake_socket *client = stream_rig_open_ready(&rig, chunked);

    fake_socket_set_capacity(client, 10);
    stream_rig_publish_singly(&rig, 1, last);
    return client;
}

static void a_client_that_fell_behind_gets_everything_and_then_live_events(void **state)
{
    struct fake_socket *client;

    (void)state;
    begin();
    client = fall_behind(true, 10);
    assert_int_equal(metrics_get(rig.metrics, METRIC_REFILLS), 0);
    stream_rig_read_all(&rig, client);
    stream_rig_publish_singly(&rig, 11, 12);
    stream_rig_assert_story(client, true, "ready @0 1 2 3 4 5 6 7 8 9 10 11 12");
    assert_int_equal(metrics_get(rig.metrics, METRIC_REFILLS), 1);
    assert_int_equal(metrics_get(rig.metrics, METRIC_DROPPED_SLOW_CONSUMER), 0);
    assert_int_equal(metrics_get(rig.metrics, METRIC_GAP_SLOW_CONSUMER), 0);
    assert_int_equal(metrics_get(rig.metrics, METRIC_REPLAY_EVENTS), 0);
}

static void what_memory_still_has_needs_no_refill(void **state)
{
    struct fake_socket *client;

    (void)state;
    stream_rig_init(&rig, &(struct stream_rig_options){.refill = true, .buffer_events = 2, .ring_events = 50});
    client = fall_behind(false, 30);
    stream_rig_read_all(&rig, client);
    stream_rig_assert_story(
        client, false, "ready @0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30");
    assert_int_equal(metrics_get(rig.metrics, METRIC_REFILLS), 0);
}

static void events_that_come_while_a_client_is_caught_up_follow_in_order(void **state)
{
    struct fake_socket *client;

    (void)state;
    begin();
    client = fall_behind(true, 10);
    fake_socket_set_capacity(client, 400);
    for (int i = 11; i <= 40; i++) {
        stream_rig_publish(&rig, "acme", i, i);
        stream_rig_settle(&rig);
        if (i % 3 == 0)
            stream_rig_read(client);
    }
    stream_rig_read_all(&rig, client);
    stream_rig_assert_story(
        client, true,
        "ready @0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 "
        "35 36 37 38 39 40");
}

static void holes_stand_in_their_place(void **state)
{
    struct fake_socket *client;

    (void)state;
    begin();
    client = fall_behind(true, 3);
    bridge_rig_hole(&rig.bridge);
    stream_rig_publish_singly(&rig, 4, 9);
    stream_rig_read_all(&rig, client);
    stream_rig_assert_story(client, true, "ready @0 1 2 3 gap(source,null) @3 4 5 6 7 8 9");
}

static void what_was_trimmed_is_told_exactly_and_in_its_place(void **state)
{
    struct fake_socket *client;

    (void)state;
    begin();
    client = fall_behind(true, 20);
    fake_store_trim(rig.bridge.store, "acme", 6);
    stream_rig_read_all(&rig, client);
    stream_rig_assert_story(client, true, "ready @0 1 gap(expired,13) 15 16 17 18 19 20");
    assert_int_equal(metrics_get(rig.metrics, METRIC_GAP_EXPIRED), 1);
}

static void a_hole_that_was_trimmed_is_told(void **state)
{
    struct fake_socket *client;

    (void)state;
    begin();
    client = fall_behind(true, 1);
    bridge_rig_hole(&rig.bridge);
    stream_rig_publish_singly(&rig, 2, 9);
    fake_store_trim(rig.bridge.store, "acme", 8);
    stream_rig_read_all(&rig, client);
    stream_rig_assert_story(client, true, "ready @0 1 gap(expired,null) 2 3 4 5 6 7 8 9");
}

/* Where the ring begins right behind the hole, nothing is missing by the numbers, and no page has anything in front of it. */
static void a_hole_that_memory_and_store_let_go_before_a_stream_is_ready_is_told(void **state)
{
    struct fake_socket *client;
    const struct stream *stream;

    (void)state;
    stream_rig_init(
        &rig, &(struct stream_rig_options){.refill = true, .buffer_events = 2, .ring_events = 2, .recent_events = 1});
    client = stream_rig_open(&rig, "acme", true, NULL, 10);
    stream_rig_settle(&rig);
    stream = worker_rig_stream(rig.worker, client);
    stream_rig_publish_singly(&rig, 1, 1);
    while (stream->cursor == 0) {
        stream_rig_read(client);
        stream_rig_turn(&rig);
    }
    bridge_rig_hole(&rig.bridge);
    stream_rig_publish_singly(&rig, 2, 3);
    fake_store_trim(rig.bridge.store, "acme", 2);
    stream_rig_read_all(&rig, client);
    stream_rig_assert_story(client, true, "1 gap(expired,null) 2 3 ready @3");
}

static void what_was_trimmed_before_the_first_event_is_told_too(void **state)
{
    struct fake_socket *client;

    (void)state;
    begin();
    client = stream_rig_open(&rig, "acme", true, NULL, 300);
    stream_rig_settle(&rig);
    stream_rig_publish_singly(&rig, 1, 20);
    fake_store_trim(rig.bridge.store, "acme", 5);
    stream_rig_read_all(&rig, client);
    stream_rig_assert_story(client, true, "ready @0 gap(expired,15) 16 17 18 19 20");
}

static void memory_goes_before_a_store_that_was_trimmed_further(void **state)
{
    struct fake_socket *client;

    (void)state;
    stream_rig_init(
        &rig, &(struct stream_rig_options){.refill = true, .buffer_events = 2, .ring_events = 4, .recent_events = 8});
    client = fall_behind(true, 20);
    fake_store_trim(rig.bridge.store, "acme", 2);
    stream_rig_read_all(&rig, client);
    stream_rig_assert_story(client, true, "ready @0 1 gap(expired,15) 17 18 19 20");
}

static void without_the_store_memory_serves_and_the_rest_is_a_gap_told_once(void **state)
{
    struct fake_socket *client;

    (void)state;
    begin();
    client = fall_behind(true, 10);
    fake_store_lose(rig.bridge.store, 0);
    stream_rig_publish_singly(&rig, 11, 20);
    stream_rig_read_all(&rig, client);
    /* 9 and 10 are the newest that the hub keeps in any case; what the store lacks it keeps besides. */
    stream_rig_assert_story(client, true,
                            "ready @0 1 lost gap(replay_unavailable,7) 9 10 11 12 13 14 15 16 17 18 19 20");
    fake_store_restore(rig.bridge.store);
    stream_rig_settle(&rig);
    stream_rig_publish_singly(&rig, 21, 22);
    stream_rig_assert_story(
        client, true, "ready @0 1 lost gap(replay_unavailable,7) 9 10 11 12 13 14 15 16 17 18 19 20 restored 21 22");
}

static void a_read_that_fails_is_a_gap_and_the_stream_goes_on(void **state)
{
    struct fake_socket *client;

    (void)state;
    begin();
    client = fall_behind(true, 10);
    fake_socket_set_capacity(client, LOTS_OF_ROOM);
    stream_rig_turn(&rig);
    assert_int_equal(worker_rig_asked(), 1);
    worker_rig_answer(&rig.bridge);
    assert_int_equal(fake_store_first(rig.bridge.store), FAKE_READ);
    fake_store_fail(rig.bridge.store, false, -11);
    stream_rig_read_all(&rig, client);
    stream_rig_assert_story(client, true, "ready @0 1 gap(replay_unavailable,7) 9 10");
}

static void a_client_of_some_events_gets_all_of_those(void **state)
{
    struct fake_socket *client;

    (void)state;
    begin();
    worker_rig_filter(rig.worker, "metric_updated");
    client = stream_rig_open_ready(&rig, true);
    fake_socket_set_capacity(client, 10);
    for (int i = 1; i <= 20; i++) {
        bridge_rig_publish_to(&rig.bridge, i % 3 == 0 ? "q2q.viewed" : "metrics.calculated", "acme", i);
        bridge_rig_flush(&rig.bridge);
        stream_rig_settle(&rig);
    }
    assert_null(worker_rig_stream(rig.worker, client)->backlog);
    stream_rig_read_all(&rig, client);
    stream_rig_assert_story(client, true, "ready @0 1 2 4 5 7 8 10 11 13 14 16 17 19 20");
}

static void a_client_that_never_reads_holds_a_page_for_a_short_time_only(void **state)
{
    struct fake_socket *client;
    struct stream *stream;

    (void)state;
    begin();
    client = fall_behind(true, 10);
    fake_socket_set_capacity(client, 400);
    stream_rig_settle(&rig);
    stream = worker_rig_stream(rig.worker, client);
    assert_non_null(stream->page);
    stream_rig_publish_singly(&rig, 11, 30);
    assert_true(stream->blocked);
    for (int i = 0; i < 4; i++) {
        fake_clock_advance_ms(30000);
        stream_rig_settle(&rig);
    }
    assert_null(stream->page);
    assert_null(stream->reading);
    stream_rig_read_all(&rig, client);
    stream_rig_assert_story(
        client, true, "ready @0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30");
}

static void a_stream_that_is_caught_up_can_be_drained(void **state)
{
    struct fake_socket *client;

    (void)state;
    begin();
    client = fall_behind(true, 10);
    fake_socket_set_capacity(client, 400);
    stream_rig_settle(&rig);
    worker_rig_drain(rig.worker);
    stream_rig_settle(&rig);
    stream_rig_read_all(&rig, client);
    assert_true(client->closed);
    stream_rig_assert_story(client, true, "ready @0 1 2 3 4 closing(shutdown) end");
}

static void a_heartbeat_comes_while_the_store_is_waited_for(void **state)
{
    struct fake_socket *client;

    (void)state;
    begin();
    client = fall_behind(true, 10);
    fake_socket_set_capacity(client, LOTS_OF_ROOM);
    stream_rig_turn(&rig);
    fake_clock_advance_ms(34000);
    stream_rig_turn(&rig);
    stream_rig_read_all(&rig, client);
    stream_rig_assert_story(client, true, "ready @0 1 beat 2 3 4 5 6 7 8 9 10");
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_client_that_fell_behind_gets_everything_and_then_live_events),
        TEST(what_memory_still_has_needs_no_refill),
        TEST(events_that_come_while_a_client_is_caught_up_follow_in_order),
        TEST(holes_stand_in_their_place),
        TEST(what_was_trimmed_is_told_exactly_and_in_its_place),
        TEST(a_hole_that_was_trimmed_is_told),
        TEST(a_hole_that_memory_and_store_let_go_before_a_stream_is_ready_is_told),
        TEST(what_was_trimmed_before_the_first_event_is_told_too),
        TEST(memory_goes_before_a_store_that_was_trimmed_further),
        TEST(without_the_store_memory_serves_and_the_rest_is_a_gap_told_once),
        TEST(a_read_that_fails_is_a_gap_and_the_stream_goes_on),
        TEST(a_client_of_some_events_gets_all_of_those),
        TEST(a_client_that_never_reads_holds_a_page_for_a_short_time_only),
        TEST(a_stream_that_is_caught_up_can_be_drained),
        TEST(a_heartbeat_comes_while_the_store_is_waited_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
