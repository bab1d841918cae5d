#ifndef SLUICE_AUTH_NAMED_RATES_H
#define SLUICE_AUTH_NAMED_RATES_H

#include <stddef.h>
#include <stdint.h>

#include "core/rate.h"

/*
 * A token bucket for each name, such as a client address or a user, bounded: those that are full again leave, and when there
 * are `max` of them, the one asked for longest ago does. One owner, or its lock.
 */
struct named_rates;

/* NULL: no memory. per_second 0: nobody has a bucket. */
struct named_rates *named_rates_new(int64_t per_second, size_t max);
void named_rates_free(struct named_rates *rates);

/* The bucket of that name, which lives until the next call; NULL when there is no rate. Returns 0 or -ENOMEM. */
int named_rates_find(struct named_rates *rates, const char *name, int64_t now_ns, struct rate_bucket **ret_bucket);

size_t named_rates_count(const struct named_rates *rates);

#endif
