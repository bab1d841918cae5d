#ifndef SLUICE_REPLAY_REDIS_SLOT_MAP_H
#define SLUICE_REPLAY_REDIS_SLOT_MAP_H

#include <stdint.h>

#include "replay/redis_endpoint.h"
#include "replay/redis_slot.h"

struct redisReply;

enum { REDIS_NODES_MAX = 256 };

/* Which master of a Redis Cluster has which slot. */
struct redis_slot_map {
    size_t count;
    struct redis_endpoint nodes[REDIS_NODES_MAX];
    uint16_t slots[REDIS_SLOTS]; /* places in nodes */
};

/*
 * Reads the answer to CLUSTER SLOTS. asked: who gave it; nodes have its host where none is named. Returns 0, -EINVAL: it is
 * no such answer, or has too many nodes, or -ENOENT: some slots have no node. Then the map is not to be used.
 */
int redis_slot_map_read(const struct redisReply *reply, const struct redis_endpoint *asked,
                        struct redis_slot_map *ret_map);

#endif
