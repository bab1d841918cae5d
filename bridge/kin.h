#ifndef SLUICE_BRIDGE_KIN_H
#define SLUICE_BRIDGE_KIN_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/live.h"
#include "core/log.h"
#include "core/metrics.h"
#include "replay/store.h"

/*
 * Which replicas are ours: those that share our Redis. REPLICA_GROUP keeps deployments on one NATS server apart; this keeps
 * them apart where it was forgotten. Each message carries the id of its sender's Redis (store_id()), and one whose id is
 * another than ours is ignored.
 *
 * Two replicas of one deployment must never ignore each other, or both number the same events. So not to know is no
 * difference: a replica that starts while Redis is away hears the others, and is heard. (It waits a moment for Redis before
 * it takes part, so that this is rare.) And ids may change, when Redis loses its data and a new replica is the first to
 * give it another: who was ours stays ours until both have had the time to learn the new id, and as long as one of them
 * has no Redis to learn it from.
 *
 * Everything here belongs to the bridge's thread; times are clock_monotonic_ns().
 */
struct kin;

struct kin_options {
    struct live_id id;
    const struct store *store;
    struct log *log;
    struct metrics *metrics;
};

/* NULL: no memory. */
struct kin *kin_new(const struct kin_options *options);
void kin_free(struct kin *kin);

/* Whether to take the message; our own always. Others are counted and told. */
bool kin_is_ours(struct kin *kin, const struct live_header *header, int64_t received_ns);

/* A message came that nobody understands: counts and tells it. */
void kin_refuse(struct kin *kin);

/* Whether this replica may take part: it knows its Redis, or has waited for it. It stays so. */
bool kin_may_join(struct kin *kin, int64_t now_ns);

/* When kin_may_join() has something new to say, at the latest. */
int64_t kin_deadline_ns(const struct kin *kin);

#endif
