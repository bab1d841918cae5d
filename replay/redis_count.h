#ifndef SLUICE_REPLAY_REDIS_COUNT_H
#define SLUICE_REPLAY_REDIS_COUNT_H

#include "replay/redis_request.h"

/* Counts the events of each company in a reply that lists them: one command for each, one answer for all of them. */
void redis_count_companies(struct redis_requests *requests, const struct redisReply *companies, store_count_done done,
                           void *context);

#endif
