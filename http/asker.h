#ifndef SLUICE_HTTP_ASKER_H
#define SLUICE_HTTP_ASKER_H

#include <microhttpd.h>

#include "auth/gate.h"
#include "http/context.h"
#include "http/request.h"

/* Who sends a request, as far as the request tells: nothing of it is verified. libmicrohttpd's thread only. */
struct asker {
    struct address address;
    struct request_text company;
    struct auth_request auth;
    struct request_text ticket;
    const char *user_agent;
};

/*
 * Reads it. Returns 0; or -EACCES and why the request cannot be used. The address is there in every case; texts live as
 * long as the request.
 */
int asker_read(const struct http_context *context, struct MHD_Connection *connection, struct asker *ret_asker,
               struct refusal *ret_refusal);

/*
 * One line of log on a request for a stream or a ticket that was refused; message says which. identity: what is known of
 * it; NULL: nothing.
 */
void asker_log_refusal(const struct http_context *context, const struct asker *asker, const struct identity *identity,
                       const struct refusal *refusal, const char *message);

#endif
