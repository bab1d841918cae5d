#include "http/pages.h"

#include <inttypes.h>
#include <stdlib.h>

#include "core/clock.h"
#include "http/reply.h"

enum {
    METRICS_MAX_BYTES = 8 * 1024 * 1024,
    COMPANIES_SHOWN_MAX = 1000, /* one time series each: more would cost the Prometheus that reads them */
};

/* What is missing, and what to do. */
static const char deaf_text[] = "permissions in NATS to publish and to subscribe to sluice.live.<REPLICA_GROUP> are "
                                "missing: replicas do not hear each other";

static void put_timestamp(struct json *json)
{
    char now[CLOCK_RFC3339_SIZE];

    clock_format_rfc3339(clock_unix_ms(), now);
    json_put_string(json, "timestamp", now);
}

static void put_nats(const struct http_context *context, struct json *json, bool connected)
{
    json_begin_object(json);
    json_put_bool(json, "connected", connected);
    if (*context->config->nats_stream) {
        json_put_string(json, "stream", context->config->nats_stream);
        json_put_string(json, "streamState", bridge_stream_ok(context->bridge) ? "ok" : "unavailable");
    }
    json_end_object(json);
}

static void put_health(const struct http_context *context, struct json *json, const char *status, bool nats,
                       bool replay)
{
    json_begin_object(json);
    json_put_string(json, "status", status);
    json_key(json, "streaming");
    json_begin_object(json);
    json_put_bool(json, "enabled", context->config->streaming_enabled);
    json_put_number(json, "activeConnections", registry_connections(context->registry));
    json_put_number(json, "activeCompanies", registry_companies(context->registry));
    json_end_object(json);
    json_key(json, "nats");
    put_nats(context, json, nats);
    json_key(json, "replay");
    json_begin_object(json);
    json_put_string(json, "store", bridge_replay_kind(context->bridge) == BRIDGE_REPLAY_MEMORY ? "memory" : "redis");
    json_put_string(json, "state", replay ? "ok" : "lost");
    json_end_object(json);
    json_key(json, "replica");
    json_begin_object(json);
    json_put_bool(json, "owner", bridge_is_owner(context->bridge));
    json_put_number(json, "peers", bridge_peers(context->bridge));
    if (bridge_is_deaf(context->bridge))
        json_put_string(json, "problem", deaf_text);
    json_end_object(json);
    put_timestamp(json);
    json_end_object(json);
}

enum MHD_Result page_health(const struct http_context *context, struct MHD_Connection *connection)
{
    bool nats = bridge_nats_connected(context->bridge);
    bool deaf = bridge_is_deaf(context->bridge);
    /* Who numbers goes on alone; who does not hears nothing at all. */
    bool live = nats && bridge_stream_ok(context->bridge) && (!deaf || bridge_is_owner(context->bridge));
    bool replay = bridge_replay_ok(context->bridge);
    struct json *json = json_new();
    const char *status = "ok";

    if (!live)
        status = "unavailable";
    else if (!replay || deaf)
        status = "degraded";
    if (json)
        put_health(context, json, status, nats, replay);
    return reply_json(context, connection, live ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, json);
}

static enum MHD_Result send_status(const struct http_context *context, struct MHD_Connection *connection,
                                   unsigned status, const char *text, const char *reason)
{
    struct json *json = json_new();

    if (json) {
        json_begin_object(json);
        json_put_string(json, "status", text);
        if (reason)
            json_put_string(json, "reason", reason);
        put_timestamp(json);
        json_end_object(json);
    }
    return reply_json(context, connection, status, json);
}

enum MHD_Result page_live(const struct http_context *context, struct MHD_Connection *connection)
{
    return send_status(context, connection, MHD_HTTP_OK, "ok", NULL);
}

enum MHD_Result page_ready(const struct http_context *context, struct MHD_Connection *connection)
{
    if (atomic_load(&context->draining))
        return send_status(context, connection, MHD_HTTP_SERVICE_UNAVAILABLE, "unavailable", "draining");
    if (!bridge_nats_connected(context->bridge))
        return send_status(context, connection, MHD_HTTP_SERVICE_UNAVAILABLE, "unavailable", "NATS is not connected");
    if (bridge_is_deaf(context->bridge) && !bridge_is_owner(context->bridge))
        return send_status(context, connection, MHD_HTTP_SERVICE_UNAVAILABLE, "unavailable", deaf_text);
    if (!bridge_has_begun(context->bridge))
        return send_status(context, connection, MHD_HTTP_SERVICE_UNAVAILABLE, "unavailable", "starting");
    return send_status(context, connection, MHD_HTTP_OK, "ok", NULL);
}

/* Company ids hold no character that a label would have to escape. */
static void write_companies(const struct http_context *context, struct buffer *text)
{
    struct registry_count *counts = NULL;
    ptrdiff_t count = registry_list(context->registry, COMPANIES_SHOWN_MAX, &counts);

    buffer_append_text(text, "# HELP sluice_company_connections Open streams, by company (the first 1000).\n"
                             "# TYPE sluice_company_connections gauge\n");
    for (ptrdiff_t i = 0; i < count; i++)
        buffer_printf(text, "sluice_company_connections{company=\"%s\"} %" PRId64 "\n", counts[i].company,
                      counts[i].connections);
    buffer_printf(text,
                  "# HELP sluice_active_companies Companies with open streams.\n"
                  "# TYPE sluice_active_companies gauge\n"
                  "sluice_active_companies %" PRId64 "\n",
                  registry_companies(context->registry));
    buffer_printf(text,
                  "# HELP sluice_build_info The version that runs.\n"
                  "# TYPE sluice_build_info gauge\n"
                  "sluice_build_info{version=\"%s\"} 1\n",
                  SLUICE_VERSION);
    free(counts);
}

enum MHD_Result page_metrics(const struct http_context *context, struct MHD_Connection *connection)
{
    struct buffer text = buffer_make(METRICS_MAX_BYTES);
    struct reply reply = {.status = MHD_HTTP_OK, .content_type = "text/plain; version=0.0.4; charset=utf-8"};
    enum MHD_Result result;

    metrics_write(context->metrics, &text);
    write_companies(context, &text);
    reply.body = text.data;
    reply.size = text.size;
    if (text.failed)
        result = reply_json(context, connection, MHD_HTTP_SERVICE_UNAVAILABLE, NULL);
    else
        result = reply_send(context, connection, &reply);
    buffer_release(&text);
    return result;
}
