#ifndef SLUICE_REPLAY_SHARED_WATCH_H
#define SLUICE_REPLAY_SHARED_WATCH_H

#include <stdint.h>

#include "replay/redis_connection.h"
#include "replay/shared.h"
#include "replay/shared_slots.h"

/*
 * Looks for changes of `sluice:revoked`, `sluice:features` and `sluice:keys`, and tells a listener. They are WATCHed, and
 * an empty transaction asks every half second whether one was touched: that costs Redis nothing, whatever their size. Then,
 * and now and then anyhow, they are read whole. `sluice:replicas` is read each time, for the slots. One thread; callbacks
 * come while the connection runs.
 */
struct shared_watch;

/* NULL: no memory. listener and slots: outlive it. */
struct shared_watch *shared_watch_new(const struct shared_listener *listener, struct slots *slots);

/* Behind the end of the connection it was run with. */
void shared_watch_free(struct shared_watch *watch);

/* A new connection: everything is read. */
void shared_watch_restart(struct shared_watch *watch);

/* The next look is due now. */
void shared_watch_hurry(struct shared_watch *watch);

int64_t shared_watch_deadline_ns(const struct shared_watch *watch);

/* Asks, when it is time to. */
void shared_watch_run(struct shared_watch *watch, struct redis_connection *connection);

#endif
