#include "http/registry.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/table.h"

struct registry {
    /* Guards all of it. */
    pthread_mutex_t lock;
    struct table *companies; /* of struct registry_count */
    int64_t connections;
    int64_t max_connections;
    struct metrics *metrics;
};

struct registry *registry_new(int64_t max_connections, struct metrics *metrics)
{
    struct registry *registry = calloc(1, sizeof *registry);

    if (!registry)
        return NULL;
    registry->companies = table_new();
    if (!registry->companies) {
        free(registry);
        return NULL;
    }
    pthread_mutex_init(&registry->lock, NULL);
    registry->max_connections = max_connections;
    registry->metrics = metrics;
    return registry;
}

static void free_count(const char *company, void *object, void *context)
{
    table_remove(context, company);
    free(object);
}

void registry_free(struct registry *registry)
{
    if (!registry)
        return;
    table_each(registry->companies, free_count, registry->companies);
    table_free(registry->companies);
    pthread_mutex_destroy(&registry->lock);
    free(registry);
}

static struct registry_count *add_company(struct registry *registry, const char *company)
{
    struct registry_count *count = calloc(1, sizeof *count);

    if (!count)
        return NULL;
    strncpy(count->company, company, sizeof count->company - 1);
    if (table_add(registry->companies, company, count) < 0) {
        free(count);
        return NULL;
    }
    return count;
}

int registry_enter(struct registry *registry, const char *company)
{
    struct registry_count *count;
    int status = 0;

    pthread_mutex_lock(&registry->lock);
    count = table_get(registry->companies, company);
    if (registry->connections >= registry->max_connections)
        status = -EBUSY;
    else if (!count && !(count = add_company(registry, company)))
        status = -ENOMEM;
    if (status == 0) {
        count->connections++;
        metrics_set(registry->metrics, METRIC_CONNECTIONS, ++registry->connections);
    }
    pthread_mutex_unlock(&registry->lock);
    return status;
}

void registry_leave(struct registry *registry, const char *company)
{
    struct registry_count *count;

    pthread_mutex_lock(&registry->lock);
    count = table_get(registry->companies, company);
    if (--count->connections == 0) {
        table_remove(registry->companies, company);
        free(count);
    }
    metrics_set(registry->metrics, METRIC_CONNECTIONS, --registry->connections);
    pthread_mutex_unlock(&registry->lock);
}

int64_t registry_connections(struct registry *registry)
{
    int64_t connections;

    pthread_mutex_lock(&registry->lock);
    connections = registry->connections;
    pthread_mutex_unlock(&registry->lock);
    return connections;
}

int64_t registry_companies(struct registry *registry)
{
    int64_t companies;

    pthread_mutex_lock(&registry->lock);
    companies = (int64_t)table_count(registry->companies);
    pthread_mutex_unlock(&registry->lock);
    return companies;
}

struct listing {
    struct registry_count *counts;
    size_t count;
    size_t max;
};

static void list_one(const char *company, void *object, void *context)
{
    struct listing *listing = context;

    (void)company;
    if (listing->count < listing->max)
        listing->counts[listing->count++] = *(const struct registry_count *)object;
}

ptrdiff_t registry_list(struct registry *registry, size_t max, struct registry_count **ret_counts)
{
    struct listing listing = {.max = max};

    pthread_mutex_lock(&registry->lock);
    if (table_count(registry->companies) < max)
        listing.max = table_count(registry->companies);
    listing.counts = calloc(listing.max + 1, sizeof *listing.counts);
    if (listing.counts)
        table_each(registry->companies, list_one, &listing);
    pthread_mutex_unlock(&registry->lock);
    if (!listing.counts)
        return -ENOMEM;
    *ret_counts = listing.counts;
    return (ptrdiff_t)listing.count;
}
