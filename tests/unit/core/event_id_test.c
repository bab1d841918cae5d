#include "core/event_id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NUMBER_MAX UINT64_C(9007199254740991)

static void assert_round_trip(const char *subject, uint64_t seq, uint64_t ms, const char *expected)
{
    struct event_position position = {.ms = ms, .seq = seq};
    struct event_position parsed;
    char id[EVENT_ID_SIZE];

    assert_int_equal(event_id_format(subject, position, id), strlen(expected));
    assert_string_equal(id, expected);
    assert_true(event_id_parse(id, strlen(id), &parsed));
    assert_int_equal(parsed.seq, seq);
    assert_int_equal(parsed.ms, ms);
}

static void test_an_id_names_the_place_that_it_was_made_of(void **state)
{
    (void)state;
    assert_round_trip("metrics.calculated", 12345, 1699999999999, "metrics.calculated-12345-1699999999999");
    assert_round_trip("start", 0, 1699999999999, "start-0-1699999999999");
    assert_round_trip("hole", 0, 1699999999999, "hole-0-1699999999999");
    assert_round_trip("a", 1, 0, "a-1-0");
    assert_round_trip("a", NUMBER_MAX, NUMBER_MAX, "a-9007199254740991-9007199254740991");
}

static void test_subjects_may_hold_dashes_digits_and_dots(void **state)
{
    (void)state;
    assert_round_trip("a-1-2", 3, 4, "a-1-2-3-4");
    assert_round_trip("-", 3, 4, "--3-4");
    assert_round_trip("..", 3, 4, "..-3-4");
    assert_round_trip("7", 3, 4, "7-3-4");
    assert_round_trip("a-", 3, 4, "a--3-4");
}

static void test_the_longest_id_fits(void **state)
{
    char subject[EVENT_SUBJECT_MAX + 1];
    char expected[EVENT_ID_SIZE];

    (void)state;
    memset(subject, 's', EVENT_SUBJECT_MAX);
    subject[EVENT_SUBJECT_MAX] = '\0';
    snprintf(expected, sizeof expected, "%s-9007199254740991-9007199254740991", subject);
    assert_round_trip(subject, NUMBER_MAX, NUMBER_MAX, expected);
}

static void test_other_characters_of_a_subject_become_underscores(void **state)
{
    char text[EVENT_SUBJECT_MAX + 1];

    (void)state;
    event_id_subject("metrics.a b/c:d\xc3\xa9", 16, text);
    assert_string_equal(text, "metrics.a_b_c_d_");
    event_id_subject("a\0b\nc\r", 6, text);
    assert_string_equal(text, "a_b_c_");
    event_id_subject("AZaz09._-", 9, text);
    assert_string_equal(text, "AZaz09._-");
    event_id_subject("", 0, text);
    assert_string_equal(text, "");
}

static void test_a_long_subject_is_cut(void **state)
{
    char subject[300];
    char text[EVENT_SUBJECT_MAX + 1];

    (void)state;
    memset(subject, 'x', sizeof subject);
    event_id_subject(subject, sizeof subject, text);
    assert_int_equal(strlen(text), EVENT_SUBJECT_MAX);
}

static void assert_refused(const char *text, size_t size)
{
    struct event_position position = {.ms = 111, .seq = 222};

    if (event_id_parse(text, size, &position))
        fail_msg("accepted: %.*s", (int)size, text);
    assert_int_equal(position.ms, 111);
    assert_int_equal(position.seq, 222);
}

static void test_what_is_malformed_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "a",
        "-",
        "--",
        "---",
        "a-1",
        "a-1-",
        "a--1",
        "-1-2",
        "1-2",
        "a-1-2-",
        "a-1-x",
        "a-x-2",
        "a-1-2 ",
        " a-1-2",
        "a-01-2",
        "a-1-02",
        "a-00-2",
        "a-1-00",
        "a-+1-2",
        "a-1.0-2",
        "a-1e3-2",
        "a-0x1-2",
        "a-1-2\n",
        "a-1-2\r",
        "a\r-1-2",
        "a-1-9007199254740992",
        "a-9007199254740992-1",
        "a-1-99999999999999999999",
        "a-18446744073709551617-1",
        "a-1-00000000000000001",
        "a b-1-2",
        "a/b-1-2",
        "a:b-1-2",
        "\xc3\xa9-1-2",
        "a-1-2\x7f",
        "a,-1-2",
        "null",
        "undefined",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_refused(texts[i], strlen(texts[i]));
}

static void test_a_nul_anywhere_is_refused(void **state)
{
    (void)state;
    assert_refused("a-1-2\0", 6);
    assert_refused("\0a-1-2", 6);
    assert_refused("a\0b-1-2", 7);
    assert_refused("a-1\0-2", 6);
}

static void test_an_id_may_have_128_bytes_and_no_more(void **state)
{
    struct event_position position;
    char id[EVENT_ID_MAX + 1];

    (void)state;
    memset(id, 's', sizeof id);
    memcpy(id + EVENT_ID_MAX - 4, "-1-2", 4);
    assert_true(event_id_parse(id, EVENT_ID_MAX, &position));
    memset(id, 's', sizeof id);
    memcpy(id + EVENT_ID_MAX + 1 - 4, "-1-2", 4);
    assert_refused(id, EVENT_ID_MAX + 1);
}

/* Every text of a small alphabet: what is accepted is spelled as the formatter spells it. */
static void test_each_place_has_one_spelling_only(void **state)
{
    static const char alphabet[] = "a-019";
    enum { LETTERS = 5, LENGTH_MAX = 7 };
    size_t accepted = 0;

    (void)state;
    for (size_t length = 0, count = 1; length <= LENGTH_MAX; length++, count *= LETTERS) {
        for (size_t number = 0; number < count; number++) {
            struct event_position position;
            char text[LENGTH_MAX + 1] = "";
            char tail[64];
            size_t rest = number;

            for (size_t i = 0; i < length; i++, rest /= LETTERS)
                text[i] = alphabet[rest % LETTERS];
            if (!event_id_parse(text, length, &position))
                continue;
            accepted++;
            snprintf(tail, sizeof tail, "-%llu-%llu", (unsigned long long)position.seq,
                     (unsigned long long)position.ms);
            assert_true(length > strlen(tail));
            assert_string_equal(text + length - strlen(tail), tail);
        }
    }
    assert_true(accepted > 0);
}

static void test_ms_orders_first_and_then_seq(void **state)
{
    static const struct event_position ordered[] = {
        {.ms = 0, .seq = 0}, {.ms = 0, .seq = 1}, {.ms = 1, .seq = 0},          {.ms = 1, .seq = NUMBER_MAX},
        {.ms = 2, .seq = 1}, {.ms = 2, .seq = 2}, {.ms = NUMBER_MAX, .seq = 0}, {.ms = UINT64_MAX, .seq = UINT64_MAX},
    };
    const size_t count = sizeof ordered / sizeof ordered[0];

    (void)state;
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < count; j++) {
            int result = event_position_compare(ordered[i], ordered[j]);

            assert_int_equal((result > 0) - (result < 0), (i > j) - (i < j));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_id_names_the_place_that_it_was_made_of),
        cmocka_unit_test(test_subjects_may_hold_dashes_digits_and_dots),
        cmocka_unit_test(test_the_longest_id_fits),
        cmocka_unit_test(test_other_characters_of_a_subject_become_underscores),
        cmocka_unit_test(test_a_long_subject_is_cut),
        cmocka_unit_test(test_what_is_malformed_is_refused),
        cmocka_unit_test(test_a_nul_anywhere_is_refused),
        cmocka_unit_test(test_an_id_may_have_128_bytes_and_no_more),
        cmocka_unit_test(test_each_place_has_one_spelling_only),
        cmocka_unit_test(test_ms_orders_first_and_then_seq),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
