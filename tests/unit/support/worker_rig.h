#ifndef SLUICE_TESTS_WORKER_RIG_H
#define SLUICE_TESTS_WORKER_RIG_H

#include "core/config.h"
#include "http/channel.h"
#include "http/registry.h"
#include "http/stream.h"
#include "http/worker.h"
#include "support/bridge_rig.h"
#include "support/fake_socket.h"

/*
 * A real worker (http/worker.c and all below it) whose loop the test turns by hand, and doubles of bridge.h's functions
 * that queue what workers ask: the test says when the bridge sees it.
 */
struct worker_rig;

struct worker_rig_options {
    unsigned index;
    struct hub_worker *hub_worker;
    struct registry *registry;
    struct metrics *metrics;
    int64_t buffer_events;
    int64_t buffer_bytes;
    int64_t recent_events;
    int64_t recent_bytes;
    bool refill;
    int64_t drain_spread_seconds;
    int64_t max_stream_age_seconds;
};

struct worker_rig *worker_rig_new(const struct worker_rig_options *options);

/* Closes what is open, and frees. */
void worker_rig_free(struct worker_rig *rig);

/* The clients that connect from here on bring a token that expires at that Unix time; 0: none. */
void worker_rig_expire(struct worker_rig *rig, int64_t expires_ms);

/* The clients that connect from here on get events whose names match the pattern; NULL: all. */
void worker_rig_filter(struct worker_rig *rig, const char *pattern);

/* The clients that connect from here on, without an id, want all events since that Unix time; 0: none. */
void worker_rig_since(struct worker_rig *rig, int64_t since_ms);

/* Whether the clients that connect from here on get compressed streams. */
void worker_rig_compress(struct worker_rig *rig, bool gzip);

/* Whether a turn has time for one stream that is to be pumped, or for all of them. */
void worker_rig_press(struct worker_rig *rig, bool is_pressed);

/* A request comes from the front door: the worker sees it in its mailbox. requested: the client's id; NULL: none. */
void worker_rig_open(struct worker_rig *rig, struct fake_socket *socket, const char *company, bool chunked,
                     const char *requested);

/* One turn of the worker's loop; with the sockets' events, or before they are seen. */
void worker_rig_turn(struct worker_rig *rig, struct fake_socket *const *sockets, size_t count);

void worker_rig_drain(struct worker_rig *rig);
void worker_rig_review(struct worker_rig *rig);

/* Messages and frames that the worker took and has not handled. */
bool worker_rig_is_busy(const struct worker_rig *rig);

/* The worker's stream on that socket; NULL: none (yet, or any more). */
struct stream *worker_rig_stream(struct worker_rig *rig, const struct fake_socket *socket);
struct channel *worker_rig_channel(struct worker_rig *rig, const char *company);

/* What workers asked the bridge, in order: how many wait, and the next one carried out. */
size_t worker_rig_asked(void);
void worker_rig_answer(struct bridge_rig *bridge);
void worker_rig_forget_asked(void);

#endif
