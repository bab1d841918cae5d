#include "auth/random_text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

enum { ROUNDS = 2000, LETTERS = sizeof alphabet - 1, SECRET_LETTERS = 43 };

static void test_texts_have_their_prefix_and_the_letters_of_base64url(void **state)
{
    char text[RANDOM_TEXT_SIZE];

    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        assert_int_equal(random_text("abc_", text), 0);
        assert_int_equal(strlen(text), RANDOM_TEXT_SIZE - 1);
        assert_memory_equal(text, "abc_", 4);
        assert_int_equal(strspn(text + 4, alphabet), SECRET_LETTERS);
        /* 256 bits in 43 letters: the last one has two bits that are always 0. */
        assert_int_equal((strchr(alphabet, text[RANDOM_TEXT_SIZE - 2]) - alphabet) % 4, 0);
    }
}

/* Each letter in each place: a place that is always the same, or a letter that never comes, would show. */
static void test_all_letters_come_in_all_places(void **state)
{
    static bool seen[SECRET_LETTERS][LETTERS];
    char text[RANDOM_TEXT_SIZE];

    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        assert_int_equal(random_text("abc_", text), 0);
        for (size_t at = 0; at < SECRET_LETTERS; at++)
            seen[at][strchr(alphabet, text[4 + at]) - alphabet] = true;
    }
    for (size_t at = 0; at < SECRET_LETTERS - 1; at++)
        for (size_t letter = 0; letter < LETTERS; letter++)
            if (!seen[at][letter])
                fail_msg("%c never stood in place %zu", alphabet[letter], at);
}

static void test_no_two_texts_are_the_same(void **state)
{
    static char texts[ROUNDS][RANDOM_TEXT_SIZE];

    (void)state;
    for (size_t i = 0; i < ROUNDS; i++) {
        assert_int_equal(random_text("abc_", texts[i]), 0);
        for (size_t before = 0; before < i; before++)
            assert_string_not_equal(texts[i], texts[before]);
    }
}

static void test_bytes_are_filled_in_up_to_the_last(void **state)
{
    unsigned char all[600] = {0};
    unsigned char bytes[600];

    (void)state;
    for (int i = 0; i < 64; i++) {
        memset(bytes, 0xaa, sizeof bytes);
        assert_int_equal(random_bytes(bytes, sizeof bytes - 1), 0);
        assert_int_equal(bytes[sizeof bytes - 1], 0xaa);
        for (size_t at = 0; at < sizeof bytes - 1; at++)
            all[at] |= bytes[at] ^ 0xaa;
    }
    for (size_t at = 0; at < sizeof all - 1; at++)
        assert_int_not_equal(all[at], 0);
    assert_int_equal(random_bytes(bytes, 0), 0);
}

static void test_hexadecimal_comes_back(void **state)
{
    unsigned char bytes[256];
    unsigned char again[256];
    char text[2 * sizeof bytes + 1];

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)i;
    hex_format(bytes, sizeof bytes, text);
    assert_int_equal(strlen(text), 2 * sizeof bytes);
    assert_int_equal(strspn(text, "0123456789abcdef"), 2 * sizeof bytes);
    assert_int_equal(hex_parse(text, strlen(text), again, sizeof again), 0);
    assert_memory_equal(bytes, again, sizeof bytes);
    hex_format(bytes, 0, text);
    assert_string_equal(text, "");
    assert_int_equal(hex_parse("aBcDeF", 6, again, 3), 0);
    assert_memory_equal(again, "\xab\xcd\xef", 3);
}

static void test_what_is_not_hexadecimal_is_refused(void **state)
{
    static const char others[] = "gG/:@`'\" -+xX.\n\r\t\x80\xff\0";
    unsigned char bytes[4];
    char text[] = "01234567";

    (void)state;
    assert_int_equal(hex_parse(text, 8, bytes, 4), 0);
    assert_int_equal(hex_parse(text, 7, bytes, 4), -EINVAL);
    assert_int_equal(hex_parse(text, 6, bytes, 4), -EINVAL);
    assert_int_equal(hex_parse(text, 8, bytes, 3), -EINVAL);
    assert_int_equal(hex_parse("", 0, bytes, 4), -EINVAL);
    for (size_t at = 0; at < 8; at++) {
        for (size_t i = 0; i < sizeof others - 1; i++) {
            char before = text[at];

            text[at] = others[i];
            assert_int_equal(hex_parse(text, 8, bytes, 4), -EINVAL);
            text[at] = before;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts_have_their_prefix_and_the_letters_of_base64url),
        cmocka_unit_test(test_all_letters_come_in_all_places),
        cmocka_unit_test(test_no_two_texts_are_the_same),
        cmocka_unit_test(test_bytes_are_filled_in_up_to_the_last),
        cmocka_unit_test(test_hexadecimal_comes_back),
        cmocka_unit_test(test_what_is_not_hexadecimal_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
