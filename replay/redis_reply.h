#ifndef SLUICE_REPLAY_REDIS_REPLY_H
#define SLUICE_REPLAY_REDIS_REPLY_H

#include <stddef.h>
#include <stdint.h>

/* Looks into replies whose shape cannot be trusted: what is not there or of another type counts as 0 or NULL. */
struct redisReply;

/*
 * A number, which comes as an integer or, from hashes and scripts, as text that begins with it. What an id cannot hold
 * (EVENT_NUMBER_MAX), a foreign client of Redis wrote: it counts as 0 too.
 */
uint64_t redis_reply_number(const struct redisReply *reply);

/* An element of an array. */
const struct redisReply *redis_reply_element(const struct redisReply *reply, size_t index);

#endif
