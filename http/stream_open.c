#include "http/stream_open.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "http/reply.h"
#include "http/request.h"
#include "http/stream_blocks.h"

enum {
    RETRY_AFTER_SECONDS = 5,
    COME_BACK_FACTOR = 15, /* of RETRY_MS: what a client is told when there is no room for it */
};

/* Between value and twice that, so that clients refused or released together do not come back together. */
static int64_t jittered(struct http_context *context, int64_t value)
{
    return value + rand_r(&context->random) % value;
}

/* 200, a retry: and the end: a browser comes back, where it would give up after an error. */
static enum MHD_Result send_come_back(struct http_context *context, struct MHD_Connection *connection, int64_t retry_ms,
                                      enum metric metric)
{
    char body[64];
    int size = snprintf(body, sizeof body, "retry: %lld\n\n", (long long)retry_ms);

    metrics_add(context->metrics, metric, 1);
    return reply_send(
        context, connection,
        &(struct reply){
            .status = MHD_HTTP_OK, .content_type = "text/event-stream", .body = body, .size = (size_t)size});
}

static enum MHD_Result refuse_full(struct http_context *context, struct MHD_Connection *connection)
{
    if (strcmp(context->config->overload_answer, "retry") == 0)
        return send_come_back(context, connection, jittered(context, COME_BACK_FACTOR * context->config->retry_ms),
                              METRIC_ERROR_FULL);
    return reply_unavailable(context, connection,
                             "Too many streams are open; try again later, or raise MAX_CONNECTIONS", METRIC_ERROR_FULL,
                             (int)jittered(context, RETRY_AFTER_SECONDS));
}

/* The id that the client has: the header, else the query parameter. An empty one is none. */
static void read_cursor(struct MHD_Connection *connection, struct stream_request *request)
{
    struct request_text id = request_header(connection, "Last-Event-ID");
    size_t shown;

    if (!id.text || id.size == 0)
        id = request_parameter(connection, "lastEventId");
    if (!id.text || id.size == 0)
        return;
    request->cursor = STREAM_CURSOR_MALFORMED;
    if (event_id_parse(id.text, id.size, &request->position))
        request->cursor = STREAM_CURSOR_ID;
    shown = id.size < EVENT_ID_MAX ? id.size : EVENT_ID_MAX;
    memcpy(request->requested, id.text, shown);
    request->requested[shown] = '\0';
}

static void make_connection_id(char ret_id[24])
{
    unsigned char random[8] = {0};

    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        random[0] = 0; /* cannot be: so few bytes always come */
    ret_id[0] = 'c';
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(ret_id + 1 + 2 * i, 3, "%02x", random[i]);
}

/* The response head. CORS for streams is written here, since the worker answers, not libmicrohttpd. */
static struct frame *make_head(struct http_context *context, struct MHD_Connection *connection, bool chunked)
{
    const char *origin = cors_allowed_origin(context->cors, reply_request_header(connection, MHD_HTTP_HEADER_ORIGIN));
    char extra[768] = "";
    int size = 0;

    /* An allowed origin is one of our settings, or a host name of at most 253 characters below one: it breaks no head. */
    if (origin)
        size = snprintf(extra, sizeof extra, "Access-Control-Allow-Origin: %s\r\n", origin);
    if (cors_varies(context->cors))
        snprintf(extra + size, sizeof extra - (size_t)size, "Vary: Origin\r\n");
    return stream_block_head(chunked, extra, jittered(context, context->config->retry_ms));
}

/* Duplicates the socket and gives it to the worker. Returns 0, or -errno with nothing left behind. */
static int hand_over(struct http_context *context, struct MHD_Connection *connection, struct worker *worker,
                     struct stream_request *request)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    int status;

    if (!info)
        return -EBADF;
    request->fd = fcntl(info->connect_fd, F_DUPFD_CLOEXEC, 0);
    if (request->fd < 0)
        return -errno;
    make_connection_id(request->connection_id);
    request->head = make_head(context, connection, request->chunked);
    status = worker_open(worker, request);
    if (status < 0) {
        frame_unref(request->head);
        close(request->fd);
    }
    return status;
}

static enum MHD_Result open_for(struct http_context *context, struct MHD_Connection *connection,
                                struct stream_request *request)
{
    unsigned worker = 0;
    int status = registry_enter(context->registry, request->company, &worker);

    if (status == -EBUSY)
        return refuse_full(context, connection);
    if (status == 0) {
        status = hand_over(context, connection, context->workers[worker], request);
        if (status == 0)
            return MHD_NO;
        registry_leave(context->registry, request->company, worker);
    }
    log_write(context->log, LOG_LEVEL_ERROR, "Stream could not be opened",
              LOG_FIELDS(log_text("companyId", request->company), log_text("error", strerror(-status))));
    return reply_unavailable(context, connection, "The server has no room for another stream; try again later",
                             METRIC_ERROR_RESOURCES, (int)jittered(context, RETRY_AFTER_SECONDS));
}

enum MHD_Result stream_open(struct http_context *context, struct MHD_Connection *connection, const char *version,
                            bool is_head)
{
    struct stream_request request = {.fd = -1, .chunked = strcmp(version, MHD_HTTP_VERSION_1_1) == 0};
    struct request_text company = request_parameter(connection, "companyId");
    struct auth_refusal refusal;
    struct identity identity;

    if (!context->config->streaming_enabled)
        return reply_unavailable(context, connection, "Streaming is disabled (STREAMING_ENABLED=false)",
                                 METRIC_ERROR_DISABLED, (int)jittered(context, RETRY_AFTER_SECONDS));
    if (company.count > 1)
        return reply_error(context, connection, MHD_HTTP_BAD_REQUEST, "companyId is given more than once",
                           METRIC_ERROR_BAD_REQUEST);
    if (auth_identify(context->auth, &(struct auth_request){.company = company.text, .company_size = company.size},
                      &identity, &refusal) < 0)
        return reply_error(context, connection, (unsigned)refusal.status, refusal.message, METRIC_ERROR_BAD_REQUEST);
    if (!request_accepts_event_stream(reply_request_header(connection, MHD_HTTP_HEADER_ACCEPT)))
        return reply_error(context, connection, MHD_HTTP_NOT_ACCEPTABLE,
                           "This path answers with text/event-stream, which the Accept header excludes",
                           METRIC_ERROR_BAD_REQUEST);
    if (is_head)
        return reply_send(context, connection,
                          &(struct reply){.status = MHD_HTTP_OK, .content_type = "text/event-stream", .body = ""});
    if (atomic_load(&context->draining))
        return send_come_back(context, connection, jittered(context, context->config->retry_ms), METRIC_ERROR_DRAINING);
    read_cursor(connection, &request);
    strcpy(request.company, identity.company);
    return open_for(context, connection, &request);
}
