#ifndef SLUICE_HTTP_STREAM_IO_H
#define SLUICE_HTTP_STREAM_IO_H

#include "http/stream.h"

/* Writing frames to a stream's socket. The stream's worker only. */

/* Prepares the socket, which libmicrohttpd had, for a stream. Failures do no harm: they are ignored. */
void stream_io_prepare(const struct stream_context *context, int fd);

/*
 * Makes the frame, or what a compressed stream gets of it, the partial frame, of which nothing is written yet; there is
 * none. Takes the reference over. Raw: as it is, to each kind of stream.
 */
void stream_io_put(struct stream_context *context, struct stream *stream, struct frame *frame);
void stream_io_put_raw(struct stream *stream, struct frame *frame);

/*
 * Writes what is left of the partial frame. Returns true when it is gone. False: the stream is blocked, or broken.
 */
bool stream_io_send_partial(struct stream *stream);

/*
 * Begins an empty batch for such streams, and adds a frame; false: it is full. The batch holds no references to frames,
 * only one to the piece that was made of them, until it begins anew or is released.
 */
void batch_begin(struct batch *batch, const struct stream *stream);
bool batch_add(struct batch *batch, struct frame *frame);

/* Puts the bytes of a full batch side by side, where it has room for that and it pays: once, for all streams that get it. */
void batch_flatten(struct batch *batch);
void batch_release(struct batch *batch);

/*
 * Writes a batch. Returns how many of its frames are done with: written, or begun and now the stream's partial frame. Less
 * than all: the stream is blocked, or broken. To a compressed stream a batch is one piece: all are done with, or none.
 */
int stream_io_send_batch(struct stream_context *context, struct stream *stream, struct batch *batch);

/* Bytes that the kernel holds for the client: not sent, or not acknowledged. */
int stream_io_unacknowledged(const struct stream *stream);

/*
 * The client's host answers, but its program does not read: the window is closed. Linux ends such a connection after
 * TCP_USER_TIMEOUT, as it does with a dead host (tcp(7)); IDLE_TIMEOUT_SECONDS is what counts here, so the time-out is
 * raised while that lasts. unacknowledged: as stream_io_unacknowledged() says, with nothing written since.
 */
void stream_io_update_patience(const struct stream_context *context, struct stream *stream, int unacknowledged);

/* Says goodbye: sends FIN behind what was written, and reads away what the client still sent, lest a reset destroys it. */
void stream_io_finish(struct stream *stream);

#endif
