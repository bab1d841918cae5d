#ifndef SLUICE_HTTP_TICKET_PAGE_H
#define SLUICE_HTTP_TICKET_PAGE_H

#include <microhttpd.h>

#include "http/context.h"

/*
 * POST /stream/ticket: a ticket for EventSource, which can send no headers. It goes with credentials like those of a
 * stream, a ticket apart. libmicrohttpd's thread only.
 */

/* A request whose ticket is being kept. */
struct ticket_request;

/*
 * Answers; or suspends the connection and sets ret_request: ticket_page_go_on() is due when the handler is called again.
 */
enum MHD_Result ticket_page(struct http_context *context, struct MHD_Connection *connection,
                            struct ticket_request **ret_request);
enum MHD_Result ticket_page_go_on(struct http_context *context, struct MHD_Connection *connection,
                                  const struct ticket_request *request);

/* For a connection that has ended. NULL is fine. */
void ticket_request_free(struct ticket_request *request);

#endif
