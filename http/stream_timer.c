#include "http/stream_timer.h"

#include <stdlib.h>

#include "core/clock.h"
#include "http/stream_history.h"
#include "http/stream_io.h"

#define NS_PER_MS INT64_C(1000000)

/* A client that acknowledges nothing for so long does not keep a page of its history in memory. */
enum { PAGE_PATIENCE_MS = 10000 };

unsigned stream_jitter(struct stream_context *context, int64_t range)
{
    return range > 0 ? (unsigned)rand_r(&context->random) % (unsigned)range : 0;
}

/*
 * Heartbeats of a fleet that came at once must not go at once: nine to eleven tenths of the interval. But a hundredth of them
 * goes together, since to wake up costs more than to send.
 */
static void set_heartbeat(struct stream_context *context, struct stream *stream)
{
    int64_t delay_ms = context->heartbeat_ms * 9 / 10 + stream_jitter(context, context->heartbeat_ms / 5);
    int64_t at_ns = context->now_ns + delay_ms * NS_PER_MS;

    stream->heartbeat_at_ns = at_ns - at_ns % (context->heartbeat_ms * NS_PER_MS / 100);
}

/* Milliseconds to what is next: the warning that the token will expire, or its end. */
static int64_t until_expiry(const struct stream_context *context, const struct stream *stream)
{
    if (stream->expires_ms == 0)
        return INT64_MAX;
    return stream->expires_ms - clock_unix_ms() - (stream->expiring_told ? 0 : context->token_warning_ms);
}

/* Streams that came at once must not go at once: four to six fifths of the age. */
static void set_age(struct stream_context *context, struct stream *stream)
{
    int64_t age_ms = context->max_age_ms * 4 / 5 + stream_jitter(context, context->max_age_ms * 2 / 5);

    stream->too_old_at_ns = context->max_age_ms > 0 ? context->now_ns + age_ms * NS_PER_MS : INT64_MAX;
}

/*
 * The timer is due for the next heartbeat, or sooner where the checks want it: a closed window must be seen before the kernel's
 * time-out ends the connection (stream_io_update_patience()).
 */
static void set_timer(struct stream_context *context, struct stream *stream)
{
    int64_t check_ms = context->idle_timeout_ms / 3;
    int64_t due_ns = stream->heartbeat_at_ns;

    if (check_ms > context->dead_peer_ms * 2 / 3)
        check_ms = context->dead_peer_ms * 2 / 3;
    if (check_ms > until_expiry(context, stream))
        check_ms = until_expiry(context, stream);
    if (due_ns > context->now_ns + check_ms * NS_PER_MS)
        due_ns = context->now_ns + check_ms * NS_PER_MS;
    if (!stream->closing && due_ns > stream->too_old_at_ns)
        due_ns = stream->too_old_at_ns;
    wheel_set(&context->wheel, &stream->timer, due_ns);
}

void stream_timer_begin(struct stream_context *context, struct stream *stream)
{
    /* A client that comes so late knows what it has. */
    stream->expiring_told = until_expiry(context, stream) <= 0;
    set_heartbeat(context, stream);
    set_age(context, stream);
    set_timer(context, stream);
}

/* Whether the client has acknowledged nothing for too long. */
static bool is_idle(const struct stream_context *context, struct stream *stream, int unacknowledged)
{
    uint64_t acked_bytes = stream->sent_bytes - (uint64_t)unacknowledged;

    if ((unacknowledged == 0 && !stream->blocked) || acked_bytes != stream->acked_bytes) {
        stream->acked_bytes = acked_bytes;
        stream->acked_ns = context->now_ns;
        return false;
    }
    return context->now_ns - stream->acked_ns > context->idle_timeout_ms * NS_PER_MS;
}

/* Ends a stream that may not go on, whether its client reads or not; the socket may still take a last word. */
static void end_now(struct stream_context *context, struct stream *stream, enum stream_end end)
{
    stream->blocked = false;
    stream_begin_end(context, stream, end);
    stream_close(context, stream, end);
}

/* Ends a stream whose token has expired, or notes that the client is to be warned. Returns whether it ended. */
static bool watch_expiry(struct stream_context *context, struct stream *stream)
{
    if (until_expiry(context, stream) > 0)
        return false;
    if (!stream->expiring_told) {
        stream->expiring_told = true;
        stream->expiring_due = true;
        if (until_expiry(context, stream) > 0)
            return false;
    }
    end_now(context, stream, STREAM_END_EXPIRED);
    return true;
}

void stream_review(struct stream_context *context, struct stream *stream)
{
    if (!stream->pass)
        return;
    switch (pass_verdict(stream->pass)) {
    case VERDICT_REVOKED:
        end_now(context, stream, STREAM_END_REVOKED);
        break;
    case VERDICT_DISABLED:
        end_now(context, stream, STREAM_END_DISABLED);
        break;
    case VERDICT_GOOD:
        break;
    }
}

void stream_on_timer(struct stream_context *context, struct stream *stream)
{
    int unacknowledged;

    if (watch_expiry(context, stream))
        return;
    unacknowledged = stream_io_unacknowledged(stream);
    if (is_idle(context, stream, unacknowledged)) {
        end_now(context, stream, STREAM_END_IDLE);
        return;
    }
    stream_io_update_patience(context, stream, unacknowledged);
    if (context->now_ns >= stream->too_old_at_ns && !stream->closing) {
        stream_begin_end(context, stream, STREAM_END_MAX_AGE);
        if (stream->fd < 0)
            return;
    }
    if (stream->blocked && context->now_ns - stream->acked_ns > PAGE_PATIENCE_MS * NS_PER_MS)
        stream_put_page_back(stream);
    if (context->now_ns >= stream->heartbeat_at_ns) {
        stream->heartbeat_due = !stream->blocked;
        set_heartbeat(context, stream);
    }
    set_timer(context, stream);
    if (!stream->blocked)
        stream_pump(context, stream);
}
