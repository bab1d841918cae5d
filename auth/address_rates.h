#ifndef SLUICE_AUTH_ADDRESS_RATES_H
#define SLUICE_AUTH_ADDRESS_RATES_H

#include <stddef.h>

#include "core/address.h"
#include "core/rate.h"

/*
 * A token bucket for each client address, bounded: those that are full again leave, and when there are `max` of them, the one
 * asked for longest ago does. One owner, or its lock.
 */
struct address_rates;

/* NULL: no memory. per_second 0: no address has a bucket. */
struct address_rates *address_rates_new(int64_t per_second, size_t max);
void address_rates_free(struct address_rates *rates);

/*
 * The bucket of the address (as limits count it), which lives until the next call; NULL when it needs none: no rate, or no
 * address. Returns 0 or -ENOMEM.
 */
int address_rates_find(struct address_rates *rates, const struct address *address, int64_t now_ns,
                       struct rate_bucket **ret_bucket);

size_t address_rates_count(const struct address_rates *rates);

#endif
