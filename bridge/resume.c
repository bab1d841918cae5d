#include "bridge/resume.h"

#include "core/clock.h"

/* Whether the stream's place is older than all that the store shows. */
static bool is_before_held(struct event_position after, const struct store_page *stored)
{
    if (stored->oldest.ms > 0)
        return event_position_compare(after, stored->oldest) < 0;
    return event_position_compare(after, stored->head.position) < 0;
}

/* Whether events behind the place were held once, and are not any more. */
static bool is_expired(struct event_position after, const struct store_page *stored, int64_t ttl_ms)
{
    return event_position_compare(after, stored->head.floor) <= 0 || (int64_t)after.ms < clock_unix_ms() - ttl_ms;
}

/* The number of the first event that is held: by the store, else in memory, else the one to come. */
static uint64_t next_held(const struct company *company, const struct store_page *stored)
{
    /* A hole has the number of the event in front of it. */
    if (stored->oldest.ms > 0)
        return stored->oldest.seq + (stored->count > 0 && frame_kind(stored->frames[0]) == FRAME_HOLE &&
                                     event_position_compare(frame_position(stored->frames[0]), stored->oldest) == 0);
    return ring_before(company->recent, ring_begin(company->recent)).seq + 1;
}

/* Events between the place and the first that is held: known while the numbering is the same. */
static int64_t count_expired(const struct company *company, struct event_position after,
                             const struct store_page *stored)
{
    uint64_t next = next_held(company, stored);

    if (stored->head.since_ms == 0 || after.ms < stored->head.since_ms || next <= after.seq)
        return GAP_MISSED_UNKNOWN;
    return (int64_t)(next - after.seq - 1);
}

/*
 * What the stream must be told that wants all events behind a time, which the recent frames do not reach back to. The last
 * event that is lost may be the floor, whose time is known; otherwise it is somewhere in front of what is held.
 */
static enum gap_reason judge_since(const struct company *company, struct event_position after,
                                   const struct store_page *stored, int64_t *ret_missed)
{
    uint64_t next = next_held(company, stored);
    struct event_position held = ring_before(company->recent, ring_begin(company->recent));

    if (stored->oldest.ms > 0)
        held = stored->oldest;
    else if (stored->head.exists)
        held = stored->head.position;
    *ret_missed = GAP_MISSED_UNKNOWN;
    if (next > 1 && after.ms < stored->head.since_ms)
        *ret_missed = (int64_t)next - 1;
    if (event_position_compare(stored->head.floor, after) > 0)
        return GAP_EXPIRED;
    if (next > 1 && stored->head.floor.seq + 1 != next && event_position_compare(held, after) > 0)
        return GAP_EXPIRED;
    return next <= 1 && event_position_compare(company->floor, after) > 0 ? GAP_SOURCE : GAP_NONE;
}

enum gap_reason resume_judge(const struct company *company, const struct hub_read *read,
                             const struct store_page *stored, int64_t ttl_ms, int64_t *ret_missed)
{
    struct event_position after = read->after;

    *ret_missed = GAP_MISSED_UNKNOWN;
    if (read->since)
        return judge_since(company, after, stored, ret_missed);
    if (stored->exact || (stored->head.exists && event_position_compare(after, stored->head.position) == 0))
        return GAP_NONE;
    /* The last event that was trimmed: all behind it is held. */
    if (stored->head.floor.ms > 0 && event_position_compare(after, stored->head.floor) == 0)
        return GAP_NONE;
    if (event_id_is_start(read->requested)) {
        /* In front of the first event: nothing is missing as long as that one is held, or still to come. */
        uint64_t next = next_held(company, stored);

        if (next > 1 && stored->head.since_ms >= after.ms)
            *ret_missed = (int64_t)next - 1;
        if (next > 1 || event_position_compare(stored->head.floor, after) > 0)
            return GAP_EXPIRED;
        return event_position_compare(company->floor, after) > 0 ? GAP_SOURCE : GAP_NONE;
    }
    if (!is_before_held(after, stored) || !is_expired(after, stored, ttl_ms))
        return GAP_UNKNOWN_ID;
    *ret_missed = count_expired(company, after, stored);
    return GAP_EXPIRED;
}
