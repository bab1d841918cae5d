#ifndef SLUICE_TESTS_REPLICA_PAIR_H
#define SLUICE_TESTS_REPLICA_PAIR_H

#include "support/replica_world.h"

/*
 * What the short schedules of two replicas begin with: they know of each other, one of them owns, nothing is by chance, and
 * nothing may be lost until the test says otherwise (model.intact).
 */
struct replica_pair {
    struct world_replica *owner;
    struct world_replica *follower;
};

/* Begins the world and the report. */
struct replica_pair replica_pair_begin(struct replica_world *world);

/* Heals and checks everything, reports, and releases the world. */
void replica_pair_end(struct replica_world *world);

#endif
