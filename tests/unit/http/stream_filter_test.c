/* Streams whose clients may have only some events: http/stream_filter.c and what stands around it. */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "http/channel.h"
#include "support/fake_clock.h"
#include "support/stream_rig.h"

static struct stream_rig rig;
static int published;

static void begin(const struct stream_rig_options *options)
{
    published = 0;
    stream_rig_init(&rig, options);
}

static int tear_down(void **state)
{
    (void)state;
    stream_rig_release(&rig);
    return 0;
}

/* One event for each letter, numbered on: m a metric_updated, v a vis_updated; h is a hole. */
static void publish(const char *kinds)
{
    for (; *kinds; kinds++) {
        if (*kinds == 'h')
            bridge_rig_hole(&rig.bridge);
        else
            bridge_rig_publish_to(&rig.bridge, *kinds == 'v' ? "q2q.viewed" : "metrics.calculated", "acme",
                                  ++published);
    }
    bridge_rig_flush(&rig.bridge);
    stream_rig_settle(&rig);
}

/* The same, with a round after each. */
static void publish_one_by_one(const char *kinds)
{
    for (; *kinds; kinds++)
        publish((const char[]){*kinds, '\0'});
}

/* A client connects that may have the events of that pattern. after: the number of the event that it has; 0: none. */
static struct fake_socket *open_filtered(const char *pattern, bool chunked, int after, size_t capacity)
{
    struct fake_socket *client;
    char id[EVENT_ID_SIZE];

    if (after > 0)
        stream_rig_id_of(&rig, after, id);
    worker_rig_filter(rig.worker, pattern);
    client = stream_rig_open(&rig, "acme", chunked, after > 0 ? id : NULL, capacity);
    stream_rig_settle(&rig);
    stream_rig_read(client);
    return client;
}

static struct fake_socket *open_ready(const char *pattern)
{
    return open_filtered(pattern, true, 0, LOTS_OF_ROOM);
}

static void assert_story(struct fake_socket *socket, const char *expected)
{
    stream_rig_read(socket);
    assert_string_equal(stream_rig_story(socket, true), expected);
}

/* What is sent. */

static void live_events_are_those_of_the_filter(void **state)
{
    struct fake_socket *chunked;
    struct fake_socket *bare;

    (void)state;
    begin(&(struct stream_rig_options){0});
    chunked = open_ready("vis_*");
    bare = open_filtered("vis_*", false, 0, LOTS_OF_ROOM);
    publish_one_by_one("mvmv");
    publish("mmvmvvm");
    assert_story(chunked, "ready @0 2 4 7 9 10");
    stream_rig_read(bare);
    assert_string_equal(stream_rig_story(bare, false), "ready @0 2 4 7 9 10");
    assert_int_equal(metrics_get(rig.metrics, METRIC_EVENTS_DELIVERED), 10);
    assert_int_equal(worker_rig_stream(rig.worker, chunked)->events, 5);
}

static void a_replay_from_the_ring_is_filtered(void **state)
{
    struct fake_socket *client;

    (void)state;
    begin(&(struct stream_rig_options){0});
    publish("mvmvvmm");
    client = open_filtered("vis_updated", true, 1, LOTS_OF_ROOM);
    publish("mv");
    assert_story(client, "2 4 5 ready @7 9");
    assert_non_null(strstr(client->bytes, "\"replayed\":3,\"complete\":true"));
    assert_int_equal(metrics_get(rig.metrics, METRIC_REPLAY_EVENTS), 3);
    assert_int_equal(metrics_get(rig.metrics, METRIC_EVENTS_DELIVERED), 4);
}

static void a_replay_of_many_pages_is_filtered(void **state)
{
    struct fake_socket *client;

    (void)state;
    begin(&(struct stream_rig_options){.recent_events = 2});
    fake_store_set_limits(rig.bridge.store, 3, 1000);
    publish("mvvmvmmmmmmmmmmvmvm");
    client = open_filtered("vis_updated", true, 1, LOTS_OF_ROOM);
    publish("mv");
    assert_story(client, "2 3 5 16 18 ready @19 21");
    assert_non_null(strstr(client->bytes, "\"replayed\":5,\"complete\":true"));
}

static void a_replay_of_many_pages_is_filtered_however_slow_the_client_is(void **state)
{
    struct fake_socket *client;

    (void)state;
    begin(&(struct stream_rig_options){.buffer_events = 2, .ring_events = 1, .recent_events = 2});
    fake_store_set_limits(rig.bridge.store, 3, 1000);
    publish("mvvmvmmmmmmmmmmvmvm");
    client = open_filtered("vis_updated", true, 1, 100);
    for (int i = 0; i < 200; i++) {
        stream_rig_read(client);
        stream_rig_settle(&rig);
        if (i < 10)
            publish("vmm");
    }
    assert_story(client, "2 3 5 16 18 20 23 26 29 32 35 38 41 44 47 ready @49");
}

static void holes_are_for_everybody(void **state)
{
    struct fake_socket *live;
    struct fake_socket *replay;

    (void)state;
    begin(&(struct stream_rig_options){0});
    live = open_ready("vis_*");
    publish_one_by_one("mhmvhm");
    publish("mhv");
    assert_story(live, "ready @0 gap(source,null) @1 3 gap(source,null) @3 gap(source,null) @5 6");
    replay = open_filtered("vis_*", true, 1, LOTS_OF_ROOM);
    assert_story(replay, "gap(source,null) @1 3 gap(source,null) @3 gap(source,null) @5 6 ready @6");
}

static void a_company_of_which_nothing_passes_is_a_quiet_one(void **state)
{
    struct fake_socket *live;
    struct fake_socket *replay;

    (void)state;
    begin(&(struct stream_rig_options){.recent_events = 2});
    live = open_ready("journey_*");
    publish("mvmvmv");
    replay = open_filtered("journey_*", true, 1, LOTS_OF_ROOM);
    fake_clock_advance_ms(34000);
    publish("mv");
    assert_story(live, "ready @0 beat");
    assert_story(replay, "ready @6 beat");
    assert_int_equal(metrics_get(rig.metrics, METRIC_EVENTS_DELIVERED), 0);
}

static void filters_of_one_company_do_not_disturb_each_other(void **state)
{
    static const char *const patterns[] = {NULL, "vis_*", "metric_*", NULL, "vis_*", "*", NULL};
    static const char *const expected[] = {"ready @0 1 2 3 4 5 6 7", "ready @0 2 5 6", "ready @0 1 3 4 7",
                                           "ready @0 1 2 3 4 5 6 7", "ready @0 2 5 6", "ready @0 1 2 3 4 5 6 7",
                                           "ready @0 1 2 3 4 5 6 7"};
    enum { CLIENTS = sizeof patterns / sizeof patterns[0] };
    struct fake_socket *clients[CLIENTS];

    (void)state;
    begin(&(struct stream_rig_options){0});
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = open_ready(patterns[i]);
    publish("mvm");
    publish_one_by_one("mv");
    publish("vm");
    for (int i = 0; i < CLIENTS; i++)
        assert_story(clients[i], expected[i]);
    assert_int_equal(metrics_get(rig.metrics, METRIC_EVENTS_DELIVERED), 3 * 7 + 7 + 2 * 3 + 4);
}

/* Slow clients. */

/* A client that may have vis_updated, is ready, and has a socket that takes one byte, which the first event's has filled. */
static struct fake_socket *open_held_up(void)
{
    struct fake_socket *client = open_ready("vis_*");

    fake_socket_set_capacity(client, 1);
    publish("v");
    return client;
}

static void a_slow_client_loses_nothing_while_only_others_events_come(void **state)
{
    struct fake_socket *client;

    (void)state;
    begin(&(struct stream_rig_options){.buffer_events = 4, .ring_events = 1});
    client = open_held_up();
    publish_one_by_one("mmmmmmmmmmmmmmm");
    publish("mmmmmmmmmmmmmmmmmmmm");
    stream_rig_read_all(&rig, client);
    assert_story(client, "ready @0 1");
    publish("v");
    assert_story(client, "ready @0 1 37");
    assert_int_equal(metrics_get(rig.metrics, METRIC_DROPPED_SLOW_CONSUMER), 0);
    assert_int_equal(metrics_get(rig.metrics, METRIC_GAP_SLOW_CONSUMER), 0);
}

static void what_waits_for_a_slow_client_outlasts_any_number_of_others_events(void **state)
{
    struct fake_socket *client;

    (void)state;
    begin(&(struct stream_rig_options){.buffer_events = 4, .buffer_bytes = 1000, .ring_events = 1});
    client = open_held_up();
    publish_one_by_one("vmmmmvmmmmmmmmmmmmmmm");
    publish("mmmmmmmmmmvmmmmmmmmmmmmmmmmmm");
    stream_rig_read_all(&rig, client);
    assert_story(client, "ready @0 1 2 7 33");
    assert_int_equal(metrics_get(rig.metrics, METRIC_DROPPED_SLOW_CONSUMER), 0);
}

static void a_slow_client_is_told_only_of_its_own_events(void **state)
{
    struct fake_socket *client;

    (void)state;
    begin(&(struct stream_rig_options){.buffer_events = 3, .ring_events = 1});
    client = open_held_up();
    publish_one_by_one("vmvmvmmvmvmm");
    stream_rig_read_all(&rig, client);
    assert_story(client, "ready @0 1 gap(slow_consumer,2) 6 9 11");
    assert_int_equal(metrics_get(rig.metrics, METRIC_DROPPED_SLOW_CONSUMER), 2);
    assert_int_equal(metrics_get(rig.metrics, METRIC_GAP_SLOW_CONSUMER), 1);
}

static void a_slow_client_is_held_to_the_bytes_of_its_own_events(void **state)
{
    struct fake_socket *client;

    (void)state;
    begin(&(struct stream_rig_options){.buffer_bytes = 500, .ring_events = 1});
    client = open_held_up();
    publish_one_by_one("vmmmmmmmvmmmmmmm");
    stream_rig_read_all(&rig, client);
    assert_story(client, "ready @0 1 2 10");
    fake_socket_set_capacity(client, 1);
    publish_one_by_one("vvvvmvmmmmmmm");
    stream_rig_read_all(&rig, client);
    assert_story(client, "ready @0 1 2 10 18 gap(slow_consumer,2) 21 23");
}

static void a_hole_that_waits_counts_and_is_told_when_it_is_dropped(void **state)
{
    struct fake_socket *client;

    (void)state;
    begin(&(struct stream_rig_options){.buffer_events = 2, .ring_events = 1});
    client = open_held_up();
    publish_one_by_one("mhmm");
    stream_rig_read_all(&rig, client);
    assert_story(client, "ready @0 1 gap(source,null) @2");
    fake_socket_set_capacity(client, 1);
    publish_one_by_one("vhmmvmmv");
    stream_rig_read_all(&rig, client);
    assert_story(client, "ready @0 1 gap(source,null) @2 5 gap(slow_consumer,null) 8 11");
}

/* A gap, then events that are not the client's: it is told in front of the next one that is. */
static void a_gap_stands_in_front_of_the_next_event_that_passes(void **state)
{
    struct fake_socket *client;

    (void)state;
    begin(&(struct stream_rig_options){.buffer_events = 2, .ring_events = 1});
    client = open_held_up();
    publish_one_by_one("vvvvvmmmmmmmm");
    /* The socket takes the gap alone: the frame behind it is the client's, and no second gap comes between them. */
    fake_socket_set_capacity(client, 80);
    stream_rig_settle(&rig);
    publish_one_by_one("mmmm");
    stream_rig_read_all(&rig, client);
    publish_one_by_one("mmmmv");
    assert_story(client, "ready @0 1 gap(slow_consumer,3) 5 6 23");
    assert_int_equal(metrics_get(rig.metrics, METRIC_GAP_SLOW_CONSUMER), 1);
}

/* Larger than BUFFER_BYTES: it alone is dropped, and nothing is left behind which to tell it. */
static void a_gap_waits_for_no_event_when_none_is_left(void **state)
{
    struct fake_socket *client;

    (void)state;
    begin(&(struct stream_rig_options){.buffer_bytes = 30, .ring_events = 1});
    client = open_held_up();
    publish_one_by_one("vmmm");
    stream_rig_read_all(&rig, client);
    publish_one_by_one("mmm");
    assert_story(client, "ready @0 1 gap(slow_consumer,1)");
    publish("mvmv");
    assert_story(client, "ready @0 1 gap(slow_consumer,1) 10 12");
}

static void a_slow_client_catches_up_in_order(void **state)
{
    struct fake_socket *client;

    (void)state;
    begin(&(struct stream_rig_options){.buffer_events = 4, .ring_events = 1});
    client = open_held_up();
    publish_one_by_one("vmvm");
    /* Room for a little at a time, while more comes: what waits, what comes and the ring follow each other. */
    for (int i = 0; i < 40; i++) {
        fake_socket_set_capacity(client, 60);
        stream_rig_settle(&rig);
        stream_rig_read(client);
        if (i % 4 == 0)
            publish("mvm");
    }
    stream_rig_read_all(&rig, client);
    assert_story(client, "ready @0 1 2 4 7 10 13 16 19 22 25 28 31 34");
    assert_null(worker_rig_stream(rig.worker, client)->backlog);
}

static void a_socket_that_has_room_again_is_tried_before_anything_is_dropped(void **state)
{
    struct fake_socket *client;

    (void)state;
    begin(&(struct stream_rig_options){.buffer_events = 4, .ring_events = 1});
    client = open_held_up();
    publish_one_by_one("vmvmvmv");
    /* It was read empty, and the worker has not heard of it. */
    fake_socket_set_capacity(client, LOTS_OF_ROOM);
    client->edge = false;
    publish("vmvmv");
    assert_story(client, "ready @0 1 2 4 6 8 9 11 13");
    assert_int_equal(metrics_get(rig.metrics, METRIC_DROPPED_SLOW_CONSUMER), 0);
}

static void a_drained_stream_gets_what_waits_and_ends(void **state)
{
    struct fake_socket *client;

    (void)state;
    begin(&(struct stream_rig_options){.ring_events = 1});
    client = open_held_up();
    publish_one_by_one("mvmvmm");
    worker_rig_drain(rig.worker);
    stream_rig_turn(&rig);
    assert_false(client->closed);
    fake_socket_set_capacity(client, LOTS_OF_ROOM);
    stream_rig_turn(&rig);
    assert_true(client->closed);
    assert_story(client, "ready @0 1 3 5 closing(shutdown) end");
}

/* What a closed stream holds is freed: the leak checker looks. */
static void a_client_that_goes_while_events_wait_leaves_nothing(void **state)
{
    struct fake_socket *client;

    (void)state;
    begin(&(struct stream_rig_options){.ring_events = 1});
    client = open_held_up();
    publish_one_by_one("mvmvmm");
    assert_non_null(worker_rig_stream(rig.worker, client)->backlog);
    client->gone = true;
    stream_rig_turn(&rig);
    assert_true(client->closed);
    assert_int_equal(registry_connections(rig.registry), 0);
}

/* Never opened by its worker: the leak checker looks for its filter. */
static void a_request_that_no_worker_took_leaves_nothing(void **state)
{
    (void)state;
    begin(&(struct stream_rig_options){0});
    worker_rig_filter(rig.worker, "vis_*");
    (void)stream_rig_open(&rig, "acme", true, NULL, LOTS_OF_ROOM);
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(live_events_are_those_of_the_filter),
        TEST(a_replay_from_the_ring_is_filtered),
        TEST(a_replay_of_many_pages_is_filtered),
        TEST(a_replay_of_many_pages_is_filtered_however_slow_the_client_is),
        TEST(holes_are_for_everybody),
        TEST(a_company_of_which_nothing_passes_is_a_quiet_one),
        TEST(filters_of_one_company_do_not_disturb_each_other),
        TEST(a_slow_client_loses_nothing_while_only_others_events_come),
        TEST(what_waits_for_a_slow_client_outlasts_any_number_of_others_events),
        TEST(a_slow_client_is_told_only_of_its_own_events),
        TEST(a_slow_client_is_held_to_the_bytes_of_its_own_events),
        TEST(a_hole_that_waits_counts_and_is_told_when_it_is_dropped),
        TEST(a_gap_stands_in_front_of_the_next_event_that_passes),
        TEST(a_gap_waits_for_no_event_when_none_is_left),
        TEST(a_slow_client_catches_up_in_order),
        TEST(a_socket_that_has_room_again_is_tried_before_anything_is_dropped),
        TEST(a_drained_stream_gets_what_waits_and_ends),
        TEST(a_client_that_goes_while_events_wait_leaves_nothing),
        TEST(a_request_that_no_worker_took_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
