#ifndef SLUICE_HTTP_REPLY_H
#define SLUICE_HTTP_REPLY_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/json.h"
#include "http/context.h"

/* Short answers through libmicrohttpd. Its thread only. */
struct reply {
    unsigned status;
    const char *content_type;
    const char *body;
    size_t size;
    const char *allow;       /* NULL: no such header */
    const char *challenge;   /* WWW-Authenticate; likewise */
    int retry_after_seconds; /* 0: no such header */
    bool closes;             /* the connection ends with the answer */
    bool varies_by_encoding; /* Vary: Accept-Encoding */
    bool is_gzip;            /* Content-Encoding: gzip */
};

/* Queues the answer; the body is copied. */
enum MHD_Result reply_send(const struct http_context *context, struct MHD_Connection *connection,
                           const struct reply *reply);

/* Queues a JSON document and frees it. A NULL document (no memory) is answered with 503. */
enum MHD_Result reply_json(const struct http_context *context, struct MHD_Connection *connection, unsigned status,
                           struct json *json);

/* Likewise for somebody who is refused: with Retry-After or WWW-Authenticate where they help. */
enum MHD_Result reply_refusal(struct http_context *context, struct MHD_Connection *connection,
                              const struct refusal *refusal);

/* A random number of 0 to range - 1; of a range of 0, 0. */
int64_t reply_random(struct http_context *context, int64_t range);

/* A number of seconds between value and twice that, so that clients refused together do not come back together. */
int64_t reply_jittered(struct http_context *context, int64_t value);

/* Queues `{"error":<reason phrase>,"message":<message>}`, and counts it. */
enum MHD_Result reply_error(const struct http_context *context, struct MHD_Connection *connection, unsigned status,
                            const char *message, enum metric metric);

/* Likewise with an Allow header (405), or with Retry-After (503). */
enum MHD_Result reply_not_allowed(const struct http_context *context, struct MHD_Connection *connection,
                                  const char *allow);
enum MHD_Result reply_unavailable(const struct http_context *context, struct MHD_Connection *connection,
                                  const char *message, enum metric metric, int retry_after_seconds);

/* Answers a preflight, or OPTIONS at all: 204. */
enum MHD_Result reply_options(const struct http_context *context, struct MHD_Connection *connection);

/* The value of a request header, or NULL. */
const char *reply_request_header(struct MHD_Connection *connection, const char *name);

#endif
