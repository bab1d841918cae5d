#ifndef SLUICE_CORE_RING_H
#define SLUICE_CORE_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/event_id.h"
#include "core/frame.h"

/*
 * The last frames of one company, in order. Each frame gets a slot number that never changes (0, 1, 2 …), so that a cursor
 * is a number: it stays valid while the ring grows and while frames leave at the front. One owner thread.
 */
struct ring;

/* An empty ring that begins behind `before`, the company's last place known when it was made. NULL: no memory. */
struct ring *ring_new(struct event_position before);
void ring_free(struct ring *ring);

/* Adds a frame and takes a reference of its own. Returns 0 or -ENOMEM. */
int ring_push(struct ring *ring, struct frame *frame);

/* Drops the frames in front of slot `begin`. */
void ring_trim(struct ring *ring, uint64_t begin);

/* The first slot held, and the one behind the last. Equal when the ring is empty. */
uint64_t ring_begin(const struct ring *ring);
uint64_t ring_end(const struct ring *ring);

/* The frame in a held slot; the ring keeps the reference. */
struct frame *ring_frame(const struct ring *ring, uint64_t slot);

/* The place of the frame in front of `slot`, also where that frame has just left the ring. slot: ring_begin() to ring_end(). */
struct event_position ring_before(const struct ring *ring, uint64_t slot);

/* Bytes of the frames held in slots from..to. */
size_t ring_bytes(const struct ring *ring, uint64_t from, uint64_t to);

/*
 * The slot of the first frame behind `position`. ret_exact says whether exactly that place is held, or is the one that the
 * ring begins behind: then nothing between it and the slot is missing.
 */
uint64_t ring_find(const struct ring *ring, struct event_position position, bool *ret_exact);

#endif
