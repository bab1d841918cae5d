#ifndef SLUICE_TESTS_UNIT_REPLAY_SHARED_SUITE_H
#define SLUICE_TESTS_UNIT_REPLAY_SHARED_SUITE_H

#include "tests/unit/replay/shared_client.h"

/* What holds in Redis and in memory. */
struct shared_suite {
    /* Two replicas of one empty state; the same one twice where nobody shares. */
    void (*open)(struct replica *ret_replicas[2]);
};

/* Ends both. */
void replicas_close(struct replica *const replicas[2]);

/* Runs the tests under the name of the kind. Returns the number of tests that failed. */
int shared_suite_run(const char *name, struct shared_suite *suite);

#endif
