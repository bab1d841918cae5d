/* Compressed streams: http/pieces.c and what stands around it, over sockets that the test fills and empties. */
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
#include "http/channel.h"
#include "http/stream_io.h"
#include "support/fake_clock.h"
#include "support/stream_rig.h"

enum { STREAMS = 40 };

static struct stream_rig rig;

static void begin(const struct stream_rig_options *options)
{
    stream_rig_init(&rig, options);
    worker_rig_compress(rig.worker, true);
}

static int tear_down(void **state)
{
    (void)state;
    stream_rig_release(&rig);
    return 0;
}

static struct fake_socket *open_plain(void)
{
    struct fake_socket *client;

    worker_rig_compress(rig.worker, false);
    client = stream_rig_open_ready(&rig, true);
    worker_rig_compress(rig.worker, true);
    return client;
}

static void publish(int first, int last)
{
    stream_rig_publish(&rig, "acme", first, last);
    stream_rig_settle(&rig);
}

static void publish_one_by_one(int first, int last)
{
    for (int i = first; i <= last; i++)
        publish(i, i);
}

static int64_t compressed_bytes(void)
{
    return metrics_get(rig.metrics, METRIC_COMPRESSION_INPUT_BYTES);
}

/* The text of so many events that the plain client got since it had `size` bytes, without the framing of their chunks. */
static size_t text_since(const struct fake_socket *plain, size_t size, size_t events)
{
    return plain->size - size - events * strlen("7f\r\n\r\n");
}

static void both_http_versions_get_the_same_blocks(void **state)
{
    struct fake_socket *bare;
    struct fake_socket *chunked;
    struct fake_socket *plain;

    (void)state;
    begin(&(struct stream_rig_options){0});
    bare = stream_rig_open_ready(&rig, false);
    chunked = stream_rig_open_ready(&rig, true);
    plain = open_plain();
    publish(1, 10);
    publish(11, 11);
    stream_rig_assert_story(bare, false, "ready @0 1 2 3 4 5 6 7 8 9 10 11");
    stream_rig_assert_story(chunked, true, "ready @0 1 2 3 4 5 6 7 8 9 10 11");
    stream_rig_assert_story(plain, true, "ready @0 1 2 3 4 5 6 7 8 9 10 11");
    assert_int_equal(metrics_get(rig.metrics, METRIC_EVENTS_DELIVERED), 33);
    assert_in_range(chunked->size, 1, plain->size - 500);
}

static void a_batch_is_compressed_once_for_all_streams(void **state)
{
    struct fake_socket *clients[STREAMS];
    struct fake_socket *plain;
    int64_t before;
    size_t size;

    (void)state;
    begin(&(struct stream_rig_options){0});
    /* Both kinds take turns, and both HTTP versions do. */
    for (int i = 0; i < STREAMS / 2; i++)
        clients[i] = i % 3 == 0 ? open_plain() : stream_rig_open_ready(&rig, i % 2 == 0);
    plain = open_plain();
    before = compressed_bytes();
    size = plain->size;
    publish(1, 20);
    assert_int_equal(compressed_bytes() - before, text_since(plain, size, 20));
    for (int i = 0; i < STREAMS / 2; i++)
        stream_rig_assert_story(clients[i], i % 3 == 0 || i % 2 == 0,
                                "ready @0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20");
}

static void what_comes_during_a_round_is_compressed_once_too(void **state)
{
    struct fake_socket *clients[STREAMS];
    struct fake_socket *plain;
    int64_t before;
    size_t size;

    (void)state;
    begin(&(struct stream_rig_options){0});
    for (int i = 0; i < STREAMS; i++)
        clients[i] = stream_rig_open_ready(&rig, true);
    plain = open_plain();
    /* So slow that the round takes several turns. */
    for (int i = 0; i < STREAMS; i += 8)
        clients[i]->write_ms = 2;
    before = compressed_bytes();
    size = plain->size;
    stream_rig_publish(&rig, "acme", 1, 10);
    stream_rig_turn(&rig);
    assert_int_not_equal(worker_rig_channel(rig.worker, "acme")->turn, 0);
    stream_rig_publish(&rig, "acme", 11, 15);
    stream_rig_turn(&rig);
    assert_int_not_equal(worker_rig_channel(rig.worker, "acme")->turn, 0);
    stream_rig_publish(&rig, "acme", 16, 20);
    stream_rig_settle(&rig);
    assert_int_equal(compressed_bytes() - before, text_since(plain, size, 20));
    for (int i = 0; i < STREAMS; i++)
        stream_rig_assert_story(clients[i], true, "ready @0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20");
}

static void companies_share_nothing(void **state)
{
    int64_t before;
    int64_t once;

    (void)state;
    begin(&(struct stream_rig_options){0});
    (void)stream_rig_open_ready(&rig, true);
    (void)stream_rig_open(&rig, "zinc", true, NULL, LOTS_OF_ROOM);
    stream_rig_settle(&rig);
    before = compressed_bytes();
    publish(1, 5);
    once = compressed_bytes() - before;
    stream_rig_publish(&rig, "zinc", 1, 5);
    stream_rig_settle(&rig);
    assert_int_equal(compressed_bytes() - before, 2 * once);
    stream_rig_assert_story(rig.sockets[1], true, "ready @0 1 2 3 4 5");
}

static void streams_with_the_same_filter_share_what_they_get(void **state)
{
    struct fake_socket *clients[2];
    struct fake_socket *all;
    int64_t before;

    (void)state;
    begin(&(struct stream_rig_options){0});
    all = stream_rig_open_ready(&rig, true);
    worker_rig_filter(rig.worker, "vis_*");
    for (int i = 0; i < 2; i++)
        clients[i] = stream_rig_open_ready(&rig, true);
    before = compressed_bytes();
    for (int i = 1; i <= 8; i++)
        bridge_rig_publish_to(&rig.bridge, i % 2 ? "metrics.calculated" : "q2q.viewed", "acme", i);
    bridge_rig_flush(&rig.bridge);
    stream_rig_settle(&rig);
    stream_rig_assert_story(all, true, "ready @0 1 2 3 4 5 6 7 8");
    for (int i = 0; i < 2; i++)
        stream_rig_assert_story(clients[i], true, "ready @0 2 4 6 8");
    assert_in_range(compressed_bytes() - before, 1, 13 * 120);
}

static void a_half_written_piece_is_finished_first(void **state)
{
    struct fake_socket *client;

    (void)state;
    begin(&(struct stream_rig_options){.buffer_events = 12});
    client = stream_rig_open_ready(&rig, true);
    fake_socket_set_capacity(client, 40);
    publish(1, 6);
    publish_one_by_one(7, 30);
    stream_rig_read_all(&rig, client);
    stream_rig_assert_story(client, true,
                            "ready @0 1 2 3 4 5 6 gap(slow_consumer,12) 19 20 21 22 23 24 25 26 27 28 29 30");
    assert_int_equal(metrics_get(rig.metrics, METRIC_DROPPED_SLOW_CONSUMER), 12);
}

static void a_client_that_reads_byte_by_byte_gets_all_of_it(void **state)
{
    struct fake_socket *client;
    const char *bytes;

    (void)state;
    begin(&(struct stream_rig_options){0});
    client = stream_rig_open(&rig, "acme", true, NULL, 1);
    stream_rig_settle(&rig);
    publish(1, 6);
    for (int i = 0; i < 3000; i++) {
        fake_socket_read(client, 1, &bytes);
        stream_rig_turn(&rig);
        if (i == 1500)
            publish(7, 9);
    }
    stream_rig_settle(&rig);
    stream_rig_assert_story(client, true, "1 2 3 4 5 6 ready @6 7 8 9");
}

static void a_client_that_does_not_read_holds_a_bounded_piece(void **state)
{
    const struct stream *stream;
    struct fake_socket *client;

    (void)state;
    begin(&(struct stream_rig_options){.buffer_events = 100000, .ring_events = 100000, .ring_bytes = LOTS_OF_ROOM});
    client = stream_rig_open_ready(&rig, true);
    fake_socket_set_capacity(client, 10);
    publish(1, 1000);
    stream = worker_rig_stream(rig.worker, client);
    assert_true(stream->blocked);
    assert_int_equal(stream->cursor, BATCH_FRAMES);
    assert_in_range(frame_memory_size(stream->partial), 1, GZIP_BATCH_BYTES);
}

/* A frame with so many bytes of text. */
static struct frame *frame_of(size_t size)
{
    char *text = calloc(1, size);
    struct frame *frame;

    assert_non_null(text);
    frame = frame_new_control(text, size);
    assert_non_null(frame);
    free(text);
    return frame;
}

static void a_piece_is_of_so_many_bytes_or_of_one_event(void **state)
{
    struct frame *half = frame_of(GZIP_BATCH_BYTES / 2);
    struct frame *huge = frame_of(GZIP_BATCH_BYTES + 1);
    struct stream stream = {.gzip = true};
    struct batch batch = {.count = 0};

    (void)state;
    begin(&(struct stream_rig_options){0});
    batch_begin(&batch, &stream);
    assert_true(batch_add(&batch, half));
    assert_true(batch_add(&batch, half));
    assert_false(batch_add(&batch, half));
    batch_begin(&batch, &stream);
    assert_true(batch_add(&batch, huge));
    assert_false(batch_add(&batch, half));
    assert_int_equal(batch.count, 1);
    /* What is not compressed is bounded by its number alone. */
    stream.gzip = false;
    batch_begin(&batch, &stream);
    for (int i = 0; i < BATCH_FRAMES; i++)
        assert_true(batch_add(&batch, half));
    assert_false(batch_add(&batch, half));
    batch_release(&batch);
    frame_unref(half);
    frame_unref(huge);
}

static void a_replay_goes_over_into_live_events(void **state)
{
    struct fake_socket *client;
    char id[EVENT_ID_SIZE];

    (void)state;
    begin(&(struct stream_rig_options){.recent_events = 2});
    fake_store_set_limits(rig.bridge.store, 7, 1000);
    publish(1, 40);
    stream_rig_id_of(&rig, 2, id);
    client = stream_rig_open(&rig, "acme", true, id, LOTS_OF_ROOM);
    stream_rig_settle(&rig);
    publish(41, 42);
    stream_rig_assert_story(
        client, true,
        "3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 "
        "40 ready @40 41 42");
}

static void clients_that_come_back_to_the_same_place_share_what_they_get(void **state)
{
    struct fake_socket *clients[STREAMS];
    char id[EVENT_ID_SIZE];
    int64_t before;

    (void)state;
    begin(&(struct stream_rig_options){0});
    publish(1, 40);
    stream_rig_id_of(&rig, 10, id);
    before = compressed_bytes();
    for (int i = 0; i < STREAMS; i++)
        clients[i] = stream_rig_open(&rig, "acme", true, id, LOTS_OF_ROOM);
    stream_rig_settle(&rig);
    assert_in_range(compressed_bytes() - before, 30 * 90, 30 * 150);
    for (int i = 0; i < STREAMS; i++)
        stream_rig_assert_story(
            clients[i], true,
            "11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 ready @40");
}

static void heartbeats_and_notices_come_at_once(void **state)
{
    struct fake_socket *client;

    (void)state;
    begin(&(struct stream_rig_options){0});
    worker_rig_expire(rig.worker, clock_unix_ms() + 100000);
    client = stream_rig_open_ready(&rig, true);
    fake_clock_advance_ms(34000);
    stream_rig_settle(&rig);
    stream_rig_assert_story(client, true, "ready @0 beat");
    fake_store_lose(rig.bridge.store, 0);
    stream_rig_settle(&rig);
    stream_rig_assert_story(client, true, "ready @0 beat lost");
    fake_store_restore(rig.bridge.store);
    stream_rig_settle(&rig);
    stream_rig_assert_story(client, true, "ready @0 beat lost restored");
    fake_clock_advance_ms(7000);
    stream_rig_settle(&rig);
    stream_rig_assert_story(client, true, "ready @0 beat lost restored expiring");
}

static void what_a_stream_is_told_alone_is_never_compressed(void **state)
{
    /* So long that it would be, were it an event. */
    static const char company[] =
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    struct fake_socket *client;

    (void)state;
    begin(&(struct stream_rig_options){0});
    client = stream_rig_open(&rig, company, true, "nonsense/nonsense/nonsense/nonsense/nonsense", LOTS_OF_ROOM);
    stream_rig_settle(&rig);
    stream_rig_assert_story(client, true, "gap(unknown_id,null) ready @0");
    assert_non_null(memmem(client->bytes, client->size, company, strlen(company)));
    assert_non_null(memmem(client->bytes, client->size, "\",\"connectionId\":\"c0\",\"replayed\":0", 34));
    assert_int_equal(compressed_bytes(), 0);
}

static void a_drained_stream_ends_with_its_sum(void **state)
{
    struct fake_socket *chunked;
    struct fake_socket *bare;

    (void)state;
    begin(&(struct stream_rig_options){0});
    chunked = stream_rig_open_ready(&rig, true);
    bare = stream_rig_open_ready(&rig, false);
    publish(1, 9);
    stream_rig_publish(&rig, "acme", 10, 11);
    worker_rig_drain(rig.worker);
    stream_rig_turn(&rig);
    assert_true(chunked->closed);
    stream_rig_assert_story(chunked, true, "ready @0 1 2 3 4 5 6 7 8 9 10 11 closing(shutdown) end");
    stream_rig_assert_story(bare, false, "ready @0 1 2 3 4 5 6 7 8 9 10 11 closing(shutdown) end");
}

static void a_drained_stream_that_is_full_ends_with_its_sum(void **state)
{
    struct fake_socket *client;

    (void)state;
    begin(&(struct stream_rig_options){.buffer_events = 4});
    client = stream_rig_open_ready(&rig, true);
    fake_socket_set_capacity(client, 20);
    publish_one_by_one(1, 9);
    worker_rig_drain(rig.worker);
    stream_rig_turn(&rig);
    assert_false(client->closed);
    fake_socket_set_capacity(client, LOTS_OF_ROOM);
    stream_rig_turn(&rig);
    assert_true(client->closed);
    stream_rig_assert_story(client, true, "ready @0 1 gap(slow_consumer,4) 6 7 8 9 closing(shutdown) end");
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(both_http_versions_get_the_same_blocks),
        TEST(a_batch_is_compressed_once_for_all_streams),
        TEST(what_comes_during_a_round_is_compressed_once_too),
        TEST(companies_share_nothing),
        TEST(streams_with_the_same_filter_share_what_they_get),
        TEST(a_half_written_piece_is_finished_first),
        TEST(a_client_that_reads_byte_by_byte_gets_all_of_it),
        TEST(a_client_that_does_not_read_holds_a_bounded_piece),
        TEST(a_piece_is_of_so_many_bytes_or_of_one_event),
        TEST(a_replay_goes_over_into_live_events),
        TEST(clients_that_come_back_to_the_same_place_share_what_they_get),
        TEST(heartbeats_and_notices_come_at_once),
        TEST(what_a_stream_is_told_alone_is_never_compressed),
        TEST(a_drained_stream_ends_with_its_sum),
        TEST(a_drained_stream_that_is_full_ends_with_its_sum),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
