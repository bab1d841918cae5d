#include "http/channel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "http/stream_filter.h"
#include "http/stream_live.h"

enum {
    TURN_NS = 1000000,
    TURN_CHECK_EVERY = 16, /* streams between two looks at the clock */
};

void schedule_init(struct schedule *schedule)
{
    TAILQ_INIT(&schedule->channels);
}

static void unschedule(struct schedule *schedule, struct channel *channel)
{
    if (!channel->is_scheduled)
        return;
    TAILQ_REMOVE(&schedule->channels, channel, in_schedule);
    channel->is_scheduled = false;
}

/* Puts the channel behind the others, unless it has its place already. */
static void put_in_schedule(struct schedule *schedule, struct channel *channel)
{
    if (channel->is_scheduled)
        return;
    TAILQ_INSERT_TAIL(&schedule->channels, channel, in_schedule);
    channel->is_scheduled = true;
}

struct channel *channel_new(const char *company)
{
    struct channel *channel = calloc(1, sizeof *channel);

    if (channel)
        strncpy(channel->company, company, sizeof channel->company - 1);
    return channel;
}

void channel_free(struct schedule *schedule, struct channel *channel)
{
    unschedule(schedule, channel);
    ring_free(channel->ring);
    free(channel->streams);
    free(channel);
}

void channel_forget_ring(struct schedule *schedule, struct channel *channel)
{
    unschedule(schedule, channel);
    ring_free(channel->ring);
    channel->ring = NULL;
    channel->turn = 0;
}

int channel_add(struct channel *channel, struct stream *stream)
{
    if (channel->count == channel->capacity) {
        size_t capacity = channel->capacity ? channel->capacity * 2 : 4;
        struct stream **streams = realloc(channel->streams, capacity * sizeof *streams);

        if (!streams)
            return -ENOMEM;
        channel->streams = streams;
        channel->capacity = capacity;
    }
    stream->index = channel->count;
    channel->streams[channel->count++] = stream;
    return 0;
}

static void place(struct channel *channel, size_t index, struct stream *stream)
{
    channel->streams[index] = stream;
    stream->index = index;
}

void channel_remove(struct channel *channel, struct stream *stream)
{
    size_t index = stream->index;

    /* The gap is filled so that the streams that had their turn in this round stay in front of those that had not. */
    if (index < channel->turn) {
        channel->turn--;
        place(channel, index, channel->streams[channel->turn]);
        index = channel->turn;
    }
    channel->count--;
    if (index < channel->count)
        place(channel, index, channel->streams[channel->count]);
}

static uint64_t unflushed(const struct channel *channel)
{
    return ring_end(channel->ring) - channel->flushed;
}

bool channel_is_saturated(const struct stream_context *context, const struct channel *channel)
{
    return unflushed(channel) >= context->buffer_events / 2;
}

/*
 * The first slot that a round still has to write, or that a blocked stream may still be owed: twice the limits, since
 * between two rounds it may fall behind them before it is looked at, and must be told exactly what it lost. With
 * OVERFLOW=refill it loses nothing: it goes on in the history.
 */
static uint64_t owed(const struct stream_context *context, const struct channel *channel)
{
    uint64_t end = ring_end(channel->ring);
    uint64_t first = ring_begin(channel->ring);

    if (context->refill)
        return channel->flushed;
    if (end - first > 2 * context->buffer_events)
        first = end - 2 * context->buffer_events;
    while (first < channel->flushed && ring_bytes(channel->ring, first, end) > 2 * context->buffer_bytes)
        first++;
    return first < channel->flushed ? first : channel->flushed;
}

/*
 * Keeps the newest frames, within the limits. What a round still has to write, and what a blocked stream may still be owed,
 * stays whatever the limits are.
 */
static void trim(const struct schedule *schedule, const struct stream_context *context, struct channel *channel)
{
    uint64_t begin = ring_begin(channel->ring);
    uint64_t end = ring_end(channel->ring);
    uint64_t limit = owed(context, channel);

    while (begin < limit &&
           (end - begin > schedule->recent_events || ring_bytes(channel->ring, begin, end) > schedule->recent_bytes))
        begin++;
    ring_trim(channel->ring, begin);
}

void channel_trim_old(const struct stream_context *context, struct channel *channel, int64_t oldest_ms)
{
    uint64_t begin = ring_begin(channel->ring);
    uint64_t end = ring_end(channel->ring);
    uint64_t limit = channel->count == 0 || channel->flushed == end ? channel->flushed : owed(context, channel);

    while (begin < limit && (int64_t)frame_position(ring_frame(channel->ring, begin)).ms < oldest_ms)
        begin++;
    if (begin == end && begin > ring_begin(channel->ring))
        frame_id(ring_frame(channel->ring, end - 1), channel->head_id);
    ring_trim(channel->ring, begin);
}

void channel_halve(const struct stream_context *context, struct channel *channel)
{
    uint64_t begin = ring_begin(channel->ring);
    uint64_t middle = begin + (ring_end(channel->ring) - begin) / 2;
    uint64_t limit = owed(context, channel);

    ring_trim(channel->ring, middle < limit ? middle : limit);
}

void channel_push(struct schedule *schedule, const struct stream_context *context, struct channel *channel,
                  struct frame *frame)
{
    if (ring_push(channel->ring, frame) < 0)
        abort(); /* a frame left out would be a loss unsaid */
    frame_unref(frame);
    trim(schedule, context, channel);
    put_in_schedule(schedule, channel);
}

/* One stream's part in a round. */
static void serve(struct stream_context *context, struct stream *stream)
{
    struct channel *channel = stream->channel;

    if (!stream->blocked && stream_is_plain(stream) && stream->cursor >= ring_begin(channel->ring)) {
        channel->recipients += stream->cursor < ring_end(channel->ring);
        stream_send_round(context, stream);
    } else if (!stream->blocked) {
        int64_t before = stream->events;

        stream_pump(context, stream);
        channel->recipients += stream->ready && stream->events > before;
    }
    if (stream->fd < 0 || !stream->blocked || stream->phase != STREAM_RING || context->refill)
        return;
    stream_filter_gather(stream);
    if (!stream_is_over_limits(context, stream))
        return;
    /* Tried once more, here and now: events are dropped only because the socket is full. */
    stream->blocked = false;
    stream_pump(context, stream);
    if (stream->fd >= 0 && stream->blocked)
        stream_drop_oldest(context, stream);
}

static void finish_round(struct schedule *schedule, struct stream_context *context, struct channel *channel)
{
    if (channel->recipients > 0 && log_enabled(context->log, LOG_LEVEL_DEBUG))
        log_write(context->log, LOG_LEVEL_DEBUG, "Broadcast complete",
                  LOG_FIELDS(log_text("companyId", channel->company), log_number("recipients", channel->recipients),
                             log_number("events", (int64_t)(channel->round_end - channel->flushed))));
    channel->flushed = channel->round_end;
    channel->turn = 0;
    channel->recipients = 0;
    if (unflushed(channel) > 0)
        put_in_schedule(schedule, channel);
}

static void take_turn(struct schedule *schedule, struct stream_context *context, struct channel *channel)
{
    int64_t end_ns = clock_monotonic_ns() + TURN_NS;
    unsigned served = 0; /* the turn goes back where a stream closes */

    unschedule(schedule, channel);
    if (channel->turn == 0)
        channel->round_end = ring_end(channel->ring);
    while (channel->turn < channel->count) {
        serve(context, channel->streams[channel->turn++]);
        if (++served % TURN_CHECK_EVERY == 0 && clock_monotonic_ns() > end_ns)
            break;
    }
    stream_end_batch(context);
    if (channel->turn < channel->count)
        put_in_schedule(schedule, channel);
    else
        finish_round(schedule, context, channel);
}

void schedule_run(struct schedule *schedule, struct stream_context *context)
{
    /* One turn for each that is due now; those that come back wait until sockets and mailbox were looked at. */
    const struct channel *last = TAILQ_LAST(&schedule->channels, channel_list);

    while (last) {
        struct channel *channel = TAILQ_FIRST(&schedule->channels);
        bool was_last = channel == last;

        take_turn(schedule, context, channel);
        if (was_last)
            break;
    }
}

bool schedule_is_due(const struct schedule *schedule)
{
    return !TAILQ_EMPTY(&schedule->channels);
}
