#ifndef SLUICE_HTTP_REGISTRY_H
#define SLUICE_HTTP_REGISTRY_H

#include <stddef.h>
#include <stdint.h>

#include "core/metrics.h"

/*
 * Counts the open streams, in all and by company, and refuses those over the limit. Any thread; a stream passes here when
 * it opens and when it closes, never on delivery.
 */
struct registry;

struct registry_count {
    char company[129];
    int64_t connections;
};

/* NULL: no memory. */
struct registry *registry_new(int64_t max_connections, struct metrics *metrics);
void registry_free(struct registry *registry);

/* Counts a stream in. Returns 0, -EBUSY (the limit) or -ENOMEM. */
int registry_enter(struct registry *registry, const char *company);

/* Counts a stream out that was counted in. */
void registry_leave(struct registry *registry, const char *company);

int64_t registry_connections(struct registry *registry);
int64_t registry_companies(struct registry *registry);

/* A copy of the counts of at most max companies, to be freed by the caller. Returns their number, or -ENOMEM. */
ptrdiff_t registry_list(struct registry *registry, size_t max, struct registry_count **ret_counts);

#endif
