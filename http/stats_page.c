#include "http/stats_page.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "http/reply.h"
#include "http/suspensions.h"

enum {
    COMPANIES_SHOWN_MAX = 10000,
    REQUESTS_MAX = 64, /* that wait: each has one of libmicrohttpd's places */
};

struct counted {
    char company[129];
    int64_t events;
};

/* What the store has, for all requests of a round. */
struct events {
    atomic_uint references;
    size_t count;
    struct counted counted[];
};

struct stats_request {
    struct stats_request *next;
    struct MHD_Connection *connection;
    struct events *events;         /* NULL: the store did not answer, or no memory */
    struct census_result *streams; /* NULL: no memory */
};

struct stats_page {
    struct bridge *bridge;
    struct suspensions *suspensions;
    /* Guards the lists, between libmicrohttpd's thread and the bridge's. */
    pthread_mutex_t lock;
    struct stats_request *running; /* the round under way is for these */
    struct stats_request *waiting; /* the next one is */
    size_t requests;               /* in both */
    int outstanding;               /* answers that the round still waits for */
};

struct stats_page *stats_page_new(struct bridge *bridge, struct suspensions *suspensions)
{
    struct stats_page *page = calloc(1, sizeof *page);

    if (!page)
        return NULL;
    page->bridge = bridge;
    page->suspensions = suspensions;
    pthread_mutex_init(&page->lock, NULL);
    return page;
}

void stats_page_free(struct stats_page *page)
{
    if (!page)
        return;
    pthread_mutex_destroy(&page->lock);
    free(page);
}

/* With one reference; NULL: no memory. */
static struct events *events_new(const struct store_count *counts, size_t count)
{
    struct events *events = calloc(1, sizeof *events + count * sizeof events->counted[0]);

    if (!events)
        return NULL;
    atomic_init(&events->references, 1);
    for (size_t i = 0; i < count; i++) {
        strncpy(events->counted[i].company, counts[i].company, sizeof events->counted[i].company - 1);
        events->counted[i].events = counts[i].events;
    }
    events->count = count;
    return events;
}

static struct events *events_ref(struct events *events)
{
    atomic_fetch_add(&events->references, 1);
    return events;
}

static void events_unref(struct events *events)
{
    if (events && atomic_fetch_sub(&events->references, 1) == 1)
        free(events);
}

static void start_round(struct stats_page *page);

/*
 * On the bridge's thread: one answer of the round is there, and with the last one all are resumed. The lock must be held; it is
 * given up.
 */
static void end_step(struct stats_page *page)
{
    struct stats_request *request = NULL;
    bool again = false;

    if (--page->outstanding == 0) {
        request = page->running;
        page->running = page->waiting;
        page->waiting = NULL;
        again = page->running != NULL;
    }
    while (request) {
        /* From the resume on, the request is libmicrohttpd's thread's. */
        struct stats_request *next = request->next;

        suspensions_end(page->suspensions, request->connection);
        page->requests--;
        request = next;
    }
    pthread_mutex_unlock(&page->lock);
    if (again)
        start_round(page);
}

static void on_counts(void *context, int status, const struct store_count *counts, size_t count)
{
    struct stats_page *page = context;
    struct events *events = status == 0 ? events_new(counts, count) : NULL;

    pthread_mutex_lock(&page->lock);
    for (struct stats_request *request = page->running; request && events; request = request->next)
        request->events = events_ref(events);
    end_step(page);
    events_unref(events);
}

static void on_streams(void *context, struct census_result *streams)
{
    struct stats_page *page = context;

    pthread_mutex_lock(&page->lock);
    for (struct stats_request *request = page->running; request && streams; request = request->next)
        request->streams = census_result_ref(streams);
    end_step(page);
}

/* Counts for those who run. */
static void start_round(struct stats_page *page)
{
    pthread_mutex_lock(&page->lock);
    page->outstanding = 2;
    pthread_mutex_unlock(&page->lock);
    bridge_count_events(page->bridge, on_counts, page);
    bridge_count_streams(page->bridge, on_streams, page);
}

struct stats_request *stats_page_ask(struct stats_page *page, struct MHD_Connection *connection)
{
    struct stats_request *request = calloc(1, sizeof *request);
    bool start = false;

    if (!request)
        return NULL;
    request->connection = connection;
    pthread_mutex_lock(&page->lock);
    if (page->requests == REQUESTS_MAX || !suspensions_begin(page->suspensions, connection)) {
        pthread_mutex_unlock(&page->lock);
        free(request);
        return NULL;
    }
    page->requests++;
    if (page->running) {
        request->next = page->waiting;
        page->waiting = request;
    } else {
        page->running = request;
        start = true;
    }
    pthread_mutex_unlock(&page->lock);
    if (start)
        start_round(page);
    return request;
}

void stats_request_free(struct stats_request *request)
{
    if (!request)
        return;
    events_unref(request->events);
    census_result_unref(request->streams);
    free(request);
}

/* Open streams, of all replicas or of one. */
struct sums {
    int64_t connections;
    int64_t companies;
    const struct census_count **counts; /* of all replicas, one behind the other by company */
    size_t count;
    bool is_partial; /* a replica lists so many companies that the one that is asked for may be among the others */
};

static int compare_companies(const void *a, const void *b)
{
    const struct census_count *const *left = a;
    const struct census_count *const *right = b;

    return strcmp((*left)->company, (*right)->company);
}

static void add_replica(struct sums *sums, const struct census_replica *replica, const char *company)
{
    bool is_listed = false;

    if (!company) {
        sums->connections += replica->connections;
        for (size_t i = 0; i < replica->count; i++)
            sums->counts[sums->count++] = &replica->counts[i];
        return;
    }
    for (size_t i = 0; i < replica->count && !is_listed; i++) {
        is_listed = strcmp(replica->counts[i].company, company) == 0;
        if (is_listed) {
            sums->connections += replica->counts[i].connections;
            sums->counts[sums->count++] = &replica->counts[i];
        }
    }
    sums->is_partial |= !is_listed && (int64_t)replica->count < replica->companies;
}

/* How many there are of the company that stands first. */
static size_t same_company(const struct census_count *const *counts, size_t count)
{
    size_t same = 1;

    while (same < count && strcmp(counts[same]->company, counts[0]->company) == 0)
        same++;
    return same;
}

/* company: whose numbers are wanted; NULL: everybody's. Returns 0 or -ENOMEM; the list is the caller's. */
static int add_up(const struct census_result *streams, const char *company, struct sums *ret_sums)
{
    struct sums sums = {.connections = 0};
    size_t count = 0;

    for (size_t i = 0; i < streams->count; i++)
        count += streams->replicas[i].count;
    sums.counts = calloc(count + 1, sizeof *sums.counts);
    if (!sums.counts)
        return -ENOMEM;
    for (size_t i = 0; i < streams->count; i++)
        add_replica(&sums, &streams->replicas[i], company);
    qsort(sums.counts, sums.count, sizeof *sums.counts, compare_companies);
    for (size_t i = 0; i < sums.count; i += same_company(sums.counts + i, sums.count - i))
        sums.companies++;
    /* Not all are listed where there are very many: there are at least as many as at the replica that has most. */
    for (size_t i = 0; i < streams->count && !company; i++)
        if (streams->replicas[i].companies > sums.companies)
            sums.companies = streams->replicas[i].companies;
    *ret_sums = sums;
    return 0;
}

static void put_connections(struct json *json, const struct sums *sums)
{
    size_t shown = 0;

    json_key(json, "connections");
    json_begin_object(json);
    json_put_number(json, "totalConnections", sums->connections);
    json_put_number(json, "activeCompanies", sums->companies);
    json_key(json, "connectionsByCompany");
    json_begin_object(json);
    for (size_t i = 0; i < sums->count && shown < COMPANIES_SHOWN_MAX; shown++) {
        size_t same = same_company(sums->counts + i, sums->count - i);
        int64_t connections = 0;

        for (size_t k = i; k < i + same; k++)
            connections += sums->counts[k]->connections;
        json_put_number(json, sums->counts[i]->company, connections);
        i += same;
    }
    json_end_object(json);
    json_end_object(json);
}

static void put_replica(struct json *json, const struct census_replica *replica, const char *company)
{
    int64_t connections = company ? 0 : replica->connections;

    for (size_t i = 0; i < replica->count && company; i++)
        if (strcmp(replica->counts[i].company, company) == 0)
            connections = replica->counts[i].connections;
    json_begin_object(json);
    json_put_string(json, "id", replica->id);
    json_put_bool(json, "self", replica->is_self);
    json_put_bool(json, "owner", replica->is_owner);
    json_put_number(json, "connections", connections);
    json_put_number(json, "activeCompanies", company ? connections > 0 : replica->companies);
    json_end_object(json);
}

static void put_replicas(struct json *json, const struct census_result *streams, const char *company)
{
    json_key(json, "replicas");
    json_begin_array(json);
    for (size_t i = 0; i < streams->count; i++)
        put_replica(json, &streams->replicas[i], company);
    json_end_array(json);
}

static bool is_shown(const struct counted *counted, const char *company)
{
    return counted->events > 0 && (!company || strcmp(counted->company, company) == 0);
}

/* events: NULL: nothing is known of any. */
static void put_replay_cache(const struct events *events, struct json *json, const char *company)
{
    size_t count = events ? events->count : 0;
    int64_t companies = 0;
    int64_t total = 0;

    for (size_t i = 0; i < count; i++) {
        if (!is_shown(&events->counted[i], company))
            continue;
        companies++;
        total += events->counted[i].events;
    }
    json_key(json, "replayCache");
    json_begin_object(json);
    json_put_number(json, "companies", companies);
    json_put_number(json, "totalEvents", total);
    json_key(json, "eventsByCompany");
    json_begin_object(json);
    for (size_t i = 0; i < count; i++)
        if (is_shown(&events->counted[i], company))
            json_put_number(json, events->counted[i].company, events->counted[i].events);
    json_end_object(json);
    json_end_object(json);
}

/* Zeros above mean nothing while the store cannot be asked. */
static void put_replay(const struct http_context *context, const struct stats_request *request, struct json *json)
{
    json_key(json, "replay");
    json_begin_object(json);
    json_put_string(json, "store", bridge_replay_kind(context->bridge) == BRIDGE_REPLAY_MEMORY ? "memory" : "redis");
    json_put_bool(json, "available", request->events != NULL);
    json_end_object(json);
}

static struct json *write_page(const struct http_context *context, const struct stats_request *request,
                               const char *company)
{
    struct json *json = json_new();
    char now[CLOCK_RFC3339_SIZE];
    struct sums sums;

    if (!json || !request->streams || add_up(request->streams, company, &sums) < 0) {
        json_free(json);
        return NULL;
    }
    clock_format_rfc3339(clock_unix_ms(), now);
    json_begin_object(json);
    put_connections(json, &sums);
    put_replicas(json, request->streams, company);
    json_put_bool(json, "complete", request->streams->is_complete && !sums.is_partial);
    put_replay_cache(request->events, json, company);
    put_replay(context, request, json);
    json_put_string(json, "timestamp", now);
    json_end_object(json);
    free(sums.counts);
    return json;
}

enum MHD_Result stats_page_answer(const struct http_context *context, struct MHD_Connection *connection,
                                  const struct stats_request *request, const char *company)
{
    return reply_json(context, connection, MHD_HTTP_OK, write_page(context, request, company));
}
