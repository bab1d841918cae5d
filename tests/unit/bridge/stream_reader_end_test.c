/* When a stream was read to its end: bridge/stream_reader.c, given messages by hand. */
#include "bridge/stream_reader.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { MESSAGES = 3, ROOM = 1000, LARGE = 400, TAKEN_MAX = 8 };

static struct metrics *metrics;
static struct stream_reader *reader;

/* A reader of a stream with three messages, whose consumer has just been made. */
static void begin(void)
{
    metrics = metrics_new();
    reader = stream_reader_new(&(struct stream_reader_options){
        .stream = "EVENTS",
        .max_pending_events = 100,
        .max_pending_bytes = ROOM,
        .metrics = metrics,
    });
    assert_non_null(reader);
    pthread_mutex_lock(&reader->lock);
    reader->position = (struct stream_position){.base = 1, .has_last = true};
    reader->end = reader->position.base + MESSAGES;
    reader->is_bound = true;
    /* More was asked for than comes: the thread has nothing to do. */
    reader->asked = reader->batch;
    reader->alive_ns = clock_monotonic_ns();
    snprintf(reader->consumer, sizeof reader->consumer, "c");
    pthread_mutex_unlock(&reader->lock);
}

static int tear_down(void **state)
{
    (void)state;
    stream_reader_free(reader);
    metrics_free(metrics);
    return 0;
}

/* The consumer's message of that number, which is the stream's too. */
static void give(int number, int size)
{
    static const char payload[2 * ROOM];
    char reply[64];
    natsMsg *message = NULL;

    snprintf(reply, sizeof reply, "$JS.ACK.EVENTS.c.1.%d.%d.%d.%d", number, number, number, MESSAGES - number);
    assert_int_equal(natsMsg_Create(&message, "metrics.x", reply, payload, size), NATS_OK);
    on_message(NULL, NULL, message, reader);
}

static size_t take_all(void)
{
    struct source_item items[TAKEN_MAX];
    size_t count = stream_reader_take(reader, items, TAKEN_MAX);

    for (size_t i = 0; i < count; i++)
        natsMsg_Destroy((natsMsg *)items[i].message);
    return count;
}

static void assert_at_end(bool expected)
{
    uint64_t end = 0;

    assert_int_equal(stream_reader_is_at_end(reader, &end), expected);
    assert_int_equal(end, expected ? reader->end : 0);
}

static void the_end_is_reached_when_the_last_message_was_taken(void **state)
{
    (void)state;
    begin();
    for (int number = 1; number <= MESSAGES; number++)
        give(number, 1);
    assert_at_end(false);
    assert_int_equal(take_all(), MESSAGES);
    assert_at_end(true);
}

static void a_last_message_that_has_to_wait_for_room_is_not_the_end_yet(void **state)
{
    (void)state;
    begin();
    for (int number = 1; number <= MESSAGES; number++)
        give(number, LARGE);
    assert_int_equal(take_all(), MESSAGES - 1);
    assert_at_end(false);
}

static void a_last_message_that_never_fits_is_written_down_as_missing_and_is_the_end(void **state)
{
    (void)state;
    begin();
    give(1, 1);
    give(2, 1);
    give(3, ROOM + 1);
    assert_int_equal(metrics_get(metrics, METRIC_DROPPED_SOURCE), 1);
    assert_int_equal(take_all(), MESSAGES);
    assert_at_end(true);
}

/* The library frees messages on a thread of its own. */
static int open_library(void **state)
{
    (void)state;
    return nats_Open(-1) == NATS_OK ? 0 : -1;
}

static int close_library(void **state)
{
    (void)state;
    return nats_CloseAndWait(10000) == NATS_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(the_end_is_reached_when_the_last_message_was_taken, tear_down),
        cmocka_unit_test_teardown(a_last_message_that_has_to_wait_for_room_is_not_the_end_yet, tear_down),
        cmocka_unit_test_teardown(a_last_message_that_never_fits_is_written_down_as_missing_and_is_the_end, tear_down),
    };

    return cmocka_run_group_tests(tests, open_library, close_library);
}
