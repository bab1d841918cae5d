#ifndef SLUICE_REPLAY_REDIS_URL_H
#define SLUICE_REPLAY_REDIS_URL_H

#include "replay/redis_endpoint.h"

enum { REDIS_SERVERS_MAX = 16 };

/* What the servers of a URL are: the one Redis, those who know which one is the master, or some nodes of a cluster. */
enum redis_topology { REDIS_ALONE, REDIS_SENTINEL, REDIS_CLUSTER };

/*
 * The parts of
 *   redis://[[user:]password@]host[:port][/database], or of unix://[[user:]password@]/path[?db=database], likewise
 *   redis+unix://;
 *   redis+sentinel://[[user:]password@]host[:port][,host[:port]...]/master[/database], user and password being the master's;
 *   redis+cluster://[[user:]password@]host[:port][,host[:port]...].
 * With rediss in front all of them but sockets are reached by TLS.
 */
struct redis_url {
    enum redis_topology topology;
    bool secure; /* by TLS */
    size_t server_count;
    struct redis_endpoint servers[REDIS_SERVERS_MAX];
    char master[128]; /* its name among Sentinels; else empty */
    char *user;       /* NULL: none */
    char *password;   /* NULL: none */
    int database;
};

/* Returns 0, -EINVAL (not such a URL) or -ENOMEM. redis_url_release() is due after 0 only. */
int redis_url_parse(const char *text, struct redis_url *ret_url);

/* Overwrites the password and frees. */
void redis_url_release(struct redis_url *url);

#endif
