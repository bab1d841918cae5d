#ifndef SLUICE_AUTH_JWKS_FETCH_H
#define SLUICE_AUTH_JWKS_FETCH_H

#include <stdint.h>

#include "core/buffer.h"

/*
 * Requests for one URL, one at a time, by libcurl: http and https only, also after redirects, which keep the scheme. The
 * last answer's ETag goes with the next request. One owner thread, apart from jwks_fetch_cancel().
 */
struct jwks_fetch;

struct jwks_fetch_limits {
    long connect_timeout_ms;
    long timeout_ms; /* of the whole request */
};

enum jwks_fetch_result {
    JWKS_FETCHED,
    JWKS_UNCHANGED, /* as the ETag has it */
    JWKS_FAILED,
    JWKS_CANCELLED,
};

struct jwks_answer {
    const char *body; /* of JWKS_FETCHED; valid until the next call */
    size_t size;
    int64_t max_age_s; /* what Cache-Control says: -1: nothing, 0: not to be kept */
    const char *error; /* of JWKS_FAILED: why; valid until the next call */
};

/* NULL: no memory, or libcurl does not start. */
struct jwks_fetch *jwks_fetch_new(const char *url, const struct jwks_fetch_limits *limits);
void jwks_fetch_free(struct jwks_fetch *fetch);

/* Waits for the answer. */
enum jwks_fetch_result jwks_fetch_run(struct jwks_fetch *fetch, struct jwks_answer *ret_answer);

/* What the last answer held was good: only then is its ETag sent next time. */
void jwks_fetch_accept(struct jwks_fetch *fetch);

/* Ends the request under way, and all later ones, at once. Any thread. */
void jwks_fetch_cancel(struct jwks_fetch *fetch);

#endif
