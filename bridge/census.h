#ifndef SLUICE_BRIDGE_CENSUS_H
#define SLUICE_BRIDGE_CENSUS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/live.h"
#include "bridge/transform.h"

/*
 * How many streams are open at each replica. Whoever wants to know asks all others over NATS, and waits until those that were
 * heard lately have answered, but not for long. One question is under way at a time, for all who had asked before it; the
 * next comes a moment later at the earliest. Without others nothing is asked.
 *
 * Everything but references to results belongs to the bridge's thread.
 */
struct census;
struct ownership;
struct source;
struct voice;

/* Open streams of a company. */
struct census_count {
    char company[COMPANY_ID_SIZE];
    int64_t connections;
};

/* Those of one replica. */
struct census_replica {
    char id[LIVE_ID_TEXT_SIZE];
    bool is_self;
    bool is_owner;
    int64_t connections;
    int64_t companies;           /* with open streams, also of those not listed */
    struct census_count *counts; /* of LIVE_COMPANIES_MAX companies at most */
    size_t count;
};

/* What was counted, for good. Any thread may read it and take or give back references. */
struct census_result {
    atomic_uint references;
    bool is_complete; /* all replicas that were heard lately have answered */
    struct census_replica *replicas;
    size_t count; /* this replica stands first */
};
struct census_result *census_result_ref(struct census_result *result);
void census_result_unref(struct census_result *result);

/* Called once. The result is gone when it returns, unless it takes a reference. NULL: no memory, or the end. */
typedef void (*census_done)(void *context, struct census_result *result);

/* The streams that are open here: calls `visit` for each company, now. list may be NULL: there are none. */
typedef void (*census_visit)(void *visitor, const char *company, int64_t connections);
struct census_streams {
    void (*list)(void *context, census_visit visit, void *visitor);
    void *context;
};

struct census_options {
    struct live_id id;
    struct ownership *ownership; /* knows the others */
    struct source *source;
    struct voice *voice;
    struct census_streams streams;
};

/* NULL: no memory. */
struct census *census_new(const struct census_options *options);

/* Ends what was asked with NULL. */
void census_free(struct census *census);

void census_ask(struct census *census, census_done done, void *context);

/* Takes LIVE_ASK or LIVE_COUNTS of another replica. Returns 0 or -EINVAL. */
int census_hear(struct census *census, const struct live_header *header, struct live_reader *reader);

/* What is due by time, and when that is at the latest. */
void census_run(struct census *census, int64_t now_ns);
int64_t census_deadline_ns(const struct census *census);

#endif
