#include "http/stream_io.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum { DISCARD_MAX_READS = 16 };

static void set_option(int fd, int level, int option, int value)
{
    (void)setsockopt(fd, level, option, &value, sizeof value);
}

void stream_io_prepare(const struct stream_context *context, int fd)
{
    /* libmicrohttpd may have corked the socket. */
    set_option(fd, IPPROTO_TCP, TCP_CORK, 0);
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, SOL_SOCKET, SO_SNDBUF, context->socket_buffer_bytes / 2); /* the kernel doubles it */
    /* What waits in the kernel can neither be counted nor dropped: a quarter may wait there unsent. */
    set_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, context->socket_buffer_bytes / 4);
    set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)context->dead_peer_ms);
}

/* After a write that took less than all of it. error: errno, or 0 for a short write. */
static void note_full(struct stream *stream, int error)
{
    if (error == 0 || error == EAGAIN || error == EINTR) {
        stream->blocked = true;
        return;
    }
    stream->broken = true;
}

void stream_io_put_raw(struct stream *stream, struct frame *frame)
{
    stream->partial = frame;
    stream->partial_offset = 0;
}

void stream_io_put(struct stream_context *context, struct stream *stream, struct frame *frame)
{
    struct gzip_piece piece;

    if (!stream->gzip) {
        stream_io_put_raw(stream, frame);
        return;
    }
    piece = pieces_store(context->pieces, frame);
    frame_unref(frame);
    stream->gzip_sum = gzip_sum_add(stream->gzip_sum, &piece);
    stream_io_put_raw(stream, piece.frame);
}

bool stream_io_send_partial(struct stream *stream)
{
    size_t size;
    const char *bytes = frame_bytes(stream->partial, stream->chunked, &size);
    size_t left = size - stream->partial_offset;
    ssize_t sent = send(stream->fd, bytes + stream->partial_offset, left, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (sent < 0) {
        note_full(stream, errno);
        return false;
    }
    stream->sent_bytes += (size_t)sent;
    stream->partial_offset += (size_t)sent;
    if ((size_t)sent < left) {
        note_full(stream, 0);
        return false;
    }
    frame_unref(stream->partial);
    stream->partial = NULL;
    return true;
}

void batch_release(struct batch *batch)
{
    batch->channel = NULL;
    frame_unref(batch->piece.frame);
    batch->piece.frame = NULL;
}

void batch_begin(struct batch *batch, const struct stream *stream)
{
    batch_release(batch);
    batch->chunked = stream->chunked;
    batch->gzip = stream->gzip;
    batch->full = false;
    batch->count = 0;
    batch->events = 0;
    batch->bytes = 0;
    batch->deliveries = 0;
    batch->flat_size = 0;
}

bool batch_add(struct batch *batch, struct frame *frame)
{
    size_t size;
    const char *bytes;

    bytes = frame_bytes(frame, batch->chunked, &size);
    if (batch->gzip && batch->count > 0 && batch->bytes + size > GZIP_BATCH_BYTES)
        batch->full = true;
    if (batch->full)
        return false;
    batch->frames[batch->count] = frame;
    batch->iov[batch->count] = (struct iovec){.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
    batch->events += frame_kind(frame) == FRAME_EVENT;
    batch->bytes += size;
    batch->count++;
    batch->full = batch->count == BATCH_FRAMES;
    return true;
}

void batch_flatten(struct batch *batch)
{
    size_t size = 0;

    if (!batch->flat || batch->count < FLAT_FRAMES || batch->bytes > FLAT_BYTES)
        return;
    for (int i = 0; i < batch->count; i++) {
        memcpy(batch->flat + size, batch->iov[i].iov_base, batch->iov[i].iov_len);
        size += batch->iov[i].iov_len;
    }
    batch->flat_size = size;
}

/* The frames that `sent` bytes cover; the one in which they end becomes the stream's partial frame. */
static int split(struct stream *stream, const struct batch *batch, size_t sent)
{
    int i = 0;

    while (i < batch->count && sent >= batch->iov[i].iov_len)
        sent -= batch->iov[i++].iov_len;
    if (sent > 0) {
        stream->partial = frame_ref(batch->frames[i++]);
        stream->partial_offset = sent;
    }
    return i;
}

static ssize_t send_frames(int fd, const struct batch *batch)
{
    struct msghdr message = {
        .msg_iov = (struct iovec *)(uintptr_t)batch->iov,
        .msg_iovlen = (size_t)batch->count,
    };

    /* A single frame is the common case at low rates, and this the cheaper call for it. */
    if (batch->flat_size > 0)
        return send(fd, batch->flat, batch->flat_size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (batch->count == 1)
        return send(fd, batch->iov[0].iov_base, batch->iov[0].iov_len, MSG_NOSIGNAL | MSG_DONTWAIT);
    return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* As stream_io_send_batch(), to a compressed stream. */
static int send_piece(struct stream_context *context, struct stream *stream, struct batch *batch)
{
    const char *bytes;
    size_t size;
    ssize_t sent;

    if (!batch->piece.frame)
        batch->piece = pieces_get(context->pieces, batch->frames, batch->count);
    bytes = frame_bytes(batch->piece.frame, stream->chunked, &size);
    sent = send(stream->fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent <= 0) {
        note_full(stream, sent < 0 ? errno : 0);
        return 0;
    }
    stream->sent_bytes += (size_t)sent;
    stream->gzip_sum = gzip_sum_add(stream->gzip_sum, &batch->piece);
    if ((size_t)sent < size) {
        note_full(stream, 0);
        stream->partial = frame_ref(batch->piece.frame);
        stream->partial_offset = (size_t)sent;
    }
    return batch->count;
}

int stream_io_send_batch(struct stream_context *context, struct stream *stream, struct batch *batch)
{
    ssize_t sent;

    if (stream->gzip)
        return send_piece(context, stream, batch);
    sent = send_frames(stream->fd, batch);
    if (sent < 0) {
        note_full(stream, errno);
        return 0;
    }
    stream->sent_bytes += (size_t)sent;
    if ((size_t)sent == batch->bytes)
        return batch->count;
    note_full(stream, 0);
    return split(stream, batch, (size_t)sent);
}

int stream_io_unacknowledged(const struct stream *stream)
{
    int bytes = 0;

    return ioctl(stream->fd, SIOCOUTQ, &bytes) < 0 ? 0 : bytes;
}

void stream_io_update_patience(const struct stream_context *context, struct stream *stream, int unacknowledged)
{
    int unsent = 0;
    bool window_closed;

    if (unacknowledged > 0 && ioctl(stream->fd, SIOCOUTQNSD, &unsent) < 0)
        return;
    window_closed = unsent > 0 && unsent == unacknowledged;
    if (window_closed == stream->patient)
        return;
    stream->patient = window_closed;
    set_option(stream->fd, IPPROTO_TCP, TCP_USER_TIMEOUT,
               (int)(window_closed ? 2 * context->idle_timeout_ms : context->dead_peer_ms));
}

void stream_io_finish(struct stream *stream)
{
    char discarded[4096];

    shutdown(stream->fd, SHUT_WR);
    for (int i = 0; i < DISCARD_MAX_READS; i++)
        if (recv(stream->fd, discarded, sizeof discarded, MSG_DONTWAIT) <= 0)
            return;
}
