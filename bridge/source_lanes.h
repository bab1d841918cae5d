#ifndef SLUICE_BRIDGE_SOURCE_LANES_H
#define SLUICE_BRIDGE_SOURCE_LANES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/lane.h"
#include "bridge/source.h"

/* The source's lanes, and the hole that stands in them in front of each connection's first message. A value; under its owner's lock. */
struct source_lanes {
    struct lane *list[SOURCE_LANES];
    int64_t
        seen_connects; /* the present connection's count of reconnects when a hole was last written for one; -1: none */
};

/* False: no memory or descriptor; what there is goes with source_lanes_release() all the same. */
bool source_lanes_init(struct source_lanes *lanes, size_t max_items, size_t max_bytes);

/* Frees the messages inside, too. Twice is fine. */
void source_lanes_release(struct source_lanes *lanes);

/* Another connection begins: nothing is known of its reconnects. */
void source_lanes_reset(struct source_lanes *lanes);

/* A connection begins here that has been made anew so often: what was published before was missed, events and all else. */
void source_lanes_begin(struct source_lanes *lanes, int64_t connects);

/*
 * Adds a message, of which the taker learns by lane_unlock(). False: there was no room for it, and where it was an event, that is
 * written down; it stays the caller's.
 */
bool source_lanes_add(struct source_lanes *lanes, enum source_lane lane, const struct source_item *item, size_t bytes);

#endif
