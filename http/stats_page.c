#include "http/stats_page.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "http/reply.h"
#include "http/suspensions.h"

enum { COMPANIES_SHOWN_MAX = 10000 };

struct counted {
    char company[129];
    int64_t events;
};

struct stats_request {
    struct stats_request *next;
    struct MHD_Connection *connection;
    bool available; /* the store answered */
    size_t count;
    struct counted *counted;
};

struct stats_page {
    struct bridge *bridge;
    struct suspensions *suspensions;
    /* Guards the lists, between libmicrohttpd's thread and the bridge's. */
    pthread_mutex_t lock;
    struct stats_request *running; /* the count under way is for these */
    struct stats_request *waiting; /* the next one is */
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

/* Without memory for it the request says that the store is not available. */
static void copy_counts(struct stats_request *request, const struct store_count *counts, size_t count)
{
    request->counted = calloc(count + 1, sizeof *request->counted);
    if (!request->counted)
        return;
    for (size_t i = 0; i < count; i++) {
        strncpy(request->counted[i].company, counts[i].company, sizeof request->counted[i].company - 1);
        request->counted[i].events = counts[i].events;
    }
    request->count = count;
    request->available = true;
}

/* On the bridge's thread. */
static void on_counts(void *context, int status, const struct store_count *counts, size_t count)
{
    struct stats_page *page = context;
    struct stats_request *request;
    bool again;

    pthread_mutex_lock(&page->lock);
    request = page->running;
    page->running = page->waiting;
    page->waiting = NULL;
    again = page->running != NULL;
    while (request) {
        /* From the resume on, the request is libmicrohttpd's thread's. */
        struct stats_request *next = request->next;

        if (status == 0)
            copy_counts(request, counts, count);
        suspensions_end(page->suspensions, request->connection);
        request = next;
    }
    pthread_mutex_unlock(&page->lock);
    if (again)
        bridge_count_events(page->bridge, on_counts, page);
}

struct stats_request *stats_page_ask(struct stats_page *page, struct MHD_Connection *connection)
{
    struct stats_request *request = calloc(1, sizeof *request);
    bool start = false;

    if (!request)
        return NULL;
    request->connection = connection;
    if (!suspensions_begin(page->suspensions, connection)) {
        free(request);
        return NULL;
    }
    pthread_mutex_lock(&page->lock);
    if (page->running) {
        request->next = page->waiting;
        page->waiting = request;
    } else {
        page->running = request;
        start = true;
    }
    pthread_mutex_unlock(&page->lock);
    if (start)
        bridge_count_events(page->bridge, on_counts, page);
    return request;
}

void stats_request_free(struct stats_request *request)
{
    if (!request)
        return;
    free(request->counted);
    free(request);
}

static void put_connections_of(struct json *json, int64_t total, int64_t companies, const struct registry_count *counts,
                               ptrdiff_t count)
{
    json_key(json, "connections");
    json_begin_object(json);
    json_put_number(json, "totalConnections", total);
    json_put_number(json, "activeCompanies", companies);
    json_key(json, "connectionsByCompany");
    json_begin_object(json);
    for (ptrdiff_t i = 0; i < count; i++)
        json_put_number(json, counts[i].company, counts[i].connections);
    json_end_object(json);
    json_end_object(json);
}

static void put_connections(const struct http_context *context, struct json *json, const char *company)
{
    struct registry_count *counts = NULL;
    struct registry_count own = {.connections = 0};
    ptrdiff_t count;

    if (company) {
        strcpy(own.company, company);
        own.connections = registry_connections_of(context->registry, company);
        put_connections_of(json, own.connections, own.connections > 0, &own, own.connections > 0);
        return;
    }
    count = registry_list(context->registry, COMPANIES_SHOWN_MAX, &counts);
    put_connections_of(json, registry_connections(context->registry), registry_companies(context->registry), counts,
                       count);
    free(counts);
}

static bool is_shown(const struct counted *counted, const char *company)
{
    return counted->events > 0 && (!company || strcmp(counted->company, company) == 0);
}

static void put_replay_cache(const struct stats_request *request, struct json *json, const char *company)
{
    int64_t companies = 0;
    int64_t total = 0;

    for (size_t i = 0; i < request->count; i++) {
        if (!is_shown(&request->counted[i], company))
            continue;
        companies++;
        total += request->counted[i].events;
    }
    json_key(json, "replayCache");
    json_begin_object(json);
    json_put_number(json, "companies", companies);
    json_put_number(json, "totalEvents", total);
    json_key(json, "eventsByCompany");
    json_begin_object(json);
    for (size_t i = 0; i < request->count; i++)
        if (is_shown(&request->counted[i], company))
            json_put_number(json, request->counted[i].company, request->counted[i].events);
    json_end_object(json);
    json_end_object(json);
}

/* Zeros above mean nothing while the store cannot be asked. */
static void put_replay(const struct http_context *context, const struct stats_request *request, struct json *json)
{
    json_key(json, "replay");
    json_begin_object(json);
    json_put_string(json, "store", bridge_replay_kind(context->bridge) == BRIDGE_REPLAY_MEMORY ? "memory" : "redis");
    json_put_bool(json, "available", request->available);
    json_end_object(json);
}

enum MHD_Result stats_page_answer(const struct http_context *context, struct MHD_Connection *connection,
                                  const struct stats_request *request, const char *company)
{
    struct json *json = json_new();
    char now[CLOCK_RFC3339_SIZE];

    if (json) {
        clock_format_rfc3339(clock_unix_ms(), now);
        json_begin_object(json);
        put_connections(context, json, company);
        put_replay_cache(request, json, company);
        put_replay(context, request, json);
        json_put_string(json, "timestamp", now);
        json_end_object(json);
    }
    return reply_json(context, connection, MHD_HTTP_OK, json);
}
