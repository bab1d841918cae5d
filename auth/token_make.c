#include "auth/token_make.h"

#include <errno.h>
#include <jwt.h>
#include <string.h>

static int add_text(jwt_t *token, const char *claim, const char *text)
{
    return text && *text ? jwt_add_grant(token, claim, text) : 0;
}

/* libjwt's statuses are errno's, without the sign. */
static int fill(jwt_t *token, const struct token_content *content)
{
    int status = add_text(token, content->company_claim, content->company);

    if (status == 0)
        status = add_text(token, content->user_claim, content->user);
    if (status == 0)
        status = add_text(token, "jti", content->token_id);
    if (status == 0)
        status = add_text(token, "iss", content->issuer);
    if (status == 0)
        status = add_text(token, "aud", content->audience);
    if (status == 0)
        status = jwt_add_grant_int(token, "iat", content->issued_s);
    if (status == 0)
        status = jwt_add_grant_int(token, "exp", content->expires_s);
    return status;
}

int token_make(const struct token_content *content, const char *secret, size_t secret_size, char **ret_token)
{
    static const jwt_alg_t algorithms[ALGORITHM_HMAC_COUNT] = {
        [ALGORITHM_HS256] = JWT_ALG_HS256, [ALGORITHM_HS384] = JWT_ALG_HS384, [ALGORITHM_HS512] = JWT_ALG_HS512};
    jwt_t *token = NULL;
    char *text = NULL;
    int status = jwt_new(&token);

    if (status != 0)
        return -status;
    status = fill(token, content);
    if (status == 0)
        status = jwt_set_alg(token, algorithms[content->algorithm], (const unsigned char *)secret, (int)secret_size);
    if (status == 0)
        text = jwt_encode_str(token);
    jwt_free(token);
    if (!text)
        return status == 0 ? -ENOMEM : -status;
    *ret_token = text;
    return 0;
}
