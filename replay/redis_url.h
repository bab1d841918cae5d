#ifndef SLUICE_REPLAY_REDIS_URL_H
#define SLUICE_REPLAY_REDIS_URL_H

#include <stdbool.h>

/*
 * The parts of redis://[[user:]password@]host[:port][/database], likewise rediss:// for TLS, or of
 * unix://[[user:]password@]/path[?db=database], likewise redis+unix://.
 */
struct redis_url {
    bool secure;    /* by TLS */
    char path[108]; /* of a socket; empty: host and port count */
    char host[256]; /* without the brackets of an IPv6 address */
    char port[6];
    char *user;     /* NULL: none */
    char *password; /* NULL: none */
    int database;
};

/* Returns 0, -EINVAL (not such a URL) or -ENOMEM. redis_url_release() is due after 0 only. */
int redis_url_parse(const char *text, struct redis_url *ret_url);

/* Overwrites the password and frees. */
void redis_url_release(struct redis_url *url);

#endif
