#ifndef SLUICE_REPLAY_SHARED_LEASES_H
#define SLUICE_REPLAY_SHARED_LEASES_H

#include <stddef.h>
#include <stdint.h>

/*
 * What this process holds in Redis and has to renew: the holders of tickets, those of one ticket together. At most as many as
 * there are streams, which are bounded elsewhere. One thread. Memory that runs out ends the process: what is held and not
 * renewed would be lost silently.
 */
struct leases;

/* interval_ms: between two renewals. NULL: no memory. */
struct leases *leases_new(int64_t interval_ms);
void leases_free(struct leases *leases);

/* Adds a holder, if it is not there. */
void leases_add(struct leases *leases, const char *ticket, const char *holder);

/* Takes a holder out, if it is there. */
void leases_remove(struct leases *leases, const char *ticket, const char *holder);

/* All are due now. */
void leases_make_due(struct leases *leases);

/* When the next is due; INT64_MAX: there is none. */
int64_t leases_deadline_ns(const struct leases *leases);

/* Gives the holders of a ticket, in lots of at most LEASES_RENEWED_MAX. Must not add or remove. */
typedef void (*leases_renew)(void *context, const char *ticket, const char *const *holders, size_t count);
enum { LEASES_RENEWED_MAX = 128 };

/* Gives the one that has been due longest, which is due again after the interval. Nothing when none is. */
void leases_renew_next(struct leases *leases, leases_renew renew, void *context);

#endif
