#ifndef SLUICE_HTTP_CONTEXT_H
#define SLUICE_HTTP_CONTEXT_H

#include <stdatomic.h>
#include <stdbool.h>

#include "auth/auth.h"
#include "bridge/bridge.h"
#include "core/config.h"
#include "core/log.h"
#include "core/metrics.h"
#include "http/cors.h"
#include "http/registry.h"
#include "http/worker.h"

/* What answering a request needs. Made by the front door; its thread alone uses it, but for what says otherwise. */
struct http_context {
    const struct config *config;
    const struct auth *auth;
    struct cors *cors;
    struct registry *registry;
    struct bridge *bridge;
    struct worker **workers;
    struct stats_page *stats_page;
    struct log *log;
    struct metrics *metrics;
    unsigned random;
    atomic_bool draining; /* set by the main thread */
};

#endif
