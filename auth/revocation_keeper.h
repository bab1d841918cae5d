#ifndef SLUICE_AUTH_REVOCATION_KEEPER_H
#define SLUICE_AUTH_REVOCATION_KEEPER_H

#include <stddef.h>

#include "core/log.h"
#include "core/metrics.h"
#include "replay/shared.h"

/*
 * Brings revocations into what the replicas share, and does not give up: one that comes while Redis is away waits here
 * until Redis is back, or until its time is over. Otherwise a replica that starts later would never learn of it. Any thread.
 */
struct revocation_keeper;

enum { REVOCATION_KEEPER_MAX = SHARED_FIELDS_MAX }; /* that wait; beyond it they are counted and logged as lost */

/* NULL: no memory. log and metrics outlive it; log may be NULL. */
struct revocation_keeper *revocation_keeper_new(struct log *log, struct metrics *metrics);

/* shared must have stopped. NULL is fine. */
void revocation_keeper_free(struct revocation_keeper *keeper);

/* Takes one on its way. Returns 0 or -ENOMEM. shared outlives every other call. */
int revocation_keeper_keep(struct revocation_keeper *keeper, struct shared *shared,
                           const struct shared_revocation *revocation);

/* Redis is there: those that wait go on their way again. */
void revocation_keeper_retry(struct revocation_keeper *keeper);

/* How many wait for Redis. */
size_t revocation_keeper_waiting(struct revocation_keeper *keeper);

#endif
