#include "core/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/core/sse_parser.h"

static const struct event_position position = {.ms = 1699999999999, .seq = 12345};

static struct frame_event event_of(const char *payload, size_t size)
{
    return (struct frame_event){
        .kind = FRAME_EVENT,
        .subject = "metrics.calculated",
        .event = "metric_updated",
        .payload = payload,
        .payload_size = size,
        .position = position,
        .received_ns = 77,
        .mark = 0xfedcba9876543210,
    };
}

static struct frame *new_frame(const char *payload)
{
    struct frame_event event = event_of(payload, strlen(payload));
    struct frame *frame = frame_new_event(&event);

    assert_non_null(frame);
    return frame;
}

static void assert_bytes(const struct frame *frame, bool chunked, const char *expected)
{
    size_t size;
    const char *bytes = frame_bytes(frame, chunked, &size);

    assert_int_equal(size, strlen(expected));
    assert_memory_equal(bytes, expected, size);
}

static void test_an_event_is_encoded_byte_for_byte_as_the_protocol_says(void **state)
{
    struct frame *frame = new_frame("{\"companyId\":\"acme\"}");

    (void)state;
    assert_bytes(
        frame, false,
        "id: metrics.calculated-12345-1699999999999\nevent: metric_updated\ndata: {\"companyId\":\"acme\"}\n\n");
    assert_bytes(frame, true,
                 "5d\r\nid: metrics.calculated-12345-1699999999999\nevent: metric_updated\n"
                 "data: {\"companyId\":\"acme\"}\n\n\r\n");
    frame_unref(frame);
}

static void test_each_line_of_the_payload_becomes_one_data_line(void **state)
{
    static const struct {
        const char *payload;
        const char *lines;
    } cases[] = {
        {"", "data: \n"},
        {"a", "data: a\n"},
        {"a\nb", "data: a\ndata: b\n"},
        {"a\rb", "data: a\ndata: b\n"},
        {"a\r\nb", "data: a\ndata: b\n"},
        {"a\n\rb", "data: a\ndata: \ndata: b\n"},
        {"a\r\rb", "data: a\ndata: \ndata: b\n"},
        {"a\n", "data: a\ndata: \n"},
        {"a\r\n", "data: a\ndata: \n"},
        {"\n", "data: \ndata: \n"},
        {"\n\n", "data: \ndata: \ndata: \n"},
        {" a", "data:  a\n"},
        {"a\r", "data: a\ndata: \n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct frame *frame = new_frame(cases[i].payload);
        char expected[256];

        snprintf(expected, sizeof expected, "id: metrics.calculated-12345-1699999999999\nevent: metric_updated\n%s\n",
                 cases[i].lines);
        assert_bytes(frame, false, expected);
        frame_unref(frame);
    }
}

/* What a receiver joins the lines to: LF, whatever ended them. */
static size_t normalized(const char *payload, size_t size, char *ret_text)
{
    size_t used = 0;

    for (size_t i = 0; i < size; i++) {
        bool is_end = payload[i] == '\r' || payload[i] == '\n';

        if (payload[i] == '\r' && i + 1 < size && payload[i + 1] == '\n')
            i++;
        ret_text[used++] = is_end ? '\n' : payload[i];
    }
    return used;
}

static void assert_round_trip(const char *payload, size_t size)
{
    struct frame_event event = event_of(payload, size);
    struct frame *frame = frame_new_event(&event);
    struct buffer read_back = buffer_make(4096);
    char expected[512];
    size_t expected_size = normalized(payload, size, expected);
    struct sse_stream stream;
    const char *bytes;
    size_t bytes_size;

    assert_non_null(frame);
    bytes = frame_bytes(frame, false, &bytes_size);
    stream = sse_parse(bytes, bytes_size);
    assert_false(stream.is_cut);
    assert_int_equal(stream.odd_lines, 0);
    assert_int_equal(stream.count, 1);
    assert_string_equal(stream.events[0].type, "metric_updated");
    assert_string_equal(stream.events[0].id, "metrics.calculated-12345-1699999999999");
    assert_int_equal(stream.events[0].data_size, expected_size);
    assert_memory_equal(stream.events[0].data, expected, expected_size);
    frame_append_payload(frame, &read_back);
    assert_int_equal(read_back.size, expected_size);
    assert_int_equal(frame_payload_size(frame), expected_size);
    if (expected_size > 0)
        assert_memory_equal(read_back.data, expected, expected_size);
    assert_int_equal(frame_encoded_size(&event), bytes_size);
    buffer_release(&read_back);
    sse_release(&stream);
    frame_unref(frame);
}

static void test_a_browser_reads_back_every_short_payload(void **state)
{
    static const char alphabet[] = {'a', ' ', ':', '\r', '\n', '\0'};
    enum { LETTERS = sizeof alphabet, LENGTH_MAX = 5 };

    (void)state;
    for (size_t length = 0; length <= LENGTH_MAX; length++) {
        size_t count = 1;

        for (size_t i = 0; i < length; i++)
            count *= LETTERS;
        for (size_t number = 0; number < count; number++) {
            char payload[LENGTH_MAX];
            size_t rest = number;

            for (size_t i = 0; i < length; i++, rest /= LETTERS)
                payload[i] = alphabet[rest % LETTERS];
            assert_round_trip(payload, length);
        }
    }
}

static void test_a_payload_that_looks_like_fields_stays_data(void **state)
{
    static const char payload[] = "{\n\"a\":1\n\nid: forged-1-1\nevent: forged\n\ndata: x\n:comment\n}";

    (void)state;
    assert_round_trip(payload, strlen(payload));
}

static void test_a_hole_is_a_gap_without_id_and_then_a_bare_id(void **state)
{
    struct frame_event event = event_of("{\"reason\":\"source\"}", 19);
    struct frame *frame;
    struct sse_stream stream;
    const char *bytes;
    size_t size;

    (void)state;
    event.kind = FRAME_HOLE;
    event.subject = "hole";
    event.event = FRAME_GAP_EVENT;
    frame = frame_new_event(&event);
    assert_non_null(frame);
    assert_bytes(frame, false, "event: stream.gap\ndata: {\"reason\":\"source\"}\n\nid: hole-12345-1699999999999\n\n");
    bytes = frame_bytes(frame, false, &size);
    assert_int_equal(frame_encoded_size(&event), size);
    stream = sse_parse(bytes, size);
    assert_int_equal(stream.count, 1);
    assert_string_equal(stream.events[0].id, "");
    assert_string_equal(stream.id, "hole-12345-1699999999999");
    assert_int_equal(frame_kind(frame), FRAME_HOLE);
    sse_release(&stream);
    frame_unref(frame);
}

static void assert_chunk(const struct frame *frame)
{
    size_t chunked_size;
    size_t size;
    const char *chunked = frame_bytes(frame, true, &chunked_size);
    const char *bare = frame_bytes(frame, false, &size);
    char head[16];
    size_t head_size = (size_t)snprintf(head, sizeof head, "%zx\r\n", size);

    assert_int_equal(chunked_size, head_size + size + 2);
    assert_memory_equal(chunked, head, head_size);
    assert_ptr_equal(chunked + head_size, bare);
    assert_memory_equal(bare + size, "\r\n", 2);
}

static void test_the_chunk_head_gives_the_size_of_large_events_too(void **state)
{
    static const size_t sizes[] = {1, 15, 255, 4096, 65535, 1048576, 17825792};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *payload = malloc(sizes[i]);
        struct frame_event event = event_of(payload, sizes[i]);
        struct frame *frame;
        size_t size;

        memset(payload, 'x', sizes[i]);
        frame = frame_new_event(&event);
        assert_non_null(frame);
        assert_chunk(frame);
        frame_bytes(frame, false, &size);
        assert_int_equal(size, frame_encoded_size(&event));
        assert_true(frame_memory_size(frame) >= size);
        frame_unref(frame);
        free(payload);
    }
}

static void test_a_frame_says_what_it_was_made_of(void **state)
{
    struct frame *frame = new_frame("{}");
    char id[EVENT_ID_SIZE];

    (void)state;
    frame_id(frame, id);
    assert_string_equal(id, "metrics.calculated-12345-1699999999999");
    assert_string_equal(frame_subject(frame), "metrics.calculated");
    assert_string_equal(frame_event_name(frame), "metric_updated");
    assert_int_equal(frame_kind(frame), FRAME_EVENT);
    assert_int_equal(event_position_compare(frame_position(frame), position), 0);
    assert_int_equal(frame_received_ns(frame), 77);
    assert_true(frame_mark(frame) == 0xfedcba9876543210);
    frame_unref(frame);
}

static void test_a_control_frame_is_framed_and_a_raw_one_is_not(void **state)
{
    struct frame *control = frame_new_control(":heartbeat\n\n", 12);
    struct frame *raw = frame_new_raw("0\r\n\r\n", 5);

    (void)state;
    assert_bytes(control, true, "c\r\n:heartbeat\n\n\r\n");
    assert_bytes(control, false, ":heartbeat\n\n");
    assert_int_equal(frame_payload_size(control), 0);
    assert_int_equal(frame_mark(control), 0);
    assert_int_equal(frame_kind(control), FRAME_CONTROL);
    assert_bytes(raw, true, "0\r\n\r\n");
    assert_bytes(raw, false, "0\r\n\r\n");
    assert_int_equal(frame_kind(raw), FRAME_CONTROL);
    frame_unref(control);
    frame_unref(raw);
}

/* The sanitizer sees a use after the last release, or a leak. */
static void test_a_frame_lives_as_long_as_one_holder_does(void **state)
{
    struct frame *frame = new_frame("{}");

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_ptr_equal(frame_ref(frame), frame);
    for (int i = 0; i < 3; i++)
        frame_unref(frame);
    assert_string_equal(frame_event_name(frame), "metric_updated");
    frame_unref(frame);
    frame_unref(NULL);
}

static void test_the_strings_of_an_event_are_copied(void **state)
{
    char subject[] = "journey.a";
    char name[] = "flag";
    char payload[] = "{}";
    struct frame_event event = {.subject = subject, .event = name, .payload = payload, .payload_size = 2};
    struct frame *frame = frame_new_event(&event);

    (void)state;
    assert_non_null(frame);
    memset(subject, 'x', sizeof subject - 1);
    memset(name, 'x', sizeof name - 1);
    memset(payload, 'x', sizeof payload - 1);
    assert_bytes(frame, false, "id: journey.a-0-0\nevent: flag\ndata: {}\n\n");
    assert_string_equal(frame_subject(frame), "journey.a");
    frame_unref(frame);
}

static void test_an_event_name_that_is_far_too_long_is_refused(void **state)
{
    struct frame_event event = event_of("{}", 2);
    char name[600];

    (void)state;
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    event.event = name;
    assert_null(frame_new_event(&event));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_event_is_encoded_byte_for_byte_as_the_protocol_says),
        cmocka_unit_test(test_each_line_of_the_payload_becomes_one_data_line),
        cmocka_unit_test(test_a_browser_reads_back_every_short_payload),
        cmocka_unit_test(test_a_payload_that_looks_like_fields_stays_data),
        cmocka_unit_test(test_a_hole_is_a_gap_without_id_and_then_a_bare_id),
        cmocka_unit_test(test_the_chunk_head_gives_the_size_of_large_events_too),
        cmocka_unit_test(test_a_frame_says_what_it_was_made_of),
        cmocka_unit_test(test_a_control_frame_is_framed_and_a_raw_one_is_not),
        cmocka_unit_test(test_a_frame_lives_as_long_as_one_holder_does),
        cmocka_unit_test(test_the_strings_of_an_event_are_copied),
        cmocka_unit_test(test_an_event_name_that_is_far_too_long_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
