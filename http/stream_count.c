#include "http/stream_count.h"

#include "bridge/gap.h"
#include "core/clock.h"

void stream_count_deliveries(struct stream_context *context, struct batch *batch)
{
    int64_t now_ns;

    if (batch->deliveries == 0)
        return;
    now_ns = clock_monotonic_ns();
    for (int i = 0; i < batch->count; i++) {
        const struct frame *frame = batch->frames[i];

        if (frame_kind(frame) == FRAME_HOLE)
            metrics_add(context->metrics, gap_metric(gap_hole_reason(frame)), batch->deliveries);
        else if (frame_received_ns(frame) > 0)
            metrics_observe_latency(context->metrics, now_ns - frame_received_ns(frame), batch->deliveries);
    }
    metrics_add(context->metrics, METRIC_EVENTS_DELIVERED, batch->events * batch->deliveries);
    batch->deliveries = 0;
}

void stream_count_frame(struct stream_context *context, struct stream *stream, const struct frame *frame)
{
    if (frame_kind(frame) == FRAME_EVENT) {
        stream->events++;
        metrics_add(context->metrics, METRIC_EVENTS_DELIVERED, 1);
        if (frame_received_ns(frame) > 0 && stream->ready)
            metrics_observe_latency(context->metrics, clock_monotonic_ns() - frame_received_ns(frame), 1);
        if (!stream->ready) {
            stream->replayed++;
            metrics_add(context->metrics, METRIC_REPLAY_EVENTS, 1);
        }
        return;
    }
    stream->complete = false;
    metrics_add(context->metrics,
                frame_kind(frame) == FRAME_HOLE ? gap_metric(gap_hole_reason(frame)) : METRIC_GAP_REPLAY_UNAVAILABLE,
                1);
}
