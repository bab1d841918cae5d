#include "http/front_door.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "http/asker.h"
#include "http/context.h"
#include "http/head_deadline.h"
#include "http/listener.h"
#include "http/pages.h"
#include "http/reply.h"
#include "http/request.h"
#include "http/stats_page.h"
#include "http/stream_open.h"
#include "http/ticket_page.h"

struct front_door {
    struct http_context context;
    struct MHD_Daemon *daemon;
    struct head_deadline *head_deadline;
};

/* One request, from its first line to its answer. */
struct request {
    size_t uri_size;
    bool begun; /* the handler was called with it */
    struct stats_request *stats;
    struct stream_opening *opening;
    struct ticket_request *ticket;
};

/* One connection and the request that it has now: libmicrohttpd 0.9.75 does not tell of the end of every request. */
struct client {
    struct head_timer *head_timer; /* NULL: no memory */
    struct request request;
};

struct route {
    const char *path;
    enum MHD_Result (*answer)(const struct http_context *context, struct MHD_Connection *connection);
};

static const struct route routes[] = {
    {"/stream/health", page_health},
    {"/stream/health/live", page_live},
    {"/stream/health/ready", page_ready},
};

static const char stream_path[] = "/stream/updates";
static const char ticket_path[] = "/stream/ticket";
static const char stats_path[] = "/stream/stats";
static const char metrics_path[] = "/metrics";

/* NULL: there was no memory for it. */
static struct client *client_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    return info ? info->socket_context : NULL;
}

static void request_end(struct request *request)
{
    stats_request_free(request->stats);
    stream_opening_free(request->opening);
    ticket_request_free(request->ticket);
    *request = (struct request){.uri_size = 0};
}

/* libmicrohttpd's notices. */

static void *on_uri(void *context, const char *uri, struct MHD_Connection *connection)
{
    struct client *client = client_of(connection);

    (void)context;
    if (!client)
        return NULL;
    request_end(&client->request);
    client->request.uri_size = strlen(uri);
    return &client->request;
}

static void on_completed(void *context, struct MHD_Connection *connection, void **request_context,
                         enum MHD_RequestTerminationCode reason)
{
    struct front_door *front_door = context;
    struct client *client = client_of(connection);

    *request_context = NULL;
    if (!client)
        return;
    request_end(&client->request);
    /* Kept alive, perhaps: the next head has its deadline too. A socket given away comes here as an error. */
    if (reason == MHD_REQUEST_TERMINATED_COMPLETED_OK)
        head_deadline_arm(front_door->head_deadline, client->head_timer);
}

static void on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct front_door *front_door = context;
    struct client *client = *socket_context;
    const union MHD_ConnectionInfo *info;

    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        *socket_context = NULL;
        if (!client)
            return;
        head_deadline_end(front_door->head_deadline, client->head_timer);
        request_end(&client->request);
        free(client);
        return;
    }
    client = calloc(1, sizeof *client);
    info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (client && info)
        client->head_timer = head_deadline_begin(front_door->head_deadline, info->connect_fd);
    *socket_context = client;
}

static void on_log(void *context, const char *format, va_list arguments)
{
    struct front_door *front_door = context;
    char text[512];
    int size;

    if (!log_enabled(front_door->context.log, LOG_LEVEL_DEBUG))
        return;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the format is libmicrohttpd's */
    size = vsnprintf(text, sizeof text, format, arguments);
#pragma GCC diagnostic pop
    /* That is how a socket given away looks to libmicrohttpd. */
    if (strstr(text, "reported internal error"))
        return;
    while (size > 0 && (size_t)size < sizeof text && text[size - 1] == '\n')
        text[--size] = '\0';
    log_write(front_door->context.log, LOG_LEVEL_DEBUG, "HTTP", LOG_FIELDS(log_text("detail", text)));
}

static size_t on_unescape(void *context, struct MHD_Connection *connection, char *text)
{
    (void)context;
    (void)connection;
    return request_unescape(text);
}

/* Requests. */

/* Refuses what is not to be trusted. Returns whether it queued an answer, in ret_result. */
static bool refuse_early(struct http_context *context, struct MHD_Connection *connection, const struct request *request,
                         enum MHD_Result *ret_result)
{
    if (request->uri_size > (size_t)context->config->url_max_bytes)
        *ret_result = reply_error(context, connection, 414, "The URL is too long; URL_MAX_BYTES is the limit",
                                  METRIC_ERROR_TOO_LARGE);
    else if (request_is_ambiguous(connection))
        *ret_result = reply_error(context, connection, MHD_HTTP_BAD_REQUEST,
                                  "Host, Content-Length and Transfer-Encoding may each be given once, the last two not "
                                  "together",
                                  METRIC_ERROR_BAD_REQUEST);
    else if (request_has_odd_header(connection))
        *ret_result = reply_error(context, connection, MHD_HTTP_BAD_REQUEST,
                                  "A header is malformed: each needs one line, a name without white space, and a value "
                                  "without control characters",
                                  METRIC_ERROR_BAD_REQUEST);
    else if (request_has_body(connection))
        *ret_result =
            reply_error(context, connection, 413, "Requests with a body are not taken", METRIC_ERROR_TOO_LARGE);
    else
        return false;
    return true;
}

/* What a path is for. */
enum place { PLACE_NONE, PLACE_STREAM, PLACE_TICKET, PLACE_STATS, PLACE_METRICS, PLACE_OTHER };

static enum place find_place(const struct http_context *context, const char *path)
{
    if (!context->is_admin && strcmp(path, stream_path) == 0)
        return PLACE_STREAM;
    if (!context->is_admin && strcmp(path, ticket_path) == 0)
        return PLACE_TICKET;
    if (strcmp(path, stats_path) == 0)
        return PLACE_STATS;
    if (strcmp(path, metrics_path) == 0)
        return PLACE_METRICS;
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++)
        if (strcmp(path, routes[i].path) == 0)
            return PLACE_OTHER;
    return PLACE_NONE;
}

static enum MHD_Result answer_stream(struct http_context *context, struct MHD_Connection *connection,
                                     const char *version, bool is_head, struct request *request)
{
    if (request->opening)
        return stream_open_go_on(context, connection, version, is_head, &request->opening);
    return stream_open(context, connection, version, is_head, &request->opening);
}

static enum MHD_Result answer_ticket(struct http_context *context, struct MHD_Connection *connection,
                                     struct request *request)
{
    if (request->ticket)
        return ticket_page_go_on(context, connection, request->ticket);
    return ticket_page(context, connection, &request->ticket);
}

/* Whose numbers may be seen. Returns 0; or -EACCES with an answer queued. */
static int find_scope(struct http_context *context, struct MHD_Connection *connection, struct auth_scope *ret_scope,
                      enum MHD_Result *ret_result)
{
    struct refusal refusal;
    struct asker asker;

    *ret_scope = (struct auth_scope){.is_admin = true};
    if (context->is_admin || (asker_read(context, connection, &asker, &refusal) == 0 &&
                              gate_find_scope(context->gate, &asker.auth, ret_scope, &refusal) == 0))
        return 0;
    *ret_result = reply_refusal(context, connection, &refusal);
    return -EACCES;
}

static enum MHD_Result answer_stats(struct http_context *context, struct MHD_Connection *connection,
                                    struct request *request)
{
    struct auth_scope scope;
    enum MHD_Result result;

    if (find_scope(context, connection, &scope, &result) < 0)
        return result;
    if (request->stats)
        return stats_page_answer(context, connection, request->stats, scope.is_admin ? NULL : scope.company);
    request->stats = stats_page_ask(context->stats_page, connection);
    if (request->stats)
        return MHD_YES;
    return reply_unavailable(context, connection,
                             "Too many ask for statistics, or the server is shutting down; try again later",
                             METRIC_ERROR_RESOURCES, 1);
}

static enum MHD_Result answer_metrics(struct http_context *context, struct MHD_Connection *connection)
{
    struct auth_scope scope;
    enum MHD_Result result;

    if (find_scope(context, connection, &scope, &result) < 0)
        return result;
    if (!scope.is_admin)
        return reply_error(context, connection, MHD_HTTP_FORBIDDEN,
                           "Only administrators may see the metrics: send Authorization: Bearer <ADMIN_KEY>",
                           METRIC_ERROR_FORBIDDEN);
    return page_metrics(context, connection);
}

static enum MHD_Result answer_page(struct http_context *context, struct MHD_Connection *connection, const char *path)
{
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++)
        if (strcmp(path, routes[i].path) == 0)
            return routes[i].answer(context, connection);
    return reply_error(context, connection, MHD_HTTP_NOT_FOUND,
                       "There is nothing here; streams are at /stream/updates?companyId=<id>",
                       METRIC_ERROR_BAD_REQUEST);
}

static enum MHD_Result answer(struct http_context *context, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, struct request *request)
{
    bool is_head = strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
    enum place place = find_place(context, path);

    if (strcmp(method, MHD_HTTP_METHOD_OPTIONS) == 0)
        return reply_options(context, connection);
    if (place == PLACE_TICKET && strcmp(method, MHD_HTTP_METHOD_POST) != 0)
        return reply_not_allowed(context, connection, "POST, OPTIONS");
    if (place != PLACE_NONE && place != PLACE_TICKET && !is_head && strcmp(method, MHD_HTTP_METHOD_GET) != 0)
        return reply_not_allowed(context, connection, "GET, HEAD, OPTIONS");
    switch (place) {
    case PLACE_STREAM:
        return answer_stream(context, connection, version, is_head, request);
    case PLACE_TICKET:
        return answer_ticket(context, connection, request);
    case PLACE_STATS:
        return answer_stats(context, connection, request);
    case PLACE_METRICS:
        return answer_metrics(context, connection);
    case PLACE_NONE:
    case PLACE_OTHER:
        break;
    }
    return answer_page(context, connection, path);
}

/* Whether others have been asked for the answer, by now or before. */
static bool has_asked(const struct request *request)
{
    return request->stats || request->opening || request->ticket;
}

static enum MHD_Result on_request(void *handler_context, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *upload_data,
                                  size_t *upload_data_size, void **request_context)
{
    struct front_door *front_door = handler_context;
    struct client *client = client_of(connection);
    struct request *request = *request_context;
    enum MHD_Result result = MHD_YES;
    bool is_answered;

    (void)upload_data;
    if (!client || !request)
        return MHD_NO; /* no memory */
    if (!request->begun) {
        request->begun = true;
        head_deadline_disarm(front_door->head_deadline, client->head_timer);
        /* An answer on the first call ends the connection, which is right for a request that is not to be trusted. */
        is_answered = refuse_early(&front_door->context, connection, request, &result);
    } else {
        bool had_asked = has_asked(request);

        *upload_data_size = 0;
        result = answer(&front_door->context, connection, path, method, version, request);
        is_answered = had_asked || !has_asked(request);
    }
    /* Whoever does not read the answer takes a place as well. Without MHD_YES the connection ends, or is given away. */
    if (is_answered && result == MHD_YES)
        head_deadline_arm(front_door->head_deadline, client->head_timer);
    return result;
}

/* Making and ending. */

static struct MHD_Daemon *start_daemon(struct front_door *front_door, const struct front_door_options *options, int fd)
{
    unsigned flags =
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL | MHD_USE_TURBO | MHD_USE_ERROR_LOG | MHD_ALLOW_SUSPEND_RESUME;

    return MHD_start_daemon(flags, 0, NULL, NULL, on_request, front_door, MHD_OPTION_EXTERNAL_LOGGER, on_log,
                            front_door, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_URI_LOG_CALLBACK, on_uri, front_door,
                            MHD_OPTION_UNESCAPE_CALLBACK, on_unescape, front_door, MHD_OPTION_NOTIFY_COMPLETED,
                            on_completed, front_door, MHD_OPTION_NOTIFY_CONNECTION, on_connection, front_door,
                            MHD_OPTION_CONNECTION_LIMIT, options->max_requests, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                            (size_t)options->config->request_head_bytes, MHD_OPTION_CONNECTION_TIMEOUT,
                            (unsigned)options->config->request_head_seconds,
#if MHD_VERSION >= 0x00097701
                            MHD_OPTION_CLIENT_DISCIPLINE_LVL, 1,
#else
                            MHD_OPTION_STRICT_FOR_CLIENT, 1,
#endif
                            MHD_OPTION_END);
}

static int make_parts(struct front_door *front_door, const struct front_door_options *options)
{
    struct http_context *context = &front_door->context;

    context->config = options->config;
    context->auth = options->auth;
    context->gate = options->gate;
    context->is_admin = options->is_admin;
    context->registry = options->registry;
    context->bridge = options->bridge;
    context->workers = options->workers;
    context->log = options->log;
    context->metrics = options->metrics;
    context->random = (unsigned)clock_monotonic_ns();
    context->cors = cors_new(options->config->cors_origins, *options->config->auth_cookie != '\0');
    context->suspensions = suspensions_new();
    if (context->suspensions)
        context->stats_page = stats_page_new(options->bridge, context->suspensions);
    front_door->head_deadline = head_deadline_new(options->config->request_head_seconds,
                                                  options->max_requests - options->max_requests / 8, options->metrics);
    if (!context->cors || !context->stats_page || !front_door->head_deadline)
        return -ENOMEM;
    return prefix_list_new(options->config->trusted_proxies, &context->trusted_proxies);
}

int front_door_new(const struct front_door_options *options, struct front_door **ret_front_door, int *ret_port)
{
    struct front_door *front_door = calloc(1, sizeof *front_door);
    int fd;
    int status;

    if (!front_door)
        return -ENOMEM;
    status = make_parts(front_door, options);
    if (status < 0)
        goto fail;
    fd = listener_open(options->bind_address, options->port, ret_port);
    if (fd < 0) {
        status = fd;
        goto fail;
    }
    front_door->daemon = start_daemon(front_door, options, fd);
    if (!front_door->daemon) {
        close(fd);
        status = -EIO;
        goto fail;
    }
    *ret_front_door = front_door;
    return 0;

fail:
    front_door_free(front_door);
    return status;
}

void front_door_drain(struct front_door *front_door)
{
    atomic_store(&front_door->context.draining, true);
}

void front_door_free(struct front_door *front_door)
{
    if (!front_door)
        return;
    front_door_drain(front_door);
    if (front_door->daemon) {
        /* No new connection: then the counts under way are the last ones. */
        int fd = MHD_quiesce_daemon(front_door->daemon);

        suspensions_close(front_door->context.suspensions);
        MHD_stop_daemon(front_door->daemon);
        if (fd >= 0)
            close(fd);
    }
    head_deadline_free(front_door->head_deadline);
    stats_page_free(front_door->context.stats_page);
    suspensions_free(front_door->context.suspensions);
    prefix_list_free(front_door->context.trusted_proxies);
    cors_free(front_door->context.cors);
    free(front_door);
}
