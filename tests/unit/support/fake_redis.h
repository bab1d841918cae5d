#ifndef SLUICE_TESTS_FAKE_REDIS_H
#define SLUICE_TESTS_FAKE_REDIS_H

#include "replay/store.h"

/*
 * One Redis in memory, and the stores of several replicas before it. It does what the scripts of replay/redis_scripts.c do:
 * the lease, by the fake clock; epochs; appends that skip what is held; pages. A request is carried out when the test says so, in
 * order for each store, and answered by that store's next store_run().
 */
struct fake_redis;

struct fake_redis *fake_redis_new(void);

/* The stores before it must be gone. */
void fake_redis_free(struct fake_redis *redis);

/* Loses what was written since then, and everything written before that the test does not want: the lease, or all. */
void fake_redis_lose_since(struct fake_redis *redis, int64_t unix_ms);
void fake_redis_lose_lease(struct fake_redis *redis);

/* What is held of a company. */
size_t fake_redis_count(const struct fake_redis *redis, const char *company);
struct frame *fake_redis_frame(const struct fake_redis *redis, const char *company, size_t index);
struct event_position fake_redis_head(const struct fake_redis *redis, const char *company);

/* Puts an event there as an earlier process would have. */
void fake_redis_put(struct fake_redis *redis, const char *company, struct frame *frame);

/* Whose the lease is now; NULL: nobody's. */
const char *fake_redis_holder(const struct fake_redis *redis);

/* A replica's store, which is lost until it is connected. Freed by store_free(). */
struct store *fake_redis_open(struct fake_redis *redis);

/* Carries out the store's first request that was not yet. False: there is none. */
bool fake_redis_carry_out(struct store *store);

/* Appends that were not carried out yet will be, whatever becomes of the connection: on its way to Redis, late. */
void fake_redis_delay(struct store *store);

/* Carries out the first of those. False: there is none. */
bool fake_redis_carry_out_late(struct fake_redis *redis);

/* Appends that were refused since a later epoch was there. */
size_t fake_redis_refused(const struct fake_redis *redis);

/* Requests that were not carried out yet; and those, or answers, that wait. */
size_t fake_redis_waiting(const struct store *store);
bool fake_redis_is_idle(const struct store *store);

/* The connection is gone, or there again; the store knows after its next store_run(). */
void fake_redis_cut(struct store *store);
void fake_redis_connect(struct store *store);

/* Whether the connection is there, known or not. */
bool fake_redis_is_connected(const struct store *store);

#endif
