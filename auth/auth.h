#ifndef SLUICE_AUTH_AUTH_H
#define SLUICE_AUTH_AUTH_H

#include <stddef.h>
#include <stdint.h>

#include "core/config.h"

/*
 * From a request to an identity: who asks, and for which company. The only place that decides it. With AUTH_MODE=none
 * everybody may have every company, and the company is the one asked for.
 */
struct auth;

/* What a request brings along. The strings need to live only during the call. */
struct auth_request {
    const char *company; /* asked for; NULL: none */
    size_t company_size; /* bytes, which may hold a NUL */
};

enum { IDENTITY_TEXT_SIZE = 129 };

/* Who asks, and what for. A text that is not known is empty. */
struct identity {
    char company[IDENTITY_TEXT_SIZE];
    char user[IDENTITY_TEXT_SIZE];
    char session[IDENTITY_TEXT_SIZE];
    char token_id[IDENTITY_TEXT_SIZE];
    char key_id[IDENTITY_TEXT_SIZE]; /* the API key's name, never the key */
    int64_t expires_ms;              /* Unix time from which it is void; 0: never */
};

/* Why not: what the answer says. The strings are constant. */
struct auth_refusal {
    int status; /* 400, 401 or 403 */
    const char *message;
};

/* NULL: no memory. */
struct auth *auth_new(const struct config *config);
void auth_free(struct auth *auth);

/* Returns 0 and the identity, or -EACCES and the refusal. Any thread. */
int auth_identify(const struct auth *auth, const struct auth_request *request, struct identity *ret_identity,
                  struct auth_refusal *ret_refusal);

#endif
