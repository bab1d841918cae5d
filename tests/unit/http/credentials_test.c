#include "http/credentials.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* expected: NULL: not there. */
static void assert_cookie(const char *header, unsigned count, const char *expected)
{
    size_t header_size = strlen(header);
    /* Without its NUL, so that a read behind it is seen. */
    char *copy = malloc(header_size + 1);
    const char *value = NULL;
    size_t size = 0;

    assert_non_null(copy);
    memcpy(copy, header, header_size);
    copy = realloc(copy, header_size ? header_size : 1);
    assert_int_equal(credentials_find_cookie(copy, header_size, "session", &value, &size), count);
    if (expected) {
        assert_int_equal(size, strlen(expected));
        assert_memory_equal(value, expected, size);
    } else {
        assert_null(value);
    }
    free(copy);
}

static void test_a_cookie_is_found_among_others(void **state)
{
    (void)state;
    assert_cookie("session=abc", 1, "abc");
    assert_cookie("a=1; session=abc; b=2", 1, "abc");
    assert_cookie("a=1;session=abc;b=2", 1, "abc");
    assert_cookie("  session=abc \t", 1, "abc");
    assert_cookie("session=a=b", 1, "a=b");
    assert_cookie("session=", 1, "");
}

static void test_another_name_is_another_cookie(void **state)
{
    (void)state;
    assert_cookie("", 0, NULL);
    assert_cookie(";;; ;", 0, NULL);
    assert_cookie("session", 0, NULL);
    assert_cookie("xsession=abc", 0, NULL);
    assert_cookie("sessions=abc", 0, NULL);
    assert_cookie("Session=abc", 0, NULL);
    assert_cookie("a=session=abc", 0, NULL);
    assert_cookie("session =abc", 0, NULL);
}

static void test_a_second_one_is_counted_and_the_first_given(void **state)
{
    (void)state;
    assert_cookie("session=a; session=b", 2, "a");
    assert_cookie("session=; session=b; session=c", 3, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_cookie_is_found_among_others),
        cmocka_unit_test(test_another_name_is_another_cookie),
        cmocka_unit_test(test_a_second_one_is_counted_and_the_first_given),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
