#ifndef SLUICE_REPLAY_STORE_MEMORY_H
#define SLUICE_REPLAY_STORE_MEMORY_H

#include "replay/store.h"

/*
 * A replay store in this process: always ready, gone with the process, and so the lease is always ours, with epoch 1. total_max_bytes bounds all companies together:
 * beyond it every company gives up its oldest eighth. NULL: no memory.
 */
struct store *store_memory_new(const struct store_limits *limits, int64_t total_max_bytes);

#endif
