#ifndef SLUICE_HTTP_STREAM_LIVE_H
#define SLUICE_HTTP_STREAM_LIVE_H

#include "http/stream.h"

/*
 * A stream in its channel's ring: what lies between its cursor and the ring's end is written, or, when it is too much for a
 * socket that is full, given up and counted. The stream's worker only.
 */

/* Whether the common case is at hand: not filtered, and nothing but live frames is due. Then stream_send_live() is enough. */
bool stream_is_plain(const struct stream *stream);

/* Writes live frames, once they are what is due. A broken stream without a filter is closed; the pump closes others. */
void stream_send_live(struct stream_context *context, struct stream *stream);

/*
 * The same in a round, for a plain stream. A compressed one goes no further than the round: what came meanwhile is for the
 * next one, lest each turn compress another part of it.
 */
void stream_send_round(struct stream_context *context, struct stream *stream);

/* Ends the life of the batches of live frames: due before their frames may leave the ring. */
void stream_end_batch(struct stream_context *context);

/* The ring may let the cursor's surroundings go while the stream is blocked: notes its place, which is needed then. */
void stream_note_place(struct stream *stream);

/* Whether a frame waits; of a filtered stream, behind stream_filter_skip(). */
bool stream_has_waiting(const struct stream *stream);

/* The first frame that waits, with a reference for the caller; the stream goes on behind it. */
struct frame *stream_take_waiting(struct stream *stream);

/* Whether more waits than may wait for a client whose socket is full. */
bool stream_is_over_limits(const struct stream_context *context, const struct stream *stream);

/* The socket is full and the frames that wait are over the limits: gives up the oldest. */
void stream_drop_oldest(struct stream_context *context, struct stream *stream);

/* Whether something was dropped that the client was not told of yet. */
bool stream_has_missed(const struct stream *stream);

#endif
