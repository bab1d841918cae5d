#include "bridge/source_lanes.h"

#include "core/clock.h"

bool source_lanes_init(struct source_lanes *lanes, size_t max_items, size_t max_bytes)
{
    bool complete = true;

    source_lanes_reset(lanes);
    for (int i = 0; i < SOURCE_LANES; i++) {
        lanes->list[i] = lane_new(max_items, max_bytes);
        complete = complete && lanes->list[i];
    }
    return complete;
}

void source_lanes_release(struct source_lanes *lanes)
{
    for (int i = 0; i < SOURCE_LANES; i++) {
        lane_free(lanes->list[i]);
        lanes->list[i] = NULL;
    }
}

void source_lanes_reset(struct source_lanes *lanes)
{
    lanes->seen_connects = -1;
}

void source_lanes_begin(struct source_lanes *lanes, int64_t connects)
{
    lanes->seen_connects = connects;
    for (int i = 0; i < SOURCE_LANES; i++)
        lane_add_hole(lanes->list[i], clock_monotonic_ns(), 0);
}

bool source_lanes_add(struct source_lanes *lanes, enum source_lane lane, const struct source_item *item, size_t bytes)
{
    bool kept = lane_add(lanes->list[lane], item, bytes);

    /* What replicas tell each other is counted by them. */
    if (!kept && lane == SOURCE_EVENTS)
        lane_add_hole(lanes->list[lane], clock_monotonic_ns(), 1);
    return kept;
}
