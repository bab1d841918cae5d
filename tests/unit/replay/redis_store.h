#ifndef SLUICE_TESTS_UNIT_REPLAY_REDIS_STORE_H
#define SLUICE_TESTS_UNIT_REPLAY_REDIS_STORE_H

#include "core/metrics.h"
#include "replay/store.h"
#include "tests/unit/replay/redis_server.h"
#include "tests/unit/replay/store_client.h"

/* Stores in a redis-server of the test. */
extern const struct store_limits redis_roomy;

/* What the observer was told last, and how often. */
struct redis_told {
    int lost;
    int ready;
    char reason[256];
};
void redis_store_tell(void *context, enum store_state state, const char *reason);

/* A store that is not connected yet. */
struct store *redis_store_new(const char *url, const struct store_limits *limits, int timeout_ms,
                              struct metrics *metrics);

/* A store that is ready, and appends with epoch 1. */
struct store *redis_store_connect(const struct redis_server *server, const struct store_limits *limits, int timeout_ms,
                                  struct metrics *metrics);

/* Runs until that many attempts of a lost store to connect have failed. */
void redis_store_attempt(struct store *store, int attempts);

/* Events of the last minute. */
struct events events_of(const char *company);

/* Appends events from..from + count - 1 and returns the status. */
int events_try_append(struct store *store, const struct events *events, size_t from, size_t count);

#endif
