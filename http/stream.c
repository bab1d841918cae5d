#include "http/stream.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "http/channel.h"
#include "http/stream_audit.h"
#include "http/stream_blocks.h"
#include "http/stream_count.h"
#include "http/stream_end.h"
#include "http/stream_filter.h"
#include "http/stream_history.h"
#include "http/stream_io.h"
#include "http/stream_live.h"
#include "http/stream_timer.h"

#define NS_PER_MS INT64_C(1000000)

struct stream *stream_new(struct stream_context *context, struct channel *channel, struct stream_request *request)
{
    struct stream *stream = calloc(1, sizeof *stream);

    if (!stream || channel_add(channel, stream) < 0) {
        free(stream);
        pass_free(request->pass);
        event_filter_unref(request->filter);
        close(request->fd);
        frame_unref(request->head);
        return NULL;
    }
    stream->channel = channel;
    stream->fd = request->fd;
    stream->chunked = request->chunked;
    stream->gzip = request->gzip;
    stream->gzip_sum = request->gzip_sum;
    stream->phase = STREAM_WAITING;
    stream->complete = true;
    stream->requested_cursor = request->cursor;
    stream->last = request->position;
    stream->partial = request->head;
    stream->pass = request->pass;
    stream->filter = request->filter;
    stream->expires_ms = request->expires_ms;
    stream->opened_ns = context->now_ns;
    stream->acked_ns = context->now_ns;
    strcpy(stream->connection_id, request->connection_id);
    strcpy(stream->requested, request->requested);
    stream_io_prepare(context, stream->fd);
    stream_timer_begin(context, stream);
    metrics_add(context->metrics, METRIC_CONNECTIONS_OPENED, 1);
    stream_audit_opened(context, stream);
    return stream;
}

/* Closing. */

void stream_close(struct stream_context *context, struct stream *stream, enum stream_end end)
{
    if (stream->fd < 0)
        return;
    stream_audit_closed(context, stream, end);
    metrics_add(context->metrics, stream_end_metric(end), 1);
    /* Said explicitly: while libmicrohttpd still has its copy of the descriptor, our close alone ends no events. */
    (void)epoll_ctl(context->epoll_fd, EPOLL_CTL_DEL, stream->fd, NULL);
    close(stream->fd);
    stream->fd = -1;
    wheel_unset(&stream->timer);
    pump_list_remove(&context->pumps, stream);
    channel_remove(stream->channel, stream);
    registry_leave(context->registry, stream->channel->company, context->worker);
    pass_free(stream->pass);
    stream->pass = NULL;
    if (stream->channel->count == 0)
        stream->channel->empty_ns = context->now_ns;
    if (stream->reading)
        stream->reading->stream = NULL;
    stream_free_page(stream);
    frame_unref(stream->partial);
    frame_unref(stream->gap);
    frame_unref(stream->claimed);
    ring_free(stream->backlog);
    stream->partial = NULL;
    stream->gap = NULL;
    stream->claimed = NULL;
    stream->backlog = NULL;
    stream->timer.next = context->closed ? &context->closed->timer : NULL;
    context->closed = stream;
}

void stream_free_closed(struct stream_context *context)
{
    while (context->closed) {
        struct stream *stream = context->closed;

        context->closed = (struct stream *)(void *)stream->timer.next;
        event_filter_unref(stream->filter);
        free(stream);
    }
}

void stream_close_broken(struct stream_context *context, struct stream *stream)
{
    metrics_add(context->metrics, METRIC_ERROR_WRITE, 1);
    stream_close(context, stream, STREAM_END_ERROR);
}

void stream_start(struct stream_context *context, struct stream *stream)
{
    const struct ring *ring = stream->channel->ring;
    struct event_position begin = ring_before(ring, ring_begin(ring));
    bool exact = false;
    uint64_t slot = ring_end(ring);
    bool has_place = stream->requested_cursor == STREAM_CURSOR_ID || stream->requested_cursor == STREAM_CURSOR_SINCE;

    if (has_place)
        slot = ring_find(ring, stream->last, &exact);
    /* A time, and a `start` id, is no event's: behind it nothing is missing as long as the ring reaches back to it. */
    if ((stream->requested_cursor == STREAM_CURSOR_SINCE || event_id_is_start(stream->requested)) &&
        event_position_compare(stream->last, begin) >= 0)
        exact = true;
    stream_join_ring(stream, slot);
    if (has_place && !exact) {
        stream_ask_history(context, stream, true);
    } else if (has_place) {
        metrics_add(context->metrics, METRIC_REPLAY_HITS, 1);
    } else if (stream->requested_cursor == STREAM_CURSOR_MALFORMED) {
        const struct frame *oldest = ring_begin(ring) < ring_end(ring) ? ring_frame(ring, ring_begin(ring)) : NULL;

        stream_set_gap(context, stream, GAP_UNKNOWN_ID,
                       stream_block_gap(GAP_UNKNOWN_ID, stream->requested, oldest, GAP_MISSED_UNKNOWN));
        metrics_add(context->metrics, METRIC_REPLAY_MISSES, 1);
    }
    stream_pump(context, stream);
}

/* The pump. */

/* Sets the frame to be written next; its reference is taken over. */
static bool put(struct stream_context *context, struct stream *stream, struct frame *frame)
{
    stream_io_put(context, stream, frame);
    return true;
}

static bool put_heartbeat(struct stream_context *context, struct stream *stream)
{
    if (!stream->heartbeat_due)
        return false;
    stream->heartbeat_due = false;
    return put(context, stream, frame_ref(context->heartbeat));
}

/* What is due besides events, once the stream is ready and has nothing else to write. */
static bool put_notice(struct stream_context *context, struct stream *stream)
{
    if (stream->knows_store_lost == context->replay_ok) {
        stream->knows_store_lost = !context->replay_ok;
        return put(context, stream, stream_block_store(context->replay_ok));
    }
    if (stream->expiring_due) {
        stream->expiring_due = false;
        return put(context, stream, stream_block_expiring(stream->expires_ms));
    }
    return put_heartbeat(context, stream);
}

static bool put_ready(struct stream_context *context, struct stream *stream)
{
    const struct channel *channel = stream->channel;
    const struct ring *ring = channel->ring;
    char head_id[EVENT_ID_SIZE];

    if (ring_begin(ring) < ring_end(ring))
        frame_id(ring_frame(ring, ring_end(ring) - 1), head_id);
    else
        strcpy(head_id, channel->head_id);
    stream->ready = true;
    return put(context, stream,
               stream_block_ready(channel->company, stream->connection_id, stream->replayed, stream->complete, head_id,
                                  stream->pass ? pass_successor(stream->pass) : NULL));
}

static bool put_closing(struct stream_context *context, struct stream *stream)
{
    /* In a shutdown all are told at once: they must not all come back at once. */
    int64_t spread_ms = stream->end == STREAM_END_SHUTDOWN ? context->drain_spread_ms : context->retry_ms;
    int64_t retry_ms = context->retry_ms + stream_jitter(context, spread_ms);

    stream->ending = true;
    stream_io_put_raw(stream, stream_block_closing(stream_end_text(stream->end), retry_ms, stream->chunked,
                                                   stream->gzip ? &stream->gzip_sum : NULL));
    return true;
}

/*
 * The gap, and with it the frame behind it: the socket may have room for the gap alone. Where nothing is left behind it, it is told
 * all the same: the company may be quiet for hours.
 */
static bool put_missed(struct stream_context *context, struct stream *stream)
{
    struct frame *next = stream_has_waiting(stream) ? stream_take_waiting(stream) : NULL;
    int64_t missed = stream->missed_unknown ? GAP_MISSED_UNKNOWN : stream->missed;

    stream->missed = 0;
    stream->missed_unknown = false;
    stream->claimed = next;
    metrics_add(context->metrics, METRIC_GAP_SLOW_CONSUMER, 1);
    return put(context, stream, stream_block_gap(GAP_SLOW_CONSUMER, NULL, next, missed));
}

static bool put_claimed(struct stream_context *context, struct stream *stream)
{
    struct frame *frame = stream->claimed;

    stream->claimed = NULL;
    stream_count_frame(context, stream, frame);
    return put(context, stream, frame);
}

/* One step in the ring. Returns false when nothing is due. */
static bool step_in_ring(struct stream_context *context, struct stream *stream)
{
    const struct ring *ring = stream->channel->ring;

    if (stream->cursor < ring_begin(ring)) {
        if (!stream->ready || context->refill) {
            metrics_add(context->metrics, METRIC_REFILLS, stream->ready);
            stream_ask_history(context, stream, false);
            return true;
        }
        stream_drop_oldest(context, stream);
    }
    stream_filter_skip(stream);
    if (stream_has_missed(stream))
        return put_missed(context, stream);
    if (stream_has_waiting(stream)) {
        stream_send_live(context, stream);
        return true;
    }
    if (!stream->ready)
        return put_ready(context, stream);
    if (put_notice(context, stream))
        return true;
    return stream->closing && put_closing(context, stream);
}

static bool step(struct stream_context *context, struct stream *stream)
{
    if (stream->gap) {
        put(context, stream, stream->gap);
        stream->gap = NULL;
        return true;
    }
    if (stream->claimed)
        return put_claimed(context, stream);
    switch (stream->phase) {
    case STREAM_WAITING:
        return stream->closing ? put_closing(context, stream) : put_heartbeat(context, stream);
    case STREAM_HISTORY:
        /* A long replay would hold the end up; the client goes on with it elsewhere. */
        if (stream->closing)
            return put_closing(context, stream);
        if (stream_step_in_history(context, stream))
            return true;
        return stream->ready ? put_notice(context, stream) : put_heartbeat(context, stream);
    case STREAM_RING:
        return step_in_ring(context, stream);
    }
    return false;
}

void stream_pump(struct stream_context *context, struct stream *stream)
{
    while (stream->fd >= 0 && !stream->blocked && !stream->broken) {
        if (stream->partial && !stream_io_send_partial(stream))
            break;
        if (stream->ending) {
            stream_io_finish(stream);
            stream_close(context, stream, stream->end);
            return;
        }
        if (!stream->partial && !step(context, stream))
            break;
    }
    if (stream->fd >= 0 && stream->broken)
        stream_close_broken(context, stream);
    else if (stream->fd >= 0 && stream->blocked)
        stream_note_place(stream);
}

void stream_begin_end(struct stream_context *context, struct stream *stream, enum stream_end end)
{
    stream->closing = true;
    stream->end = end;
    stream_pump(context, stream);
}
