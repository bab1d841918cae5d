#include "bridge/live.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MS UINT64_C(1699999999999)
/* KIND_AT: that of the first frame of whole_message(). */
enum { TYPE_AT = 1, HOLE_MS_AT = 82, PLACE_AT = 90, FLAGS_AT = 102, HEADER_SIZE = 111, KIND_AT = 144 };

static const struct live_id here = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 255}};
static const struct live_id there = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

static struct live_header header_of(enum live_type type)
{
    return (struct live_header){
        .type = type,
        .from = here,
        .about = there,
        .epoch = 0x8123456789abcdef,
        .batch = 7,
        .former_epoch = 41,
        .former_batch = UINT64_MAX,
        .sent_ns = 123456789,
        .stored_ms = MS,
        .hole_ms = EVENT_NUMBER_MAX,
        .place = EVENT_NUMBER_MAX - 1,
        .lag_ms = UINT32_MAX,
        .store_lost = true,
        .has_hole = type == LIVE_PEER,
        .store = 0xfedcba9876543210,
    };
}

static struct frame_event event_of(uint64_t seq, const char *payload)
{
    return (struct frame_event){.kind = FRAME_EVENT,
                                .subject = "metrics.a-b_c",
                                .event = "metric_updated",
                                .payload = payload,
                                .payload_size = strlen(payload),
                                .position = {.ms = MS, .seq = seq},
                                .mark = 0xfedcba9876543210 + seq};
}

static struct frame_event hole_of(uint64_t seq, uint64_t ms)
{
    return (struct frame_event){.kind = FRAME_HOLE,
                                .subject = "hole",
                                .event = FRAME_GAP_EVENT,
                                .payload = "{}",
                                .payload_size = 2,
                                .position = {.ms = ms, .seq = seq}};
}

static struct live_section section_of(const char *company, size_t count)
{
    struct live_section section = {.before = {.ms = MS - 1, .seq = 41}, .since_ms = MS - 1000, .count = count};

    strcpy(section.company, company);
    return section;
}

static void begin(struct buffer *message, enum live_type type)
{
    struct live_header header = header_of(type);

    live_begin(message, &header);
}

static void put(struct buffer *message, struct frame_event event)
{
    struct frame *frame = frame_new_event(&event);
    size_t before = message->size;

    assert_non_null(frame);
    live_put_frame(message, frame);
    assert_false(message->failed);
    assert_int_equal(message->size - before, live_frame_size(frame));
    frame_unref(frame);
}

static void put_section(struct buffer *message, const char *company, size_t count)
{
    struct live_section section = section_of(company, count);

    live_begin_section(message, &section);
}

/* Two companies: acme with an event, a hole and an event, other.co with one. */
static struct buffer whole_message(void)
{
    struct buffer message = buffer_make(100000);

    begin(&message, LIVE_FRAMES);
    put_section(&message, "acme", 3);
    put(&message, event_of(42, "{\"a\":1}"));
    put(&message, hole_of(42, MS + 1));
    put(&message, (struct frame_event){.subject = "s", .event = "e", .payload = "", .position = {MS + 1, 43}});
    put_section(&message, "other.co", 1);
    put(&message, event_of(42, "two\nlines"));
    return message;
}

/*
 * Reads all of a message, in a block of memory of just that size, so that the sanitizer sees a read behind the end.
 * Returns 0, or what the first function said that refused it.
 */
static int read_all(const char *bytes, size_t size, size_t *ret_frames)
{
    char *message = malloc(size > 0 ? size : 1);
    char company[COMPANY_ID_SIZE];
    struct live_reader reader;
    struct live_section section;
    struct live_header header;
    struct frame *frame;
    int status;

    assert_non_null(message);
    memcpy(message, bytes, size);
    *ret_frames = 0;
    status = live_read_header(&reader, message, size, &header);
    if (status == 0 && header.type == LIVE_LOAD)
        status = live_read_company(&reader, company);
    else if (status == 0 && (header.type == LIVE_FRAMES || header.type == LIVE_SALVAGE))
        while ((status = live_read_section(&reader, &section)) > 0)
            for (size_t i = 0; i < section.count; i++, ++*ret_frames) {
                assert_int_equal(live_read_frame(&reader, 1, &frame), 0);
                frame_unref(frame);
            }
    free(message);
    return status;
}

static void assert_refused(const struct buffer *message)
{
    size_t frames;

    assert_false(message->failed);
    assert_int_equal(read_all(message->data, message->size, &frames), -EINVAL);
}

static void assert_taken(const struct buffer *message)
{
    size_t frames;

    assert_false(message->failed);
    assert_int_equal(read_all(message->data, message->size, &frames), 0);
}

static void check(struct buffer message, bool is_good)
{
    if (is_good)
        assert_taken(&message);
    else
        assert_refused(&message);
    buffer_release(&message);
}

static void assert_same_frame(const struct frame *a, const struct frame *b)
{
    for (int chunked = 0; chunked < 2; chunked++) {
        size_t a_size;
        size_t b_size;
        const char *a_bytes = frame_bytes(a, chunked, &a_size);
        const char *b_bytes = frame_bytes(b, chunked, &b_size);

        assert_int_equal(a_size, b_size);
        assert_memory_equal(a_bytes, b_bytes, a_size);
    }
    assert_int_equal(frame_kind(a), frame_kind(b));
    assert_int_equal(event_position_compare(frame_position(a), frame_position(b)), 0);
    assert_string_equal(frame_subject(a), frame_subject(b));
    assert_string_equal(frame_event_name(a), frame_event_name(b));
    assert_true(frame_mark(a) == frame_mark(b));
}

static void test_a_header_is_read_as_it_was_written(void **state)
{
    struct buffer message = buffer_make(1000);

    (void)state;
    for (int type = LIVE_OWNER; type <= LIVE_RELEASE; type++) {
        struct live_header header = header_of((enum live_type)type);
        struct live_header back;
        struct live_reader reader;

        live_begin(&message, &header);
        assert_int_equal(message.size, HEADER_SIZE);
        assert_int_equal(live_read_header(&reader, message.data, message.size, &back), 0);
        assert_true((int)back.type == type && back.has_hole == header.has_hole);
        assert_true(live_id_equals(back.from, here) && live_id_equals(back.about, there));
        assert_false(live_id_equals(back.from, back.about));
        assert_true(back.epoch == header.epoch && back.batch == header.batch && back.store == header.store);
        assert_true(back.former_epoch == header.former_epoch && back.former_batch == header.former_batch);
        assert_true(back.sent_ns == header.sent_ns && back.stored_ms == header.stored_ms && back.store_lost);
        assert_true(back.hole_ms == header.hole_ms && back.place == header.place && back.lag_ms == header.lag_ms);
    }
    message.data[TYPE_AT] = LIVE_GONE + 1;
    assert_refused(&message);
    message.data[TYPE_AT] = 0;
    check(message, false);
}

static void test_a_company_to_look_at_is_read_back(void **state)
{
    char longest[COMPANY_ID_SIZE] = "";
    char company[COMPANY_ID_SIZE];
    struct buffer message = buffer_make(1000);
    struct live_header header;
    struct live_reader reader;

    (void)state;
    memset(longest, 'c', sizeof longest - 1);
    begin(&message, LIVE_LOAD);
    live_put_company(&message, longest);
    assert_int_equal(live_read_header(&reader, message.data, message.size, &header), 0);
    assert_int_equal(live_read_company(&reader, company), 0);
    assert_string_equal(company, longest);
    buffer_append(&message, "", 1);
    check(message, false);
}

static void test_frames_are_read_as_they_were_written(void **state)
{
    static const char *const payloads[] = {"",   "{}",    "\r",        "a\r\nb",   "two\nlines",
                                           "\n", "end\n", "h\xc3\xa9", "\r\na\rb", " data: x\n\nid: 7"};

    (void)state;
    for (size_t i = 0; i < sizeof payloads / sizeof payloads[0]; i++)
        for (int hole = 0; hole < 2; hole++) {
            struct frame_event event = hole ? hole_of(43, MS) : event_of(43, payloads[i]);
            struct buffer message = buffer_make(10000);
            struct live_header header;
            struct live_reader reader;
            struct live_section section;
            struct frame *frame = frame_new_event(&event);
            struct frame *back;

            begin(&message, hole ? LIVE_SALVAGE : LIVE_FRAMES);
            put_section(&message, "acme", 1);
            put(&message, event);
            assert_int_equal(live_read_header(&reader, message.data, message.size, &header), 0);
            assert_int_equal(live_read_section(&reader, &section), 1);
            assert_string_equal(section.company, "acme");
            assert_true(section.before.ms == MS - 1 && section.before.seq == 41 && section.since_ms == MS - 1000);
            assert_int_equal(live_read_frame(&reader, 99, &back), 0);
            assert_same_frame(frame, back);
            assert_int_equal(frame_received_ns(back), 99);
            assert_int_equal(live_read_frame(&reader, 99, &back), -EINVAL);
            assert_int_equal(live_read_section(&reader, &section), 0);
            frame_unref(back);
            frame_unref(frame);
            buffer_release(&message);
        }
}

static void test_frames_that_are_not_wanted_are_passed_over(void **state)
{
    struct buffer message = whole_message();
    struct live_header header;
    struct live_reader reader;
    struct live_section section;
    struct frame *frame;

    (void)state;
    assert_int_equal(live_read_header(&reader, message.data, message.size, &header), 0);
    assert_int_equal(live_read_section(&reader, &section), 1);
    assert_string_equal(section.company, "acme");
    assert_int_equal(section.count, 3);
    assert_int_equal(live_read_frame(&reader, 1, &frame), 0);
    frame_unref(frame);
    assert_int_equal(live_read_section(&reader, &section), 1);
    assert_string_equal(section.company, "other.co");
    assert_int_equal(live_read_section(&reader, &section), 0);
    buffer_release(&message);
}

static void test_a_body_is_sent_again_under_another_header(void **state)
{
    struct buffer message = whole_message();
    struct buffer again = buffer_make(100000);
    struct live_header header;
    struct live_reader reader;
    size_t frames;

    (void)state;
    assert_int_equal(live_read_header(&reader, message.data, message.size, &header), 0);
    begin(&again, LIVE_SALVAGE);
    live_put_body(&again, &reader);
    assert_int_equal(again.size, message.size);
    assert_memory_equal(again.data + HEADER_SIZE, message.data + HEADER_SIZE, message.size - HEADER_SIZE);
    assert_int_equal(read_all(again.data, again.size, &frames), 0);
    assert_int_equal(frames, 4);
    buffer_release(&again);
    buffer_release(&message);
}

/* A message may end in front of a section, but nowhere else. */
static void test_a_message_that_was_cut_is_refused(void **state)
{
    struct buffer message = whole_message();
    size_t one_section = HEADER_SIZE;
    size_t frames;

    (void)state;
    assert_int_equal(live_read_header(NULL, NULL, 0, NULL), -EINVAL);
    while (memcmp(message.data + one_section, "\x08other.co", 9) != 0)
        one_section++;
    for (size_t size = 0; size < message.size; size++) {
        bool is_whole = size == HEADER_SIZE || size == one_section;

        assert_int_equal(read_all(message.data, size, &frames), is_whole ? 0 : -EINVAL);
        assert_int_equal(frames, size < one_section ? 0 : 3);
    }
    assert_int_equal(read_all(message.data, message.size, &frames), 0);
    assert_int_equal(frames, 4);
    buffer_append(&message, "", 1);
    check(message, false);
}

/* Whatever becomes of it, all that is read fits what it is for. */
static void test_no_flipped_bit_does_harm(void **state)
{
    struct buffer message = whole_message();
    size_t frames;

    (void)state;
    for (size_t bit = 0; bit < 8 * message.size; bit++) {
        message.data[bit / 8] = (char)(message.data[bit / 8] ^ 1 << bit % 8);
        read_all(message.data, message.size, &frames);
        assert_true(frames <= 4);
        message.data[bit / 8] = (char)(message.data[bit / 8] ^ 1 << bit % 8);
    }
    check(message, true);
}

static void test_a_byte_that_means_nothing_is_refused(void **state)
{
    static const struct {
        size_t at;
        char value;
    } cases[] = {
        {0, LIVE_VERSION + 1}, {HOLE_MS_AT, 0x20}, {PLACE_AT, 0x20}, {FLAGS_AT, 4}, {KIND_AT, 0}, {KIND_AT, 3},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer message = whole_message();

        message.data[cases[i].at] = cases[i].value;
        check(message, false);
    }
}

static void test_only_some_messages_have_a_body(void **state)
{
    struct buffer message = whole_message();

    (void)state;
    for (int type = LIVE_OWNER; type <= LIVE_ASK; type++) {
        message.data[TYPE_AT] = (char)type;
        if (type == LIVE_FRAMES || type == LIVE_SALVAGE)
            assert_taken(&message);
        else
            assert_refused(&message);
    }
    buffer_release(&message);
}

static struct buffer message_with(struct live_section section, struct frame_event event)
{
    struct buffer message = buffer_make(40 * 1024 * 1024);

    begin(&message, LIVE_FRAMES);
    live_begin_section(&message, &section);
    put(&message, event);
    return message;
}

static void check_section(struct live_section section, bool is_good)
{
    check(message_with(section, event_of(42, "{}")), is_good);
}

static void check_frame(struct frame_event event, bool is_good)
{
    check(message_with((struct live_section){.company = "acme", .count = 1}, event), is_good);
}

/* The section is put with a count that is not that of its one frame. */
static void test_a_count_that_the_bytes_do_not_hold_is_refused(void **state)
{
    static const size_t counts[] = {0, 2, 1000, UINT32_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        check_section(section_of("acme", counts[i]), false);
}

static void test_a_section_of_no_company_or_no_place_is_refused(void **state)
{
    static const char *const names[] = {"", ".acme", "a b", "a\n", "acme/", "\xc3\xa9", "-"};

    (void)state;
    check_section(section_of("acme", 1), true);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        check_section(section_of(names[i], 1), false);
    check_section((struct live_section){"acme", .count = 1, .before.ms = EVENT_NUMBER_MAX + 1}, false);
    check_section((struct live_section){"acme", .count = 1, .before.seq = EVENT_NUMBER_MAX + 1}, false);
    check_section((struct live_section){"acme", .count = 1, .before.seq = EVENT_NUMBER_MAX}, true);
    check_section((struct live_section){"acme", .count = 1, .since_ms = EVENT_NUMBER_MAX + 1}, false);
    check_section((struct live_section){"acme", .count = 1, .since_ms = EVENT_NUMBER_MAX}, true);
}

/* A ring holds a company's frames in order; the place in front of the first frame counts too. */
static void test_frames_out_of_order_are_refused(void **state)
{
    struct buffer message = buffer_make(1000);

    (void)state;
    check_section((struct live_section){"acme", .count = 1, .before = {MS, 41}}, true);
    check_section((struct live_section){"acme", .count = 1, .before = {MS, 42}}, false);
    begin(&message, LIVE_FRAMES);
    put_section(&message, "acme", 2);
    put(&message, event_of(43, "{}"));
    put(&message, event_of(42, "{}"));
    check(message, false);
}

static void test_a_frame_with_a_bad_name_is_refused(void **state)
{
    static const char *const names[] = {"", "a\nb", "a\rb", "a b", "stream.gap", "stream.end", "open", "\xc3\xa9"};
    static const char *const subjects[] = {"", "a b", "a\nb", "a\r", "a:b", "\xc3\xa9"};
    char long_name[66] = "";
    struct frame_event event;

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        event = event_of(42, "{}");
        event.event = names[i];
        check_frame(event, false);
    }
    for (size_t i = 0; i < sizeof subjects / sizeof subjects[0]; i++) {
        event = event_of(42, "{}");
        event.subject = subjects[i];
        check_frame(event, false);
    }
    memset(long_name, 'n', 64);
    event = event_of(42, "{}");
    event.event = long_name;
    event.subject = long_name;
    check_frame(event, true);
    long_name[64] = 'n';
    event.subject = "s";
    check_frame(event, false);
    event.event = "e";
    event.subject = long_name;
    check_frame(event, false);
    event = hole_of(42, MS);
    check_frame(event, true);
    event.event = "metric_updated";
    check_frame(event, false);
}

/* What ends a C text early must not hide what stands behind it. */
static void test_a_nul_in_a_name_is_refused(void **state)
{
    static const char *const names[] = {"acme", "metrics.a-b_c", "metric_updated"};

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct buffer message = message_with(section_of("acme", 1), event_of(42, "{}"));
        char *name = memmem(message.data, message.size, names[i], strlen(names[i]));

        assert_non_null(name);
        assert_taken(&message);
        name[1] = '\0';
        check(message, false);
    }
}

static void test_a_frame_with_a_number_that_no_id_has_is_refused(void **state)
{
    static const struct {
        struct event_position position;
        bool is_good;
    } cases[] = {
        {{.ms = EVENT_NUMBER_MAX, .seq = EVENT_NUMBER_MAX}, true},
        {{.ms = EVENT_NUMBER_MAX + 1, .seq = 42}, false},
        {{.ms = MS, .seq = EVENT_NUMBER_MAX + 1}, false},
        {{.ms = 0, .seq = 42}, false},
        {{.ms = MS, .seq = 0}, false},
        {{.ms = 1, .seq = 1}, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct frame_event event = event_of(42, "{}");

        event.position = cases[i].position;
        check_frame(event, cases[i].is_good);
    }
    check_frame(hole_of(0, MS), true);
    check_frame(hole_of(0, 0), false);
}

/* 16 MiB is the most that MAX_EVENT_BYTES allows, and each line takes seven bytes besides its text. */
static void test_a_frame_that_no_replica_would_make_is_refused(void **state)
{
    enum { MIB = 1024 * 1024 };
    char *payload = malloc(17 * MIB);
    struct frame_event event = event_of(42, "");

    (void)state;
    assert_non_null(payload);
    event.payload = payload;
    memset(payload, 'x', 17 * MIB);
    event.payload_size = 15 * MIB;
    check_frame(event, true);
    event.payload_size = 16 * MIB;
    check_frame(event, false);
    event.payload_size = 17 * MIB;
    check_frame(event, false);
    memset(payload, '\n', 3 * MIB);
    event.payload_size = 2 * MIB;
    check_frame(event, true);
    event.payload_size = 3 * MIB;
    check_frame(event, false);
    free(payload);
}

static void test_a_message_that_does_not_fit_says_so(void **state)
{
    struct frame_event event = event_of(42, "{}");
    struct frame *frame = frame_new_event(&event);
    struct buffer message = buffer_make(HEADER_SIZE + 60);

    (void)state;
    begin(&message, LIVE_FRAMES);
    put_section(&message, "acme", 1);
    assert_false(message.failed);
    live_put_frame(&message, frame);
    assert_true(message.failed);
    begin(&message, LIVE_FRAMES);
    assert_false(message.failed);
    assert_int_equal(message.size, HEADER_SIZE);
    buffer_release(&message);
    frame_unref(frame);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_header_is_read_as_it_was_written),
        cmocka_unit_test(test_a_company_to_look_at_is_read_back),
        cmocka_unit_test(test_frames_are_read_as_they_were_written),
        cmocka_unit_test(test_frames_that_are_not_wanted_are_passed_over),
        cmocka_unit_test(test_a_body_is_sent_again_under_another_header),
        cmocka_unit_test(test_a_message_that_was_cut_is_refused),
        cmocka_unit_test(test_no_flipped_bit_does_harm),
        cmocka_unit_test(test_a_byte_that_means_nothing_is_refused),
        cmocka_unit_test(test_only_some_messages_have_a_body),
        cmocka_unit_test(test_a_count_that_the_bytes_do_not_hold_is_refused),
        cmocka_unit_test(test_a_section_of_no_company_or_no_place_is_refused),
        cmocka_unit_test(test_frames_out_of_order_are_refused),
        cmocka_unit_test(test_a_frame_with_a_bad_name_is_refused),
        cmocka_unit_test(test_a_nul_in_a_name_is_refused),
        cmocka_unit_test(test_a_frame_with_a_number_that_no_id_has_is_refused),
        cmocka_unit_test(test_a_frame_that_no_replica_would_make_is_refused),
        cmocka_unit_test(test_a_message_that_does_not_fit_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
