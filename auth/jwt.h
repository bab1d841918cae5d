#ifndef SLUICE_AUTH_JWT_H
#define SLUICE_AUTH_JWT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/algorithm.h"
#include "auth/key_set.h"

enum { JWT_MAX_COMPANIES = 64, JWT_COMPANY_SIZE = 129, JWT_NAME_SIZE = 129 };

/* Why a token is refused. */
enum jwt_reason {
    JWT_OK,
    JWT_MALFORMED,
    JWT_ALGORITHM, /* not allowed, or it does not fit the key */
    JWT_UNKNOWN_KEY, /* no key of that kid, or no keys at all: perhaps the keys were changed, and are to be fetched anew */
    JWT_SIGNATURE,
    JWT_EXPIRED,
    JWT_NOT_YET_VALID,
    JWT_ISSUER,
    JWT_AUDIENCE,
    JWT_CLAIMS, /* one is missing or of the wrong kind */
    JWT_NO_MEMORY,
    JWT_REASON_COUNT,
};

/* What a token must say. The strings stay the caller's; an empty or NULL one asks for nothing. */
struct jwt_rules {
    algorithm_set algorithms; /* allowed; 0: all that fit the keys */
    const char *issuer;
    const char *audience;
    int64_t leeway_seconds;
    bool exp_is_required;
    const char *company_claim; /* a name, or a path such as org.id; likewise the next three */
    const char *user_claim;
    const char *session_claim;
    const char *admin_claim;
    const char *admin_value;
};

/* What a verified token said. Never changes, shared by an atomic reference count: any thread. */
struct jwt_claims {
    char user[JWT_NAME_SIZE]; /* empty: none; UTF-8 without control characters; likewise the next two */
    char session[JWT_NAME_SIZE];
    char token_id[JWT_NAME_SIZE]; /* jti */
    bool is_admin;
    int64_t expires_at_s; /* Unix time at which it is not valid any more, leeway included; INT64_MAX: never */
    size_t company_count; /* 0 only for an administrator */
    char companies[][JWT_COMPANY_SIZE];
};

struct jwt_claims *jwt_claims_ref(struct jwt_claims *claims);
void jwt_claims_unref(struct jwt_claims *claims);

/* Whether the token is for that company. */
bool jwt_claims_has_company(const struct jwt_claims *claims, const char *company);

/*
 * Verifies a token at now_s (Unix time). Returns JWT_OK and claims with one reference, or why not. keys may be NULL: none
 * are known yet. Any thread.
 */
enum jwt_reason jwt_verify(const struct jwt_rules *rules, const struct key_set *keys, const char *token, size_t size,
                           int64_t now_s, struct jwt_claims **ret_claims);

/* For the client: a constant sentence without anything of the token. */
const char *jwt_reason_message(enum jwt_reason reason);

/* For logs and labels, such as "unknown_key". */
const char *jwt_reason_name(enum jwt_reason reason);

#endif
