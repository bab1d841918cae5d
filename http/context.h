#ifndef SLUICE_HTTP_CONTEXT_H
#define SLUICE_HTTP_CONTEXT_H

#include <stdatomic.h>
#include <stdbool.h>

#include "auth/auth.h"
#include "auth/gate.h"
#include "bridge/bridge.h"
#include "core/config.h"
#include "core/log.h"
#include "core/metrics.h"
#include "core/prefix.h"
#include "http/cors.h"
#include "http/registry.h"
#include "http/suspensions.h"
#include "http/worker.h"

/* What answering a request needs. Made by the front door; its thread alone uses it, but for what says otherwise. */
struct http_context {
    const struct config *config;
    struct auth *auth;
    struct gate *gate;
    struct prefix_list *trusted_proxies;
    struct suspensions *suspensions;
    struct cors *cors;
    struct registry *registry;
    struct bridge *bridge;
    struct worker **workers;
    struct stats_page *stats_page;
    struct log *log;
    struct metrics *metrics;
    bool is_admin; /* for administrators alone: no streams, and no credentials asked for */
    unsigned random;
    atomic_bool draining; /* set by the main thread */
};

#endif
