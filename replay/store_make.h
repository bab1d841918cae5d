#ifndef SLUICE_REPLAY_STORE_MAKE_H
#define SLUICE_REPLAY_STORE_MAKE_H

#include "core/config.h"
#include "core/metrics.h"
#include "replay/store.h"

/* The store that the settings want: in Redis, or in this process where REDIS_URL is empty. NULL: no memory, or not a URL. */
struct store *store_make(const struct config *config, struct metrics *metrics);

#endif
