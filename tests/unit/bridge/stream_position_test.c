/* Where a reader goes on in a stream that may have changed: bridge/stream_position.c. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "bridge/stream_position.h"

#define MADE UINT64_C(1700000000000000)
#define LATER (MADE + 1000000)
#define NOW (MADE + 9000000)
#define STAMP INT64_C(1700000001000000000)

static struct stream_position at(uint64_t place)
{
    return stream_position_of(&(struct stream_start){.place = place, .from_ms = 5});
}

static void assert_located(struct stream_position *position, struct stream_extent extent, bool hole, int64_t dropped)
{
    int64_t missing = -1;

    assert_int_equal(stream_position_locate(position, &extent, NOW, &missing), hole);
    assert_int_equal(missing, dropped);
}

static void without_a_place_it_begins_at_a_time(void **state)
{
    struct stream_position position = at(0);

    (void)state;
    assert_located(&position, (struct stream_extent){MADE, 100, 200}, false, 0);
    assert_false(position.has_last);
    assert_int_equal(position.start_ns, 5000000);
    assert_int_equal(stream_position_advance(&position, 150, STAMP), 0);
    assert_true(position.has_last);
    assert_int_equal(position.base + position.last, MADE + 150);
}

static void a_place_is_a_sequence_in_its_stream(void **state)
{
    struct stream_position position = at(MADE + 150);

    (void)state;
    assert_located(&position, (struct stream_extent){MADE, 100, 200}, false, 0);
    assert_true(position.has_last);
    assert_int_equal(position.last, 150);
    assert_false(position.is_shifted);
    assert_int_equal(stream_position_advance(&position, 151, STAMP), 0);
    assert_int_equal(stream_position_advance(&position, 155, STAMP), 3);
    /* Once more, as after a reconnection: nothing happened. */
    assert_located(&position, (struct stream_extent){MADE, 100, 200}, false, 0);
    assert_int_equal(position.last, 155);
}

static void the_place_in_front_of_all_is_no_hole(void **state)
{
    struct stream_position position = at(MADE);

    (void)state;
    assert_located(&position, (struct stream_extent){MADE, 1, 200}, false, 0);
    assert_int_equal(position.last, 0);
}

static void what_was_trimmed_before_it_was_read_is_a_hole(void **state)
{
    struct stream_position position = at(MADE + 50);

    (void)state;
    assert_located(&position, (struct stream_extent){MADE, 100, 200}, true, 49);
    assert_int_equal(position.last, 99);
    assert_located(&position, (struct stream_extent){MADE, 100, 200}, false, 0);
}

static void a_stream_purged_behind_the_reader_is_no_hole(void **state)
{
    struct stream_position position = at(MADE + 200);

    (void)state;
    assert_located(&position, (struct stream_extent){MADE, 201, 200}, false, 0);
    assert_int_equal(position.last, 200);
}

static void a_stream_made_anew_is_read_from_its_beginning(void **state)
{
    struct stream_position unread = at(MADE + 50);
    struct stream_position reading = at(MADE + 50);

    (void)state;
    assert_located(&unread, (struct stream_extent){LATER, 1, 80}, true, 0);
    assert_int_equal(unread.last, 0);
    assert_int_equal(unread.base, LATER);

    assert_located(&reading, (struct stream_extent){MADE, 1, 50}, false, 0);
    (void)stream_position_advance(&reading, 51, STAMP);
    assert_located(&reading, (struct stream_extent){LATER, 0, 0}, true, 0);
    assert_int_equal(reading.last, 0);
    assert_false(reading.is_shifted);
    assert_true(reading.base + 1 > MADE + 51);
}

static void a_stream_that_lost_its_end_counts_anew_and_nothing_is_missed(void **state)
{
    struct stream_position position = at(MADE + 50);

    (void)state;
    assert_located(&position, (struct stream_extent){MADE, 1, 60}, false, 0);
    (void)stream_position_advance(&position, 51, STAMP);
    assert_located(&position, (struct stream_extent){MADE, 1, 40}, false, 0);
    assert_true(position.is_shifted);
    assert_int_equal(position.base, NOW);
    /* What it has and was read is older than that. */
    assert_false(position.has_last);
    assert_int_equal(position.start_ns, STAMP + 1);
    (void)stream_position_advance(&position, 41, STAMP + 5);
    assert_located(&position, (struct stream_extent){MADE, 1, 41}, false, 0);
    assert_int_equal(position.base + position.last, NOW + 41);
}

static void a_stream_that_lost_its_end_while_nobody_read_has_a_hole(void **state)
{
    struct stream_position position = at(MADE + 50);

    (void)state;
    assert_located(&position, (struct stream_extent){MADE, 1, 40}, true, 0);
    assert_int_equal(position.last, 40);
    assert_int_equal(position.base, NOW);
}

static void the_base_goes_with_the_place(void **state)
{
    struct stream_position position =
        stream_position_of(&(struct stream_start){.place = NOW + 45, .base = NOW, .from_ms = 5});
    struct stream_position older =
        stream_position_of(&(struct stream_start){.place = MADE + 45, .base = NOW, .from_ms = 5});

    (void)state;
    assert_located(&position, (struct stream_extent){MADE, 1, 60}, false, 0);
    assert_int_equal(position.last, 45);
    assert_true(position.is_shifted);
    /* The base was saved, and then everything stopped. */
    assert_located(&older, (struct stream_extent){MADE, 1, 60}, true, 0);
    assert_int_equal(older.last, 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_place_it_begins_at_a_time),
        cmocka_unit_test(a_place_is_a_sequence_in_its_stream),
        cmocka_unit_test(the_place_in_front_of_all_is_no_hole),
        cmocka_unit_test(what_was_trimmed_before_it_was_read_is_a_hole),
        cmocka_unit_test(a_stream_purged_behind_the_reader_is_no_hole),
        cmocka_unit_test(a_stream_made_anew_is_read_from_its_beginning),
        cmocka_unit_test(a_stream_that_lost_its_end_counts_anew_and_nothing_is_missed),
        cmocka_unit_test(a_stream_that_lost_its_end_while_nobody_read_has_a_hole),
        cmocka_unit_test(the_base_goes_with_the_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
