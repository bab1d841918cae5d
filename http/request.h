#ifndef SLUICE_HTTP_REQUEST_H
#define SLUICE_HTTP_REQUEST_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>

/* What requests say, read strictly. libmicrohttpd's thread only; texts live as long as the request. */

/* One value, which may hold any byte. */
struct request_text {
    const char *text; /* NULL: not there */
    size_t size;
    unsigned count; /* how often it is there; the text is the first */
};

/* A query parameter, percent-decoded; or a header. */
struct request_text request_parameter(struct MHD_Connection *connection, const char *name);
struct request_text request_header(struct MHD_Connection *connection, const char *name);

/*
 * Decodes a part of the URL in place, for libmicrohttpd. An encoded NUL becomes another control character: a text would end
 * there, and `acme%00evil` would be taken for `acme`. Returns the new size.
 */
size_t request_unescape(char *text);

/* Whether the request announces a body, of any length but 0. */
bool request_has_body(struct MHD_Connection *connection);

/* Whether it could be read in two ways: more than one Host, Content-Length or Transfer-Encoding, or the last two both. */
bool request_is_ambiguous(struct MHD_Connection *connection);

/*
 * Whether a header is none to those who read strictly, and another one to those who don't: a name that is no token, a control
 * character in a value, a line that goes on in the next one. What stands behind a NUL cannot be seen: libmicrohttpd drops it.
 */
bool request_has_odd_header(struct MHD_Connection *connection);

/* Whether the Accept header (RFC 9110, 12.5.1; NULL: none) lets a response be text/event-stream. */
bool request_accepts_event_stream(const char *accept);

/*
 * Whether the Accept-Encoding header (RFC 9110, 12.5.3; NULL: none) asks for gzip, and does not rather have the response as
 * it is. What cannot be read asks for nothing: a response that is not compressed is one that every client understands.
 */
bool request_accepts_gzip(const char *accept_encoding);

#endif
