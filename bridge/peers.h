#ifndef SLUICE_BRIDGE_PEERS_H
#define SLUICE_BRIDGE_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/live.h"

/* The other replicas that were heard lately, and what they said of themselves. Pure; part of the ownership. */
enum { PEERS_MAX = 64 };

struct peer {
    struct live_id id;
    int64_t heard_ns;
    uint64_t epoch; /* of the owner, as it knows */
    bool store_lost;
    bool has_hole;
    bool salvaged; /* has told the new owner all it heard */
};

/* Starts as zeros. */
struct peers {
    struct peer list[PEERS_MAX];
    size_t count;
};

/* One of them was heard. epoch: of the owner here, whom it may have told all it heard. */
void peers_note(struct peers *peers, const struct live_header *header, uint64_t epoch, int64_t received_ns);

/* That one has said that it ends. */
void peers_remove(struct peers *peers, struct live_id id);

/* Forgets those that were not heard for a while. */
void peers_forget(struct peers *peers, int64_t now_ns);

/* Whether one has the store; complete: one that has missed nothing, too. */
bool peers_have_store(const struct peers *peers, bool complete);

/* Whether one could own, and missed no messages. has_store: without it, one that has not got it can, too. */
bool peers_have_heir(const struct peers *peers, bool has_store);

/*
 * Whether the replica of that id goes on where there is no lease: the lowest id, of those who know the last owner. Who has just
 * come knows neither its epoch nor its events.
 */
bool peers_are_behind(const struct peers *peers, struct live_id id, uint64_t epoch);

/* A new owner asks all of them what they heard; whether all have told. */
void peers_begin_salvage(struct peers *peers);
bool peers_have_salvaged(const struct peers *peers);

#endif
