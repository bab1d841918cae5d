#include "http/stream_history.h"

#include <stdlib.h>
#include <string.h>

#include "http/channel.h"
#include "http/stream_blocks.h"
#include "http/stream_count.h"
#include "http/stream_filter.h"
#include "http/stream_io.h"

void stream_ask_history(struct stream_context *context, struct stream *stream, bool first)
{
    struct hub_read read = {.worker = context->worker, .after = stream->last, .first = first};
    struct stream_reading *reading = calloc(1, sizeof *reading);

    if (!reading)
        abort(); /* the stream could neither go on nor say what it misses */
    reading->stream = stream;
    stream->reading = reading;
    stream->phase = STREAM_HISTORY;
    read.token = reading;
    strcpy(read.requested, stream->requested);
    bridge_read(context->bridge, stream->channel->company, &read);
}

void stream_join_ring(struct stream *stream, uint64_t slot)
{
    stream->phase = STREAM_RING;
    stream->cursor = slot;
}

void stream_set_gap(struct stream_context *context, struct stream *stream, enum gap_reason reason, struct frame *gap)
{
    stream->gap = gap;
    stream->complete = false;
    metrics_add(context->metrics, gap_metric(reason), 1);
}

void stream_free_page(struct stream *stream)
{
    if (stream->page)
        stream->page->message.release(&stream->page->message);
    stream->page = NULL;
}

/* Says what is missing between the stream's last event and the ring, which it goes on in. */
static void tell_break(struct stream_context *context, struct stream *stream)
{
    const struct ring *ring = stream->channel->ring;
    const struct frame *first = ring_begin(ring) < ring_end(ring) ? ring_frame(ring, ring_begin(ring)) : NULL;
    struct event_position begin = ring_before(ring, ring_begin(ring));
    int64_t missed = GAP_MISSED_UNKNOWN;

    if (first)
        missed = gap_between(stream->last, first);
    else if (begin.seq >= stream->last.seq)
        missed = (int64_t)(begin.seq - stream->last.seq);
    if (missed == 0)
        return;
    stream_set_gap(context, stream, GAP_REPLAY_UNAVAILABLE,
                   stream_block_gap(GAP_REPLAY_UNAVAILABLE, NULL, first, missed));
}

/*
 * The page is written: goes on in the ring if that holds what follows, else with the next page. Where nothing lies between
 * the page and the ring that could be had, goes on in the ring and says so.
 */
static void leave_page(struct stream_context *context, struct stream *stream)
{
    const struct ring *ring = stream->channel->ring;
    struct event_position begin = ring_before(ring, ring_begin(ring));
    bool nothing_more = stream->page->count == 0 && stream->page->last;
    bool told = stream->page->reason != GAP_NONE;
    bool exact;

    stream_free_page(stream);
    if (event_position_compare(stream->last, begin) >= 0) {
        stream_join_ring(stream, ring_find(ring, stream->last, &exact));
        return;
    }
    if (!nothing_more) {
        stream_ask_history(context, stream, false);
        return;
    }
    stream_join_ring(stream, ring_begin(ring));
    if (!told)
        tell_break(context, stream);
}

/* Behind a write of the page's frames up to `end`, of which the stream wants some and `done` of these are done with. */
static void advance_page(struct stream_context *context, struct stream *stream, size_t end, int done)
{
    struct hub_page *page = stream->page;

    /* What the stream does not want is done with as soon as all in front of it is. */
    while (stream->page_next < end && (done > 0 || !stream_wants(stream, page->frames[stream->page_next]))) {
        const struct frame *frame = page->frames[stream->page_next++];

        if (stream_wants(stream, frame)) {
            stream_count_frame(context, stream, frame);
            done--;
        }
        if (frame_kind(frame) != FRAME_CONTROL)
            stream->last = frame_position(frame);
    }
}

/* Writes the page's next frames. */
static void send_page(struct stream_context *context, struct stream *stream)
{
    struct hub_page *page = stream->page;
    struct batch *batch = &context->scratch;
    size_t end = stream->page_next;

    batch_begin(batch, stream->chunked);
    for (; end < page->count; end++)
        if (stream_wants(stream, page->frames[end]) && !batch_add(batch, page->frames[end]))
            break;
    advance_page(context, stream, end, batch->count > 0 ? stream_io_send_batch(stream, batch) : 0);
}

void stream_take_page(struct stream_context *context, struct stream *stream, struct hub_page *page)
{
    stream->page = page;
    stream->page_next = 0;
    if (page->gap)
        stream_set_gap(context, stream, page->reason, page->gap);
    page->gap = NULL;
    stream_pump(context, stream);
}

bool stream_step_in_history(struct stream_context *context, struct stream *stream)
{
    if (!stream->page)
        return false;
    if (stream->page_next < stream->page->count)
        send_page(context, stream);
    else
        leave_page(context, stream);
    return true;
}
