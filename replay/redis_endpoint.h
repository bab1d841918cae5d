#ifndef SLUICE_REPLAY_REDIS_ENDPOINT_H
#define SLUICE_REPLAY_REDIS_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>

/* Where a server listens. */
struct redis_endpoint {
    char path[108]; /* of a socket; empty: host and port count */
    char host[256]; /* without the brackets of an IPv6 address */
    char port[6];
};

/* Takes a host and a port as another server writes them. Returns 0, or -EINVAL: they can be none. */
int redis_endpoint_make(const char *host, size_t host_size, const char *port, size_t port_size,
                        struct redis_endpoint *ret_endpoint);

bool redis_endpoint_equals(const struct redis_endpoint *a, const struct redis_endpoint *b);

#endif
