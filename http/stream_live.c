#include "http/stream_live.h"

#include "http/channel.h"
#include "http/stream_count.h"
#include "http/stream_filter.h"
#include "http/stream_io.h"

bool stream_has_missed(const struct stream *stream)
{
    return stream->missed > 0 || stream->missed_unknown;
}

bool stream_is_plain(const struct stream *stream)
{
    return stream->phase == STREAM_RING && stream->ready && !stream->partial && !stream->gap && !stream->claimed &&
           !stream_has_missed(stream) && !stream->closing && !stream->heartbeat_due && !stream->expiring_due &&
           !stream->filter;
}

/* The end of the stream's next batch. What is compressed ends where the round does, so that all share it that are part of it. */
static uint64_t batch_end(const struct stream *stream)
{
    const struct channel *channel = stream->channel;
    uint64_t end = ring_end(channel->ring);

    return stream->gzip && stream->cursor < channel->round_end && channel->round_end < end ? channel->round_end : end;
}

/* Makes the context's batch the frames behind the stream's cursor, unless it is that already. */
static struct batch *live_batch(struct stream_context *context, const struct stream *stream)
{
    struct batch *batch = stream->gzip ? &context->live_gzip : &context->live;
    const struct ring *ring = stream->channel->ring;
    uint64_t slot = stream->cursor;
    uint64_t end = batch_end(stream);

    if (batch->channel == stream->channel && batch->from == slot &&
        (stream->gzip || batch->chunked == stream->chunked) && (batch->to == end || batch->full))
        return batch;
    stream_count_deliveries(context, batch);
    batch_begin(batch, stream);
    while (slot < end && batch_add(batch, ring_frame(ring, slot)))
        slot++;
    if (stream->channel->count > 1)
        batch_flatten(batch);
    batch->channel = stream->channel;
    batch->from = stream->cursor;
    batch->to = slot;
    return batch;
}

void stream_note_place(struct stream *stream)
{
    if (stream->phase == STREAM_RING && stream->cursor >= ring_begin(stream->channel->ring))
        stream->last = ring_before(stream->channel->ring, stream->cursor);
}

/* Writes the frames in front of slot `end` to a stream without a filter. */
static void send_up_to(struct stream_context *context, struct stream *stream, uint64_t end)
{
    while (stream->cursor < end && !stream->blocked) {
        struct batch *batch = live_batch(context, stream);
        int done = stream_io_send_batch(context, stream, batch);

        if (done == batch->count && stream->ready) {
            batch->deliveries++;
            stream->events += batch->events;
        } else {
            for (int i = 0; i < done; i++)
                stream_count_frame(context, stream, batch->frames[i]);
        }
        stream->cursor += (uint64_t)done;
        if (stream->broken) {
            stream_close_broken(context, stream);
            return;
        }
    }
    if (stream->blocked)
        stream_note_place(stream);
}

void stream_send_live(struct stream_context *context, struct stream *stream)
{
    if (stream->filter)
        stream_filter_send(context, stream);
    else
        send_up_to(context, stream, ring_end(stream->channel->ring));
}

void stream_send_round(struct stream_context *context, struct stream *stream)
{
    const struct channel *channel = stream->channel;

    send_up_to(context, stream, stream->gzip ? channel->round_end : ring_end(channel->ring));
}

void stream_end_batch(struct stream_context *context)
{
    stream_count_deliveries(context, &context->live);
    stream_count_deliveries(context, &context->live_gzip);
    batch_release(&context->live);
    batch_release(&context->live_gzip);
    batch_release(&context->scratch);
}

bool stream_has_waiting(const struct stream *stream)
{
    return stream->backlog || stream->cursor < ring_end(stream->channel->ring);
}

struct frame *stream_take_waiting(struct stream *stream)
{
    struct frame *frame;

    if (!stream->backlog)
        return frame_ref(ring_frame(stream->channel->ring, stream->cursor++));
    frame = frame_ref(ring_frame(stream->backlog, ring_begin(stream->backlog)));
    stream_filter_let_go(stream, ring_begin(stream->backlog) + 1);
    return frame;
}

/* Whether what waits in the ring's slots from `cursor` on is more than may wait for a client. */
static bool is_over_limits(const struct stream_context *context, const struct ring *ring, uint64_t cursor)
{
    return ring_end(ring) - cursor > context->buffer_events ||
           ring_bytes(ring, cursor, ring_end(ring)) > context->buffer_bytes;
}

bool stream_is_over_limits(const struct stream_context *context, const struct stream *stream)
{
    const struct ring *ring = stream->channel->ring;

    if (stream->backlog)
        return is_over_limits(context, stream->backlog, ring_begin(stream->backlog));
    return stream->cursor < ring_begin(ring) || is_over_limits(context, ring, stream->cursor);
}

/* Counts the frames in the ring's slots from `cursor` on that are over the limits. Returns the first one to be kept. */
static uint64_t drop(const struct stream_context *context, struct stream *stream, const struct ring *ring,
                     uint64_t cursor)
{
    for (; cursor < ring_end(ring) && is_over_limits(context, ring, cursor); cursor++) {
        if (frame_kind(ring_frame(ring, cursor)) == FRAME_EVENT)
            stream->missed++;
        else
            stream->missed_unknown = true;
    }
    return cursor;
}

static void drop_from_ring(const struct stream_context *context, struct stream *stream)
{
    const struct ring *ring = stream->channel->ring;
    uint64_t cursor = stream->cursor;

    /* The ring let frames go that the stream had not got; whether a hole was among them is not known any more. */
    if (cursor < ring_begin(ring)) {
        cursor = ring_begin(ring);
        if (ring_before(ring, cursor).seq > stream->last.seq)
            stream->missed += (int64_t)(ring_before(ring, cursor).seq - stream->last.seq);
        stream->missed_unknown = true;
    }
    stream->cursor = drop(context, stream, ring, cursor);
    stream->last = ring_before(ring, stream->cursor);
}

void stream_drop_oldest(struct stream_context *context, struct stream *stream)
{
    int64_t before = stream->missed;

    /* A replay loses nothing here: where the ring leaves it behind, it goes on from the store. */
    if (!stream->ready)
        return;
    if (stream->backlog)
        stream_filter_let_go(stream, drop(context, stream, stream->backlog, ring_begin(stream->backlog)));
    else
        drop_from_ring(context, stream);
    stream->dropped += stream->missed - before;
    metrics_add(context->metrics, METRIC_DROPPED_SLOW_CONSUMER, stream->missed - before);
}
