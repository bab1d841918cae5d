#include "http/pieces.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { FRAMES = 100 };

static struct metrics *metrics;
static struct pieces *pieces;
static struct frame *frames[FRAMES];

static int set_up(void **state)
{
    (void)state;
    metrics = metrics_new();
    pieces = pieces_new(0, metrics);
    if (!metrics || !pieces)
        return -1;
    /* All alike: frames are told apart by what they are, not by what they say. */
    for (int i = 0; i < FRAMES; i++)
        frames[i] = frame_new_control("data: {}\n\n", 10);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pieces_free(pieces);
    for (int i = 0; i < FRAMES; i++)
        frame_unref(frames[i]);
    metrics_free(metrics);
    return 0;
}

/* How many frames were compressed since the test began. */
static int64_t compressed(void)
{
    return metrics_get(metrics, METRIC_COMPRESSION_INPUT_BYTES) / 10;
}

/* Asks for a piece and lets it go. */
static void get(int first, int count)
{
    struct gzip_piece piece = pieces_get(pieces, frames + first, count);

    frame_unref(piece.frame);
}

static void the_same_frames_share_one_piece(void **state)
{
    struct gzip_piece one = pieces_get(pieces, frames, 5);
    struct gzip_piece other = pieces_get(pieces, frames, 5);

    (void)state;
    assert_ptr_equal(one.frame, other.frame);
    assert_int_equal(compressed(), 5);
    assert_true(metrics_get(metrics, METRIC_COMPRESSION_OUTPUT_BYTES) > 0);
    frame_unref(one.frame);
    frame_unref(other.frame);
}

static void other_frames_share_none_though_they_say_the_same(void **state)
{
    struct frame *chosen[] = {frames[0], frames[2]};
    struct gzip_piece piece;

    (void)state;
    get(0, 2);
    get(0, 3);
    get(1, 2);
    assert_int_equal(compressed(), 2 + 3 + 2);
    piece = pieces_get(pieces, chosen, 2);
    assert_int_equal(compressed(), 2 + 3 + 2 + 2);
    frame_unref(piece.frame);
}

static void several_are_held_and_the_oldest_goes_first(void **state)
{
    (void)state;
    for (int i = 0; i < 64; i++)
        get(i, 1);
    for (int i = 0; i < 64; i++)
        get(i, 1);
    assert_int_equal(compressed(), 64);
    get(64, 1);
    get(1, 1);
    assert_int_equal(compressed(), 65);
    get(0, 1);
    assert_int_equal(compressed(), 66);
}

static void what_is_cleared_is_made_anew(void **state)
{
    (void)state;
    get(0, 3);
    pieces_clear(pieces);
    get(0, 3);
    assert_int_equal(compressed(), 6);
}

static void what_one_stream_gets_alone_is_stored_as_it_is_and_not_held(void **state)
{
    struct frame *frame = frame_new_control("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 32);
    struct gzip_piece piece = pieces_store(pieces, frame);
    size_t size;
    const char *bytes = frame_bytes(piece.frame, false, &size);

    (void)state;
    assert_int_equal(size, 5 + 32 + 5);
    assert_memory_equal(bytes + 5, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 32);
    assert_int_equal(compressed(), 0);
    frame_unref(piece.frame);
    piece = pieces_get(pieces, &frame, 1);
    (void)frame_bytes(piece.frame, false, &size);
    assert_in_range(size, 1, 31);
    frame_unref(piece.frame);
    frame_unref(frame);
}

static struct frame *large_frame(size_t size)
{
    char *text = calloc(1, size);
    struct frame *frame;

    assert_non_null(text);
    frame = frame_new_control(text, size);
    assert_non_null(frame);
    free(text);
    return frame;
}

static void large_frames_are_held_up_to_a_limit(void **state)
{
    struct frame *large[6];
    int64_t before;

    (void)state;
    for (int i = 0; i < 6; i++) {
        struct gzip_piece piece;

        large[i] = large_frame((size_t)1024 * 1024 - 8192);
        piece = pieces_get(pieces, &large[i], 1);
        frame_unref(piece.frame);
    }
    before = metrics_get(metrics, METRIC_COMPRESSION_INPUT_BYTES);
    for (int i = 0; i < 2; i++) {
        struct gzip_piece piece = pieces_get(pieces, &large[5 - i], 1);

        frame_unref(piece.frame);
    }
    assert_int_equal(metrics_get(metrics, METRIC_COMPRESSION_INPUT_BYTES), before);
    get(0, 1);
    before = metrics_get(metrics, METRIC_COMPRESSION_INPUT_BYTES);
    for (int i = 0; i < 2; i++) {
        struct gzip_piece piece = pieces_get(pieces, &large[i], 1);

        frame_unref(piece.frame);
    }
    assert_true(metrics_get(metrics, METRIC_COMPRESSION_INPUT_BYTES) > before);
    for (int i = 0; i < 6; i++)
        frame_unref(large[i]);
}

static void a_frame_beyond_the_limit_is_made_each_time(void **state)
{
    struct frame *huge = large_frame((size_t)5 * 1024 * 1024);
    int64_t before;

    (void)state;
    get(0, 1);
    for (int i = 0; i < 2; i++) {
        struct gzip_piece piece = pieces_get(pieces, &huge, 1);

        frame_unref(piece.frame);
    }
    before = metrics_get(metrics, METRIC_COMPRESSION_INPUT_BYTES);
    assert_int_equal(before, 10 + 2 * 5 * 1024 * 1024);
    /* And nothing had to go for it. */
    get(0, 1);
    assert_int_equal(metrics_get(metrics, METRIC_COMPRESSION_INPUT_BYTES), before);
    frame_unref(huge);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_same_frames_share_one_piece),
        TEST(other_frames_share_none_though_they_say_the_same),
        TEST(several_are_held_and_the_oldest_goes_first),
        TEST(what_is_cleared_is_made_anew),
        TEST(what_one_stream_gets_alone_is_stored_as_it_is_and_not_held),
        TEST(large_frames_are_held_up_to_a_limit),
        TEST(a_frame_beyond_the_limit_is_made_each_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
