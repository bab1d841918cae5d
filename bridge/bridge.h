#ifndef SLUICE_BRIDGE_BRIDGE_H
#define SLUICE_BRIDGE_BRIDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/census.h"
#include "bridge/hub.h"
#include "core/config.h"
#include "core/log.h"
#include "core/metrics.h"
#include "replay/store.h"

/*
 * The bridge's thread: takes messages from NATS, numbers them, keeps the replay store in step, and gives frames to the
 * workers. Workers and pages ask it through the functions below, from any thread; answers come as hub messages (hub.h)
 * into the worker's mailbox.
 */
struct bridge;

/* What those who revoke access publish to. Every replica gets every message; only what is trusted may publish there. */
#define BRIDGE_CONTROL_SUBJECT "sluice.control.revoke"

struct bridge_options {
    const struct config *config;
    struct hub_worker *workers; /* must outlive the bridge */
    unsigned worker_count;
    /*
     * Called for each message on BRIDGE_CONTROL_SUBJECT, on a thread of the NATS library that events wait for: it must not
     * wait. From within bridge_new() until bridge_free() returns. NULL: there is no such subscription.
     */
    void (*on_control)(void *context, const char *payload, size_t size);
    void *control_context;
    struct census_streams streams; /* open here; listed from within bridge_new() until bridge_free() returns */
    int64_t
        replay_from_ms; /* the stream is read from that Unix time on, to refill a store; 0: from where it was left */
    struct log *log;
    struct metrics *metrics;
};

/* Starts the thread, and begins to connect to NATS and Redis. Returns 0 or -errno. */
int bridge_new(const struct bridge_options *options, struct bridge **ret_bridge);

/*
 * Waits until NATS is connected and the replay store is there, for a moment: whoever streams from then on misses nothing of
 * the start. Not for longer than timeout_ms, since either may be away for hours.
 */
void bridge_await_start(struct bridge *bridge, int timeout_ms);

/*
 * Stops taking messages from NATS, and waits until those that came are numbered, with the workers, and in the replay
 * store, until deadline_ns on clock_monotonic_ns() at the latest. Streams go on. Returns the number of events that the
 * replay store does not hold.
 */
int64_t bridge_drain(struct bridge *bridge, int64_t deadline_ns);

/* Whether the stream was read to its end, and all of it is in the replay store. */
bool bridge_is_at_end(const struct bridge *bridge);

/* Companies of which this process has numbered events; known once the above is true. */
int64_t bridge_numbered_companies(const struct bridge *bridge);

/* Ends the thread and frees. The workers' mailboxes must still be there. */
void bridge_free(struct bridge *bridge);

/* Subscribes a worker to a company: one HUB_SNAPSHOT, then HUB_EVENTS. */
void bridge_subscribe(struct bridge *bridge, unsigned worker, const char *company, void *token);

/* Ends a subscription: one HUB_UNSUBSCRIBED, behind its last event. */
void bridge_unsubscribe(struct bridge *bridge, unsigned worker, const char *company, void *token);

/* Asks for a page of a company's history: one HUB_PAGE. */
void bridge_read(struct bridge *bridge, const char *company, const struct hub_read *read);

/* A worker that was behind has caught up. */
void bridge_wake(struct bridge *bridge);

/* Counts what the replay store holds. done is called once, on the bridge's thread: -EAGAIN without the store. */
void bridge_count_events(struct bridge *bridge, store_count_done done, void *context);

/* Counts the open streams of all replicas. done is called once, on the bridge's thread: census.h. */
void bridge_count_streams(struct bridge *bridge, census_done done, void *context);

enum bridge_replay { BRIDGE_REPLAY_MEMORY, BRIDGE_REPLAY_REDIS };

/* How replays are served, and whether everything can be replayed now. Any thread. */
enum bridge_replay bridge_replay_kind(const struct bridge *bridge);
bool bridge_replay_ok(const struct bridge *bridge);
bool bridge_nats_connected(const struct bridge *bridge);

/* Whether it has begun: since then somebody numbers what NATS gives, and this replica could take over from him. Any thread. */
bool bridge_has_begun(const struct bridge *bridge);

/* Whether this replica numbers the events, and how many others were heard lately. Any thread. */
bool bridge_is_owner(const struct bridge *bridge);
int64_t bridge_peers(const struct bridge *bridge);

/* Whether this replica does not hear itself over NATS, nor any other: permissions are missing. Any thread. */
bool bridge_is_deaf(const struct bridge *bridge);

/*
 * Whether the stream that events come from can be read, and streams begin: not before what was in it is numbered. By core NATS:
 * always.
 */
bool bridge_stream_ok(const struct bridge *bridge);

#endif
