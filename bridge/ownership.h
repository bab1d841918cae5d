#ifndef SLUICE_BRIDGE_OWNERSHIP_H
#define SLUICE_BRIDGE_OWNERSHIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/live.h"
#include "bridge/peers.h"
#include "core/log.h"
#include "core/metrics.h"
#include "replay/store.h"

/*
 * Who numbers the events: one replica at a time, the owner of the intake. It holds a lease in the store, and is heard over
 * NATS several times a second. Another takes over when both have ended: the lease, and its being heard. The epoch counts
 * owners; what an owner of a lower epoch sends is ignored.
 *
 * An owner may number while either a renewal of its lease or an echo of its own voice is so recent that nobody else can have
 * begun: by its own clock, so that a process that was stopped for a while knows. While the store is away everybody goes on
 * hearing the owner, and so it goes on. Without an owner and without the store, the replica with the lowest id goes on alone.
 *
 * Everything here belongs to the bridge's thread; times are clock_monotonic_ns(). It knows no company and no event.
 */
struct ownership;

struct ownership_options {
    struct live_id id;
    struct store *store; /* for the lease; one in memory: this process owns for ever */
    /* Sends a message to all replicas, this one too: fills in what it knows (stored_ms, hole_ms, lag_ms, has_hole). */
    void (*send)(void *context, struct live_header *header);
    /* This replica numbers from here on; or does not any more. */
    void (*began)(void *context);
    void (*ended)(void *context);
    void *context;
    struct log *log;
    struct metrics *metrics;
};

/* NULL: no memory. */
struct ownership *ownership_new(const struct ownership_options *options);

/* The store must be gone: it may call back while it is freed. */
void ownership_free(struct ownership *ownership);

enum ownership_hearing {
    OWNERSHIP_STALE,  /* from an owner that is none any more: to be ignored */
    OWNERSHIP_HEARD,  /* as it should be */
    OWNERSHIP_MISSED, /* likewise, but batches of events in front of it were not heard */
};

/*
 * Takes note of any message of the live subject, our own included, in their order. Of LIVE_FRAMES the answer says whether they are to
 * be taken: not when they are stale.
 */
enum ownership_hearing ownership_hear(struct ownership *ownership, const struct live_header *header,
                                      int64_t received_ns);

/* What is asked of it at each turn of the thread. */
struct ownership_turn {
    int64_t now_ns;
    bool connected;     /* to NATS, which has our subscriptions */
    bool caught_up;     /* nothing that came from NATS is still to be heard */
    bool may_have_hole; /* messages were missed of which no owner has been heard since: others are better owners */
};

/* Keeps the lease, claims it, is heard. */
void ownership_run(struct ownership *ownership, const struct ownership_turn *turn);

/* Says at once who owns, or is here: in front of what a replica that has just come would not listen to else. */
void ownership_announce(struct ownership *ownership);

/* When the next turn is due at the latest. */
int64_t ownership_deadline_ns(const struct ownership *ownership);

/* The intake is this replica's, and it may number now. Where it may not any more, it ends. */
bool ownership_may_number(struct ownership *ownership, int64_t now_ns);

bool ownership_is_owner(const struct ownership *ownership);

/* It has just begun, and hears what others heard of the owner before, and it did not. */
bool ownership_is_salvaging(const struct ownership *ownership);

/* There never are others: the store is this process's own. */
bool ownership_is_alone(const struct ownership *ownership);

/* Whether an owner is known, this replica or another. */
bool ownership_has_owner(const struct ownership *ownership);

/* Whether others are there, and how many have been heard lately. */
size_t ownership_peers(const struct ownership *ownership);

/*
 * Whether others may be there: not only those that were heard. One that is stopped for a moment says nothing, and keeps its
 * messages; so who has just come is not sure to be alone before such a one would have been heard.
 */
bool ownership_may_have_peers(const struct ownership *ownership);

/* Whether one of them could own now, and missed nothing. */
bool ownership_has_heir(const struct ownership *ownership);

/* Their ids, `max` of them at most. Returns how many. */
size_t ownership_list_peers(const struct ownership *ownership, struct live_id *ret_ids, size_t max);
enum { OWNERSHIP_PEERS_MAX = PEERS_MAX };

/* Whether that replica, or this one, is the owner as far as it is known. */
bool ownership_is_owned_by(const struct ownership *ownership, struct live_id id);

/* The number of the next batch of this owner's epoch, and of the last one. */
uint64_t ownership_next_batch(struct ownership *ownership);
uint64_t ownership_last_batch(const struct ownership *ownership);

/* The epoch of the owner as far as it is known, and the last batch heard of it. */
uint64_t ownership_epoch(const struct ownership *ownership);
uint64_t ownership_heard_batch(const struct ownership *ownership);

/* While it is salvaging: the epoch of the owner heard before. */
uint64_t ownership_former_epoch(const struct ownership *ownership);

/* WELCOME was heard: batches up to there are not missed any more. */
void ownership_set_heard_batch(struct ownership *ownership, uint64_t batch);

/* Gives the intake up, for others to take it at once. reason: for the log. */
void ownership_release(struct ownership *ownership, const char *reason);

/* The clean end: gives it up if it is ours, and never takes it again. */
void ownership_retire(struct ownership *ownership);

#endif
