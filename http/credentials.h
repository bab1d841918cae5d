#ifndef SLUICE_HTTP_CREDENTIALS_H
#define SLUICE_HTTP_CREDENTIALS_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>

#include "http/cors.h"

/*
 * What a request brings along to say who asks, found where browsers and programs can put it. Nothing is verified here. The
 * texts live as long as the request, and must never reach a log, a metric or an answer.
 */
struct credentials {
    const char *token; /* NULL: none */
    size_t token_size;
    const char *api_key; /* NULL: none */
    size_t api_key_size;
};

struct credential_places {
    const char *cookie;      /* name of the cookie that may hold a token; "": none */
    bool query;              /* whether ?access_token= is taken */
    const struct cors *cors; /* whose pages may use the cookie */
};

/* Why the credentials cannot be used. */
enum credential_fault {
    CREDENTIALS_OK,
    CREDENTIALS_REPEATED,       /* a header, parameter or cookie is there more than once */
    CREDENTIALS_SCHEME,         /* an Authorization header of another scheme than Bearer (RFC 6750, 2.1) */
    CREDENTIALS_QUERY_DISABLED, /* access_token in the query, where that is not allowed */
    CREDENTIALS_FOREIGN_PAGE,   /* the cookie came with a request of a page that CORS_ORIGINS does not name */
};

/*
 * Takes the token out of the Authorization header, else the cookie, else the query; and the key out of x-api-key.
 * libmicrohttpd's thread only.
 */
enum credential_fault credentials_read(struct MHD_Connection *connection, const struct credential_places *places,
                                       struct credentials *ret_credentials);

/*
 * The value of the cookie in a Cookie header (RFC 6265, 5.4) of that size. Returns how often it is there; the value is the
 * first.
 */
unsigned credentials_find_cookie(const char *header, size_t size, const char *name, const char **ret_value,
                                 size_t *ret_size);

#endif
