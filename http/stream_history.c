#include "http/stream_history.h"

#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "http/channel.h"
#include "http/stream_blocks.h"
#include "http/stream_count.h"
#include "http/stream_filter.h"
#include "http/stream_io.h"

void stream_ask_history(struct stream_context *context, struct stream *stream, bool first)
{
    struct hub_read read = {.worker = context->worker,
                            .after = stream->last,
                            .first = first,
                            .since = first && stream->requested_cursor == STREAM_CURSOR_SINCE};
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

/* Why events are missing that were behind the stream's last one: they were trimmed, or never got where they could be had. */
static enum gap_reason loss_reason(const struct stream_context *context, const struct stream *stream)
{
    const struct hub_page *page = stream->page;

    if (page->available && (event_position_compare(page->floor, stream->last) > 0 ||
                            (int64_t)stream->last.ms < clock_unix_ms() - context->replay_ttl_ms))
        return GAP_EXPIRED;
    return GAP_REPLAY_UNAVAILABLE;
}

/*
 * Says what is missing between the stream's last event and `first`, which it goes on with; NULL: with what comes behind
 * `before`. is_lost: something is, if only a hole, which has no number by which it could be missed.
 */
static void tell_break(struct stream_context *context, struct stream *stream, const struct frame *first,
                       struct event_position before, bool is_lost)
{
    enum gap_reason reason = loss_reason(context, stream);
    int64_t missed = GAP_MISSED_UNKNOWN;

    if (first)
        missed = gap_between(stream->last, first);
    else if (before.seq >= stream->last.seq)
        missed = (int64_t)(before.seq - stream->last.seq);
    if (missed == 0 && !is_lost)
        return;
    stream->page->reason = reason;
    stream_set_gap(context, stream, reason,
                   stream_block_gap(reason, NULL, first, missed == 0 ? GAP_MISSED_UNKNOWN : missed));
}

/* Whether the page has nothing of what lies between the stream's last event and the ring, nor any further page will. */
static bool is_useless(const struct stream *stream)
{
    const struct ring *ring = stream->channel->ring;
    const struct hub_page *page = stream->page;
    struct event_position begin = ring_before(ring, ring_begin(ring));

    if (event_position_compare(stream->last, begin) >= 0)
        return false;
    if (page->count == 0)
        return page->last;
    /* What a gap about the client's own id says counts from what the store holds. */
    return (!page->gap || !page->available) && event_position_compare(frame_position(page->frames[0]), begin) > 0;
}

/* Whether the number of the stream's place says which one comes next: not where that is the client's time, or `start` id. */
static bool knows_its_place(const struct stream *stream)
{
    return stream->last.seq < EVENT_NUMBER_MAX && (stream->last.seq > 0 || !stream->page->first);
}

/* The first frame in the ring; NULL: it is empty. */
static const struct frame *first_of(const struct ring *ring)
{
    return ring_begin(ring) < ring_end(ring) ? ring_frame(ring, ring_begin(ring)) : NULL;
}

/* Goes on in the ring, which lies behind the stream's last event, and says what is missing in between. */
static void skip_to_ring(struct stream_context *context, struct stream *stream)
{
    const struct ring *ring = stream->channel->ring;

    if (!stream->gap && (knows_its_place(stream) || (stream->page->count == 0 && stream->last.seq == 0)))
        tell_break(context, stream, first_of(ring), ring_before(ring, ring_begin(ring)),
                   stream->ready || stream->last.seq > 0);
    stream_free_page(stream);
    /* All in front of it was told: should the ring let it go before it is written, the history goes on from there. */
    stream->last = ring_before(ring, ring_begin(ring));
    stream_join_ring(stream, ring_begin(ring));
}

/* The page is written: goes on in the ring if that holds what follows, else with the next page. */
static void leave_page(struct stream_context *context, struct stream *stream)
{
    const struct ring *ring = stream->channel->ring;
    struct event_position begin = ring_before(ring, ring_begin(ring));
    bool exact;

    stream_free_page(stream);
    if (event_position_compare(stream->last, begin) >= 0)
        stream_join_ring(stream, ring_find(ring, stream->last, &exact));
    else
        stream_ask_history(context, stream, false);
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

    batch_begin(batch, stream);
    for (; end < page->count; end++)
        if (stream_wants(stream, page->frames[end]) && !batch_add(batch, page->frames[end]))
            break;
    advance_page(context, stream, end, batch->count > 0 ? stream_io_send_batch(context, stream, batch) : 0);
}

/* The gap about the client's own id or time, which names what follows it: the page's frames, or those of the ring. */
static struct frame *take_gap(const struct stream *stream, struct hub_page *page, bool useless)
{
    struct frame *gap = page->gap;

    page->gap = NULL;
    if (page->available || !useless)
        return gap;
    frame_unref(gap);
    return stream_block_gap(page->reason, stream->requested[0] ? stream->requested : NULL,
                            first_of(stream->channel->ring), GAP_MISSED_UNKNOWN);
}

void stream_take_page(struct stream_context *context, struct stream *stream, struct hub_page *page)
{
    bool useless;

    stream->page = page;
    stream->page_next = 0;
    useless = is_useless(stream);
    if (page->gap)
        stream_set_gap(context, stream, page->reason, take_gap(stream, page, useless));
    if (useless)
        skip_to_ring(context, stream);
    else if (!stream->gap && page->count > 0 && knows_its_place(stream))
        tell_break(context, stream, page->frames[0], page->floor,
                   event_position_compare(page->floor, stream->last) > 0);
    pump_list_add(&context->pumps, stream);
}

void stream_put_page_back(struct stream *stream)
{
    const struct hub_page *page = stream->page;

    if (!page || page->count == 0)
        return;
    /* A gap that was told is not told again: what follows it is kept. */
    if (stream->page_next == 0 ? page->reason != GAP_NONE
                               : frame_kind(page->frames[stream->page_next - 1]) == FRAME_CONTROL)
        return;
    stream_free_page(stream);
}

bool stream_step_in_history(struct stream_context *context, struct stream *stream)
{
    if (!stream->page && stream->reading)
        return false;
    if (!stream->page)
        stream_ask_history(context, stream, false);
    else if (stream->page_next < stream->page->count)
        send_page(context, stream);
    else
        leave_page(context, stream);
    return true;
}
