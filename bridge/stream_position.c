#include "bridge/stream_position.h"

#define NS_PER_MS INT64_C(1000000)

struct stream_position stream_position_of(const struct stream_start *start)
{
    return (struct stream_position){.base = start->base, .place = start->place, .start_ns = start->from_ms * NS_PER_MS};
}

/* Behind all that the stream has. */
static void skip(struct stream_position *position, const struct stream_extent *extent)
{
    position->has_last = true;
    position->last = extent->last;
    position->stamp_ns = 0;
}

/*
 * The stream has less than was read of it: a server lost its last writes. The next messages get the sequences of those that
 * were read, so places count from now on. What was read, and what it has, is told apart by time.
 */
static bool shift(struct stream_position *position, const struct stream_extent *extent, uint64_t now_us)
{
    uint64_t end = position->base + position->last;

    position->base = now_us > end ? now_us : end;
    position->is_shifted = true;
    if (position->stamp_ns == 0) {
        skip(position, extent);
        return true;
    }
    position->has_last = false;
    position->start_ns = position->stamp_ns + 1;
    return false;
}

bool stream_position_locate(struct stream_position *position, const struct stream_extent *extent, uint64_t now_us,
                            int64_t *ret_dropped)
{
    bool is_other = extent->created_us > position->base;
    uint64_t place = position->place;
    bool has_hole = false;

    *ret_dropped = 0;
    if (is_other)
        position->base = extent->created_us;
    position->is_shifted = position->base > extent->created_us;
    position->place = 0;
    if (place > 0 && place >= position->base) {
        position->has_last = true;
        position->last = place - position->base;
    } else if (place > 0 && position->is_shifted) {
        skip(position, extent);
        has_hole = true;
    } else if (place > 0 || (is_other && position->has_last)) {
        position->has_last = true;
        position->last = 0;
        position->stamp_ns = 0;
        has_hole = true;
    }
    if (!position->has_last)
        return false;
    if (position->last > extent->last)
        return shift(position, extent, now_us) || has_hole;
    if (extent->first > position->last + 1) {
        /* Of a stream made anew it is not known what was lost with the one before. */
        *ret_dropped = has_hole ? 0 : (int64_t)(extent->first - position->last - 1);
        position->last = extent->first - 1;
        has_hole = true;
    }
    return has_hole;
}

uint64_t stream_position_advance(struct stream_position *position, uint64_t sequence, int64_t stamp_ns)
{
    uint64_t missing = position->has_last && sequence > position->last + 1 ? sequence - position->last - 1 : 0;

    position->has_last = true;
    position->last = sequence;
    position->stamp_ns = stamp_ns;
    return missing;
}
