#include "http/ticket_page.h"

#include <stdlib.h>
#include <string.h>

#include "auth/pass.h"
#include "http/asker.h"
#include "http/reply.h"

enum { RETRY_AFTER_SECONDS = 5 };

struct ticket_request {
    struct http_context *context;
    struct MHD_Connection *connection;
    char ticket[TICKET_TEXT_SIZE];
    int64_t seconds;
    int status; /* written by the gate's thread, before the connection is resumed */
};

static enum MHD_Result refuse_for_now(struct http_context *context, struct MHD_Connection *connection)
{
    return reply_unavailable(context, connection, "Tickets cannot be kept now; try again later", METRIC_ERROR_RESOURCES,
                             (int)reply_jittered(context, RETRY_AFTER_SECONDS));
}

static void on_kept(void *context, int status)
{
    struct ticket_request *request = context;

    request->status = status;
    suspensions_end(request->context->suspensions, request->connection);
}

static enum MHD_Result issue(struct http_context *context, struct MHD_Connection *connection,
                             const struct identity *identity, struct ticket_request **ret_request)
{
    struct ticket_request *request = calloc(1, sizeof *request);

    if (!request)
        return refuse_for_now(context, connection);
    request->context = context;
    request->connection = connection;
    if (!suspensions_begin(context->suspensions, connection)) {
        free(request);
        return refuse_for_now(context, connection);
    }
    *ret_request = request;
    if (pass_issue_ticket(context->gate, identity, request->ticket, &request->seconds, on_kept, request) < 0)
        on_kept(request, -1);
    return MHD_YES;
}

enum MHD_Result ticket_page(struct http_context *context, struct MHD_Connection *connection,
                            struct ticket_request **ret_request)
{
    struct identity identity = {.expires_ms = 0};
    enum MHD_Result result;
    struct refusal refusal;
    struct asker asker;
    int status = asker_read(context, connection, &asker, &refusal);

    if (status == 0)
        status = gate_admit(context->gate, &asker.address, &refusal);
    if (status == 0)
        status = gate_identify(context->gate, &asker.auth, &identity, &refusal);
    if (status == 0) {
        result = issue(context, connection, &identity, ret_request);
    } else {
        asker_log_refusal(context, &asker, &identity, &refusal);
        result = reply_refusal(context, connection, &refusal);
    }
    identity_release(&identity);
    return result;
}

enum MHD_Result ticket_page_go_on(struct http_context *context, struct MHD_Connection *connection,
                                  const struct ticket_request *request)
{
    struct json *json;

    if (request->status < 0)
        return refuse_for_now(context, connection);
    json = json_new();
    if (json) {
        json_begin_object(json);
        json_put_string(json, "ticket", request->ticket);
        json_put_number(json, "expiresIn", request->seconds);
        json_end_object(json);
    }
    return reply_json(context, connection, MHD_HTTP_OK, json);
}

void ticket_request_free(struct ticket_request *request)
{
    free(request);
}
