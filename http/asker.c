#include "http/asker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "auth/client_address.h"
#include "core/buffer.h"
#include "core/config_value.h"
#include "http/credentials.h"
#include "http/reply.h"

/* All lines of a header in their order, joined by commas: a proxy's own may be the second one. */
struct joined {
    const char *name;
    struct buffer text;
};

static enum MHD_Result join(void *context, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct joined *joined = context;

    (void)kind;
    if (strcasecmp(name, joined->name) != 0)
        return MHD_YES;
    if (joined->text.size > 0)
        buffer_append_text(&joined->text, ",");
    buffer_append_text(&joined->text, value ? value : "");
    return MHD_YES;
}

/* The header's text, ended by a NUL; NULL: there is none. One that is too long is `unknown`: not believed. */
static const char *read_joined(struct MHD_Connection *connection, struct joined *joined)
{
    MHD_get_connection_values(connection, MHD_HEADER_KIND, join, joined);
    if (joined->text.failed)
        return "unknown";
    if (joined->text.size == 0)
        return NULL;
    buffer_append(&joined->text, "", 1);
    return joined->text.failed ? "unknown" : joined->text.data;
}

static struct address read_address(const struct http_context *context, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    struct address peer = address_from_sockaddr(info ? info->client_addr : NULL);
    struct joined forwarded = {.name = "Forwarded", .text = buffer_make(CLIENT_ADDRESS_MAX_BYTES)};
    struct joined x_forwarded_for = {.name = "X-Forwarded-For", .text = buffer_make(CLIENT_ADDRESS_MAX_BYTES)};
    struct client_address_headers headers;
    struct address address;

    if (!*context->config->trusted_proxies)
        return peer;
    headers.forwarded = read_joined(connection, &forwarded);
    headers.x_forwarded_for = read_joined(connection, &x_forwarded_for);
    address = client_address_find(context->trusted_proxies, &peer, &headers);
    buffer_release(&forwarded.text);
    buffer_release(&x_forwarded_for.text);
    return address;
}

static int refuse_fault(enum credential_fault fault, struct refusal *ret_refusal)
{
    switch (fault) {
    case CREDENTIALS_REPEATED:
        return refusal_set(ret_refusal, 400, "repeated_credentials", "Credentials are given more than once");
    case CREDENTIALS_SCHEME:
        return refusal_set(ret_refusal, 401, "wrong_scheme", "Authorization must be: Bearer <token>");
    case CREDENTIALS_QUERY_DISABLED:
        return refusal_set(ret_refusal, 400, "query_token",
                           "Tokens are not taken from the query here: get a ticket from POST /stream/ticket, or set "
                           "ALLOW_QUERY_TOKEN=true");
    case CREDENTIALS_FOREIGN_PAGE:
        return refusal_set(ret_refusal, 403, "foreign_page",
                           "The cookie came with a request of a page that CORS_ORIGINS does not name");
    case CREDENTIALS_OK:
        break;
    }
    return 0;
}

/* Whether it is our business: what a proxy in front of us was sent is not. */
static bool matters(const struct http_context *context, enum credential_fault fault)
{
    const char *mode = context->config->auth_mode;

    if (fault == CREDENTIALS_OK || strcmp(mode, "none") == 0)
        return false;
    return fault != CREDENTIALS_SCHEME || config_list_has(mode, "jwt");
}

int asker_read(const struct http_context *context, struct MHD_Connection *connection, struct asker *ret_asker,
               struct refusal *ret_refusal)
{
    struct credential_places places = {
        .cookie = context->config->auth_cookie, .query = context->config->allow_query_token, .cors = context->cors};
    struct credentials credentials;
    enum credential_fault fault;

    *ret_asker = (struct asker){.address = read_address(context, connection),
                                .company = request_parameter(connection, "companyId"),
                                .ticket = request_parameter(connection, "ticket"),
                                .user_agent = reply_request_header(connection, MHD_HTTP_HEADER_USER_AGENT)};
    if (ret_asker->company.count > 1)
        return refusal_set(ret_refusal, 400, "repeated_company", "companyId is given more than once");
    if (ret_asker->ticket.count > 1)
        return refusal_set(ret_refusal, 400, "repeated_credentials", "ticket is given more than once");
    fault = credentials_read(connection, &places, &credentials);
    if (matters(context, fault))
        return refuse_fault(fault, ret_refusal);
    if (fault != CREDENTIALS_OK)
        credentials.token = NULL;
    ret_asker->auth = (struct auth_request){.company = ret_asker->company.text,
                                            .company_size = ret_asker->company.size,
                                            .token = credentials.token,
                                            .token_size = credentials.token_size,
                                            .api_key = credentials.api_key,
                                            .api_key_size = credentials.api_key_size};
    return 0;
}

void asker_log_refusal(const struct http_context *context, const struct asker *asker, const struct identity *identity,
                       const struct refusal *refusal, const char *message)
{
    const struct identity nobody = {.company = "", .user = "", .session = "", .token_id = "", .key_id = ""};
    char address[ADDRESS_TEXT_SIZE];
    char company[IDENTITY_TEXT_SIZE] = "";

    if (!identity)
        identity = &nobody;
    /* What was asked for says more than what the credentials are for. */
    if (asker->company.text)
        snprintf(company, sizeof company, "%s", asker->company.text);
    else
        strcpy(company, identity->company);
    address_format(&asker->address, address);
    log_write(context->log, LOG_LEVEL_INFO, message,
              LOG_FIELDS(log_text("reason", refusal->reason), log_number("status", refusal->status),
                         log_known("companyId", company), log_known("userId", identity->user),
                         log_known("sessionId", identity->session), log_known("keyId", identity->key_id),
                         log_known("tokenId", identity->token_id), log_text("address", address)));
}
