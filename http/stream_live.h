#ifndef SLUICE_HTTP_STREAM_LIVE_H
#define SLUICE_HTTP_STREAM_LIVE_H

#include "http/stream.h"

/*
 * A stream in its channel's ring: what lies between its cursor and the ring's end is written, or, when it is too much for a
 * socket that is full, given up and counted. The stream's worker only.
 */

/* The live part of a pump for a stream that is not blocked and has nothing else due: the common case, made cheap. */
bool stream_is_plain(const struct stream *stream);
void stream_send_live(struct stream_context *context, struct stream *stream);

/* Ends the life of the batch of live frames: due before its frames may leave their ring. */
void stream_end_batch(struct stream_context *context);

/* The ring may let the cursor's surroundings go while the stream is blocked: notes its place, which is needed then. */
void stream_note_place(struct stream *stream);

/* The socket is full and the frames that wait are over the limits: gives up the oldest. */
void stream_drop_oldest(struct stream_context *context, struct stream *stream);

/* Whether something was dropped that the client was not told of yet. */
bool stream_has_missed(const struct stream *stream);

#endif
