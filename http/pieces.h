#ifndef SLUICE_HTTP_PIECES_H
#define SLUICE_HTTP_PIECES_H

#include <stddef.h>

#include "core/frame.h"
#include "core/gzip.h"
#include "core/metrics.h"

/*
 * The pieces of compressed streams (core/gzip.h) that a worker made last, so that streams which are to get the same frames
 * share one: those of a round, those with the same filter, those that come back to the same place.
 *
 * A piece is found by exactly the frames that it is made of, never by a company, a place or a filter: whoever gets one gets
 * the frames that were chosen for it without compression, no more and no fewer. One thread.
 */
struct pieces;

/* min_bytes: as gzip_new() takes it. NULL: no memory. */
struct pieces *pieces_new(size_t min_bytes, struct metrics *metrics);
void pieces_free(struct pieces *pieces);

/*
 * The piece of these frames, with a reference for the caller; made, unless it is held. Memory that runs out ends the process:
 * the stream could neither go on nor say what it misses.
 */
struct gzip_piece pieces_get(struct pieces *pieces, struct frame *const *frames, int count);

/*
 * The piece of a frame that is one stream's alone: made, and not held. It is stored as it is, never compressed, since what a
 * stream alone is told may hold a secret (a ticket) beside what its client sent (docs/security.md).
 */
struct gzip_piece pieces_store(struct pieces *pieces, struct frame *frame);

/* Lets all go that is held. */
void pieces_clear(struct pieces *pieces);

#endif
