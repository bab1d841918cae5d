#include "replay/store_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/clock.h"
#include "tests/unit/replay/store_client.h"
#include "tests/unit/replay/store_suite.h"

enum { ROOMY = 1 << 30 };

static struct store *open_store(const struct store_limits *limits)
{
    return store_memory_new(limits, ROOMY);
}

static const struct store_limits limits = {.ttl_ms = 3600000, .max_events = 1000000, .max_bytes = 1 << 28};
static const struct event_position beginning = {0, 0};

static struct events events_of(const char *company)
{
    return (struct events){.company = company,
                           .first = {.ms = (uint64_t)clock_unix_ms() - 60000, .seq = 1},
                           .ms_step = 1,
                           .payload_size = 1000};
}

static void test_it_is_ready_from_the_start(void **state)
{
    struct store *store = open_store(&limits);
    short events = 0;

    (void)state;
    assert_true(store_is_memory(store));
    assert_int_equal(store_state(store), STORE_READY);
    assert_int_equal(store_poll_fd(store, &events), -1);
    store_free(store);
    store_free(NULL);
}

static void test_all_companies_together_keep_within_the_bytes(void **state)
{
    enum { TOTAL = 200000 };
    struct store *store = store_memory_new(&limits, TOTAL);
    struct events a = events_of("a");
    struct events b = events_of("b");
    size_t held;

    (void)state;
    store_set_epoch(store, 1);
    for (int i = 0; i < 20; i++) {
        events_append(store, &a, 20);
        events_append(store, &b, 20);
        a.first.seq += 20;
        a.first.ms += 20;
        b.first.seq += 20;
        b.first.ms += 20;
    }
    held = read_all(store, "a", beginning, 100, NULL) + read_all(store, "b", beginning, 100, NULL);
    assert_true(held * 1000 <= TOTAL);
    assert_true(held * 1000 >= TOTAL / 2);
    assert_int_equal(head_load(store, "a").position.seq, 400);
    assert_true(head_load(store, "a").floor.seq > 0);
    assert_true(head_load(store, "b").floor.seq > 0);
    store_free(store);
}

/* One huge company does not silence a small one for good. */
static void test_a_lone_event_beyond_all_bytes_leaves_a_floor(void **state)
{
    struct store *store = store_memory_new(&limits, 100);
    struct events events = events_of("a");
    struct store_head head;

    (void)state;
    store_set_epoch(store, 1);
    events_append(store, &events, 1);
    head = head_load(store, "a");
    assert_int_equal(head.position.seq, 1);
    assert_int_equal(head.floor.seq, 1);
    assert_int_equal(read_all(store, "a", beginning, 100, NULL), 0);
    store_free(store);
}

int main(void)
{
    struct store_suite suite = {.open = open_store};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_is_ready_from_the_start),
        cmocka_unit_test(test_all_companies_together_keep_within_the_bytes),
        cmocka_unit_test(test_a_lone_event_beyond_all_bytes_leaves_a_floor),
    };

    return store_suite_run("store_memory contract", &suite) +
           store_source_suite_run("store_memory and streams", &suite) + cmocka_run_group_tests(tests, NULL, NULL);
}
