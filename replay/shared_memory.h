#ifndef SLUICE_REPLAY_SHARED_MEMORY_H
#define SLUICE_REPLAY_SHARED_MEMORY_H

#include "replay/shared_request.h"

/* The shared state of a process that shares with nobody. Leases never end: who holds them is this process. NULL: no memory. */
struct shared_backend *shared_memory_new(const struct shared_options *options);

#endif
