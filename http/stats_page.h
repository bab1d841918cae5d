#ifndef SLUICE_HTTP_STATS_PAGE_H
#define SLUICE_HTTP_STATS_PAGE_H

#include <microhttpd.h>
#include <stdbool.h>

#include "http/context.h"

/*
 * GET /stream/stats. The counts of the replay store, and of the streams of all replicas, come from the bridge's thread, and
 * may take a while: the connection is suspended meanwhile, and the front door goes on with others. One round of counting
 * runs at a time, for all who had asked before it began.
 */
struct stats_page;
struct stats_request;

struct stats_page *stats_page_new(struct bridge *bridge, struct suspensions *suspensions);

/* All that was asked must be answered: suspensions_close() sees to that. */
void stats_page_free(struct stats_page *page);

/* Suspends the connection and asks. The handler is called again when the counts are there. NULL: not now, or no memory. */
struct stats_request *stats_page_ask(struct stats_page *page, struct MHD_Connection *connection);

/* Answers a request whose counts are there. company: whose numbers to show; NULL: everybody's. */
enum MHD_Result stats_page_answer(const struct http_context *context, struct MHD_Connection *connection,
                                  const struct stats_request *request, const char *company);
void stats_request_free(struct stats_request *request);

#endif
