#include "auth/revocation_keeper.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "tests/unit/replay/redis_server.h"

enum { PATIENCE_MS = 20000 };

/* A replica that keeps revocations, over a Redis that comes and goes. */
struct world {
    struct redis_server server;
    struct metrics *metrics;
    struct revocation_keeper *keeper;
    struct shared *shared;
};

static void on_state(void *context, bool connected, const char *reason)
{
    const struct world *world = context;

    (void)reason;
    metrics_set(world->metrics, METRIC_SHARED_CONNECTED, connected);
    if (connected)
        revocation_keeper_retry(world->keeper);
}

static struct world *world_new(void)
{
    struct world *world = calloc(1, sizeof *world);
    char url[64];

    assert_non_null(world);
    redis_server_start(&world->server);
    snprintf(url, sizeof url, "redis://127.0.0.1:%d", world->server.port);
    world->metrics = metrics_new();
    world->keeper = revocation_keeper_new(NULL, world->metrics);
    world->shared = shared_new(&(struct shared_options){.redis = {.url = url, .timeout_ms = 200},
                                                        .replica = "test",
                                                        .listener = {.context = world, .on_state = on_state}});
    assert_non_null(world->shared);
    return world;
}

static void world_free(struct world *world)
{
    shared_free(world->shared);
    revocation_keeper_free(world->keeper);
    metrics_free(world->metrics);
    if (world->server.pid)
        redis_server_kill(&world->server);
    free(world);
}

static void wait_until(struct world *world, bool (*condition)(struct world *world, int64_t value), int64_t value,
                       const char *what)
{
    int64_t until_ns = clock_monotonic_ns() + PATIENCE_MS * INT64_C(1000000);

    while (!condition(world, value)) {
        if (clock_monotonic_ns() > until_ns)
            fail_msg("waited in vain for %s", what);
        usleep(2000);
    }
}

static bool is_connected(struct world *world, int64_t value)
{
    return metrics_get(world->metrics, METRIC_SHARED_CONNECTED) == value;
}

static bool is_waiting(struct world *world, int64_t value)
{
    return revocation_keeper_waiting(world->keeper) == (size_t)value;
}

static bool is_kept(struct world *world, int64_t value)
{
    char reply[64];

    redis_server_ask(&world->server, reply, sizeof reply, REDIS_COMMAND("ZCARD", "sluice:revoked"));
    return strtol(reply + 1, NULL, 10) == value;
}

static bool is_past(struct world *world, int64_t value)
{
    (void)world;
    return clock_unix_ms() > value;
}

static void keep(struct world *world, const char *user, int64_t for_ms)
{
    struct shared_revocation revocation = {SHARED_USER, user, clock_unix_ms() + for_ms};

    assert_int_equal(revocation_keeper_keep(world->keeper, world->shared, &revocation), 0);
}

static void keep_many(struct world *world, int count)
{
    for (int i = 0; i < count; i++) {
        char user[32];

        snprintf(user, sizeof user, "|user-%d", i);
        keep(world, user, 600000);
    }
}

static void test_what_comes_goes_to_redis_at_once(void **state)
{
    struct world *world = world_new();

    (void)state;
    wait_until(world, is_connected, 1, "Redis");
    keep_many(world, 10);
    wait_until(world, is_kept, 10, "ten in Redis");
    assert_int_equal(revocation_keeper_waiting(world->keeper), 0);
    world_free(world);
}

static void test_what_comes_while_redis_is_away_waits_for_it(void **state)
{
    struct world *world = world_new();

    (void)state;
    wait_until(world, is_connected, 1, "Redis");
    redis_server_kill(&world->server);
    wait_until(world, is_connected, 0, "the end of Redis");
    keep_many(world, 500);
    wait_until(world, is_waiting, 500, "all to wait");
    redis_server_start(&world->server);
    wait_until(world, is_kept, 500, "all in Redis");
    wait_until(world, is_waiting, 0, "none to wait");
    assert_int_equal(metrics_get(world->metrics, METRIC_REVOCATION_ERRORS), 0);
    world_free(world);
}

static void test_what_is_over_is_forgotten(void **state)
{
    struct world *world = world_new();
    int64_t over_ms;

    (void)state;
    wait_until(world, is_connected, 1, "Redis");
    redis_server_kill(&world->server);
    wait_until(world, is_connected, 0, "the end of Redis");
    keep(world, "|short", 500);
    over_ms = clock_unix_ms() + 500;
    keep(world, "|long", 600000);
    wait_until(world, is_waiting, 2, "both to wait");
    wait_until(world, is_past, over_ms, "the short one to be over");
    redis_server_start(&world->server);
    wait_until(world, is_waiting, 0, "none to wait");
    wait_until(world, is_kept, 1, "one in Redis");
    world_free(world);
}

static void test_what_waits_at_the_end_is_freed(void **state)
{
    struct world *world = world_new();

    (void)state;
    redis_server_kill(&world->server);
    wait_until(world, is_connected, 0, "the end of Redis");
    keep_many(world, 3);
    wait_until(world, is_waiting, 3, "all to wait");
    keep_many(world, 2);
    world_free(world);
    revocation_keeper_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_comes_goes_to_redis_at_once),
        cmocka_unit_test(test_what_comes_while_redis_is_away_waits_for_it),
        cmocka_unit_test(test_what_is_over_is_forgotten),
        cmocka_unit_test(test_what_waits_at_the_end_is_freed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
