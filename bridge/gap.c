#include "bridge/gap.h"

#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/json.h"

#define RATE_LIMITED "rate_limited"

int64_t gap_between(struct event_position before, const struct frame *next)
{
    struct event_position position = frame_position(next);
    /* A hole has the number of the event in front of it. */
    uint64_t step = frame_kind(next) == FRAME_HOLE ? 0 : 1;

    if (position.seq >= before.seq + step)
        return (int64_t)(position.seq - before.seq - step);
    /* Also where it starts with its first event: what the old numbering had in between is not known. */
    return GAP_MISSED_UNKNOWN;
}

static const char *reason_text(enum gap_reason reason)
{
    switch (reason) {
    case GAP_EXPIRED:
        return "expired";
    case GAP_UNKNOWN_ID:
        return "unknown_id";
    case GAP_SLOW_CONSUMER:
        return "slow_consumer";
    case GAP_SOURCE:
        return "source";
    case GAP_RATE_LIMITED:
        return RATE_LIMITED;
    case GAP_REPLAY_UNAVAILABLE:
        return "replay_unavailable";
    case GAP_NONE:
        break;
    }
    return "";
}

enum gap_reason gap_hole_reason(const struct frame *hole)
{
    static const char limited[] = "{\"reason\":\"" RATE_LIMITED "\"";
    size_t size;
    const char *bytes = frame_bytes(hole, false, &size);

    return memmem(bytes, size, limited, sizeof limited - 1) ? GAP_RATE_LIMITED : GAP_SOURCE;
}

enum metric gap_metric(enum gap_reason reason)
{
    switch (reason) {
    case GAP_EXPIRED:
        return METRIC_GAP_EXPIRED;
    case GAP_SLOW_CONSUMER:
        return METRIC_GAP_SLOW_CONSUMER;
    case GAP_SOURCE:
        return METRIC_GAP_SOURCE;
    case GAP_RATE_LIMITED:
        return METRIC_GAP_RATE_LIMITED;
    case GAP_REPLAY_UNAVAILABLE:
        return METRIC_GAP_REPLAY_UNAVAILABLE;
    case GAP_UNKNOWN_ID:
    case GAP_NONE:
        break;
    }
    return METRIC_GAP_UNKNOWN_ID;
}

/* As JSON, in memory of the caller (free()). NULL: no memory. */
static char *gap_data(const struct gap *gap)
{
    struct json *json = json_new();
    const char *text;
    char *copy = NULL;
    size_t size;

    if (!json)
        return NULL;
    json_begin_object(json);
    json_put_string(json, "reason", reason_text(gap->reason));
    json_put_string(json, "requested", gap->requested);
    json_put_string(json, "oldest", gap->oldest);
    if (gap->missed == GAP_MISSED_UNKNOWN)
        json_put_string(json, "missed", NULL);
    else
        json_put_number(json, "missed", gap->missed);
    json_end_object(json);
    text = json_text(json, &size);
    if (text)
        copy = strndup(text, size);
    json_free(json);
    return copy;
}

struct frame *gap_frame(const struct gap *gap)
{
    char *data = gap_data(gap);
    struct buffer block = buffer_make(4096);
    struct frame *frame = NULL;

    if (!data)
        return NULL;
    buffer_printf(&block, "event: %s\ndata: %s\n\n", FRAME_GAP_EVENT, data);
    if (!block.failed)
        frame = frame_new_control(block.data, block.size);
    buffer_release(&block);
    free(data);
    return frame;
}

struct frame *gap_hole(enum gap_reason reason, struct event_position position)
{
    char *data = gap_data(&(struct gap){.reason = reason, .missed = GAP_MISSED_UNKNOWN});
    struct frame *hole = NULL;

    if (data)
        hole = frame_new_event(&(struct frame_event){
            .kind = FRAME_HOLE,
            .subject = "hole",
            .event = FRAME_GAP_EVENT,
            .payload = data,
            .payload_size = strlen(data),
            .position = position,
        });
    free(data);
    return hole;
}
