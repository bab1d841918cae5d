#include "http/registry.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/table.h"

struct company {
    struct registry_count count;
    unsigned home; /* the worker of its first streams */
};

struct registry {
    /* Guards all of it. */
    pthread_mutex_t lock;
    struct table *companies; /* of struct company */
    int64_t connections;
    int64_t max_connections;
    int64_t worker_streams[REGISTRY_WORKERS_MAX];
    unsigned workers;
    struct metrics *metrics;
};

struct registry *registry_new(int64_t max_connections, unsigned workers, struct metrics *metrics)
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
    registry->workers = workers;
    registry->metrics = metrics;
    return registry;
}

static void free_company(const char *company, void *object, void *context)
{
    table_remove(context, company);
    free(object);
}

void registry_free(struct registry *registry)
{
    if (!registry)
        return;
    table_each(registry->companies, free_company, registry->companies);
    table_free(registry->companies);
    pthread_mutex_destroy(&registry->lock);
    free(registry);
}

static unsigned emptiest_worker(const struct registry *registry)
{
    unsigned found = 0;

    for (unsigned i = 1; i < registry->workers; i++)
        if (registry->worker_streams[i] < registry->worker_streams[found])
            found = i;
    return found;
}

static struct company *add_company(struct registry *registry, const char *name)
{
    struct company *company = calloc(1, sizeof *company);

    if (!company)
        return NULL;
    strncpy(company->count.company, name, sizeof company->count.company - 1);
    company->home = emptiest_worker(registry);
    if (table_add(registry->companies, name, company) < 0) {
        free(company);
        return NULL;
    }
    return company;
}

static int enter(struct registry *registry, const char *name, unsigned *ret_worker)
{
    struct company *company = table_get(registry->companies, name);

    if (registry->connections >= registry->max_connections)
        return -EBUSY;
    if (!company)
        company = add_company(registry, name);
    if (!company)
        return -ENOMEM;
    *ret_worker = company->count.connections < REGISTRY_HOME_STREAMS ? company->home : emptiest_worker(registry);
    company->count.connections++;
    registry->worker_streams[*ret_worker]++;
    metrics_set(registry->metrics, METRIC_CONNECTIONS, ++registry->connections);
    return 0;
}

int registry_enter(struct registry *registry, const char *company, unsigned *ret_worker)
{
    int status;

    pthread_mutex_lock(&registry->lock);
    status = enter(registry, company, ret_worker);
    pthread_mutex_unlock(&registry->lock);
    return status;
}

void registry_leave(struct registry *registry, const char *name, unsigned worker)
{
    struct company *company;

    pthread_mutex_lock(&registry->lock);
    company = table_get(registry->companies, name);
    if (--company->count.connections == 0) {
        table_remove(registry->companies, name);
        free(company);
    }
    registry->worker_streams[worker]--;
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
        listing->counts[listing->count++] = ((const struct company *)object)->count;
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

struct visiting {
    void (*visit)(void *visitor, const char *company, int64_t connections);
    void *visitor;
};

static void visit_one(const char *company, void *object, void *context)
{
    const struct visiting *visiting = context;

    visiting->visit(visiting->visitor, company, ((const struct company *)object)->count.connections);
}

void registry_each(struct registry *registry, void (*visit)(void *visitor, const char *company, int64_t connections),
                   void *visitor)
{
    struct visiting visiting = {.visit = visit, .visitor = visitor};

    pthread_mutex_lock(&registry->lock);
    table_each(registry->companies, visit_one, &visiting);
    pthread_mutex_unlock(&registry->lock);
}
