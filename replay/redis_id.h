#ifndef SLUICE_REPLAY_REDIS_ID_H
#define SLUICE_REPLAY_REDIS_ID_H

#include <stdint.h>

#include "replay/redis_connection.h"

/*
 * The id of a Redis: a random number in `sluice:id`, put there by the first who finds none. By it replicas know whether they
 * share a Redis: each offers the id that it knows to a Redis that has none, so that one which lost its data gets it back.
 */

/* A new id, never 0. */
uint64_t redis_id_new(void);

/* Asks for the id, and offers one to a Redis without. Returns 0, -ENOMEM or -ENOBUFS: then done is not called. */
int redis_id_ask(struct redis_connection *connection, uint64_t offered, redis_reply_done done, void *context);

/* The id by that reply; 0: it says none. */
uint64_t redis_id_of(const struct redisReply *reply, uint64_t offered);

#endif
