#include "tests/unit/replay/redis_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/clock.h"
#include "replay/store_redis.h"

const struct store_limits redis_roomy = {.ttl_ms = 3600000, .max_events = 1000000, .max_bytes = 1 << 28};

void redis_store_tell(void *context, enum store_state state, const char *reason)
{
    struct redis_told *told = context;

    told->lost += state == STORE_LOST;
    told->ready += state == STORE_READY;
    snprintf(told->reason, sizeof told->reason, "%s", reason);
}

struct store *redis_store_new(const char *url, const struct store_limits *limits, int timeout_ms,
                              struct metrics *metrics)
{
    struct store_redis_options options = {
        .redis = {.url = url, .timeout_ms = timeout_ms}, .limits = *limits, .metrics = metrics};
    struct store *store = store_redis_new(&options);

    assert_non_null(store);
    return store;
}

struct store *redis_store_connect(const struct redis_server *server, const struct store_limits *limits, int timeout_ms,
                                  struct metrics *metrics)
{
    char url[64];
    struct store *store;

    snprintf(url, sizeof url, "redis://127.0.0.1:%d", server->port);
    store = redis_store_new(url, limits, timeout_ms, metrics);
    assert_int_equal(store_state(store), STORE_LOST);
    store_wait_state(store, STORE_READY);
    store_set_epoch(store, 1);
    return store;
}

void redis_store_attempt(struct store *store, int attempts)
{
    bool was_connected = false;

    while (attempts > 0) {
        short events;
        bool is_connected;

        store_pump(store);
        assert_int_equal(store_state(store), STORE_LOST);
        is_connected = store_poll_fd(store, &events) >= 0;
        attempts -= was_connected && !is_connected;
        was_connected = is_connected;
    }
}

struct events events_of(const char *company)
{
    uint64_t ms = (uint64_t)clock_unix_ms() - 60000;

    return (struct events){.company = company, .first = {.ms = ms, .seq = 1}, .ms_step = 1, .since_ms = ms};
}

int events_try_append(struct store *store, const struct events *events, size_t from, size_t count)
{
    struct answer answer;

    events_start_append(store, events, from, count, &answer);
    store_wait(store, &answer);
    return answer.status;
}
