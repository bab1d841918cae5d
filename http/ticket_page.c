#include "http/ticket_page.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "auth/pass.h"
#include "http/asker.h"
#include "http/reply.h"

enum { RETRY_AFTER_SECONDS = 5 };

struct ticket_request {
    struct http_context *context;
    struct MHD_Connection *connection;
    struct identity *identity;
    char ticket[TICKET_TEXT_SIZE];
    int64_t seconds;
    int status; /* written by the gate's thread, before the connection is resumed */
};

/* Each ticket opens a stream for whoever has it: the log says to whom it was given, and to whom not. */

static void log_issued(const struct http_context *context, const struct asker *asker,
                       const struct ticket_request *request)
{
    const struct identity *identity = request->identity;
    char address[ADDRESS_TEXT_SIZE];

    address_format(&asker->address, address);
    log_write(context->log, LOG_LEVEL_INFO, "Ticket issued",
              LOG_FIELDS(log_text("companyId", identity->company), log_known("userId", identity->user),
                         log_known("sessionId", identity->session), log_known("keyId", identity->key_id),
                         log_known("tokenId", identity->token_id), log_text("address", address),
                         log_number("expiresIn", request->seconds)));
}

static enum MHD_Result refuse(struct http_context *context, struct MHD_Connection *connection,
                              const struct asker *asker, const struct identity *identity, const struct refusal *refusal)
{
    asker_log_refusal(context, asker, identity, refusal, "Ticket refused");
    return reply_refusal(context, connection, refusal);
}

static enum MHD_Result refuse_for_now(struct http_context *context, struct MHD_Connection *connection,
                                      const struct asker *asker, const struct identity *identity)
{
    struct refusal refusal;

    (void)refusal_set_for_now(&refusal, "unavailable", "Tickets cannot be kept now; try again later",
                              RETRY_AFTER_SECONDS);
    return refuse(context, connection, asker, identity, &refusal);
}

static void on_kept(void *context, int status)
{
    struct ticket_request *request = context;

    request->status = status;
    suspensions_end(request->context->suspensions, request->connection);
}

static enum MHD_Result issue(struct http_context *context, struct MHD_Connection *connection, const struct asker *asker,
                             struct identity *identity, struct ticket_request **ret_request)
{
    struct ticket_request *request = calloc(1, sizeof *request);

    if (!request)
        return refuse_for_now(context, connection, asker, identity);
    request->context = context;
    request->connection = connection;
    request->identity = identity_ref(identity);
    if (!suspensions_begin(context->suspensions, connection)) {
        ticket_request_free(request);
        return refuse_for_now(context, connection, asker, identity);
    }
    *ret_request = request;
    if (pass_issue_ticket(context->gate, identity, request->ticket, &request->seconds, on_kept, request) < 0)
        on_kept(request, -EBUSY);
    return MHD_YES;
}

enum MHD_Result ticket_page(struct http_context *context, struct MHD_Connection *connection,
                            struct ticket_request **ret_request)
{
    struct identity *identity = NULL;
    enum MHD_Result result;
    struct refusal refusal;
    struct asker asker;
    int status = asker_read(context, connection, &asker, &refusal);

    if (status == 0)
        status = gate_admit(context->gate, &asker.address, &refusal);
    if (status == 0)
        status = gate_identify(context->gate, &asker.auth, &identity, &refusal);
    if (status == 0)
        status = pass_admit_ticket(context->gate, identity, &asker.address, &refusal);
    if (status == 0)
        result = issue(context, connection, &asker, identity, ret_request);
    else
        result = refuse(context, connection, &asker, identity, &refusal);
    identity_unref(identity);
    return result;
}

enum MHD_Result ticket_page_go_on(struct http_context *context, struct MHD_Connection *connection,
                                  const struct ticket_request *request)
{
    struct refusal refusal;
    struct asker asker;
    struct json *json;

    (void)asker_read(context, connection, &asker, &refusal); /* it was good before */
    if (request->status < 0)
        return refuse_for_now(context, connection, &asker, request->identity);
    log_issued(context, &asker, request);
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
    if (!request)
        return;
    identity_unref(request->identity);
    free(request);
}
