#ifndef SLUICE_HTTP_FRONT_DOOR_H
#define SLUICE_HTTP_FRONT_DOOR_H

#include <stdbool.h>
#include <stdint.h>

#include "auth/auth.h"
#include "auth/gate.h"
#include "bridge/bridge.h"
#include "core/config.h"
#include "core/log.h"
#include "core/metrics.h"
#include "http/registry.h"
#include "http/worker.h"

/*
 * The front door: libmicrohttpd on one thread accepts, parses, answers everything short, and gives the sockets of streams
 * to the workers.
 */
struct front_door;

struct front_door_options {
    const struct config *config;
    const char *bind_address;
    int64_t port;
    bool is_admin; /* stats, metrics and health alone, for everybody who reaches it */
    struct auth *auth;
    struct gate *gate;
    struct registry *registry;
    struct bridge *bridge;
    struct worker **workers;
    unsigned max_requests; /* connections in libmicrohttpd at the same time; streams have left it */
    struct log *log;
    struct metrics *metrics;
};

/* Listens and answers from here on. Returns 0 and the port, or -errno. */
int front_door_new(const struct front_door_options *options, struct front_door **ret_front_door, int *ret_port);

/* New streams are sent away with a retry: from here on, and readiness says no. Any thread. */
void front_door_drain(struct front_door *front_door);

/* Stops answering. The bridge must still be there. No stream reaches a worker afterwards. */
void front_door_free(struct front_door *front_door);

#endif
