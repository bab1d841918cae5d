/* The id of a Redis, by which replicas know whether they share it. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/event_id.h"
#include "replay/store_memory.h"
#include "tests/unit/replay/redis_server.h"
#include "tests/unit/replay/redis_store.h"
#include "tests/unit/replay/store_client.h"

static struct redis_server server;
static struct metrics *metrics;

/* Two replicas on one Redis. */
static struct store *a;
static struct store *b;

static struct store *connect_store(void)
{
    return redis_store_connect(&server, &redis_roomy, 10000, metrics);
}

static int set_up(void **state)
{
    (void)state;
    redis_server_tell(&server, REDIS_COMMAND("FLUSHALL"));
    a = connect_store();
    b = connect_store();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    store_free(a);
    store_free(b);
    return 0;
}

static uint64_t id_in_redis(void)
{
    char reply[256];

    redis_server_ask(&server, reply, sizeof reply, REDIS_COMMAND("GET", "sluice:id"));
    return strtoull(reply, NULL, 10);
}

static void wait_for_id(struct store *store, uint64_t id)
{
    while (store_id(store) != id)
        store_pump(store);
}

static void all_who_share_a_redis_have_its_id(void **state)
{
    (void)state;
    assert_in_range(store_id(a), 1, EVENT_NUMBER_MAX);
    assert_true(store_id(b) == store_id(a));
    assert_true(id_in_redis() == store_id(a));
}

static void another_redis_has_another_id(void **state)
{
    struct redis_server other = {.pid = 0};
    struct store *store;

    (void)state;
    redis_server_start(&other);
    store = redis_store_connect(&other, &redis_roomy, 10000, metrics);
    assert_in_range(store_id(store), 1, EVENT_NUMBER_MAX);
    assert_true(store_id(store) != store_id(a));
    store_free(store);
    redis_server_kill(&other);
}

static void before_it_is_known_it_is_none(void **state)
{
    struct store *away = redis_store_new("redis://127.0.0.1:1", &redis_roomy, 1000, metrics);
    struct store *memory = store_memory_new(&redis_roomy, 1 << 20);

    (void)state;
    assert_non_null(away);
    assert_non_null(memory);
    store_pump(memory);
    assert_true(store_id(away) == 0);
    assert_true(store_id(memory) == 0);
    store_free(away);
    store_free(memory);
}

static void a_redis_that_is_flushed_gets_its_id_back(void **state)
{
    uint64_t id = store_id(a);

    (void)state;
    redis_server_tell(&server, REDIS_COMMAND("FLUSHALL"));
    while (id_in_redis() == 0)
        store_pump(a);
    assert_true(id_in_redis() == id);
    assert_true(store_id(a) == id);
    wait_for_id(b, id);
}

static void a_redis_that_is_replaced_by_an_empty_one_gets_the_id_of_those_who_are_there(void **state)
{
    uint64_t id = store_id(a);
    struct store *late;

    (void)state;
    redis_server_kill(&server);
    store_wait_state(a, STORE_LOST);
    store_wait_state(b, STORE_LOST);
    /* It is remembered. */
    assert_true(store_id(a) == id);
    redis_server_start(&server);
    store_wait_state(b, STORE_READY);
    assert_true(id_in_redis() == id);
    late = connect_store();
    assert_true(store_id(late) == id);
    store_wait_state(a, STORE_READY);
    assert_true(store_id(a) == id);
    store_free(late);
}

static void who_gives_an_empty_redis_its_id_first_wins(void **state)
{
    uint64_t id = store_id(a);
    struct store *late;

    (void)state;
    redis_server_tell(&server, REDIS_COMMAND("FLUSHALL"));
    late = connect_store();
    assert_true(store_id(late) != id);
    wait_for_id(a, store_id(late));
    wait_for_id(b, store_id(late));
    assert_true(id_in_redis() == store_id(late));
    store_free(late);
}

static void what_is_no_id_is_none(void **state)
{
    struct store *store;

    (void)state;
    redis_server_tell(&server, REDIS_COMMAND("SET", "sluice:id", "of somebody else"));
    store = connect_store();
    assert_true(store_id(store) == 0);
    /* And is no reason to forget one. */
    assert_true(store_id(a) > 0);
    store_free(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_who_share_a_redis_have_its_id, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_redis_has_another_id, set_up, tear_down),
        cmocka_unit_test_setup_teardown(before_it_is_known_it_is_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_redis_that_is_flushed_gets_its_id_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_redis_that_is_replaced_by_an_empty_one_gets_the_id_of_those_who_are_there,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_gives_an_empty_redis_its_id_first_wins, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_id_is_none, set_up, tear_down),
    };
    int failed;

    metrics = metrics_new();
    redis_server_start(&server);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    redis_server_kill(&server);
    metrics_free(metrics);
    return failed;
}
