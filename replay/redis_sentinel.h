#ifndef SLUICE_REPLAY_REDIS_SENTINEL_H
#define SLUICE_REPLAY_REDIS_SENTINEL_H

#include "replay/redis_command.h"
#include "replay/redis_url.h"

/* What a Sentinel is asked: where the master of that name is. */
void redis_sentinel_ask(const char *master, struct redis_command *command);

/* Where it is, by the answer. Returns 0, or -ENOENT: the answer does not say. */
int redis_sentinel_answer(const struct redisReply *reply, struct redis_endpoint *ret_master);

#endif
