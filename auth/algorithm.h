#ifndef SLUICE_AUTH_ALGORITHM_H
#define SLUICE_AUTH_ALGORITHM_H

#include <stddef.h>

/* The signature algorithms of JWS (RFC 7518, RFC 8037). "none" is not among them. Any thread may call. */
enum algorithm {
    ALGORITHM_HS256,
    ALGORITHM_HS384,
    ALGORITHM_HS512,
    ALGORITHM_RS256,
    ALGORITHM_RS384,
    ALGORITHM_RS512,
    ALGORITHM_PS256,
    ALGORITHM_PS384,
    ALGORITHM_PS512,
    ALGORITHM_ES256,
    ALGORITHM_ES384,
    ALGORITHM_ES512,
    ALGORITHM_EDDSA,
    ALGORITHM_COUNT,
    ALGORITHM_HMAC_COUNT = ALGORITHM_HS512 + 1, /* the first ones */
};

/* A set of algorithms: a bit for each. */
typedef unsigned algorithm_set;
#define ALGORITHM_BIT(algorithm) (1U << (algorithm))
#define ALGORITHM_ALL (ALGORITHM_BIT(ALGORITHM_COUNT) - 1)
#define ALGORITHM_HMAC \
    (ALGORITHM_BIT(ALGORITHM_HS256) | ALGORITHM_BIT(ALGORITHM_HS384) | ALGORITHM_BIT(ALGORITHM_HS512))
#define ALGORITHM_RSA                                                                                   \
    (ALGORITHM_BIT(ALGORITHM_RS256) | ALGORITHM_BIT(ALGORITHM_RS384) | ALGORITHM_BIT(ALGORITHM_RS512) | \
     ALGORITHM_BIT(ALGORITHM_PS256) | ALGORITHM_BIT(ALGORITHM_PS384) | ALGORITHM_BIT(ALGORITHM_PS512))

/* The algorithm of exactly that name (letter case matters), or ALGORITHM_COUNT. */
enum algorithm algorithm_find(const char *name, size_t size);

/* Such as "RS256". */
const char *algorithm_name(enum algorithm algorithm);

/* Those of a comma-separated list; names that are none are left out: the settings refuse them. */
algorithm_set algorithm_set_of(const char *list);

#endif
