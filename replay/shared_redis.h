#ifndef SLUICE_REPLAY_SHARED_REDIS_H
#define SLUICE_REPLAY_SHARED_REDIS_H

#include "replay/shared_request.h"

/* Shared in Redis, over one connection. NULL: no memory, or not a URL. */
struct shared_backend *shared_redis_new(const struct shared_options *options);

#endif
