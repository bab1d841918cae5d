#ifndef SLUICE_REPLAY_STORE_REDIS_H
#define SLUICE_REPLAY_STORE_REDIS_H

#include "core/metrics.h"
#include "replay/redis_access.h"
#include "replay/store.h"

/*
 * The replay store in Redis. Keys, those of companies and of events with a bounded life:
 *
 *   sluice:{<company>}:log    ZSET  score = ms, member as redis_member.h writes it: events and holes in one order
 *   sluice:{<company>}:head   HASH  seq, ms, subject of the last event; floor_seq, floor_ms: up to there events were
 *                                   trimmed; bytes; epoch of the last writer; since: when this numbering began; source:
 *                                   place in its stream of the last event that had one
 *   sluice:{<company>}:holes  ZSET  ms of the holes in the log: what a count of events leaves out
 *   sluice:companies          ZSET  companies by the ms of a late event: what counts go through
 *   sluice:owner              HASH  the lease of the intake: epoch, holder, until (ms of Redis's clock)
 *   sluice:id                 the id of this Redis: redis_id.h
 *   sluice:source:<stream>    HASH  sequence: up to there all was appended; epoch of who saved that
 *   sluice:hole               ms of the last time that events of any company may have been missed
 *
 * The braces keep one company's keys on one slot of a Redis Cluster.
 */
struct store_redis_options {
    struct redis_access redis;
    struct store_limits limits;
    struct metrics *metrics;
};

/* Connects in the background, for ever. NULL: the URL is none, or no memory. The names of the TLS files must outlive the
 * store, the other strings are copied. */
struct store *store_redis_new(const struct store_redis_options *options);

#endif
