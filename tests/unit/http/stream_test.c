/* One client's stream, step by step: http/stream.c and http/worker.c over sockets that the test fills and empties. */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "support/fake_clock.h"
#include "support/stream_rig.h"

static struct stream_rig rig;

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

static void both_http_versions_get_the_same_blocks(void **state)
{
    struct fake_socket *bare;
    struct fake_socket *chunked;

    (void)state;
    begin(&(struct stream_rig_options){0});
    bare = stream_rig_open(&rig, "acme", false, NULL, LOTS_OF_ROOM);
    chunked = stream_rig_open(&rig, "acme", true, NULL, LOTS_OF_ROOM);
    stream_rig_settle(&rig);
    stream_rig_publish(&rig, "acme", 1, 3);
    stream_rig_settle(&rig);
    stream_rig_assert_story(bare, false, "ready @0 1 2 3");
    stream_rig_assert_story(chunked, true, "ready @0 1 2 3");
}

static void without_an_id_there_are_live_events_only(void **state)
{
    struct fake_socket *client;

    (void)state;
    begin(&(struct stream_rig_options){0});
    stream_rig_publish(&rig, "acme", 1, 5);
    stream_rig_settle(&rig);
    client = stream_rig_open(&rig, "acme", true, NULL, LOTS_OF_ROOM);
    stream_rig_settle(&rig);
    stream_rig_publish(&rig, "acme", 6, 6);
    stream_rig_settle(&rig);
    stream_rig_assert_story(client, true, "ready @5 6");
}

static void a_client_without_an_id_gets_no_history_however_slowly_it_begins(void **state)
{
    struct fake_socket *client;

    (void)state;
    begin(&(struct stream_rig_options){.buffer_events = 2, .ring_events = 1});
    stream_rig_publish(&rig, "acme", 1, 5);
    stream_rig_settle(&rig);
    client = stream_rig_open(&rig, "acme", true, NULL, 10);
    stream_rig_settle(&rig);
    for (int i = 6; i <= 20; i++) {
        stream_rig_publish(&rig, "acme", i, i);
        stream_rig_settle(&rig);
    }
    stream_rig_read_all(&rig, client);
    stream_rig_assert_story(client, true, "6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 ready @20");
}

static void a_malformed_id_is_a_gap_and_then_live(void **state)
{
    struct fake_socket *client;

    (void)state;
    begin(&(struct stream_rig_options){0});
    stream_rig_publish(&rig, "acme", 1, 5);
    stream_rig_settle(&rig);
    client = stream_rig_open(&rig, "acme", false, "so/what", LOTS_OF_ROOM);
    stream_rig_settle(&rig);
    stream_rig_publish(&rig, "acme", 6, 6);
    stream_rig_settle(&rig);
    stream_rig_assert_story(client, false, "gap(unknown_id,null) ready @5 6");
}

static void a_replay_goes_over_into_live_events(void **state)
{
    struct fake_socket *client;
    char id[EVENT_ID_SIZE];

    (void)state;
    begin(&(struct stream_rig_options){.recent_events = 2});
    fake_store_set_limits(rig.bridge.store, 3, 1000);
    stream_rig_publish(&rig, "acme", 1, 10);
    stream_rig_settle(&rig);
    stream_rig_id_of(&rig, 2, id);
    client = stream_rig_open(&rig, "acme", true, id, LOTS_OF_ROOM);
    stream_rig_turn(&rig);
    stream_rig_publish(&rig, "acme", 11, 11);
    stream_rig_settle(&rig);
    stream_rig_publish(&rig, "acme", 12, 12);
    stream_rig_settle(&rig);
    stream_rig_assert_story(client, true, "3 4 5 6 7 8 9 10 11 ready @11 12");
}

static void a_replay_loses_nothing_however_slow_the_client_is(void **state)
{
    struct fake_socket *client;
    char id[EVENT_ID_SIZE];

    (void)state;
    begin(&(struct stream_rig_options){.buffer_events = 2, .ring_events = 1, .recent_events = 2});
    stream_rig_publish(&rig, "acme", 1, 10);
    stream_rig_settle(&rig);
    stream_rig_id_of(&rig, 2, id);
    client = stream_rig_open(&rig, "acme", true, id, 100);
    stream_rig_settle(&rig);
    for (int i = 11; i <= 30; i++) {
        stream_rig_publish(&rig, "acme", i, i);
        stream_rig_settle(&rig);
    }
    stream_rig_read_all(&rig, client);
    stream_rig_assert_story(client, true,
                            "3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 ready @30");
}

static void a_slow_client_is_told_exactly_what_it_missed(void **state)
{
    struct fake_socket *client;

    (void)state;
    begin(&(struct stream_rig_options){.buffer_events = 4});
    client = stream_rig_open_ready(&rig, true);
    fake_socket_set_capacity(client, 10);
    stream_rig_publish_singly(&rig, 1, 10);
    stream_rig_read_all(&rig, client);
    stream_rig_assert_story(client, true, "ready @0 1 gap(slow_consumer,5) 7 8 9 10");
    assert_int_equal(metrics_get(rig.metrics, METRIC_DROPPED_SLOW_CONSUMER), 5);
}

static void a_client_held_up_by_a_heartbeat_is_told_exactly_what_it_missed(void **state)
{
    struct fake_socket *client;

    (void)state;
    begin(&(struct stream_rig_options){.buffer_events = 4, .ring_events = 1});
    client = stream_rig_open_ready(&rig, false);
    stream_rig_publish_singly(&rig, 1, 10);
    stream_rig_read(client);
    fake_socket_set_capacity(client, 3);
    fake_clock_advance_ms(34000);
    stream_rig_settle(&rig);
    stream_rig_publish_singly(&rig, 11, 12);
    stream_rig_publish(&rig, "acme", 13, 18);
    stream_rig_settle(&rig);
    stream_rig_read_all(&rig, client);
    stream_rig_assert_story(client, false, "ready @0 1 2 3 4 5 6 7 8 9 10 beat gap(slow_consumer,4) 15 16 17 18");
}

static void a_client_held_up_by_stream_ready_is_told_exactly_what_it_missed(void **state)
{
    struct fake_socket *client;

    (void)state;
    begin(&(struct stream_rig_options){.buffer_events = 4, .ring_events = 1});
    (void)stream_rig_open_ready(&rig, false);
    stream_rig_publish_singly(&rig, 1, 10);
    client = stream_rig_open(&rig, "acme", false, NULL, 300);
    stream_rig_settle(&rig);
    stream_rig_publish(&rig, "acme", 11, 18);
    stream_rig_settle(&rig);
    stream_rig_read_all(&rig, client);
    stream_rig_assert_story(client, false, "ready @10 gap(slow_consumer,4) 15 16 17 18");
}

static void hole(void)
{
    bridge_rig_hole(&rig.bridge);
    bridge_rig_flush(&rig.bridge);
    stream_rig_settle(&rig);
}

static void a_dropped_hole_is_told(void **state)
{
    struct fake_socket *client;

    (void)state;
    begin(&(struct stream_rig_options){.buffer_events = 2});
    client = stream_rig_open_ready(&rig, true);
    stream_rig_publish_singly(&rig, 1, 1);
    fake_socket_set_capacity(client, 10);
    stream_rig_read(client);
    stream_rig_publish_singly(&rig, 2, 2);
    hole();
    stream_rig_publish_singly(&rig, 3, 4);
    stream_rig_read_all(&rig, client);
    stream_rig_assert_story(client, true, "ready @0 1 2 gap(slow_consumer,null) 3 4");
}

static void a_dropped_hole_among_events_makes_the_number_unknown(void **state)
{
    struct fake_socket *client;

    (void)state;
    begin(&(struct stream_rig_options){.buffer_events = 2});
    client = stream_rig_open_ready(&rig, true);
    fake_socket_set_capacity(client, 10);
    stream_rig_publish_singly(&rig, 1, 2);
    hole();
    stream_rig_publish_singly(&rig, 3, 9);
    stream_rig_read_all(&rig, client);
    stream_rig_assert_story(client, true, "ready @0 1 gap(slow_consumer,null) 8 9");
}

static void holes_are_counted_by_their_reason(void **state)
{
    struct fake_socket *live;
    struct fake_socket *back;
    char id[EVENT_ID_SIZE];

    (void)state;
    begin(&(struct stream_rig_options){.events_per_second = 1});
    live = stream_rig_open_ready(&rig, true);
    stream_rig_publish(&rig, "acme", 1, 3);
    stream_rig_settle(&rig);
    hole();
    stream_rig_assert_story(live, true, "ready @0 1 2 gap(rate_limited,null) @2 gap(source,null) @2");
    assert_int_equal(metrics_get(rig.metrics, METRIC_GAP_RATE_LIMITED), 1);
    assert_int_equal(metrics_get(rig.metrics, METRIC_GAP_SOURCE), 1);
    stream_rig_id_of(&rig, 1, id);
    back = stream_rig_open(&rig, "acme", false, id, LOTS_OF_ROOM);
    stream_rig_settle(&rig);
    stream_rig_assert_story(back, false, "2 gap(rate_limited,null) @2 gap(source,null) @2 ready @2");
    assert_int_equal(metrics_get(rig.metrics, METRIC_GAP_RATE_LIMITED), 2);
    assert_int_equal(metrics_get(rig.metrics, METRIC_GAP_SOURCE), 2);
}

static void a_stream_that_opens_while_a_subscription_begins_anew_misses_nothing(void **state)
{
    struct fake_socket *first;
    struct fake_socket *second;
    struct fake_socket *third;

    (void)state;
    begin(&(struct stream_rig_options){.recent_events = 1});
    first = stream_rig_open_ready(&rig, true);
    stream_rig_publish_singly(&rig, 1, 5);
    first->gone = true;
    stream_rig_turn(&rig);
    assert_true(first->closed);
    fake_clock_advance_ms(20000);
    stream_rig_turn(&rig);
    assert_int_equal(worker_rig_asked(), 1);
    second = stream_rig_open(&rig, "acme", true, NULL, LOTS_OF_ROOM);
    stream_rig_turn(&rig);
    worker_rig_answer(&rig.bridge);
    stream_rig_turn(&rig);
    third = stream_rig_open(&rig, "acme", true, NULL, LOTS_OF_ROOM);
    stream_rig_turn(&rig);
    stream_rig_settle(&rig);
    stream_rig_publish(&rig, "acme", 6, 7);
    stream_rig_settle(&rig);
    stream_rig_assert_story(second, true, "ready @5 6 7");
    stream_rig_assert_story(third, true, "ready @5 6 7");
}

/* What a proxy sees of a client that waits: for its company, and for its history. */
static void a_heartbeat_comes_while_a_client_waits(void **state)
{
    char id[EVENT_ID_SIZE];
    struct fake_socket *client;

    (void)state;
    begin(&(struct stream_rig_options){.ring_events = 1, .recent_events = 1});
    stream_rig_publish_singly(&rig, 1, 5);
    stream_rig_id_of(&rig, 1, id);
    client = stream_rig_open(&rig, "acme", true, id, LOTS_OF_ROOM);
    stream_rig_turn(&rig);
    fake_clock_advance_ms(34000);
    stream_rig_turn(&rig);
    stream_rig_assert_story(client, true, "beat");
    worker_rig_answer(&rig.bridge);
    stream_rig_turn(&rig);
    fake_clock_advance_ms(34000);
    stream_rig_turn(&rig);
    stream_rig_assert_story(client, true, "beat beat");
    stream_rig_settle(&rig);
    stream_rig_assert_story(client, true, "beat beat 2 3 4 5 ready @5");
}

static void a_heartbeat_comes_between_blocks_and_in_time(void **state)
{
    struct fake_socket *client;

    (void)state;
    begin(&(struct stream_rig_options){0});
    client = stream_rig_open_ready(&rig, true);
    for (int i = 0; i < 4; i++) {
        fake_clock_advance_ms(34000);
        stream_rig_turn(&rig);
    }
    stream_rig_assert_story(client, true, "ready @0 beat beat beat beat");
}

static void a_half_written_event_is_finished_first(void **state)
{
    struct fake_socket *client;

    (void)state;
    begin(&(struct stream_rig_options){.buffer_events = 2});
    client = stream_rig_open_ready(&rig, true);
    fake_socket_set_capacity(client, 30);
    stream_rig_publish_singly(&rig, 1, 6);
    fake_clock_advance_ms(34000);
    stream_rig_settle(&rig);
    stream_rig_read_all(&rig, client);
    stream_rig_assert_story(client, true, "ready @0 1 gap(slow_consumer,3) 5 6");
}

static void a_token_that_expires_is_warned_of_and_ends_the_stream(void **state)
{
    struct fake_socket *client;

    (void)state;
    begin(&(struct stream_rig_options){0});
    worker_rig_expire(rig.worker, clock_unix_ms() + 100000);
    client = stream_rig_open_ready(&rig, true);
    fake_clock_advance_ms(39000);
    stream_rig_settle(&rig);
    stream_rig_assert_story(client, true, "ready @0 beat");
    fake_clock_advance_ms(1200);
    stream_rig_settle(&rig);
    stream_rig_assert_story(client, true, "ready @0 beat expiring");
    fake_clock_advance_ms(58000);
    stream_rig_settle(&rig);
    stream_rig_assert_story(client, true, "ready @0 beat expiring beat");
    fake_clock_advance_ms(2000);
    stream_rig_settle(&rig);
    stream_rig_assert_story(client, true, "ready @0 beat expiring beat closing(expired_token) end");
    assert_int_equal(metrics_get(rig.metrics, METRIC_CLOSED_EXPIRED), 1);
    assert_int_equal(registry_connections(rig.registry), 0);
}

static void a_token_with_little_time_left_needs_no_warning(void **state)
{
    struct fake_socket *client;

    (void)state;
    begin(&(struct stream_rig_options){0});
    worker_rig_expire(rig.worker, clock_unix_ms() + 20000);
    client = stream_rig_open_ready(&rig, true);
    fake_clock_advance_ms(19000);
    stream_rig_settle(&rig);
    stream_rig_assert_story(client, true, "ready @0");
    fake_clock_advance_ms(1200);
    stream_rig_settle(&rig);
    stream_rig_assert_story(client, true, "ready @0 closing(expired_token) end");
}

static void a_client_that_does_not_read_is_closed_when_its_token_expires(void **state)
{
    struct fake_socket *client;

    (void)state;
    begin(&(struct stream_rig_options){0});
    worker_rig_expire(rig.worker, clock_unix_ms() + 20000);
    client = stream_rig_open_ready(&rig, true);
    fake_socket_set_capacity(client, 30);
    stream_rig_publish_singly(&rig, 1, 6);
    fake_clock_advance_ms(20200);
    stream_rig_settle(&rig);
    assert_int_equal(metrics_get(rig.metrics, METRIC_CLOSED_EXPIRED), 1);
    assert_int_equal(registry_connections(rig.registry), 0);
}

static void the_store_is_told_lost_and_restored(void **state)
{
    struct fake_socket *client;

    (void)state;
    begin(&(struct stream_rig_options){0});
    client = stream_rig_open_ready(&rig, true);
    fake_store_lose(rig.bridge.store, 0);
    stream_rig_settle(&rig);
    stream_rig_publish(&rig, "acme", 1, 1);
    stream_rig_settle(&rig);
    fake_store_restore(rig.bridge.store);
    stream_rig_settle(&rig);
    stream_rig_assert_story(client, true, "ready @0 lost 1 restored");
}

static void a_drained_stream_ends_in_order(void **state)
{
    struct fake_socket *chunked;
    struct fake_socket *bare;

    (void)state;
    begin(&(struct stream_rig_options){0});
    chunked = stream_rig_open_ready(&rig, true);
    bare = stream_rig_open_ready(&rig, false);
    stream_rig_publish(&rig, "acme", 1, 2);
    worker_rig_drain(rig.worker);
    stream_rig_turn(&rig);
    assert_true(chunked->closed);
    stream_rig_assert_story(chunked, true, "ready @0 1 2 closing(shutdown) end");
    stream_rig_assert_story(bare, false, "ready @0 1 2 closing(shutdown)");
}

static void a_drained_stream_that_is_full_ends_when_it_is_read(void **state)
{
    struct fake_socket *client;

    (void)state;
    begin(&(struct stream_rig_options){0});
    client = stream_rig_open_ready(&rig, true);
    fake_socket_set_capacity(client, 20);
    stream_rig_publish_singly(&rig, 1, 3);
    worker_rig_drain(rig.worker);
    stream_rig_turn(&rig);
    assert_false(client->closed);
    fake_socket_set_capacity(client, LOTS_OF_ROOM);
    stream_rig_turn(&rig);
    assert_true(client->closed);
    stream_rig_assert_story(client, true, "ready @0 1 2 3 closing(shutdown) end");
}

/* Eight events, of which memory holds the last, and the store, which lost its tail, the first five. */
static struct fake_socket *resume_from_three_after_a_loss(void)
{
    char id[EVENT_ID_SIZE];

    begin(&(struct stream_rig_options){.recent_events = 1});
    stream_rig_publish(&rig, "acme", 1, 8);
    stream_rig_settle(&rig);
    stream_rig_id_of(&rig, 3, id);
    fake_store_lose(rig.bridge.store, 0);
    fake_store_drop_tail(rig.bridge.store, "acme", 3);
    fake_store_restore(rig.bridge.store);
    fake_store_answer_all(rig.bridge.store);
    return stream_rig_open(&rig, "acme", true, id, LOTS_OF_ROOM);
}

static void what_the_store_lost_is_a_gap_in_the_replay(void **state)
{
    struct fake_socket *client;

    (void)state;
    client = resume_from_three_after_a_loss();
    stream_rig_settle(&rig);
    stream_rig_assert_story(client, true, "4 5 gap(replay_unavailable,2) 8 ready @8");
}

static void an_event_that_the_store_lacks_behind_the_id_is_a_gap(void **state)
{
    struct fake_socket *client;
    char id[EVENT_ID_SIZE];

    (void)state;
    begin(&(struct stream_rig_options){.recent_events = 1, .ring_events = 1});
    stream_rig_publish(&rig, "acme", 1, 8);
    stream_rig_settle(&rig);
    stream_rig_id_of(&rig, 3, id);
    fake_store_drop_frame(rig.bridge.store, "acme", 3);
    client = stream_rig_open(&rig, "acme", true, id, LOTS_OF_ROOM);
    stream_rig_settle(&rig);
    stream_rig_assert_story(client, true, "gap(replay_unavailable,1) 5 6 7 8 ready @8");
}

static void what_lies_between_the_store_and_memory_is_a_gap(void **state)
{
    struct fake_socket *client;

    (void)state;
    client = resume_from_three_after_a_loss();
    /* The append of the last event gathers still: time stands. */
    for (int i = 0; i < 10; i++) {
        stream_rig_turn(&rig);
        worker_rig_answer(&rig.bridge);
        fake_store_answer_all(rig.bridge.store);
    }
    assert_int_equal(fake_store_count(rig.bridge.store, "acme"), 5);
    stream_rig_assert_story(client, true, "4 5 gap(replay_unavailable,2) 8 ready @8 lost");
}

static void what_the_store_lost_behind_an_empty_memory_is_a_gap(void **state)
{
    struct fake_socket *client;
    char id[EVENT_ID_SIZE];

    (void)state;
    begin(&(struct stream_rig_options){0});
    stream_rig_publish(&rig, "acme", 1, 8);
    stream_rig_settle(&rig);
    stream_rig_id_of(&rig, 3, id);
    fake_clock_advance_ms(INT64_C(20) * 60 * 1000);
    bridge_rig_tick(&rig.bridge);
    assert_null(bridge_rig_company(&rig.bridge, "acme"));
    (void)stream_rig_open_ready(&rig, true);
    fake_store_lose(rig.bridge.store, 0);
    fake_store_drop_tail(rig.bridge.store, "acme", 3);
    fake_store_restore(rig.bridge.store);
    stream_rig_settle(&rig);
    client = stream_rig_open(&rig, "acme", true, id, LOTS_OF_ROOM);
    stream_rig_settle(&rig);
    stream_rig_assert_story(client, true, "4 5 gap(replay_unavailable,3) ready @8");
}

static void a_client_that_goes_while_its_history_is_read_is_forgotten(void **state)
{
    struct fake_socket *client;
    char id[EVENT_ID_SIZE];

    (void)state;
    begin(&(struct stream_rig_options){.recent_events = 1});
    stream_rig_publish(&rig, "acme", 1, 10);
    stream_rig_settle(&rig);
    stream_rig_id_of(&rig, 2, id);
    client = stream_rig_open(&rig, "acme", true, id, LOTS_OF_ROOM);
    stream_rig_turn(&rig);
    while (worker_rig_asked() > 0) {
        worker_rig_answer(&rig.bridge);
        stream_rig_turn(&rig);
    }
    assert_int_equal(fake_store_first(rig.bridge.store), FAKE_READ);
    client->gone = true;
    stream_rig_turn(&rig);
    assert_true(client->closed);
    stream_rig_settle(&rig);
    assert_int_equal(registry_connections(rig.registry), 0);
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(both_http_versions_get_the_same_blocks),
        TEST(without_an_id_there_are_live_events_only),
        TEST(a_client_without_an_id_gets_no_history_however_slowly_it_begins),
        TEST(a_malformed_id_is_a_gap_and_then_live),
        TEST(a_replay_goes_over_into_live_events),
        TEST(a_replay_loses_nothing_however_slow_the_client_is),
        TEST(a_slow_client_is_told_exactly_what_it_missed),
        TEST(a_client_held_up_by_a_heartbeat_is_told_exactly_what_it_missed),
        TEST(a_client_held_up_by_stream_ready_is_told_exactly_what_it_missed),
        TEST(a_dropped_hole_is_told),
        TEST(a_dropped_hole_among_events_makes_the_number_unknown),
        TEST(holes_are_counted_by_their_reason),
        TEST(a_stream_that_opens_while_a_subscription_begins_anew_misses_nothing),
        TEST(a_heartbeat_comes_while_a_client_waits),
        TEST(a_heartbeat_comes_between_blocks_and_in_time),
        TEST(a_half_written_event_is_finished_first),
        TEST(a_token_that_expires_is_warned_of_and_ends_the_stream),
        TEST(a_token_with_little_time_left_needs_no_warning),
        TEST(a_client_that_does_not_read_is_closed_when_its_token_expires),
        TEST(the_store_is_told_lost_and_restored),
        TEST(a_drained_stream_ends_in_order),
        TEST(a_drained_stream_that_is_full_ends_when_it_is_read),
        TEST(what_the_store_lost_is_a_gap_in_the_replay),
        TEST(an_event_that_the_store_lacks_behind_the_id_is_a_gap),
        TEST(what_lies_between_the_store_and_memory_is_a_gap),
        TEST(what_the_store_lost_behind_an_empty_memory_is_a_gap),
        TEST(a_client_that_goes_while_its_history_is_read_is_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
