#ifndef SLUICE_HTTP_STREAM_OPEN_H
#define SLUICE_HTTP_STREAM_OPEN_H

#include <microhttpd.h>
#include <stdbool.h>

#include "http/context.h"

/*
 * GET /stream/updates: checks the request and gives its socket to a worker (architecture.md, "The socket hand-over").
 * libmicrohttpd's thread only; the head deadline must be disarmed.
 */

/* A request that waits for its pass. */
struct stream_opening;

/*
 * Returns MHD_NO when it gave the socket away: libmicrohttpd then closes its own descriptor and forgets the connection.
 * Otherwise an answer is queued; or the connection is suspended, ret_opening is set, and stream_open_go_on() is due when
 * the handler is called again.
 */
enum MHD_Result stream_open(struct http_context *context, struct MHD_Connection *connection, const char *version,
                            bool is_head, struct stream_opening **ret_opening);

/* Takes over *opening, and sets it to NULL. Returns as above. */
enum MHD_Result stream_open_go_on(struct http_context *context, struct MHD_Connection *connection, const char *version,
                                  bool is_head, struct stream_opening **opening);

/* For a connection that libmicrohttpd gave up. NULL is fine. */
void stream_opening_free(struct stream_opening *opening);

#endif
