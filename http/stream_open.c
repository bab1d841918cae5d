#include "http/stream_open.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth/random_text.h"
#include "core/clock.h"
#include "core/since.h"
#include "http/asker.h"
#include "http/reply.h"
#include "http/request.h"
#include "http/stream_blocks.h"

enum {
    RETRY_AFTER_SECONDS = 5,
    COME_BACK_FACTOR = 15, /* of RETRY_MS: what a client is told when there is no room for it */
    CONNECTION_ID_SIZE = 24,
};

struct stream_opening {
    struct http_context *context;
    struct MHD_Connection *connection;
    struct pass *pass;
    struct asker asker; /* its texts are the request's, which waits with it */
    char connection_id[CONNECTION_ID_SIZE];
};

/* Refusing. */

/* 200, a retry: and the end: a browser comes back, where it would give up after an error. */
static enum MHD_Result send_come_back(struct http_context *context, struct MHD_Connection *connection, int64_t retry_ms,
                                      enum metric metric)
{
    char body[64];
    int size = snprintf(body, sizeof body, "retry: %lld\n\n", (long long)retry_ms);

    metrics_add(context->metrics, metric, 1);
    return reply_send(context, connection,
                      &(struct reply){.status = MHD_HTTP_OK,
                                      .content_type = "text/event-stream",
                                      .body = body,
                                      .size = (size_t)size,
                                      .closes = true});
}

/* Says no, in the log too; a browser that should try again is not told by an error, where the settings have it so. */
static enum MHD_Result refuse(struct http_context *context, struct MHD_Connection *connection,
                              const struct asker *asker, const struct identity *identity, const struct refusal *refusal)
{
    bool is_overload = refusal->retry_after_seconds > 0 && strcmp(context->config->overload_answer, "retry") == 0;

    asker_log_refusal(context, asker, identity, refusal, "SSE connection refused");
    if (refusal->come_back)
        return send_come_back(context, connection, reply_jittered(context, refusal->retry_after_seconds * 1000),
                              refusal->metric);
    if (is_overload)
        return send_come_back(context, connection,
                              reply_jittered(context, COME_BACK_FACTOR * context->config->retry_ms), refusal->metric);
    return reply_refusal(context, connection, refusal);
}

static struct refusal unavailable(const char *reason, enum metric metric, const char *message)
{
    return (struct refusal){.status = MHD_HTTP_SERVICE_UNAVAILABLE,
                            .reason = reason,
                            .metric = metric,
                            .message = message,
                            .retry_after_seconds = RETRY_AFTER_SECONDS};
}

/* The client that comes while we drain: another replica, or our successor, takes it. */
static enum MHD_Result send_away(struct http_context *context, struct MHD_Connection *connection,
                                 const struct asker *asker)
{
    const struct refusal refusal = {.status = MHD_HTTP_OK, .reason = "draining"};
    int64_t spread_ms = context->config->drain_spread_seconds * 1000;

    asker_log_refusal(context, asker, NULL, &refusal, "SSE connection refused");
    return send_come_back(context, connection, context->config->retry_ms + reply_random(context, spread_ms),
                          METRIC_ERROR_DRAINING);
}

/* Giving the socket away. */

/* The time from which the client wants events, where it says one. Returns 0, or -EINVAL if it cannot be read. */
static int read_since(struct MHD_Connection *connection, struct stream_request *request)
{
    struct request_text since = request_parameter(connection, "since");
    int64_t now_ms = clock_unix_ms();
    int64_t since_ms;

    if (!since.text)
        return 0;
    if (since.count > 1 || since_parse(since.text, since.size, now_ms, &since_ms) < 0)
        return -EINVAL;
    /* Of a time to come there is nothing yet: live events only. */
    if (since_ms > now_ms)
        return 0;
    request->cursor = STREAM_CURSOR_SINCE;
    if (since_ms > 0)
        request->position = (struct event_position){.ms = (uint64_t)since_ms - 1, .seq = EVENT_NUMBER_MAX};
    return 0;
}

/*
 * The id that the client has: the header, else the query parameter; an empty one is none. Without an id, since when it wants
 * events: EventSource repeats its URL with each reconnect, so that the id must go before the time.
 */
static void read_cursor(struct MHD_Connection *connection, struct stream_request *request)
{
    struct request_text id = request_header(connection, "Last-Event-ID");
    size_t shown;

    if (!id.text || id.size == 0)
        id = request_parameter(connection, "lastEventId");
    if (!id.text || id.size == 0) {
        (void)read_since(connection, request);
        return;
    }
    request->cursor = STREAM_CURSOR_MALFORMED;
    if (event_id_parse(id.text, id.size, &request->position))
        request->cursor = STREAM_CURSOR_ID;
    shown = id.size < EVENT_ID_MAX ? id.size : EVENT_ID_MAX;
    memcpy(request->requested, id.text, shown);
    request->requested[shown] = '\0';
}

static void make_connection_id(char ret_id[CONNECTION_ID_SIZE])
{
    unsigned char bytes[8] = {0};

    (void)random_bytes(bytes, sizeof bytes); /* cannot fail: so few always come */
    ret_id[0] = 'c';
    hex_format(bytes, sizeof bytes, ret_id + 1);
}

static bool may_compress(const struct http_context *context)
{
    return strcmp(context->config->compression, "off") != 0;
}

/* One that is given over several lines is not looked at, as everybody may (RFC 9110, 12.5.1). */
static bool excludes_event_stream(struct MHD_Connection *connection)
{
    struct request_text accept = request_header(connection, MHD_HTTP_HEADER_ACCEPT);

    return accept.count == 1 && !request_accepts_event_stream(accept.text);
}

/* Whether the client is to get a compressed stream. */
static bool is_compressed(const struct http_context *context, struct MHD_Connection *connection)
{
    struct request_text accepted = request_header(connection, MHD_HTTP_HEADER_ACCEPT_ENCODING);

    return may_compress(context) && accepted.count == 1 && request_accepts_gzip(accepted.text);
}

/* The response head. CORS for streams is written here, since the worker answers, not libmicrohttpd. */
static struct frame *make_head(struct http_context *context, struct MHD_Connection *connection,
                               struct stream_request *request)
{
    const char *origin = cors_allowed_origin(context->cors, reply_request_header(connection, MHD_HTTP_HEADER_ORIGIN));
    char extra[768] = "";
    int size = 0;

    /* An allowed origin is one of our settings, or a host name of at most 253 characters below one: it breaks no head. */
    if (origin)
        size = snprintf(extra, sizeof extra, "Access-Control-Allow-Origin: %s\r\n%s", origin,
                        cors_allows_credentials(context->cors) ? "Access-Control-Allow-Credentials: true\r\n" : "");
    if (cors_varies(context->cors))
        size += snprintf(extra + size, sizeof extra - (size_t)size, "Vary: Origin\r\n");
    if (may_compress(context))
        snprintf(extra + size, sizeof extra - (size_t)size, "Vary: Accept-Encoding\r\n");
    return stream_block_head(request->chunked, extra, reply_jittered(context, context->config->retry_ms),
                             request->gzip ? &request->gzip_sum : NULL);
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
    request->gzip = is_compressed(context, connection);
    request->head = make_head(context, connection, request);
    request->filter = event_filter_ref(pass_identity(request->pass)->filter);
    status = worker_open(worker, request);
    if (status < 0) {
        event_filter_unref(request->filter);
        frame_unref(request->head);
        close(request->fd);
    }
    return status;
}

/* Opens a stream for who has a pass, which is taken over. */
static enum MHD_Result open_for(struct http_context *context, struct MHD_Connection *connection,
                                const struct asker *asker, struct stream_request *request)
{
    struct refusal refusal =
        unavailable("full", METRIC_ERROR_FULL, "Too many streams are open; try again later, or raise MAX_CONNECTIONS");
    unsigned worker = 0;
    int status = registry_enter(context->registry, request->company, &worker);
    enum MHD_Result result;

    if (status == 0) {
        status = hand_over(context, connection, context->workers[worker], request);
        if (status == 0)
            return MHD_NO;
        registry_leave(context->registry, request->company, worker);
    }
    if (status != -EBUSY) {
        log_write(context->log, LOG_LEVEL_ERROR, "Stream could not be opened",
                  LOG_FIELDS(log_text("companyId", request->company), log_text("error", strerror(-status))));
        refusal = unavailable("resources", METRIC_ERROR_RESOURCES,
                              "The server has no room for another stream; try again later");
    }
    result = refuse(context, connection, asker, pass_identity(request->pass), &refusal);
    pass_free(request->pass);
    return result;
}

/* The pass is there, and taken over. */
static enum MHD_Result finish(struct http_context *context, struct MHD_Connection *connection, const char *version,
                              bool is_head, const struct asker *asker, struct pass *pass, const char *connection_id)
{
    struct stream_request request = {.fd = -1, .chunked = strcmp(version, MHD_HTTP_VERSION_1_1) == 0, .pass = pass};

    if (is_head) {
        pass_free(pass);
        return reply_send(context, connection,
                          &(struct reply){.status = MHD_HTTP_OK,
                                          .content_type = "text/event-stream",
                                          .body = "",
                                          .varies_by_encoding = may_compress(context),
                                          .is_gzip = is_compressed(context, connection)});
    }
    read_cursor(connection, &request);
    strcpy(request.connection_id, connection_id);
    strcpy(request.company, pass_identity(pass)->company);
    request.expires_ms = pass_identity(pass)->expires_ms;
    return open_for(context, connection, asker, &request);
}

/* Asking for a pass. */

/* On the gate's thread, or libmicrohttpd's. */
static void on_answer(void *context)
{
    const struct stream_opening *opening = context;

    suspensions_end(opening->context->suspensions, opening->connection);
}

static enum MHD_Result wait_for_pass(struct http_context *context, struct MHD_Connection *connection,
                                     const struct asker *asker, struct pass *pass, const char *connection_id,
                                     struct stream_opening **ret_opening)
{
    struct stream_opening *opening = calloc(1, sizeof *opening);
    struct refusal refusal =
        unavailable("memory", METRIC_ERROR_RESOURCES, "The server is out of memory; try again later");

    if (!opening || !suspensions_begin(context->suspensions, connection)) {
        /* Suspended connections are not begun any more while draining. */
        bool is_draining = opening != NULL;

        free(opening);
        pass_free(pass);
        if (is_draining)
            return send_away(context, connection, asker);
        return refuse(context, connection, asker, NULL, &refusal);
    }
    *opening = (struct stream_opening){.context = context, .connection = connection, .pass = pass, .asker = *asker};
    strcpy(opening->connection_id, connection_id);
    *ret_opening = opening;
    pass_wait(pass, on_answer, opening);
    return MHD_YES;
}

static enum MHD_Result enter(struct http_context *context, struct MHD_Connection *connection, const char *version,
                             bool is_head, const struct asker *asker, struct stream_opening **ret_opening)
{
    char connection_id[CONNECTION_ID_SIZE];
    struct pass_request request = {.auth = asker->auth,
                                   .ticket = asker->ticket.text,
                                   .ticket_size = asker->ticket.size,
                                   .address = asker->address,
                                   .user_agent = asker->user_agent,
                                   .connection_id = connection_id};
    struct identity *identity;
    enum MHD_Result result;
    struct refusal refusal;
    struct pass *pass;

    make_connection_id(connection_id);
    switch (pass_ask(context->gate, &request, &pass, &identity, &refusal)) {
    case 0:
        return finish(context, connection, version, is_head, asker, pass, connection_id);
    case -EAGAIN:
        return wait_for_pass(context, connection, asker, pass, connection_id, ret_opening);
    default:
        result = refuse(context, connection, asker, identity, &refusal);
        identity_unref(identity);
        return result;
    }
}

/* Reads who asks, and looks at all that can be known without asking who that is. Returns 0 or -EACCES and the refusal. */
static int read_request(struct http_context *context, struct MHD_Connection *connection, bool is_head,
                        struct asker *ret_asker, struct refusal *ret_refusal)
{
    int status = asker_read(context, connection, ret_asker, ret_refusal);

    if (!context->config->streaming_enabled) {
        *ret_refusal =
            unavailable("streaming_disabled", METRIC_ERROR_DISABLED, "Streaming is disabled (STREAMING_ENABLED=false)");
        return -EACCES;
    }
    if (status == 0)
        status = gate_admit(context->gate, &ret_asker->address, ret_refusal);
    if (status < 0)
        return status;
    if (excludes_event_stream(connection))
        return refusal_set(ret_refusal, MHD_HTTP_NOT_ACCEPTABLE, "not_acceptable",
                           "This path answers with text/event-stream, which the Accept header excludes");
    if (read_since(connection, &(struct stream_request){0}) < 0)
        return refusal_set(ret_refusal, MHD_HTTP_BAD_REQUEST, "bad_since", "since must be, once, " SINCE_EXPECTED);
    /* A scanner of links would lock the browser out, for which the ticket was made. */
    if (is_head && ret_asker->ticket.text)
        return refusal_set(ret_refusal, MHD_HTTP_BAD_REQUEST, "ticket_without_stream",
                           "HEAD opens no stream, and would use the ticket up");
    return 0;
}

enum MHD_Result stream_open(struct http_context *context, struct MHD_Connection *connection, const char *version,
                            bool is_head, struct stream_opening **ret_opening)
{
    struct asker asker;
    struct refusal refusal;

    if (read_request(context, connection, is_head, &asker, &refusal) < 0)
        return refuse(context, connection, &asker, NULL, &refusal);
    if (atomic_load(&context->draining) && !is_head)
        return send_away(context, connection, &asker);
    return enter(context, connection, version, is_head, &asker, ret_opening);
}

enum MHD_Result stream_open_go_on(struct http_context *context, struct MHD_Connection *connection, const char *version,
                                  bool is_head, struct stream_opening **opening)
{
    struct stream_opening opened = **opening;
    enum MHD_Result result;
    struct refusal refusal;

    free(*opening);
    *opening = NULL;
    if (pass_result(opened.pass, &refusal) == 0)
        return finish(context, connection, version, is_head, &opened.asker, opened.pass, opened.connection_id);
    result = refuse(context, connection, &opened.asker, pass_identity(opened.pass), &refusal);
    pass_free(opened.pass);
    return result;
}

void stream_opening_free(struct stream_opening *opening)
{
    if (!opening)
        return;
    pass_free(opening->pass);
    free(opening);
}
