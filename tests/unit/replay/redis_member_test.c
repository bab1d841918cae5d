#include "replay/redis_member.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const uint64_t ms = 1699999999999;

static struct frame *frame_of(enum frame_kind kind, const char *event_name, const char *payload)
{
    struct frame_event event = {.kind = kind,
                                .subject = "metrics.a-b_c",
                                .event = event_name,
                                .payload = payload,
                                .payload_size = strlen(payload),
                                .position = {.ms = ms, .seq = 42}};
    struct frame *frame = frame_new_event(&event);

    assert_non_null(frame);
    return frame;
}

static void assert_same_frame(const struct frame *a, const struct frame *b)
{
    size_t a_size;
    size_t b_size;
    const char *a_bytes = frame_bytes(a, true, &a_size);
    const char *b_bytes = frame_bytes(b, true, &b_size);

    assert_int_equal(a_size, b_size);
    assert_memory_equal(a_bytes, b_bytes, a_size);
    assert_int_equal(frame_kind(a), frame_kind(b));
    assert_int_equal(event_position_compare(frame_position(a), frame_position(b)), 0);
    assert_string_equal(frame_subject(a), frame_subject(b));
    assert_string_equal(frame_event_name(a), frame_event_name(b));
}

/* Takes the reference. */
static void assert_written(struct frame *frame, const char *expected)
{
    struct buffer member = buffer_make(1000);

    redis_member_write(frame, &member);
    assert_int_equal(member.size, strlen(expected));
    assert_memory_equal(member.data, expected, member.size);
    buffer_release(&member);
    frame_unref(frame);
}

static void test_a_member_is_written_as_the_design_says(void **state)
{
    (void)state;
    assert_written(frame_of(FRAME_EVENT, "metric_updated", "{\"a\":1}"),
                   "0000000000000042|metrics.a-b_c|metric_updated|{\"a\":1}");
}

static void test_a_hole_is_written_with_its_time(void **state)
{
    (void)state;
    assert_written(frame_of(FRAME_HOLE, FRAME_GAP_EVENT, "{}"),
                   "0000000000000042|metrics.a-b_c|stream.gap 1699999999999|{}");
}

static void test_what_is_written_is_read_back(void **state)
{
    static const char *const payloads[] = {"",   "{}",    "|",         "a|b|c|d", "two\nlines",
                                           "\n", "end\n", "h\xc3\xa9", "\r\na\rb"};

    (void)state;
    for (size_t i = 0; i < sizeof payloads / sizeof payloads[0]; i++)
        for (int hole = 0; hole < 2; hole++) {
            struct frame *frame =
                frame_of(hole ? FRAME_HOLE : FRAME_EVENT, hole ? FRAME_GAP_EVENT : "n.a:m-e_1", payloads[i]);
            struct buffer member = buffer_make(1000);
            struct frame *back;

            redis_member_write(frame, &member);
            back = redis_member_read(member.data, member.size, ms);
            assert_non_null(back);
            assert_same_frame(frame, back);
            assert_int_equal(frame_received_ns(back), 0);
            frame_unref(back);
            frame_unref(frame);
            buffer_release(&member);
        }
}

static void assert_refused(const char *member, size_t size)
{
    struct frame *frame = redis_member_read(member, size, ms);

    if (frame) {
        frame_unref(frame);
        fail_msg("taken: %.*s", (int)size, member);
    }
}

static void test_foreign_and_broken_members_are_refused(void **state)
{
    static const char *const members[] = {
        "",
        "|",
        "|||",
        "foreign",
        "42|s|e|p",
        "000000000000042|s|e|p",
        "00000000000000042|s|e|p",
        "000000000000004x|s|e|p",
        "-000000000000042|s|e|p",
        " 000000000000042|s|e|p",
        "0000000000000042",
        "0000000000000042|",
        "0000000000000042|s",
        "0000000000000042|s|",
        "0000000000000042|s|e",
        "0000000000000042||e|p",
        "0000000000000042|s||p",
        "0000000000000042|||",
        "0000000000000042|sssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssss|e|p",
        "0000000000000042|s|eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee|p",
    };

    (void)state;
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        assert_refused(members[i], strlen(members[i]));
}

/* They would end the event's line, and begin another of the forger's choice. */
static void test_an_event_name_with_a_line_end_is_refused(void **state)
{
    static const char *const members[] = {"0000000000000042|s|a\nb|p", "0000000000000042|s|a\rb|p",
                                          "0000000000000042|s|\n|p", "0000000000000042|s|a\r\ndata: x|p"};

    (void)state;
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        assert_refused(members[i], strlen(members[i]));
}

/* What ends a C text early would leave an empty subject or name, and an id that no client can resume from. */
static void test_a_nul_in_a_name_is_refused(void **state)
{
    (void)state;
    assert_refused("0000000000000042|\0s|e|p", 23);
    assert_refused("0000000000000042|s\0t|e|p", 24);
    assert_refused("0000000000000042|s|\0e|p", 23);
    assert_refused("0000000000000042|s|e\0f|p", 24);
    assert_refused("0000000000000042\0|s|e|p", 23);
}

/* 2^53 - 1 is the largest number of an id: a frame with a larger one would carry an id that is not well-formed. */
static void test_a_number_beyond_those_of_ids_is_refused(void **state)
{
    static const char largest[] = "9007199254740991|s|e|p";
    struct frame *frame = redis_member_read(largest, strlen(largest), ms);

    (void)state;
    assert_non_null(frame);
    frame_unref(frame);
    assert_refused("9007199254740992|s|e|p", 22);
    assert_refused("9999999999999999|s|e|p", 22);
}

/* A score is whatever somebody gave it: 0 is what stands for no number, and a larger one makes no well-formed id. */
static void test_a_time_beyond_those_of_ids_is_refused(void **state)
{
    static const char member[] = "0000000000000042|s|e|p";
    struct frame *frame = redis_member_read(member, strlen(member), EVENT_NUMBER_MAX);

    (void)state;
    assert_non_null(frame);
    frame_unref(frame);
    assert_null(redis_member_read(member, strlen(member), 0));
    assert_null(redis_member_read(member, strlen(member), EVENT_NUMBER_MAX + 1));
    assert_null(redis_member_read(member, strlen(member), UINT64_MAX));
}

static void test_odd_characters_of_a_stored_subject_never_reach_an_id(void **state)
{
    static const char member[] = "0000000000000042|a b\n\rid: x|e|p";
    struct frame *frame = redis_member_read(member, strlen(member), ms);
    char id[EVENT_ID_SIZE];
    struct event_position position;

    (void)state;
    if (!frame)
        return;
    frame_id(frame, id);
    assert_string_equal(id, "a_b__id__x-42-1699999999999");
    assert_true(event_id_parse(id, strlen(id), &position));
    frame_unref(frame);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_member_is_written_as_the_design_says),
        cmocka_unit_test(test_a_hole_is_written_with_its_time),
        cmocka_unit_test(test_what_is_written_is_read_back),
        cmocka_unit_test(test_foreign_and_broken_members_are_refused),
        cmocka_unit_test(test_an_event_name_with_a_line_end_is_refused),
        cmocka_unit_test(test_a_nul_in_a_name_is_refused),
        cmocka_unit_test(test_a_number_beyond_those_of_ids_is_refused),
        cmocka_unit_test(test_a_time_beyond_those_of_ids_is_refused),
        cmocka_unit_test(test_odd_characters_of_a_stored_subject_never_reach_an_id),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
