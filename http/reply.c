#include "http/reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *reply_request_header(struct MHD_Connection *connection, const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

static void add_cors(const struct http_context *context, struct MHD_Connection *connection,
                     struct MHD_Response *response)
{
    const char *origin = cors_allowed_origin(context->cors, reply_request_header(connection, MHD_HTTP_HEADER_ORIGIN));

    if (origin) {
        MHD_add_response_header(response, MHD_HTTP_HEADER_ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        MHD_add_response_header(response, MHD_HTTP_HEADER_ACCESS_CONTROL_EXPOSE_HEADERS, CORS_EXPOSED_HEADERS);
        if (cors_allows_credentials(context->cors))
            MHD_add_response_header(response, MHD_HTTP_HEADER_ACCESS_CONTROL_ALLOW_CREDENTIALS, "true");
    }
    if (cors_varies(context->cors))
        MHD_add_response_header(response, MHD_HTTP_HEADER_VARY, "Origin");
}

enum MHD_Result reply_send(const struct http_context *context, struct MHD_Connection *connection,
                           const struct reply *reply)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(reply->size, (void *)(uintptr_t)reply->body, MHD_RESPMEM_MUST_COPY);
    char seconds[16];
    enum MHD_Result result;

    if (!response)
        return MHD_NO;
    if (reply->content_type)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, reply->content_type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (reply->allow)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, reply->allow);
    if (reply->is_gzip)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
    if (reply->varies_by_encoding)
        MHD_add_response_header(response, MHD_HTTP_HEADER_VARY, "Accept-Encoding");
    if (reply->closes)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    if (reply->challenge)
        MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, reply->challenge);
    if (reply->retry_after_seconds > 0) {
        snprintf(seconds, sizeof seconds, "%d", reply->retry_after_seconds);
        MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, seconds);
    }
    add_cors(context, connection, response);
    result = MHD_queue_response(connection, reply->status, response);
    MHD_destroy_response(response);
    return result;
}

enum MHD_Result reply_json(const struct http_context *context, struct MHD_Connection *connection, unsigned status,
                           struct json *json)
{
    static const char no_memory[] = "{\"error\":\"Service Unavailable\",\"message\":\"Out of memory\"}";
    struct reply reply = {.status = status, .content_type = "application/json; charset=utf-8"};
    enum MHD_Result result;

    reply.body = json ? json_text(json, &reply.size) : NULL;
    if (!reply.body) {
        reply.status = MHD_HTTP_SERVICE_UNAVAILABLE;
        reply.body = no_memory;
        reply.size = strlen(no_memory);
    }
    result = reply_send(context, connection, &reply);
    json_free(json);
    return result;
}

static const char *reason_phrase(unsigned status)
{
    switch (status) {
    case MHD_HTTP_BAD_REQUEST:
        return "Bad Request";
    case MHD_HTTP_UNAUTHORIZED:
        return "Unauthorized";
    case MHD_HTTP_FORBIDDEN:
        return "Forbidden";
    case MHD_HTTP_NOT_FOUND:
        return "Not Found";
    case MHD_HTTP_METHOD_NOT_ALLOWED:
        return "Method Not Allowed";
    case MHD_HTTP_NOT_ACCEPTABLE:
        return "Not Acceptable";
    case 413:
        return "Content Too Large";
    case 414:
        return "URI Too Long";
    case 429:
        return "Too Many Requests";
    case 503:
        return "Service Unavailable";
    default:
        return "Error";
    }
}

static enum MHD_Result send_error(const struct http_context *context, struct MHD_Connection *connection,
                                  const char *message, struct reply *reply)
{
    struct json *json = json_new();
    enum MHD_Result result;

    if (!json)
        return reply_json(context, connection, reply->status, NULL);
    json_begin_object(json);
    json_put_string(json, "error", reason_phrase(reply->status));
    json_put_string(json, "message", message);
    json_end_object(json);
    reply->content_type = "application/json; charset=utf-8";
    reply->body = json_text(json, &reply->size);
    result =
        reply->body ? reply_send(context, connection, reply) : reply_json(context, connection, reply->status, NULL);
    json_free(json);
    return result;
}

enum MHD_Result reply_error(const struct http_context *context, struct MHD_Connection *connection, unsigned status,
                            const char *message, enum metric metric)
{
    metrics_add(context->metrics, metric, 1);
    return send_error(context, connection, message, &(struct reply){.status = status});
}

int64_t reply_random(struct http_context *context, int64_t range)
{
    return range > 0 ? rand_r(&context->random) % range : 0;
}

int64_t reply_jittered(struct http_context *context, int64_t value)
{
    return value + reply_random(context, value);
}

enum MHD_Result reply_refusal(struct http_context *context, struct MHD_Connection *connection,
                              const struct refusal *refusal)
{
    struct reply reply = {.status = refusal->status};

    metrics_add(context->metrics, refusal->metric, 1);
    if (refusal->status == MHD_HTTP_UNAUTHORIZED)
        reply.challenge = auth_challenge(context->auth);
    if (refusal->retry_after_seconds > 0)
        reply.retry_after_seconds = (int)reply_jittered(context, refusal->retry_after_seconds);
    return send_error(context, connection, refusal->message, &reply);
}

enum MHD_Result reply_not_allowed(const struct http_context *context, struct MHD_Connection *connection,
                                  const char *allow)
{
    metrics_add(context->metrics, METRIC_ERROR_BAD_REQUEST, 1);
    return send_error(context, connection, "This path does not take that method; see the Allow header",
                      &(struct reply){.status = MHD_HTTP_METHOD_NOT_ALLOWED, .allow = allow});
}

enum MHD_Result reply_unavailable(const struct http_context *context, struct MHD_Connection *connection,
                                  const char *message, enum metric metric, int retry_after_seconds)
{
    metrics_add(context->metrics, metric, 1);
    return send_error(
        context, connection, message,
        &(struct reply){.status = MHD_HTTP_SERVICE_UNAVAILABLE, .retry_after_seconds = retry_after_seconds});
}

enum MHD_Result reply_options(const struct http_context *context, struct MHD_Connection *connection)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    enum MHD_Result result;

    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, CORS_ALLOWED_METHODS);
    MHD_add_response_header(response, MHD_HTTP_HEADER_ACCESS_CONTROL_ALLOW_METHODS, CORS_ALLOWED_METHODS);
    MHD_add_response_header(response, MHD_HTTP_HEADER_ACCESS_CONTROL_ALLOW_HEADERS, CORS_ALLOWED_HEADERS);
    MHD_add_response_header(response, MHD_HTTP_HEADER_ACCESS_CONTROL_MAX_AGE, CORS_MAX_AGE_SECONDS);
    add_cors(context, connection, response);
    result = MHD_queue_response(connection, MHD_HTTP_NO_CONTENT, response);
    MHD_destroy_response(response);
    return result;
}
