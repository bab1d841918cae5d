/* Rounds over many streams: http/channel.c over sockets that the test fills and empties. */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "support/fake_clock.h"
#include "support/stream_rig.h"

enum { STREAMS = 40 };

static struct stream_rig rig;
static struct fake_socket *clients[STREAMS];

static void begin(const struct stream_rig_options *options)
{
    stream_rig_init(&rig, options);
}

static int tear_down(void **state)
{
    (void)state;
    stream_rig_release(&rig);
    return 0;
}

/* Every third speaks HTTP/1.0. */
static bool is_chunked(int client)
{
    return client % 3 != 0;
}

static void open_clients(int count)
{
    for (int i = 0; i < count; i++)
        clients[i] = stream_rig_open(&rig, "acme", is_chunked(i), NULL, LOTS_OF_ROOM);
    stream_rig_settle(&rig);
    for (int i = 0; i < count; i++)
        stream_rig_read(clients[i]);
}

static void assert_story(int client, const char *expected)
{
    stream_rig_read(clients[client]);
    assert_string_equal(stream_rig_story(clients[client], is_chunked(client)), expected);
}

static void every_stream_gets_every_event(void **state)
{
    (void)state;
    begin(&(struct stream_rig_options){0});
    open_clients(STREAMS);
    stream_rig_publish(&rig, "acme", 1, 3);
    stream_rig_settle(&rig);
    for (int i = 0; i < STREAMS; i++)
        assert_story(i, "ready @0 1 2 3");
    assert_int_equal(metrics_get(rig.metrics, METRIC_EVENTS_DELIVERED), 3 * STREAMS);
}

static void events_that_came_together_leave_in_one_write(void **state)
{
    size_t before;

    (void)state;
    begin(&(struct stream_rig_options){0});
    open_clients(1);
    stream_rig_publish(&rig, "acme", 1, 20);
    before = clients[0]->size;
    stream_rig_turn(&rig);
    assert_true(clients[0]->size > before);
    assert_story(0, "ready @0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20");
}

static void a_burst_far_beyond_the_buffer_costs_a_healthy_stream_nothing(void **state)
{
    char expected[8192] = "ready @0";
    size_t size = strlen(expected);

    (void)state;
    begin(&(struct stream_rig_options){.buffer_events = 4, .ring_events = 1});
    open_clients(3);
    stream_rig_publish(&rig, "acme", 1, 1000);
    stream_rig_settle(&rig);
    for (int i = 1; i <= 1000; i++)
        size += (size_t)snprintf(expected + size, sizeof expected - size, " %d", i);
    for (int i = 0; i < 3; i++)
        assert_story(i, expected);
    assert_int_equal(metrics_get(rig.metrics, METRIC_DROPPED_SLOW_CONSUMER), 0);
}

static void a_full_socket_loses_the_oldest_and_its_neighbours_nothing(void **state)
{
    (void)state;
    begin(&(struct stream_rig_options){.buffer_events = 4});
    open_clients(3);
    fake_socket_set_capacity(clients[1], 1);
    stream_rig_publish_singly(&rig, 1, 9);
    assert_story(0, "ready @0 1 2 3 4 5 6 7 8 9");
    assert_story(2, "ready @0 1 2 3 4 5 6 7 8 9");
    fake_socket_set_capacity(clients[1], LOTS_OF_ROOM);
    stream_rig_settle(&rig);
    assert_story(1, "ready @0 1 gap(slow_consumer,4) 6 7 8 9");
}

/* The company may be quiet from here on: what the client missed must not wait for the next event. */
static void a_gap_is_told_though_nothing_is_left_behind_it(void **state)
{
    (void)state;
    begin(&(struct stream_rig_options){.buffer_bytes = 30});
    open_clients(1);
    fake_socket_set_capacity(clients[0], 1);
    stream_rig_publish_singly(&rig, 1, 4);
    fake_socket_set_capacity(clients[0], LOTS_OF_ROOM);
    stream_rig_settle(&rig);
    assert_story(0, "ready @0 1 gap(slow_consumer,3)");
    stream_rig_publish_singly(&rig, 5, 6);
    assert_story(0, "ready @0 1 gap(slow_consumer,3) 5 6");
}

static void as_many_as_the_buffer_takes_are_kept(void **state)
{
    (void)state;
    begin(&(struct stream_rig_options){.buffer_events = 4});
    open_clients(1);
    fake_socket_set_capacity(clients[0], 1);
    stream_rig_publish_singly(&rig, 1, 5);
    fake_socket_set_capacity(clients[0], LOTS_OF_ROOM);
    stream_rig_settle(&rig);
    assert_story(0, "ready @0 1 2 3 4 5");
}

static void a_full_socket_is_held_to_the_bytes_too(void **state)
{
    (void)state;
    begin(&(struct stream_rig_options){.buffer_bytes = 500});
    open_clients(2);
    fake_socket_set_capacity(clients[0], 1);
    stream_rig_publish_singly(&rig, 1, 9);
    fake_socket_set_capacity(clients[0], LOTS_OF_ROOM);
    stream_rig_settle(&rig);
    assert_story(0, "ready @0 1 gap(slow_consumer,6) 8 9");
    assert_story(1, "ready @0 1 2 3 4 5 6 7 8 9");
}

static void a_socket_that_has_room_again_is_tried_before_anything_is_dropped(void **state)
{
    (void)state;
    begin(&(struct stream_rig_options){.buffer_events = 4});
    open_clients(1);
    fake_socket_set_capacity(clients[0], 1);
    stream_rig_publish_singly(&rig, 1, 4);
    /* It was read empty, and the worker has not heard of it. */
    fake_socket_set_capacity(clients[0], LOTS_OF_ROOM);
    clients[0]->edge = false;
    stream_rig_publish(&rig, "acme", 5, 9);
    stream_rig_settle(&rig);
    assert_story(0, "ready @0 1 2 3 4 5 6 7 8 9");
    assert_int_equal(metrics_get(rig.metrics, METRIC_DROPPED_SLOW_CONSUMER), 0);
}

static void a_stream_that_is_told_a_gap_goes_on_without_loss(void **state)
{
    (void)state;
    begin(&(struct stream_rig_options){.buffer_events = 2});
    open_clients(1);
    fake_socket_set_capacity(clients[0], 1);
    stream_rig_publish_singly(&rig, 1, 5);
    fake_socket_set_capacity(clients[0], LOTS_OF_ROOM);
    stream_rig_settle(&rig);
    stream_rig_publish_singly(&rig, 6, 8);
    assert_story(0, "ready @0 1 gap(slow_consumer,2) 4 5 6 7 8");
}

/* One of the streams breaks when its turn comes: all others have their turn once, and only once. */
static void close_in_the_middle(int broken)
{
    begin(&(struct stream_rig_options){0});
    open_clients(STREAMS);
    clients[broken]->gone = true;
    stream_rig_publish(&rig, "acme", 1, 2);
    /* The round comes before the sockets are looked at. */
    worker_rig_turn(rig.worker, NULL, 0);
    assert_true(clients[broken]->closed);
    for (int i = 0; i < STREAMS; i++)
        if (i != broken)
            assert_story(i, "ready @0 1 2");
    stream_rig_publish_singly(&rig, 3, 3);
    for (int i = 0; i < STREAMS; i++)
        if (i != broken)
            assert_story(i, "ready @0 1 2 3");
    stream_rig_release(&rig);
}

static void a_stream_that_closes_in_a_round_disturbs_no_other(void **state)
{
    (void)state;
    for (int i = 0; i < STREAMS; i++)
        close_in_the_middle(i);
}

static void many_streams_that_close_in_a_round_disturb_no_other(void **state)
{
    (void)state;
    for (unsigned step = 2; step < 6; step++) {
        begin(&(struct stream_rig_options){0});
        open_clients(STREAMS);
        for (unsigned i = 0; i < STREAMS; i += step)
            clients[i]->gone = true;
        stream_rig_publish(&rig, "acme", 1, 2);
        worker_rig_turn(rig.worker, NULL, 0);
        for (unsigned i = 0; i < STREAMS; i++)
            if (i % step != 0)
                assert_story((int)i, "ready @0 1 2");
        assert_int_equal(worker_rig_channel(rig.worker, "acme")->count, registry_connections(rig.registry));
        stream_rig_release(&rig);
    }
}

/* Of a dead proxy's streams each write takes its time, and others wait meanwhile. */
static void a_turn_ends_in_time_though_its_streams_close(void **state)
{
    int closed = 0;

    (void)state;
    begin(&(struct stream_rig_options){0});
    open_clients(STREAMS);
    for (int i = 1; i < STREAMS; i++) {
        clients[i]->gone = true;
        clients[i]->write_ms = 1;
    }
    stream_rig_publish(&rig, "acme", 1, 1);
    worker_rig_turn(rig.worker, NULL, 0);
    for (int i = 1; i < STREAMS; i++)
        closed += clients[i]->closed;
    assert_in_range(closed, 1, STREAMS / 2);
    stream_rig_settle(&rig);
    assert_story(0, "ready @0 1");
    assert_int_equal(registry_connections(rig.registry), 1);
}

/* channel_remove() alone: those that had their turn stay in front of those that had not. */
static void removal_keeps_the_order_of_turns(void **state)
{
    enum { COUNT = 7 };

    (void)state;
    for (size_t turn = 0; turn <= COUNT; turn++) {
        for (size_t gone = 0; gone < COUNT; gone++) {
            struct stream streams[COUNT];
            struct schedule schedule = {0};
            struct channel *channel = channel_new("acme");
            size_t had_turn = turn - (gone < turn);

            schedule_init(&schedule);
            memset(streams, 0, sizeof streams);
            for (size_t i = 0; i < COUNT; i++) {
                assert_int_equal(channel_add(channel, &streams[i]), 0);
                streams[i].events = (int64_t)i;
            }
            channel->turn = turn;
            channel_remove(channel, &streams[gone]);
            assert_int_equal(channel->turn, had_turn);
            assert_int_equal(channel->count, COUNT - 1);
            for (size_t i = 0; i < channel->count; i++) {
                assert_int_equal(channel->streams[i]->index, i);
                assert_true((channel->streams[i]->events < (int64_t)turn) == (i < had_turn));
            }
            channel_free(&schedule, channel);
        }
    }
}

static void companies_take_turns_and_share_nothing(void **state)
{
    struct fake_socket *beta;

    (void)state;
    begin(&(struct stream_rig_options){0});
    open_clients(2);
    beta = stream_rig_open(&rig, "beta", true, NULL, LOTS_OF_ROOM);
    stream_rig_settle(&rig);
    stream_rig_publish(&rig, "beta", 100, 101);
    stream_rig_publish(&rig, "acme", 1, 2);
    stream_rig_settle(&rig);
    assert_story(0, "ready @0 1 2");
    stream_rig_read(beta);
    assert_string_equal(stream_rig_story(beta, true), "ready @0 100 101");
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_stream_gets_every_event),
        TEST(events_that_came_together_leave_in_one_write),
        TEST(a_burst_far_beyond_the_buffer_costs_a_healthy_stream_nothing),
        TEST(a_full_socket_loses_the_oldest_and_its_neighbours_nothing),
        TEST(a_gap_is_told_though_nothing_is_left_behind_it),
        TEST(as_many_as_the_buffer_takes_are_kept),
        TEST(a_full_socket_is_held_to_the_bytes_too),
        TEST(a_socket_that_has_room_again_is_tried_before_anything_is_dropped),
        TEST(a_stream_that_is_told_a_gap_goes_on_without_loss),
        cmocka_unit_test(a_stream_that_closes_in_a_round_disturbs_no_other),
        cmocka_unit_test(many_streams_that_close_in_a_round_disturb_no_other),
        TEST(a_turn_ends_in_time_though_its_streams_close),
        cmocka_unit_test(removal_keeps_the_order_of_turns),
        TEST(companies_take_turns_and_share_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
