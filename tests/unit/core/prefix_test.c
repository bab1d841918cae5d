#include "core/prefix.h"

#include <errno.h>
#include <stdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static bool lies_in(const char *prefix_text, const char *address_text)
{
    struct prefix prefix;
    struct address address;

    assert_int_equal(prefix_parse(prefix_text, strlen(prefix_text), &prefix), 0);
    assert_int_equal(address_parse(address_text, strlen(address_text), &address), 0);
    return prefix_contains(&prefix, &address);
}

static void test_what_is_no_prefix_is_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "/",
                                      "/8",
                                      "10.0.0.0/",
                                      "10.0.0.0/33",
                                      "10.0.0.0/a",
                                      "10.0.0.0/-1",
                                      "10.0.0.0/+8",
                                      "10.0.0.0/08",
                                      "10.0.0.0/8/8",
                                      "10.0.0.0/4294967304",
                                      "10.0.0/8",
                                      "::/129",
                                      "[::]/0",
                                      "host/8",
                                      "10.0.0.0 /8",
                                      "::ffff:10.0.0.0/8"};
    static const char *const unclean[] = {"10.0.0.1/8",     "10.128.0.0/8",        "192.0.2.255/31",
                                          "2001:db8::1/64", "::ffff:10.0.0.1/104", "0.0.0.1/0"};
    struct prefix prefix;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (prefix_parse(bad[i], strlen(bad[i]), &prefix) != -EINVAL)
            fail_msg("%s was taken for a prefix", bad[i]);
    for (size_t i = 0; i < sizeof unclean / sizeof unclean[0]; i++)
        if (prefix_parse(unclean[i], strlen(unclean[i]), &prefix) != -EINVAL)
            fail_msg("%s was taken, with bits behind its prefix", unclean[i]);
}

static void test_a_prefix_has_its_addresses_and_no_others(void **state)
{
    (void)state;
    assert_true(lies_in("10.0.0.0/8", "10.255.0.1"));
    assert_false(lies_in("10.0.0.0/8", "11.0.0.0"));
    assert_true(lies_in("172.16.0.0/12", "172.31.255.255"));
    assert_false(lies_in("172.16.0.0/12", "172.32.0.0"));
    assert_true(lies_in("192.0.2.7", "192.0.2.7"));
    assert_false(lies_in("192.0.2.7", "192.0.2.6"));
    assert_true(lies_in("::1/128", "::1"));
    assert_false(lies_in("::1/128", "::2"));
    assert_true(lies_in("2001:db8::/33", "2001:db8:7fff::1"));
    assert_false(lies_in("2001:db8::/33", "2001:db8:8000::1"));
}

static void test_a_prefix_is_of_one_family(void **state)
{
    (void)state;
    assert_true(lies_in("0.0.0.0/0", "203.0.113.9"));
    assert_false(lies_in("0.0.0.0/0", "::1"));
    assert_true(lies_in("::/0", "2001:db8::1"));
    assert_false(lies_in("::/0", "203.0.113.9"));
    assert_false(lies_in("::/0", "::ffff:203.0.113.9"));
    assert_true(lies_in("10.0.0.0/8", "::ffff:10.1.2.3"));
    assert_true(lies_in("::ffff:10.0.0.0/104", "10.1.2.3"));
}

static void test_a_list_has_what_one_of_it_has(void **state)
{
    struct prefix_list *list = NULL;
    struct address address;

    (void)state;
    assert_int_equal(prefix_list_new("10.0.0.0/8, ::1/128 ,192.0.2.7", &list), 0);
    address_parse("192.0.2.7", 9, &address);
    assert_true(prefix_list_contains(list, &address));
    address_parse("192.0.2.8", 9, &address);
    assert_false(prefix_list_contains(list, &address));
    address = address_from_sockaddr(NULL);
    assert_false(prefix_list_contains(list, &address));
    prefix_list_free(list);
    prefix_list_free(NULL);
}

static void test_a_list_with_a_bad_one_or_too_many_is_refused(void **state)
{
    struct prefix_list *list = NULL;
    char text[PREFIX_LIST_MAX * 16 + 32];
    size_t used = 0;

    (void)state;
    assert_int_equal(prefix_list_new("10.0.0.0/8,10.0.0.1/8", &list), -EINVAL);
    assert_null(list);
    for (int i = 0; i < PREFIX_LIST_MAX; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "10.0.0.%d,", i);
    assert_int_equal(prefix_list_new(text, &list), 0);
    prefix_list_free(list);
    list = NULL;
    snprintf(text + used, sizeof text - used, "::1");
    assert_int_equal(prefix_list_new(text, &list), -EINVAL);
    assert_null(list);
    assert_int_equal(prefix_list_new("", &list), 0);
    prefix_list_free(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_no_prefix_is_refused),
        cmocka_unit_test(test_a_prefix_has_its_addresses_and_no_others),
        cmocka_unit_test(test_a_prefix_is_of_one_family),
        cmocka_unit_test(test_a_list_has_what_one_of_it_has),
        cmocka_unit_test(test_a_list_with_a_bad_one_or_too_many_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
