#ifndef SLUICE_HTTP_PAGES_H
#define SLUICE_HTTP_PAGES_H

#include <microhttpd.h>

#include "http/context.h"

/* The pages for operators that are answered at once. libmicrohttpd's thread only. */

/* GET /stream/health: 200 while live events can flow, 503 when they cannot. */
enum MHD_Result page_health(const struct http_context *context, struct MHD_Connection *connection);

/* GET /stream/health/live: the process runs. */
enum MHD_Result page_live(const struct http_context *context, struct MHD_Connection *connection);

/* GET /stream/health/ready: 200 while it should get traffic: not draining, NATS connected, and begun (bridge.h). */
enum MHD_Result page_ready(const struct http_context *context, struct MHD_Connection *connection);

/* GET /metrics: Prometheus text. */
enum MHD_Result page_metrics(const struct http_context *context, struct MHD_Connection *connection);

#endif
