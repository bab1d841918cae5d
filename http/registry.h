#ifndef SLUICE_HTTP_REGISTRY_H
#define SLUICE_HTTP_REGISTRY_H

#include <stddef.h>
#include <stdint.h>

#include "core/metrics.h"

/*
 * Counts the open streams, in all and by company, refuses those over the limit, and says which worker a stream goes to. Any
 * thread; a stream passes here when it opens and when it closes, never on delivery.
 *
 * A company's first stream goes to the worker with the fewest; the next ones follow it, up to REGISTRY_HOME_STREAMS of
 * them, since each worker more costs a wake-up for every event. From there on each goes to the worker with the fewest.
 */
struct registry;

enum { REGISTRY_HOME_STREAMS = 512, REGISTRY_WORKERS_MAX = 256 };

struct registry_count {
    char company[129];
    int64_t connections;
};

/* workers: 1 to REGISTRY_WORKERS_MAX. NULL: no memory. */
struct registry *registry_new(int64_t max_connections, unsigned workers, struct metrics *metrics);
void registry_free(struct registry *registry);

/* Counts a stream in, and gives the number of its worker. Returns 0, -EBUSY (the limit) or -ENOMEM. */
int registry_enter(struct registry *registry, const char *company, unsigned *ret_worker);

/* Counts a stream out that was counted in. */
void registry_leave(struct registry *registry, const char *company, unsigned worker);

int64_t registry_connections(struct registry *registry);
int64_t registry_companies(struct registry *registry);

/* Calls `visit` with each company; it must be quick, and not ask the registry, whose lock is held. */
void registry_each(struct registry *registry, void (*visit)(void *visitor, const char *company, int64_t connections),
                   void *visitor);

/* A copy of the counts of at most max companies, to be freed by the caller. Returns their number, or -ENOMEM. */
ptrdiff_t registry_list(struct registry *registry, size_t max, struct registry_count **ret_counts);

#endif
