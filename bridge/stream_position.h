#ifndef SLUICE_BRIDGE_STREAM_POSITION_H
#define SLUICE_BRIDGE_STREAM_POSITION_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/stream_reader.h"

/*
 * Where a reader stands in its stream, and what that means in the stream as it is now: pure, a value. Sequences and places
 * as in stream_reader.h.
 */
struct stream_position {
    uint64_t base;    /* what places count from; 0: not known yet */
    bool is_shifted;  /* and that is not when the stream was made */
    bool has_last;    /* a last message is known */
    uint64_t last;    /* its sequence */
    int64_t stamp_ns; /* its time; 0: not known */
    int64_t start_ns; /* when none is known: the time of the first message wanted */
    uint64_t place;   /* where to begin, until that is found; 0: it is */
};

/* The stream as it is. */
struct stream_extent {
    uint64_t created_us;
    uint64_t first; /* sequence of the first message that it holds; of an empty one, behind the last or 0 */
    uint64_t last;  /* of the last one that it ever held */
};

struct stream_position stream_position_of(const struct stream_start *start);

/*
 * Finds the position in the stream, which may have lost its beginning, or its end, or be another one than before. Returns
 * whether messages are missing in front of the next one, or may be; *ret_dropped is how many are known to be.
 */
bool stream_position_locate(struct stream_position *position, const struct stream_extent *extent, uint64_t now_us,
                            int64_t *ret_dropped);

/* A message came. Returns how many between it and the last one are missing. */
uint64_t stream_position_advance(struct stream_position *position, uint64_t sequence, int64_t stamp_ns);

#endif
