/* What several streams are written at once: the batches of http/stream_live.c, over sockets that the test fills and empties. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "http/stream_io.h"
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

/* Several streams share the bytes of a burst, wherever in them the socket of one is full. */
static void a_burst_is_whole_wherever_a_socket_is_full(void **state)
{
    enum { CUTS = 700 };

    (void)state;
    for (size_t capacity = 1; capacity < CUTS; capacity += 7) {
        struct fake_socket *clients[3];

        begin(&(struct stream_rig_options){0});
        for (size_t i = 0; i < 3; i++)
            clients[i] = stream_rig_open_ready(&rig, i != 1);
        fake_socket_set_capacity(clients[0], capacity);
        stream_rig_publish(&rig, "acme", 1, 8);
        stream_rig_settle(&rig);
        stream_rig_publish(&rig, "acme", 9, 10);
        stream_rig_settle(&rig);
        stream_rig_read_all(&rig, clients[0]);
        for (size_t i = 0; i < 3; i++)
            stream_rig_assert_story(clients[i], i != 1, "ready @0 1 2 3 4 5 6 7 8 9 10");
        stream_rig_release(&rig);
    }
    begin(&(struct stream_rig_options){0});
}

/* One that is larger than what is put side by side. */
static void a_burst_of_any_size_is_whole(void **state)
{
    enum { EVENTS = 300 };
    struct batch batch = {.count = 0};
    char room[FLAT_BYTES];
    struct stream stream = {.chunked = true};
    struct frame *frame = frame_new_control("x\n\n", 3);
    struct fake_socket *clients[2];
    char expected[EVENTS * 4 + 16] = "ready @0";

    (void)state;
    begin(&(struct stream_rig_options){.buffer_events = 10 * EVENTS});
    for (size_t i = 0; i < 2; i++)
        clients[i] = stream_rig_open_ready(&rig, true);
    stream_rig_publish(&rig, "acme", 1, EVENTS);
    stream_rig_settle(&rig);
    for (int i = 1; i <= EVENTS; i++)
        sprintf(expected + strlen(expected), " %d", i);
    for (size_t i = 0; i < 2; i++) {
        stream_rig_read_all(&rig, clients[i]);
        stream_rig_assert_story(clients[i], true, expected);
    }
    /* Side by side only what pays, and fits. */
    batch.flat = room;
    batch_begin(&batch, &stream);
    assert_true(batch_add(&batch, frame));
    batch_flatten(&batch);
    assert_int_equal(batch.flat_size, 0);
    while (batch_add(&batch, frame))
        continue;
    batch_flatten(&batch);
    assert_int_equal(batch.flat_size, batch.bytes);
    batch.bytes = FLAT_BYTES + 1;
    batch.flat_size = 0;
    batch_flatten(&batch);
    assert_int_equal(batch.flat_size, 0);
    frame_unref(frame);
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_burst_is_whole_wherever_a_socket_is_full),
        TEST(a_burst_of_any_size_is_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
