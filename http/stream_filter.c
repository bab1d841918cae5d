#include "http/stream_filter.h"

#include <stdlib.h>

#include "http/channel.h"
#include "http/stream_count.h"
#include "http/stream_io.h"

bool stream_wants(const struct stream *stream, const struct frame *frame)
{
    return !stream->filter || frame_kind(frame) != FRAME_EVENT ||
           event_filter_passes(stream->filter, frame_event_name(frame));
}

void stream_filter_skip(struct stream *stream)
{
    const struct ring *ring = stream->channel->ring;

    if (!stream->filter)
        return;
    while (stream->cursor < ring_end(ring) && !stream_wants(stream, ring_frame(ring, stream->cursor)))
        stream->cursor++;
}

void stream_filter_let_go(struct stream *stream, uint64_t slot)
{
    ring_trim(stream->backlog, slot);
    if (ring_begin(stream->backlog) < ring_end(stream->backlog))
        return;
    ring_free(stream->backlog);
    stream->backlog = NULL;
}

/* Writes the scratch batch. Returns how many of its frames are done with. */
static int send_scratch(struct stream_context *context, struct stream *stream)
{
    int done = stream_io_send_batch(context, stream, &context->scratch);

    for (int i = 0; i < done; i++)
        stream_count_frame(context, stream, context->scratch.frames[i]);
    return done;
}

static void send_backlog(struct stream_context *context, struct stream *stream)
{
    const struct ring *backlog = stream->backlog;
    uint64_t slot = ring_begin(backlog);

    while (slot < ring_end(backlog) && batch_add(&context->scratch, ring_frame(backlog, slot)))
        slot++;
    stream_filter_let_go(stream, ring_begin(backlog) + (uint64_t)send_scratch(context, stream));
}

static void send_from_ring(struct stream_context *context, struct stream *stream)
{
    const struct ring *ring = stream->channel->ring;
    struct batch *batch = &context->scratch;
    uint64_t slot = stream->cursor;
    int done;

    for (; slot < ring_end(ring); slot++)
        if (stream_wants(stream, ring_frame(ring, slot)) && !batch_add(batch, ring_frame(ring, slot)))
            break;
    done = send_scratch(context, stream);
    if (done == batch->count) {
        stream->cursor = slot;
        return;
    }
    while (done > 0)
        done -= stream_wants(stream, ring_frame(ring, stream->cursor++));
}

void stream_filter_send(struct stream_context *context, struct stream *stream)
{
    batch_begin(&context->scratch, stream);
    if (stream->backlog)
        send_backlog(context, stream);
    else
        send_from_ring(context, stream);
}

static void keep(struct stream *stream, struct frame *frame)
{
    if (!stream->backlog)
        stream->backlog = ring_new(frame_position(frame));
    if (!stream->backlog || ring_push(stream->backlog, frame) < 0)
        abort(); /* a frame left out would be a loss unsaid */
}

void stream_filter_gather(struct stream *stream)
{
    const struct ring *ring = stream->channel->ring;

    if (!stream->filter || !stream->ready)
        return;
    for (; stream->cursor < ring_end(ring); stream->cursor++)
        if (stream_wants(stream, ring_frame(ring, stream->cursor)))
            keep(stream, ring_frame(ring, stream->cursor));
}
