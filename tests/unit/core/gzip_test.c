#include "core/gzip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

enum { TEXT_MAX = 1024 * 1024, MIN_BYTES = 100 };

/* A client that decodes what has come, as it comes. */
struct reader {
    z_stream inflate;
    char *text;
    size_t size;
    size_t known; /* of the text: what was expected so far */
};

static void reader_begin(struct reader *reader)
{
    struct buffer header = buffer_make(64);

    memset(reader, 0, sizeof *reader);
    reader->text = malloc(TEXT_MAX);
    assert_non_null(reader->text);
    assert_int_equal(inflateInit2(&reader->inflate, 16 + 15), Z_OK);
    gzip_append_header(&header);
    reader->inflate.next_in = (Bytef *)(void *)header.data;
    reader->inflate.avail_in = (uInt)header.size;
    reader->inflate.next_out = (Bytef *)(void *)reader->text;
    reader->inflate.avail_out = TEXT_MAX;
    assert_int_equal(inflate(&reader->inflate, Z_SYNC_FLUSH), Z_OK);
    assert_int_equal(reader->inflate.avail_in, 0);
    buffer_release(&header);
}

static void reader_end(struct reader *reader)
{
    assert_int_equal(inflateEnd(&reader->inflate), Z_OK);
    free(reader->text);
}

static int reader_feed(struct reader *reader, const char *bytes, size_t size)
{
    int status;

    reader->inflate.next_in = (Bytef *)(uintptr_t)bytes;
    reader->inflate.avail_in = (uInt)size;
    reader->inflate.next_out = (Bytef *)(void *)(reader->text + reader->size);
    reader->inflate.avail_out = (uInt)(TEXT_MAX - reader->size);
    status = inflate(&reader->inflate, Z_SYNC_FLUSH);
    reader->size = TEXT_MAX - reader->inflate.avail_out;
    return status;
}

/* Whether exactly that text has become readable since the last time. */
static void assert_reads(struct reader *reader, const char *text, size_t size)
{
    assert_int_equal(reader->size - reader->known, size);
    assert_memory_equal(reader->text + reader->known, text, size);
    reader->known = reader->size;
}

static size_t feed_piece(struct reader *reader, const struct gzip_piece *piece)
{
    size_t size;
    const char *bytes = frame_bytes(piece->frame, false, &size);

    assert_int_equal(reader_feed(reader, bytes, size), Z_OK);
    return size;
}

static void assert_ends(struct reader *reader, struct gzip_sum sum, int expected)
{
    struct buffer end = buffer_make(64);

    gzip_append_end(&end, sum);
    assert_int_equal(reader_feed(reader, end.data, end.size), expected);
    buffer_release(&end);
}

static struct frame *text_frame(const char *text, size_t size)
{
    struct frame *frame = frame_new_control(text, size);

    assert_non_null(frame);
    return frame;
}

/* An event as a publisher of metrics would send it. */
static struct frame *event_frame(int number)
{
    char payload[256];
    int size = snprintf(payload, sizeof payload,
                        "{\"companyId\":\"acme\",\"metricName\":\"integration_score\",\"value\":0.%d,"
                        "\"participantId\":\"p-%d\",\"calculatedAt\":\"2026-01-05T09:%02d:11.%03dZ\"}",
                        number * 7919 % 10000, number * 104729 % 100000, number % 60, number * 37 % 1000);
    struct frame *frame = frame_new_event(&(struct frame_event){
        .kind = FRAME_EVENT,
        .subject = "metrics.calculated",
        .event = "metric_updated",
        .payload = payload,
        .payload_size = (size_t)size,
        .position = {.ms = UINT64_C(1699999999999) + (uint64_t)number, .seq = (uint64_t)number},
    });

    assert_non_null(frame);
    return frame;
}

static struct gzip_piece make_piece(struct gzip *gzip, struct frame *const *frames, int count)
{
    struct gzip_piece piece;

    assert_int_equal(gzip_make(gzip, frames, count, &piece), 0);
    return piece;
}

static struct gzip *new_gzip(void)
{
    struct gzip *gzip = gzip_new(MIN_BYTES);

    assert_non_null(gzip);
    return gzip;
}

/* Text that nothing can be found in. */
static void fill_with_noise(char *bytes, size_t size)
{
    uint64_t random = 88172645463325252;

    for (size_t i = 0; i < size; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        bytes[i] = (char)(random >> 32);
    }
}

static void a_piece_is_read_as_soon_as_it_is_there(void **state)
{
    struct gzip *gzip = new_gzip();
    struct reader reader;
    struct gzip_sum sum = {0};

    (void)state;
    reader_begin(&reader);
    for (int i = 1; i <= 20; i++) {
        struct frame *frame = event_frame(i);
        struct gzip_piece piece = make_piece(gzip, &frame, 1);
        size_t size;
        const char *text = frame_bytes(frame, false, &size);

        feed_piece(&reader, &piece);
        assert_reads(&reader, text, size);
        sum = gzip_sum_add(sum, &piece);
        frame_unref(piece.frame);
        frame_unref(frame);
    }
    assert_ends(&reader, sum, Z_STREAM_END);
    reader_end(&reader);
    gzip_free(gzip);
}

static void a_piece_fits_into_every_stream_wherever_it_is(void **state)
{
    struct gzip *gzip = new_gzip();
    struct frame *frames[6];
    struct gzip_piece pieces[3];

    (void)state;
    for (int i = 0; i < 6; i++)
        frames[i] = event_frame(i + 1);
    for (int i = 0; i < 3; i++)
        pieces[i] = make_piece(gzip, frames + 2 * i, 2);
    /* Each of these is a stream that gets the pieces in another order, or only some, or one of them twice. */
    for (int order = 0; order < 27; order++) {
        const int chosen[] = {order % 3, order / 3 % 3, order / 9};
        struct gzip_sum sum = {0};
        struct reader reader;

        reader_begin(&reader);
        for (int i = 0; i < 3; i++) {
            feed_piece(&reader, &pieces[chosen[i]]);
            sum = gzip_sum_add(sum, &pieces[chosen[i]]);
            for (int k = 0; k < 2; k++) {
                size_t size;
                const char *text = frame_bytes(frames[2 * chosen[i] + k], false, &size);

                assert_memory_equal(reader.text + reader.known, text, size);
                reader.known += size;
            }
            assert_int_equal(reader.known, reader.size);
        }
        assert_ends(&reader, sum, Z_STREAM_END);
        reader_end(&reader);
    }
    for (int i = 0; i < 3; i++)
        frame_unref(pieces[i].frame);
    for (int i = 0; i < 6; i++)
        frame_unref(frames[i]);
    gzip_free(gzip);
}

static void a_wrong_sum_is_noticed(void **state)
{
    struct gzip *gzip = new_gzip();
    struct frame *frame = event_frame(1);
    struct gzip_piece piece = make_piece(gzip, &frame, 1);
    struct reader reader;

    (void)state;
    reader_begin(&reader);
    feed_piece(&reader, &piece);
    assert_ends(&reader, (struct gzip_sum){.crc = piece.sum.crc + 1, .size = piece.sum.size}, Z_DATA_ERROR);
    reader_end(&reader);
    frame_unref(piece.frame);
    frame_unref(frame);
    gzip_free(gzip);
}

static void five_events_take_a_third_of_their_bytes(void **state)
{
    struct gzip *gzip = new_gzip();
    struct frame *frames[5];
    struct gzip_piece piece;
    size_t size;

    (void)state;
    for (int i = 0; i < 5; i++)
        frames[i] = event_frame(i + 1);
    piece = make_piece(gzip, frames, 5);
    (void)frame_bytes(piece.frame, true, &size); /* with the chunk's framing */
    assert_in_range(100 * size, 1, 35 * (size_t)piece.sum.size);
    frame_unref(piece.frame);
    for (int i = 0; i < 5; i++)
        frame_unref(frames[i]);
    gzip_free(gzip);
}

/* What is stored can be seen in the bytes. */
static void assert_stored(struct frame *frame, size_t overhead, bool expected)
{
    struct gzip *gzip = new_gzip();
    struct gzip_piece piece = make_piece(gzip, &frame, 1);
    struct reader reader;
    size_t text_size;
    const char *text = frame_bytes(frame, false, &text_size);
    size_t size;

    reader_begin(&reader);
    size = feed_piece(&reader, &piece);
    assert_reads(&reader, text, text_size);
    assert_ends(&reader, piece.sum, Z_STREAM_END);
    reader_end(&reader);
    if (expected)
        assert_int_equal(size, text_size + overhead);
    else
        assert_in_range(size, 1, text_size - 1);
    frame_unref(piece.frame);
    frame_unref(frame);
    gzip_free(gzip);
}

static void little_text_is_stored_as_it_is(void **state)
{
    char text[MIN_BYTES];

    (void)state;
    memset(text, 'x', sizeof text);
    assert_stored(text_frame(text, 1), 10, true);
    assert_stored(text_frame(text, MIN_BYTES - 1), 10, true);
    assert_stored(text_frame(text, MIN_BYTES), 10, false);
}

static void what_compression_would_make_longer_is_stored(void **state)
{
    char *noise = malloc(200000);

    (void)state;
    assert_non_null(noise);
    fill_with_noise(noise, 200000);
    assert_stored(text_frame(noise, 1000), 10, true);
    /* A stored block has at most 65535 bytes. */
    assert_stored(text_frame(noise, 65535), 10, true);
    assert_stored(text_frame(noise, 65536), 15, true);
    assert_stored(text_frame(noise, 200000), 25, true);
    free(noise);
}

static void a_huge_event_is_compressed_too(void **state)
{
    char *text = malloc(TEXT_MAX - 1000);

    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < TEXT_MAX - 1000; i++)
        text[i] = "0123456789abcdef"[(i * i + i / 7) % 16];
    assert_stored(text_frame(text, TEXT_MAX - 1000), 0, false);
    free(text);
}

static void a_text_can_be_stored_without_a_frame(void **state)
{
    struct buffer bytes = buffer_make(1024);
    struct gzip_sum sum = {0};
    struct reader reader;

    (void)state;
    reader_begin(&reader);
    gzip_append_stored(&bytes, "retry: 1\n\n", 10, &sum);
    assert_int_equal(reader_feed(&reader, bytes.data, bytes.size), Z_OK);
    assert_reads(&reader, "retry: 1\n\n", 10);
    buffer_clear(&bytes);
    gzip_append_stored(&bytes, ":bye\n\n", 6, &sum);
    gzip_append_end(&bytes, sum);
    assert_int_equal(reader_feed(&reader, bytes.data, bytes.size), Z_STREAM_END);
    assert_reads(&reader, ":bye\n\n", 6);
    reader_end(&reader);
    buffer_release(&bytes);
}

static void more_than_a_stored_block_takes_is_refused(void **state)
{
    struct buffer bytes = buffer_make(TEXT_MAX);
    struct gzip_sum sum = {.crc = 1, .size = 2};
    char *text = calloc(1, 65536);

    (void)state;
    assert_non_null(text);
    gzip_append_stored(&bytes, text, 65536, &sum);
    assert_true(bytes.failed);
    free(text);
    buffer_release(&bytes);
}

static void the_size_goes_on_from_zero_at_four_gibibytes(void **state)
{
    struct gzip *gzip = new_gzip();
    struct frame *frame = text_frame("0123456789", 10);
    struct gzip_piece piece = make_piece(gzip, &frame, 1);

    (void)state;
    assert_int_equal(gzip_sum_add((struct gzip_sum){.size = UINT32_MAX}, &piece).size, 9);
    frame_unref(piece.frame);
    frame_unref(frame);
    gzip_free(gzip);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_piece_is_read_as_soon_as_it_is_there),
        cmocka_unit_test(a_piece_fits_into_every_stream_wherever_it_is),
        cmocka_unit_test(a_wrong_sum_is_noticed),
        cmocka_unit_test(five_events_take_a_third_of_their_bytes),
        cmocka_unit_test(little_text_is_stored_as_it_is),
        cmocka_unit_test(what_compression_would_make_longer_is_stored),
        cmocka_unit_test(a_huge_event_is_compressed_too),
        cmocka_unit_test(a_text_can_be_stored_without_a_frame),
        cmocka_unit_test(more_than_a_stored_block_takes_is_refused),
        cmocka_unit_test(the_size_goes_on_from_zero_at_four_gibibytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
