#ifndef SLUICE_AUTH_JWT_CLAIMS_H
#define SLUICE_AUTH_JWT_CLAIMS_H

#include "auth/jwt.h"

/*
 * Reads the payload of a token whose signature is good, and checks it by the rules. Returns JWT_OK and claims with one
 * reference, or why not. Any thread.
 */
enum jwt_reason jwt_claims_read(const struct jwt_rules *rules, const char *payload, size_t size, int64_t now_s,
                                struct jwt_claims **ret_claims);

#endif
