#ifndef SLUICE_TESTS_UNIT_REPLAY_STORE_SUITE_H
#define SLUICE_TESTS_UNIT_REPLAY_STORE_SUITE_H

#include "replay/store.h"

/* The contract that both kinds of store keep. */
struct store_suite {
    /* A ready and empty store. */
    struct store *(*open)(const struct store_limits *limits);
    size_t trim_slack; /* events that may be held beyond the limit before they are trimmed */
};

/* Runs the contract's tests under the name of the kind. Returns the number of tests that failed. */
int store_suite_run(const char *name, struct store_suite *suite);

/* The same for events that come from a stream: store_source_suite.c. */
int store_source_suite_run(const char *name, struct store_suite *suite);

#endif
