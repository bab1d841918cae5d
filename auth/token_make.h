#ifndef SLUICE_AUTH_TOKEN_MAKE_H
#define SLUICE_AUTH_TOKEN_MAKE_H

#include <stddef.h>
#include <stdint.h>

#include "auth/algorithm.h"

/* What a token says. Texts are UTF-8; of what may be empty, or NULL, nothing is said then. */
struct token_content {
    enum algorithm algorithm; /* one of a secret: HS256, HS384 or HS512 */
    const char *company_claim;
    const char *company;
    const char *user_claim;
    const char *user;     /* may be NULL */
    const char *token_id; /* the claim `jti`, by which it can be revoked */
    const char *issuer;   /* may be empty */
    const char *audience; /* may be empty */
    int64_t issued_s;     /* Unix time */
    int64_t expires_s;
};

/*
 * A token (JWT, RFC 7519) that says it, signed with the secret. The text is the caller's, to be freed by free(). Returns 0;
 * -EINVAL or -ENOMEM: a text is not UTF-8, or memory is short. Any thread.
 */
int token_make(const struct token_content *content, const char *secret, size_t secret_size, char **ret_token);

#endif
