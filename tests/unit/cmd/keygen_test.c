#include "cmd/keygen.h"

#include <stdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth/api_key_set.h"

static char output[1024];
static char errors[1024];

static int run(int argc, const char *const *arguments)
{
    FILE *out = fmemopen(output, sizeof output, "w");
    FILE *err = fmemopen(errors, sizeof errors, "w");
    char *own[8];
    int status;

    assert_non_null(out);
    assert_non_null(err);
    memcpy(own, arguments, (size_t)argc * sizeof own[0]);
    memset(output, 0, sizeof output);
    memset(errors, 0, sizeof errors);
    status = keygen_run(argc, own, out, err);
    fclose(out);
    fclose(err);
    return status;
}

static void test_bad_usage_is_told_and_makes_no_key(void **state)
{
    static const struct {
        int count;
        const char *arguments[6];
    } bad[] = {
        {0, {NULL}},
        {1, {"--company"}},
        {1, {"--company="}},
        {2, {"--company", "a/b"}},
        {3, {"--company", "acme", "extra"}},
        {4, {"--company", "acme", "--company", "other"}},
        {3, {"--company", "acme", "--id"}},
        {4, {"--company", "acme", "--id", "a\"b"}},
        {4, {"--company", "acme", "--expires", "tomorrow"}},
        {4, {"--company", "acme", "--expires", "2027-02-30T00:00:00Z"}},
        {4, {"--company", "acme", "--expire", "2027-01-01T00:00:00Z"}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(run(bad[i].count, bad[i].arguments), 2);
        assert_string_equal(output, "");
        assert_non_null(strstr(errors, "Usage: sluice keygen"));
    }
}

static void test_the_line_is_that_of_the_key(void **state)
{
    static const char *const arguments[] = {"--company", "acme", "--id=k1", "--expires", "2027-01-01T00:00:00Z"};
    struct buffer problems = buffer_make(4096);
    struct api_key_set *set = NULL;
    const struct api_key *key;
    char *line;

    (void)state;
    assert_int_equal(run(5, arguments), 0);
    assert_string_equal(errors, "");
    line = strchr(output, '\n');
    assert_non_null(line);
    *line++ = '\0';
    assert_null(strstr(line, output));
    assert_int_equal(api_key_set_from_text(line, strlen(line), &problems, &set), 0);
    key = api_key_set_find(set, output, strlen(output));
    assert_non_null(key);
    assert_string_equal(key->id, "k1");
    assert_string_equal(key->company, "acme");
    assert_true(key->expires_ms == INT64_C(1798761600000));
    api_key_set_unref(set);
    assert_int_equal(run(2, arguments), 0);
    assert_non_null(strstr(output, "\"id\":\"k_"));
    assert_null(strstr(output, "expires"));
}

static void test_a_key_that_cannot_be_written_is_a_failure(void **state)
{
    static const char *const arguments[] = {"--company", "acme"};
    FILE *full = fopen("/dev/full", "w");
    FILE *err = fmemopen(errors, sizeof errors, "w");

    (void)state;
    assert_non_null(full);
    assert_non_null(err);
    assert_int_equal(keygen_run(2, (char **)(void *)arguments, full, err), 1);
    fclose(full);
    fclose(err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_usage_is_told_and_makes_no_key),
        cmocka_unit_test(test_the_line_is_that_of_the_key),
        cmocka_unit_test(test_a_key_that_cannot_be_written_is_a_failure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
