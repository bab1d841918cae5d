/* Streams that begin with all events since a time: http/stream_history.c and what stands around it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/clock.h"
#include "support/fake_clock.h"
#include "support/stream_rig.h"

static struct stream_rig rig;
static int64_t began_ms; /* event n came n milliseconds later */

/* Ten events, of which the store has all, the hub the last `recent` and the worker the last `ring`. */
static void begin(size_t recent, int64_t ring, bool refill)
{
    struct fake_socket *first;

    stream_rig_init(&rig, &(struct stream_rig_options){
                              .recent_events = recent, .ring_events = ring, .buffer_events = 2, .refill = refill});
    fake_store_set_limits(rig.bridge.store, 3, 1000);
    first = stream_rig_open(&rig, "acme", true, NULL, LOTS_OF_ROOM);
    stream_rig_settle(&rig);
    began_ms = clock_unix_ms();
    for (int i = 1; i <= 10; i++) {
        fake_clock_set_ms(began_ms + i);
        stream_rig_publish(&rig, "acme", i, i);
    }
    stream_rig_settle(&rig);
    stream_rig_read(first);
}

static int tear_down(void **state)
{
    (void)state;
    stream_rig_release(&rig);
    return 0;
}

static struct fake_socket *open_since(int64_t since_ms, size_t capacity)
{
    struct fake_socket *client;

    worker_rig_since(rig.worker, since_ms);
    client = stream_rig_open(&rig, "acme", false, NULL, capacity);
    stream_rig_settle(&rig);
    return client;
}

static void assert_story(struct fake_socket *socket, const char *expected)
{
    fake_socket_set_capacity(socket, LOTS_OF_ROOM);
    stream_rig_settle(&rig);
    stream_rig_read(socket);
    assert_string_equal(stream_rig_story(socket, false), expected);
}

static void everything_since_then_comes_from_wherever_it_is(void **state)
{
    (void)state;
    begin(4, 2, false);
    assert_story(open_since(began_ms + 9, LOTS_OF_ROOM), "9 10 ready @10");
    assert_story(open_since(began_ms + 7, LOTS_OF_ROOM), "7 8 9 10 ready @10");
    assert_story(open_since(began_ms + 4, LOTS_OF_ROOM), "4 5 6 7 8 9 10 ready @10");
    assert_story(open_since(began_ms - 100000, LOTS_OF_ROOM), "1 2 3 4 5 6 7 8 9 10 ready @10");
    assert_story(open_since(1, LOTS_OF_ROOM), "1 2 3 4 5 6 7 8 9 10 ready @10");
}

static void since_now_means_live_events(void **state)
{
    struct fake_socket *client;

    (void)state;
    begin(4, 2, false);
    fake_clock_set_ms(began_ms + 1000);
    client = open_since(clock_unix_ms(), LOTS_OF_ROOM);
    stream_rig_publish(&rig, "acme", 11, 12);
    assert_story(client, "ready @10 11 12");
}

static void a_long_history_loses_nothing_however_slow_the_client_is(void **state)
{
    struct fake_socket *client;

    (void)state;
    begin(2, 1, false);
    client = open_since(began_ms + 3, 100);
    for (int i = 11; i <= 20; i++) {
        stream_rig_publish(&rig, "acme", i, i);
        stream_rig_settle(&rig);
    }
    assert_story(client, "3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 ready @20");
}

static void what_was_trimmed_is_told_first(void **state)
{
    (void)state;
    begin(2, 1, false);
    fake_store_trim(rig.bridge.store, "acme", 6);
    assert_story(open_since(began_ms + 3, LOTS_OF_ROOM), "gap(expired,null) 5 6 7 8 9 10 ready @10");
    assert_story(open_since(1, LOTS_OF_ROOM), "gap(expired,4) 5 6 7 8 9 10 ready @10");
    assert_story(open_since(began_ms + 5, LOTS_OF_ROOM), "5 6 7 8 9 10 ready @10");
    assert_int_equal(metrics_get(rig.metrics, METRIC_GAP_EXPIRED), 2);
}

/* Nobody knows which events are behind a time, so that none of them can be missed by its number. */
static void a_page_that_was_given_back_unread_is_no_gap(void **state)
{
    struct fake_socket *client;

    (void)state;
    begin(2, 1, false);
    client = open_since(began_ms + 3, 10);
    for (int i = 0; i < 4; i++) {
        fake_clock_advance_ms(30000);
        stream_rig_settle(&rig);
    }
    assert_null(worker_rig_stream(rig.worker, client)->page);
    assert_story(client, "3 4 5 6 7 8 9 10 ready @10");
}

static void with_refill_the_stream_goes_on_as_any_other(void **state)
{
    struct fake_socket *client;

    (void)state;
    begin(2, 1, true);
    client = open_since(began_ms + 9, 300);
    for (int i = 11; i <= 30; i++) {
        stream_rig_publish(&rig, "acme", i, i);
        stream_rig_settle(&rig);
    }
    assert_story(client, "9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 ready @30");
}

static void a_client_of_some_events_gets_those(void **state)
{
    (void)state;
    begin(2, 1, false);
    for (int i = 11; i <= 16; i++) {
        fake_clock_set_ms(began_ms + i);
        bridge_rig_publish_to(&rig.bridge, i % 2 ? "q2q.viewed" : "metrics.calculated", "acme", i);
    }
    bridge_rig_flush(&rig.bridge);
    stream_rig_settle(&rig);
    worker_rig_filter(rig.worker, "vis_updated");
    assert_story(open_since(began_ms + 3, LOTS_OF_ROOM), "11 13 15 ready @16");
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(everything_since_then_comes_from_wherever_it_is),
        TEST(since_now_means_live_events),
        TEST(a_long_history_loses_nothing_however_slow_the_client_is),
        TEST(what_was_trimmed_is_told_first),
        TEST(a_page_that_was_given_back_unread_is_no_gap),
        TEST(with_refill_the_stream_goes_on_as_any_other),
        TEST(a_client_of_some_events_gets_those),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
