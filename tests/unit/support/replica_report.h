#ifndef SLUICE_TESTS_REPLICA_REPORT_H
#define SLUICE_TESTS_REPLICA_REPORT_H

#include "support/replica_world.h"

/* What went wrong in schedules of the world of replicas: each kind once, with its shortest schedule. */
void replica_report_begin(void);

/* Notes the world's violation, if there is one. seed: what it is found again by. */
void replica_report_note(const struct replica_world *world, uint64_t seed);

/* Prints what was noted; fails the test if there is something, or a message is left. */
void replica_report_end(void);

#endif
