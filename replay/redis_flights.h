#ifndef SLUICE_REPLAY_REDIS_FLIGHTS_H
#define SLUICE_REPLAY_REDIS_FLIGHTS_H

#include <stdbool.h>
#include <stdint.h>

#include "replay/redis_connection.h"
#include "replay/redis_nodes.h"

/*
 * The commands that are under way in a Redis Cluster, and those that are held until they can go: their node is being
 * connected, or the slot is moving, and others of the same slot are still with another node. Each slot's go in their order.
 * One thread.
 */
struct redis_flights;

/* nodes: outlive the flights' use, and end before the flights do. timeout_ms: how long a command is tried. NULL: no memory. */
struct redis_flights *redis_flights_new(struct redis_nodes *nodes, int timeout_ms);

/* Calls back the held ones with NULL. NULL is fine. */
void redis_flights_free(struct redis_flights *flights);

/* How commands begin. */
struct redis_route redis_flights_route(struct redis_flights *flights);

/* Whether a node said that a slot has moved, since that was forgotten last. */
bool redis_flights_were_moved(const struct redis_flights *flights);
void redis_flights_forget_moves(struct redis_flights *flights);

int64_t redis_flights_deadline_ns(const struct redis_flights *flights);

/* Sends what can go. Returns 0, or -ENOTCONN: the cluster says that it is down, or there is no room for a new node, and why. */
int redis_flights_run(struct redis_flights *flights, char ret_reason[REDIS_REASON_SIZE]);

#endif
