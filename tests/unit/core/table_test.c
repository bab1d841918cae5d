#include "core/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { MANY = 5000 };

static void key_of(int number, char ret_key[32])
{
    snprintf(ret_key, 32, "company-%d", number);
}

static void test_what_was_added_is_found_until_it_is_removed(void **state)
{
    static int objects[MANY];
    struct table *table = table_new();
    char key[32];

    (void)state;
    assert_non_null(table);
    for (int i = 0; i < MANY; i++) {
        key_of(i, key);
        assert_null(table_get(table, key));
        assert_int_equal(table_add(table, key, &objects[i]), 0);
        assert_int_equal(table_count(table), i + 1);
    }
    for (int i = 0; i < MANY; i += 2) {
        key_of(i, key);
        table_remove(table, key);
        table_remove(table, key);
    }
    assert_int_equal(table_count(table), MANY / 2);
    for (int i = 0; i < MANY; i++) {
        key_of(i, key);
        assert_ptr_equal(table_get(table, key), i % 2 == 0 ? NULL : &objects[i]);
    }
    table_free(table);
    table_free(NULL);
}

static void test_keys_are_copied_and_compared_whole(void **state)
{
    struct table *table = table_new();
    char key[] = "acme";
    int object;

    (void)state;
    assert_int_equal(table_add(table, key, &object), 0);
    memset(key, 'x', 4);
    assert_ptr_equal(table_get(table, "acme"), &object);
    assert_null(table_get(table, "xxxx"));
    assert_null(table_get(table, "acm"));
    assert_null(table_get(table, "acme2"));
    assert_null(table_get(table, ""));
    table_free(table);
}

static void test_a_removed_key_can_be_added_again(void **state)
{
    struct table *table = table_new();
    int first;
    int second;

    (void)state;
    assert_int_equal(table_add(table, "", &first), 0);
    table_remove(table, "");
    assert_int_equal(table_add(table, "", &second), 0);
    assert_ptr_equal(table_get(table, ""), &second);
    table_free(table);
}

struct visits {
    struct table *table;
    int next;
    bool remove_even;
};

static void visit(const char *key, void *object, void *context)
{
    struct visits *visits = context;
    int number = *(const int *)object;
    char expected[32];

    assert_int_equal(number, visits->next++);
    key_of(number, expected);
    assert_string_equal(key, expected);
    if (visits->remove_even && number % 2 == 0)
        table_remove(visits->table, key);
}

static void test_each_goes_in_the_order_of_adding_and_may_remove_what_it_visits(void **state)
{
    struct table *table = table_new();
    struct visits visits = {.table = table, .remove_even = true};
    int numbers[100];
    char key[32];

    (void)state;
    for (int i = 0; i < 100; i++) {
        numbers[i] = i;
        key_of(i, key);
        assert_int_equal(table_add(table, key, &numbers[i]), 0);
    }
    table_each(table, visit, &visits);
    assert_int_equal(visits.next, 100);
    assert_int_equal(table_count(table), 50);
    table_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_added_is_found_until_it_is_removed),
        cmocka_unit_test(test_keys_are_copied_and_compared_whole),
        cmocka_unit_test(test_a_removed_key_can_be_added_again),
        cmocka_unit_test(test_each_goes_in_the_order_of_adding_and_may_remove_what_it_visits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
