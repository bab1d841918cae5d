#include "auth/auth.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/config_value.h"

enum auth_mode { AUTH_NONE };

struct auth {
    enum auth_mode mode;
};

struct auth *auth_new(const struct config *config)
{
    struct auth *auth = calloc(1, sizeof *auth);

    /* The options table lets no other mode through. */
    if (auth && strcmp(config->auth_mode, "none") == 0)
        auth->mode = AUTH_NONE;
    return auth;
}

void auth_free(struct auth *auth)
{
    free(auth);
}

static int refuse(struct auth_refusal *ret_refusal, int status, const char *message)
{
    *ret_refusal = (struct auth_refusal){.status = status, .message = message};
    return -EACCES;
}

static int identify_by_request(const struct auth_request *request, struct identity *ret_identity,
                               struct auth_refusal *ret_refusal)
{
    if (!request->company || request->company_size == 0)
        return refuse(ret_refusal, 400, "companyId is required: add ?companyId=<id> to the URL");
    if (!config_is_company_id(request->company, request->company_size))
        return refuse(
            ret_refusal, 400,
            "companyId is malformed: it must be 1 to 128 characters of A-Za-z0-9._:- and begin with a letter or "
            "a digit");
    *ret_identity = (struct identity){.expires_ms = 0};
    memcpy(ret_identity->company, request->company, request->company_size);
    ret_identity->company[request->company_size] = '\0';
    return 0;
}

int auth_identify(const struct auth *auth, const struct auth_request *request, struct identity *ret_identity,
                  struct auth_refusal *ret_refusal)
{
    switch (auth->mode) {
    case AUTH_NONE:
        return identify_by_request(request, ret_identity, ret_refusal);
    }
    return refuse(ret_refusal, 401, "Credentials are required");
}
