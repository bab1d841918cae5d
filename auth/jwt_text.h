#ifndef SLUICE_AUTH_JWT_TEXT_H
#define SLUICE_AUTH_JWT_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "auth/algorithm.h"

enum { JWT_TEXT_MAX_BYTES = 8192, JWT_KID_SIZE = 257 };

/*
 * The form of a token, looked at before anything else and before any library sees it: a compact JWS of three non-empty
 * base64url segments with a header that this program understands. Nothing in it is to be trusted yet.
 */
struct jwt_text {
    enum algorithm algorithm;
    bool has_kid;
    char kid[JWT_KID_SIZE];
    const char *signing_input; /* within the caller's token */
    size_t signing_input_size;
    const unsigned char *signature;
    size_t signature_size;
    const char *payload; /* bytes, not yet known to be JSON */
    size_t payload_size;
    unsigned char *memory;
};

/*
 * Takes size bytes, which need not end with a NUL. Returns 0 and the parts (jwt_text_release() is then due), -EINVAL
 * (malformed, or with a header that must not be ignored, such as crit), -ENOTSUP (well-formed, but `alg` is no algorithm
 * of ours: none, for example), or -ENOMEM. Any thread.
 */
int jwt_text_parse(const char *token, size_t size, struct jwt_text *ret_text);
void jwt_text_release(struct jwt_text *text);

#endif
