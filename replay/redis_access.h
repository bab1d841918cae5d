#ifndef SLUICE_REPLAY_REDIS_ACCESS_H
#define SLUICE_REPLAY_REDIS_ACCESS_H

#include "replay/redis_tls.h"

struct config;

/* Where Redis is, and how we come in. */
struct redis_access {
    const char *url;
    const char *password;               /* instead of one in the URL; NULL or empty: the URL's */
    const char *password_file;          /* read again for each connection; NULL: none */
    const char *sentinel_password;      /* for the Sentinels of the URL; NULL or empty: they ask for none */
    const char *sentinel_password_file; /* likewise */
    struct redis_tls_options tls;       /* for rediss; its host is that of each server */
    int timeout_ms;                     /* to connect, and for each answer */
};

/* As the settings say; the texts stay theirs. */
struct redis_access redis_access_of(const struct config *config);

#endif
