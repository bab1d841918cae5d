#include "core/buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void assert_holds(const struct buffer *buffer, const char *expected)
{
    assert_int_equal(buffer->size, strlen(expected));
    if (buffer->size > 0)
        assert_memory_equal(buffer->data, expected, buffer->size);
}

static void test_it_holds_what_was_appended(void **state)
{
    struct buffer buffer = buffer_make(1000);

    (void)state;
    assert_int_equal(buffer.size, 0);
    buffer_append(&buffer, "a\0b", 3);
    assert_int_equal(buffer.size, 3);
    assert_memory_equal(buffer.data, "a\0b", 3);
    buffer_clear(&buffer);
    buffer_append_text(&buffer, "text ");
    buffer_printf(&buffer, "%d %s", 7, "seven");
    buffer_append(&buffer, NULL, 0);
    assert_holds(&buffer, "text 7 seven");
    assert_false(buffer.failed);
    buffer_release(&buffer);
}

static void test_it_holds_its_maximum_and_not_a_byte_more(void **state)
{
    static const size_t limits[] = {1, 10, 256, 257, 1000, 5000};

    (void)state;
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        struct buffer buffer = buffer_make(limits[i]);

        for (size_t k = 0; k < limits[i]; k++)
            buffer_append(&buffer, "x", 1);
        assert_false(buffer.failed);
        assert_int_equal(buffer.size, limits[i]);
        buffer_append(&buffer, "y", 1);
        assert_true(buffer.failed);
        assert_int_equal(buffer.size, limits[i]);
        assert_null(memchr(buffer.data, 'y', buffer.size));
        buffer_release(&buffer);
    }
}

static void test_what_does_not_fit_changes_nothing_and_is_remembered(void **state)
{
    struct buffer buffer = buffer_make(10);

    (void)state;
    buffer_append_text(&buffer, "12345");
    buffer_append_text(&buffer, "678901");
    assert_true(buffer.failed);
    assert_holds(&buffer, "12345");
    buffer_append_text(&buffer, "6");
    assert_true(buffer.failed);
    assert_holds(&buffer, "12345");
    buffer_clear(&buffer);
    assert_false(buffer.failed);
    buffer_append_text(&buffer, "6");
    assert_holds(&buffer, "6");
    buffer_release(&buffer);
}

static void test_printing_more_than_fits_fails_whole(void **state)
{
    struct buffer buffer = buffer_make(20);

    (void)state;
    buffer_printf(&buffer, "%s", "123");
    buffer_printf(&buffer, "%050d", 7);
    assert_true(buffer.failed);
    assert_holds(&buffer, "123");
    buffer_release(&buffer);
}

static void test_a_size_near_the_largest_number_does_not_wrap(void **state)
{
    struct buffer buffer = buffer_make(100);

    (void)state;
    buffer_append_text(&buffer, "abc");
    buffer_append(&buffer, "x", SIZE_MAX);
    assert_true(buffer.failed);
    assert_holds(&buffer, "abc");
    buffer_release(&buffer);
}

static void test_a_released_buffer_can_be_used_again_within_its_limit(void **state)
{
    struct buffer buffer = buffer_make(3);

    (void)state;
    buffer_append_text(&buffer, "abcd");
    buffer_release(&buffer);
    assert_false(buffer.failed);
    assert_null(buffer.data);
    buffer_append_text(&buffer, "abc");
    assert_holds(&buffer, "abc");
    buffer_append_text(&buffer, "d");
    assert_true(buffer.failed);
    buffer_release(&buffer);
    buffer_release(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_holds_what_was_appended),
        cmocka_unit_test(test_it_holds_its_maximum_and_not_a_byte_more),
        cmocka_unit_test(test_what_does_not_fit_changes_nothing_and_is_remembered),
        cmocka_unit_test(test_printing_more_than_fits_fails_whole),
        cmocka_unit_test(test_a_size_near_the_largest_number_does_not_wrap),
        cmocka_unit_test(test_a_released_buffer_can_be_used_again_within_its_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
