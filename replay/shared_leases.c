#include "replay/shared_leases.h"

#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/table.h"
#include "replay/shared.h"

/* All holders of one ticket. */
struct lease {
    struct lease *next;
    struct lease *previous;
    int64_t due_ns;
    struct table *holders;
    char ticket[SHARED_NAME_MAX + 1];
};

struct leases {
    int64_t interval_ns;
    struct table *by_ticket;
    /* In the order in which they are due: each renewal sends a lease to the end. */
    struct lease *first;
    struct lease *last;
};

struct leases *leases_new(int64_t interval_ms)
{
    struct leases *leases = calloc(1, sizeof *leases);

    if (!leases)
        return NULL;
    leases->interval_ns = interval_ms * 1000000;
    leases->by_ticket = table_new();
    if (leases->by_ticket)
        return leases;
    free(leases);
    return NULL;
}

static void append(struct leases *leases, struct lease *lease)
{
    lease->due_ns = clock_monotonic_ns() + leases->interval_ns;
    lease->next = NULL;
    lease->previous = leases->last;
    if (leases->last)
        leases->last->next = lease;
    else
        leases->first = lease;
    leases->last = lease;
}

static void unlink_lease(struct leases *leases, struct lease *lease)
{
    if (lease->previous)
        lease->previous->next = lease->next;
    else
        leases->first = lease->next;
    if (lease->next)
        lease->next->previous = lease->previous;
    else
        leases->last = lease->previous;
}

static void lease_free(struct lease *lease)
{
    table_free(lease->holders);
    free(lease);
}

void leases_free(struct leases *leases)
{
    struct lease *lease;

    if (!leases)
        return;
    lease = leases->first;
    while (lease) {
        struct lease *next = lease->next;

        lease_free(lease);
        lease = next;
    }
    table_free(leases->by_ticket);
    free(leases);
}

void leases_add(struct leases *leases, const char *ticket, const char *holder)
{
    struct lease *lease = table_get(leases->by_ticket, ticket);

    if (!lease) {
        lease = calloc(1, sizeof *lease);
        if (!lease)
            abort();
        strcpy(lease->ticket, ticket);
        lease->holders = table_new();
        if (!lease->holders || table_add(leases->by_ticket, ticket, lease) < 0)
            abort();
        append(leases, lease);
    }
    if (!table_get(lease->holders, holder) && table_add(lease->holders, holder, lease) < 0)
        abort();
}

void leases_remove(struct leases *leases, const char *ticket, const char *holder)
{
    struct lease *lease = table_get(leases->by_ticket, ticket);

    if (!lease)
        return;
    table_remove(lease->holders, holder);
    if (table_count(lease->holders) > 0)
        return;
    table_remove(leases->by_ticket, ticket);
    unlink_lease(leases, lease);
    lease_free(lease);
}

void leases_make_due(struct leases *leases)
{
    int64_t now_ns = clock_monotonic_ns();

    for (struct lease *lease = leases->first; lease; lease = lease->next)
        lease->due_ns = now_ns;
}

int64_t leases_deadline_ns(const struct leases *leases)
{
    return leases->first ? leases->first->due_ns : INT64_MAX;
}

/* Holders of one ticket on their way into a call of renew. */
struct lot {
    const struct lease *lease;
    leases_renew renew;
    void *context;
    size_t count;
    const char *holders[LEASES_RENEWED_MAX];
};

static void give(struct lot *lot)
{
    if (lot->count > 0)
        lot->renew(lot->context, lot->lease->ticket, lot->holders, lot->count);
    lot->count = 0;
}

static void gather(const char *holder, void *object, void *context)
{
    struct lot *lot = context;

    (void)object;
    lot->holders[lot->count++] = holder;
    if (lot->count == LEASES_RENEWED_MAX)
        give(lot);
}

void leases_renew_next(struct leases *leases, leases_renew renew, void *context)
{
    struct lease *lease = leases->first;
    struct lot lot = {.lease = lease, .renew = renew, .context = context};

    if (!lease || lease->due_ns > clock_monotonic_ns())
        return;
    unlink_lease(leases, lease);
    append(leases, lease);
    table_each(lease->holders, gather, &lot);
    give(&lot);
}
