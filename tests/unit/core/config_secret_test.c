#include "core/config_secret.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Writes the bytes to a file and reads them as a secret. */
static int read_back(const char *bytes, size_t size, char **ret_text)
{
    char path[] = "/tmp/sluice-secret-XXXXXX";
    int fd = mkstemp(path);
    int status;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), (ssize_t)size);
    close(fd);
    status = config_secret_read(path, ret_text);
    unlink(path);
    return status;
}

static void test_one_line_ending_is_taken_off(void **state)
{
    static const char *const cases[][2] = {
        {"a", "a"}, {"a\n", "a"}, {"a\r\n", "a"}, {"a\n\n", "a\n"}, {" a \n", " a "}, {"a\nb", "a\nb"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *text;

        assert_int_equal(read_back(cases[i][0], strlen(cases[i][0]), &text), 0);
        assert_string_equal(text, cases[i][1]);
        config_secret_free(text);
    }
}

static void test_what_is_no_secret_is_refused(void **state)
{
    enum { LIMIT = 64 * 1024 };
    char *large = malloc(LIMIT + 1);
    char *text = NULL;

    (void)state;
    memset(large, 'x', LIMIT + 1);
    assert_int_equal(read_back(large, LIMIT + 1, &text), -EFBIG);
    assert_null(text);
    assert_int_equal(read_back(large, LIMIT, &text), 0);
    assert_int_equal(strlen(text), LIMIT);
    config_secret_free(text);
    free(large);
    assert_int_equal(read_back("", 0, &text), -ENODATA);
    assert_int_equal(read_back("\n", 1, &text), -ENODATA);
    assert_int_equal(read_back("a\0b", 3, &text), -EINVAL);
    assert_int_equal(config_secret_read("/does/not/exist", &text), -ENOENT);
    assert_int_equal(config_secret_read("/", &text), -EISDIR);
}

static void test_a_refreshed_secret_is_what_the_file_says_now(void **state)
{
    char path[] = "/tmp/sluice-secret-XXXXXX";
    int fd = mkstemp(path);
    char *text = NULL;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "one\n", 4), 4);
    config_secret_refresh(path, &text);
    assert_string_equal(text, "one");
    assert_int_equal(pwrite(fd, "two\n", 4, 0), 4);
    config_secret_refresh(path, &text);
    assert_string_equal(text, "two");
    /* Being written just now, or away: it stays. */
    assert_int_equal(ftruncate(fd, 0), 0);
    config_secret_refresh(path, &text);
    assert_string_equal(text, "two");
    close(fd);
    unlink(path);
    config_secret_refresh(path, &text);
    assert_string_equal(text, "two");
    config_secret_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_line_ending_is_taken_off),
        cmocka_unit_test(test_what_is_no_secret_is_refused),
        cmocka_unit_test(test_a_refreshed_secret_is_what_the_file_says_now),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
