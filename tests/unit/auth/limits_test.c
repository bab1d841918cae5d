#include "auth/limits.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define S INT64_C(1000000000)

static struct address address_of(const char *text)
{
    struct address address;

    assert_int_equal(address_parse(text, strlen(text), &address), 0);
    return address;
}

static struct limits *limits_with(int64_t company, int64_t user, int64_t key, int64_t address)
{
    struct config config = {.max_connections_per_company = company,
                            .max_connections_per_user = user,
                            .max_connections_per_key = key,
                            .max_connections_per_address = address};
    struct limits *limits = limits_new(&config);

    assert_non_null(limits);
    return limits;
}

static struct limits_place entered(struct limits *limits, const struct limits_who *who)
{
    struct limits_place place;
    enum limit limit;

    assert_int_equal(limits_enter(limits, who, &place, &limit), 0);
    return place;
}

static void assert_refused(struct limits *limits, const struct limits_who *who, enum limit expected)
{
    static const struct limits_place none;
    struct limits_place place;
    enum limit limit = LIMIT_RATE;

    assert_int_equal(limits_enter(limits, who, &place, &limit), -EBUSY);
    assert_int_equal(limit, expected);
    assert_memory_equal(&place, &none, sizeof place);
}

static void test_each_limit_refuses_until_one_leaves(void **state)
{
    struct address address = address_of("192.0.2.1");
    struct limits_who who = {.company = "acme", .user = "ann", .key = "k_1", .address = &address};
    struct limits *const tight[] = {limits_with(2, 0, 0, 0), limits_with(0, 2, 0, 0), limits_with(0, 0, 2, 0),
                                    limits_with(0, 0, 0, 2)};

    (void)state;
    for (int i = 0; i < 4; i++) {
        struct limits_place first = entered(tight[i], &who);
        struct limits_place second = entered(tight[i], &who);

        assert_refused(tight[i], &who, (enum limit)i);
        assert_refused(tight[i], &who, (enum limit)i);
        limits_leave(tight[i], &first);
        first = entered(tight[i], &who);
        assert_refused(tight[i], &who, (enum limit)i);
        limits_leave(tight[i], &first);
        limits_leave(tight[i], &second);
        limits_leave(tight[i], &(struct limits_place){0});
        limits_free(tight[i]);
    }
    limits_free(NULL);
}

static void test_a_refusal_counts_nowhere(void **state)
{
    struct limits *limits = limits_with(3, 1, 0, 0);
    struct limits_who ann = {.company = "acme", .user = "ann"};
    struct limits_who bob = {.company = "acme", .user = "bob"};
    struct limits_who cid = {.company = "acme", .user = "cid"};
    struct limits_who dan = {.company = "acme", .user = "dan"};
    struct limits_place places[3];

    (void)state;
    places[0] = entered(limits, &ann);
    for (int i = 0; i < 10; i++)
        assert_refused(limits, &ann, LIMIT_USER);
    places[1] = entered(limits, &bob);
    places[2] = entered(limits, &cid);
    assert_refused(limits, &dan, LIMIT_COMPANY);
    for (int i = 0; i < 3; i++)
        limits_leave(limits, &places[i]);
    limits_free(limits);
}

static void test_users_of_other_companies_are_others(void **state)
{
    struct limits *limits = limits_with(0, 1, 0, 0);
    struct limits_who a = {.company = "a", .user = "b/c"};
    struct limits_who b = {.company = "a.b", .user = "c"};
    struct limits_who c = {.company = "b", .user = "b/c"};
    struct limits_who nobody = {.company = "a"};
    struct limits_place places[5];

    (void)state;
    places[0] = entered(limits, &a);
    places[1] = entered(limits, &b);
    places[2] = entered(limits, &c);
    places[3] = entered(limits, &nobody);
    places[4] = entered(limits, &nobody);
    assert_refused(limits, &a, LIMIT_USER);
    for (int i = 0; i < 5; i++)
        limits_leave(limits, &places[i]);
    limits_free(limits);
}

static void test_a_key_may_have_a_limit_of_its_own(void **state)
{
    struct limits *limits = limits_with(0, 0, 1, 0);
    struct limits *off = limits_with(0, 0, 0, 0);
    struct limits_who plain = {.company = "acme", .key = "k_1"};
    struct limits_who wide = {.company = "acme", .key = "k_2", .key_max = 2};
    struct limits_place places[3];

    (void)state;
    places[0] = entered(limits, &plain);
    assert_refused(limits, &plain, LIMIT_KEY);
    places[1] = entered(limits, &wide);
    places[2] = entered(limits, &wide);
    assert_refused(limits, &wide, LIMIT_KEY);
    for (int i = 0; i < 3; i++)
        limits_leave(limits, &places[i]);
    places[0] = entered(off, &wide);
    places[1] = entered(off, &wide);
    assert_refused(off, &wide, LIMIT_KEY);
    limits_leave(off, &places[0]);
    limits_leave(off, &places[1]);
    limits_free(off);
    limits_free(limits);
}

static void test_slots_have_one_name_and_each_stream_its_rank(void **state)
{
    struct limits *limits = limits_with(0, 3, 4, 0);
    struct limits_who who = {.company = "acme", .user = "ann", .key = "k_1", .key_max = 5};
    struct limits_who nobody = {.company = "acme"};
    struct limits_slot slot;
    struct limits_place places[4];

    (void)state;
    assert_true(limits_slot(limits, &who, LIMIT_USER, &slot));
    assert_string_equal(slot.name, "user:acme|ann");
    assert_int_equal(slot.max, 3);
    assert_true(limits_slot(limits, &who, LIMIT_KEY, &slot));
    assert_string_equal(slot.name, "key:k_1");
    assert_int_equal(slot.max, 5);
    assert_false(limits_slot(limits, &nobody, LIMIT_USER, &slot));
    assert_false(limits_slot(limits, &nobody, LIMIT_KEY, &slot));
    for (int i = 0; i < 3; i++) {
        places[i] = entered(limits, &who);
        assert_int_equal(limits_rank(&places[i], LIMIT_USER), i + 1);
        assert_int_equal(limits_rank(&places[i], LIMIT_KEY), i + 1);
    }
    places[3] = entered(limits, &nobody);
    assert_int_equal(limits_rank(&places[3], LIMIT_USER), 0);
    assert_int_equal(limits_count(limits, "user:acme|ann"), 3);
    limits_leave(limits, &places[0]);
    /* A rank is that of the coming; the count is that of now. */
    assert_int_equal(limits_rank(&places[2], LIMIT_USER), 3);
    assert_int_equal(limits_count(limits, "user:acme|ann"), 2);
    assert_int_equal(limits_count(limits, "key:k_1"), 2);
    assert_int_equal(limits_count(limits, "user:acme|bob"), 0);
    for (int i = 1; i < 4; i++)
        limits_leave(limits, &places[i]);
    assert_int_equal(limits_count(limits, "user:acme|ann"), 0);
    limits_free(limits);
}

static void note_name(void *context, const char *name)
{
    strcat(strcat(context, name), "\n");
}

static void test_all_that_have_streams_are_named_once(void **state)
{
    struct address address = address_of("192.0.2.1");
    struct limits *limits = limits_with(5, 5, 5, 5);
    struct limits_who ann = {.company = "acme", .user = "ann", .key = "k_1", .address = &address};
    struct limits_who bob = {.company = "acme", .user = "bob", .address = &address};
    struct limits_place places[] = {entered(limits, &ann), entered(limits, &ann), entered(limits, &bob)};
    char names[256] = "";

    (void)state;
    limits_each_name(limits, note_name, names);
    assert_string_equal(names, "user:acme|ann\nuser:acme|bob\nkey:k_1\n");
    for (int i = 0; i < 3; i++)
        limits_leave(limits, &places[i]);
    names[0] = '\0';
    limits_each_name(limits, note_name, names);
    assert_string_equal(names, "");
    limits_free(limits);
}

static void test_an_ipv6_network_is_one_address(void **state)
{
    struct limits *limits = limits_with(0, 0, 0, 1);
    struct address a = address_of("2001:db8::1");
    struct address b = address_of("2001:db8::2");
    struct address other = address_of("2001:db8:0:1::1");
    struct address none = address_from_sockaddr(NULL);
    struct limits_who who = {.company = "acme", .address = &a};
    struct limits_place places[4];

    (void)state;
    places[0] = entered(limits, &who);
    who.address = &b;
    assert_refused(limits, &who, LIMIT_ADDRESS);
    who.address = &other;
    places[1] = entered(limits, &who);
    who.address = &none;
    places[2] = entered(limits, &who);
    who.address = NULL;
    places[3] = entered(limits, &who);
    for (int i = 0; i < 4; i++)
        limits_leave(limits, &places[i]);
    limits_free(limits);
}

static struct limits *limits_of_rates(int64_t all, int64_t per_address)
{
    struct config config = {.connection_rate = all, .connection_rate_per_address = per_address};
    struct limits *limits = limits_new(&config);

    assert_non_null(limits);
    return limits;
}

static int admit(struct limits *limits, const char *text, int64_t now_ns, enum limit *ret_limit, int64_t *ret_wait)
{
    struct address address = address_of(text);

    return limits_admit(limits, &address, now_ns, ret_limit, ret_wait);
}

static void test_without_rates_all_are_admitted(void **state)
{
    struct limits *limits = limits_of_rates(0, 0);
    enum limit limit;
    int64_t wait;

    (void)state;
    for (int i = 0; i < 100000; i++)
        assert_int_equal(admit(limits, "192.0.2.1", 0, &limit, &wait), 0);
    assert_int_equal(limits_addresses(limits), 0);
    limits_free(limits);
}

static void test_a_rate_says_how_long_to_wait(void **state)
{
    struct limits *limits = limits_of_rates(10, 1);
    enum limit limit = LIMIT_KEY;
    int64_t wait = 0;

    (void)state;
    assert_int_equal(admit(limits, "192.0.2.1", 0, &limit, &wait), 0);
    assert_int_equal(admit(limits, "192.0.2.1", 0, &limit, &wait), 0);
    assert_int_equal(limit, LIMIT_KEY);
    /* Who is refused takes nothing from the others. */
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(admit(limits, "192.0.2.1", S / 2, &limit, &wait), -EBUSY);
        assert_int_equal(limit, LIMIT_ADDRESS_RATE);
        assert_int_equal(wait, 1);
    }
    for (int i = 0; i < 9; i++) {
        assert_int_equal(limits_admit(limits, NULL, 0, &limit, &wait), 0);
        assert_int_equal(limits_admit(limits, NULL, 0, &limit, &wait), 0);
    }
    assert_int_equal(limits_admit(limits, NULL, 0, &limit, &wait), -EBUSY);
    assert_int_equal(limit, LIMIT_RATE);
    assert_int_equal(wait, 1);
    /* Refused by the rate of all, the address has lost nothing either. */
    assert_int_equal(admit(limits, "192.0.2.2", 0, &limit, &wait), -EBUSY);
    assert_int_equal(limit, LIMIT_RATE);
    assert_int_equal(admit(limits, "192.0.2.2", S, &limit, &wait), 0);
    assert_int_equal(admit(limits, "192.0.2.2", S, &limit, &wait), 0);
    limits_free(limits);
}

static void admit_networks(struct limits *limits, unsigned from, unsigned count, int64_t now_ns)
{
    struct address address = address_of("2001:db8::");
    enum limit limit;
    int64_t wait;

    for (unsigned i = from; i < from + count; i++) {
        address.bytes[5] = (unsigned char)(i >> 16);
        address.bytes[6] = (unsigned char)(i >> 8);
        address.bytes[7] = (unsigned char)i;
        assert_int_equal(limits_admit(limits, &address, now_ns, &limit, &wait), 0);
    }
}

static void test_the_table_of_addresses_never_grows_beyond_its_size(void **state)
{
    struct limits *limits = limits_of_rates(0, 1);
    enum limit limit;
    int64_t wait;

    (void)state;
    assert_int_equal(admit(limits, "192.0.2.1", 0, &limit, &wait), 0);
    assert_int_equal(admit(limits, "192.0.2.1", 0, &limit, &wait), 0);
    admit_networks(limits, 0, LIMITS_ADDRESSES - 1, 0);
    assert_int_equal(limits_addresses(limits), LIMITS_ADDRESSES);
    assert_int_equal(admit(limits, "192.0.2.1", 0, &limit, &wait), -EBUSY);
    /* It was asked for last, so that the others are dropped before it. */
    admit_networks(limits, LIMITS_ADDRESSES, LIMITS_ADDRESSES - 1, 0);
    assert_int_equal(limits_addresses(limits), LIMITS_ADDRESSES);
    assert_int_equal(admit(limits, "192.0.2.1", 0, &limit, &wait), -EBUSY);
    admit_networks(limits, 2 * LIMITS_ADDRESSES, LIMITS_ADDRESSES, 0);
    assert_int_equal(limits_addresses(limits), LIMITS_ADDRESSES);
    assert_int_equal(admit(limits, "192.0.2.1", 0, &limit, &wait), 0);
    limits_free(limits);
}

static void test_idle_addresses_leave(void **state)
{
    struct limits *limits = limits_of_rates(0, 1);

    (void)state;
    admit_networks(limits, 0, 1000, 0);
    assert_int_equal(limits_addresses(limits), 1000);
    admit_networks(limits, 1000, 500, 3 * S);
    assert_int_equal(limits_addresses(limits), 500);
    limits_free(limits);
}

static void test_each_limit_has_a_metric_and_a_message_of_its_own(void **state)
{
    (void)state;
    for (int i = LIMIT_COMPANY; i <= LIMIT_ADDRESS_RATE; i++) {
        assert_non_null(limits_message((enum limit)i));
        for (int other = LIMIT_COMPANY; other < i; other++)
            assert_int_not_equal(limits_metric((enum limit)i), limits_metric((enum limit)other));
    }
}

enum { THREADS = 4, ROUNDS = 5000, LIMIT = 3 };

struct crowd {
    struct limits *limits;
    _Atomic int inside;
};

static void *come_and_go(void *context)
{
    struct crowd *crowd = context;
    struct limits_who who = {.company = "acme", .user = "ann", .key = "k_1"};
    struct limits_place place;
    enum limit limit;

    for (int i = 0; i < ROUNDS; i++) {
        while (limits_enter(crowd->limits, &who, &place, &limit) != 0)
            sched_yield();
        if (++crowd->inside > LIMIT)
            abort();
        crowd->inside--;
        limits_leave(crowd->limits, &place);
    }
    return NULL;
}

static void test_threads_never_pass_a_limit_together(void **state)
{
    struct crowd crowd = {.limits = limits_with(100, LIMIT, 100, 0)};
    struct limits_who who = {.company = "acme", .user = "ann"};
    struct limits_place places[LIMIT];
    pthread_t threads[THREADS];

    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, &crowd), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    /* All came out again: there is room for as many as at first, and no more. */
    for (int i = 0; i < LIMIT; i++)
        places[i] = entered(crowd.limits, &who);
    assert_refused(crowd.limits, &who, LIMIT_USER);
    for (int i = 0; i < LIMIT; i++)
        limits_leave(crowd.limits, &places[i]);
    limits_free(crowd.limits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_limit_refuses_until_one_leaves),
        cmocka_unit_test(test_a_refusal_counts_nowhere),
        cmocka_unit_test(test_users_of_other_companies_are_others),
        cmocka_unit_test(test_a_key_may_have_a_limit_of_its_own),
        cmocka_unit_test(test_slots_have_one_name_and_each_stream_its_rank),
        cmocka_unit_test(test_all_that_have_streams_are_named_once),
        cmocka_unit_test(test_an_ipv6_network_is_one_address),
        cmocka_unit_test(test_without_rates_all_are_admitted),
        cmocka_unit_test(test_a_rate_says_how_long_to_wait),
        cmocka_unit_test(test_the_table_of_addresses_never_grows_beyond_its_size),
        cmocka_unit_test(test_idle_addresses_leave),
        cmocka_unit_test(test_each_limit_has_a_metric_and_a_message_of_its_own),
        cmocka_unit_test(test_threads_never_pass_a_limit_together),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
