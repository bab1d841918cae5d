#include "replay/redis_reply.h"

#include <hiredis/hiredis.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static uint64_t number_of_text(const char *text)
{
    char copy[64];
    struct redisReply reply = {.type = REDIS_REPLY_STRING, .str = copy, .len = strlen(text)};

    assert_true(strlen(text) < sizeof copy);
    strcpy(copy, text);
    return redis_reply_number(&reply);
}

static uint64_t number_of_integer(long long integer)
{
    return redis_reply_number(&(struct redisReply){.type = REDIS_REPLY_INTEGER, .integer = integer});
}

static void test_a_number_comes_as_integer_or_text(void **state)
{
    (void)state;
    assert_int_equal(number_of_integer(0), 0);
    assert_int_equal(number_of_integer(1699999999999), 1699999999999);
    assert_int_equal(number_of_text("1699999999999"), 1699999999999);
    assert_int_equal(number_of_text("0000000000000042|metrics.a|x|{}"), 42);
}

/* Numbers of events end at 2^53 - 1: with a larger one an id would not be well-formed, and numbering could not go on. */
static void test_what_no_id_can_hold_counts_as_0(void **state)
{
    static const char *const texts[] = {
        "9007199254740992",
        "18446744073709551615",
        "99999999999999999999",
        "-1",
        "-18446744073709551615",
        "",
        "x",
        " 5",
        "+5",
    };

    (void)state;
    assert_int_equal(number_of_text("9007199254740991"), 9007199254740991);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_int_equal(number_of_text(texts[i]), 0);
    assert_int_equal(number_of_integer(9007199254740991), 9007199254740991);
    assert_int_equal(number_of_integer(9007199254740992), 0);
    assert_int_equal(number_of_integer(-1), 0);
    assert_int_equal(number_of_integer(INT64_MIN), 0);
}

static void test_what_is_not_there_counts_as_0(void **state)
{
    struct redisReply nil = {.type = REDIS_REPLY_NIL};
    struct redisReply *elements[] = {&nil};
    struct redisReply array = {.type = REDIS_REPLY_ARRAY, .elements = 1, .element = elements};

    (void)state;
    assert_int_equal(redis_reply_number(NULL), 0);
    assert_int_equal(redis_reply_number(&nil), 0);
    assert_int_equal(redis_reply_number(&array), 0);
    assert_ptr_equal(redis_reply_element(&array, 0), &nil);
    assert_null(redis_reply_element(&array, 1));
    assert_null(redis_reply_element(&nil, 0));
    assert_null(redis_reply_element(NULL, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_number_comes_as_integer_or_text),
        cmocka_unit_test(test_what_no_id_can_hold_counts_as_0),
        cmocka_unit_test(test_what_is_not_there_counts_as_0),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
