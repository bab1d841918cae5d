#ifndef SLUICE_HTTP_STREAM_OPEN_H
#define SLUICE_HTTP_STREAM_OPEN_H

#include <microhttpd.h>
#include <stdbool.h>

#include "http/context.h"

/*
 * GET /stream/updates: checks the request and gives its socket to a worker (architecture.md, "Giving the socket away").
 * Returns MHD_NO when it did: libmicrohttpd then closes its own descriptor and forgets the connection. Otherwise an answer
 * is queued. libmicrohttpd's thread only; the head deadline must be disarmed.
 */
enum MHD_Result stream_open(struct http_context *context, struct MHD_Connection *connection, const char *version,
                            bool is_head);

#endif
