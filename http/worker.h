#ifndef SLUICE_HTTP_WORKER_H
#define SLUICE_HTTP_WORKER_H

#include "bridge/bridge.h"
#include "core/config.h"
#include "core/log.h"
#include "core/metrics.h"
#include "http/registry.h"
#include "http/stream.h"

/*
 * A thread with one epoll set, one mailbox and sole ownership of its streams. Frames come from the bridge, sockets from
 * the front door.
 */
struct worker;

struct worker_options {
    const struct config *config;
    unsigned index;
    struct hub_worker *hub_worker; /* its mailbox is made by worker_new() and freed by worker_free() */
    struct registry *registry;
    struct log *log;
    struct metrics *metrics;
};

/* A worker that does not run yet. NULL: no memory or no descriptor. */
struct worker *worker_new(const struct worker_options *options);

/* Starts the thread. Returns 0 or -errno. */
int worker_start(struct worker *worker, struct bridge *bridge);

/*
 * Gives a request to the worker, which makes a stream of it and counts it out of the registry at its end. Any thread.
 * -EAGAIN or -ENOMEM: the worker cannot take it, and what the request owns is still the caller's.
 */
int worker_open(struct worker *worker, const struct stream_request *request);

/* Ends all streams in an orderly way, and those that still come. Any thread. */
void worker_drain(struct worker *worker);

/* Somebody was revoked or switched off: asks the pass of each stream whether it still stands. Any thread. */
void worker_review(struct worker *worker);

/* Closes what is left, and ends the thread. The bridge must still be there. */
void worker_stop(struct worker *worker);

/* Frees a worker that was stopped or never started. The bridge must be gone: it puts messages into the mailbox. */
void worker_free(struct worker *worker);

#endif
