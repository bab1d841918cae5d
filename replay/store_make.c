#include "replay/store_make.h"

#include "replay/store_memory.h"
#include "replay/store_redis.h"

enum { MEMORY_STORE_SHARE = 4 }; /* of REPLAY_MAX_BYTES over all companies, for a store in memory */

struct store *store_make(const struct config *config, struct metrics *metrics)
{
    struct store_limits limits = {
        .ttl_ms = config->replay_ttl_seconds * 1000,
        .max_events = config->replay_max_events,
        .max_bytes = config->replay_max_bytes,
    };
    struct store_redis_options options = {
        .redis = redis_access_of(config),
        .limits = limits,
        .metrics = metrics,
    };

    if (*config->redis_url)
        return store_redis_new(&options);
    metrics_set(metrics, METRIC_REDIS_CONNECTED, 1);
    return store_memory_new(&limits, MEMORY_STORE_SHARE * config->replay_max_bytes);
}
