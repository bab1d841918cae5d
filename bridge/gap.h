#ifndef SLUICE_BRIDGE_GAP_H
#define SLUICE_BRIDGE_GAP_H

#include <stdint.h>

#include "core/frame.h"
#include "core/metrics.h"

/* What clients are told where events are missing: docs/protocol.md, stream.gap. Any thread. */

enum gap_reason {
    GAP_NONE,
    GAP_EXPIRED,
    GAP_UNKNOWN_ID,
    GAP_SLOW_CONSUMER,
    GAP_SOURCE,
    GAP_RATE_LIMITED,
    GAP_REPLAY_UNAVAILABLE,
};

/* A count that nobody can know. */
enum { GAP_MISSED_UNKNOWN = -1 };

/*
 * How many events are missing between two places that should follow each other: 0; their number; or GAP_MISSED_UNKNOWN
 * where the numbering starts anew in between.
 */
int64_t gap_between(struct event_position before, const struct frame *next);

/* What a gap says. */
struct gap {
    enum gap_reason reason;
    const char *requested; /* the id that the client asked from, as it came; NULL: none */
    const char *oldest;    /* the id of the first event that is held; NULL: none is */
    int64_t missed;        /* or GAP_MISSED_UNKNOWN */
};

/* A whole stream.gap block as a control frame, with one reference. NULL: no memory. */
struct frame *gap_frame(const struct gap *gap);

/*
 * A hole in a company's order, with one reference: events behind `position`, or none in front of it, are missing, and nobody
 * knows how many. NULL: no memory.
 */
struct frame *gap_hole(enum gap_reason reason, struct event_position position);

/*
 * Why a hole was written: GAP_SOURCE or GAP_RATE_LIMITED. It is read from the hole's own data, so that a hole from the store
 * says the same as one from memory.
 */
enum gap_reason gap_hole_reason(const struct frame *hole);

/* The counter of gaps sent for that reason. */
enum metric gap_metric(enum gap_reason reason);

#endif
