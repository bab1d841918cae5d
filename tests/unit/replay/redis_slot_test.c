#include "replay/redis_slot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* As CLUSTER KEYSLOT of Redis 7.0 says. */
static void test_keys_have_the_slots_that_redis_gives_them(void **state)
{
    static const struct {
        const char *key;
        unsigned slot;
    } cases[] = {
        {"123456789", 12739},
        {"foo", 12182},
        {"{user1000}.following", 3443},
        {"foo{}{bar}", 8363},
        {"foo{{bar}}zap", 4015},
        {"foo{bar}{zap}", 5061},
        {"sluice:{acme}:log", 11304},
        {"sluice:{acme}:head", 11304},
        {"acme", 11304},
        {"sluice:owner", 6306},
        {"", 0},
        {"{", 4092},
        {"}{", 12793},
        {"a{b", 13340},
        {"{}", 15257},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(redis_slot_of_key(cases[i].key, strlen(cases[i].key)), cases[i].slot);
}

static void test_the_key_of_a_command(void **state)
{
    static const char *const script[] = {"EVALSHA", "sha", "3", "log", "head", "holes", "1"};
    static const char *const whole[] = {"EVAL", "return 1", "1", "key"};
    static const char *const plain[] = {"HMGET", "key", "field"};
    static const char *const load[] = {"SCRIPT", "LOAD", "return 1"};
    static const char *const ping[] = {"PING"};

    (void)state;
    assert_int_equal(redis_slot_key_argument(7, script), 3);
    assert_int_equal(redis_slot_key_argument(4, whole), 3);
    assert_int_equal(redis_slot_key_argument(3, plain), 1);
    assert_int_equal(redis_slot_key_argument(3, load), -1);
    assert_int_equal(redis_slot_key_argument(1, ping), -1);
}

static void test_each_slot_has_a_tag(void **state)
{
    (void)state;
    for (unsigned slot = 0; slot < REDIS_SLOTS; slot += 331) {
        char tag[REDIS_SLOT_TAG_SIZE];

        redis_slot_tag(slot, tag);
        assert_int_equal(redis_slot_of_key(tag, strlen(tag)), slot);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_have_the_slots_that_redis_gives_them),
        cmocka_unit_test(test_the_key_of_a_command),
        cmocka_unit_test(test_each_slot_has_a_tag),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
