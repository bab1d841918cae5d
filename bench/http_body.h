/*
 * Takes one HTTP/1.x response apart as it arrives, in pieces of any size: the head, then the body, chunked or
 * bare until close. It is strict about chunk framing, since the server under test writes that itself.
 */
#ifndef BENCH_HTTP_BODY_H
#define BENCH_HTTP_BODY_H

#include <stdbool.h>
#include <stddef.h>

struct http_body;

/* Receives body bytes, valid only during the call. Gives 0, or -errno to stop. */
typedef int http_body_sink(void *context, const char *bytes, size_t size);

/* Gives NULL without memory. The caller frees it. */
struct http_body *http_body_new(http_body_sink *sink, void *context);
void http_body_free(struct http_body *body);

/*
 * Decodes the next bytes. Gives 0, -EPROTO where they are not HTTP, -EMSGSIZE for a head above 16 KB, or what the
 * sink gave.
 */
int http_body_feed(struct http_body *body, const char *bytes, size_t size);

/* The response's status, 0 until its head is complete. */
int http_body_status(const struct http_body *body);

/* Whether the head says that the body is compressed by gzip. */
bool http_body_is_gzip(const struct http_body *body);

#endif
