#ifndef SLUICE_HTTP_STREAM_FILTER_H
#define SLUICE_HTTP_STREAM_FILTER_H

#include "http/stream.h"

/*
 * What a stream does differently whose client may have only some events. It goes through the same rings and pages as all
 * others, and passes over what its filter leaves out. The stream's worker only.
 *
 * While its socket is full, such a stream takes references to the frames it wants into a ring of its own, the backlog, and
 * its cursor follows its channel's ring: how much waits for it, and so what it is to lose, must not depend on how many
 * events go by that it is not to have. The backlog is held to BUFFER_EVENTS and BUFFER_BYTES, and streams with the same
 * filter hold the same newest frames.
 */

/* Whether the frame is for this stream. Holes and control frames are for everybody. */
bool stream_wants(const struct stream *stream, const struct frame *frame);

/* Moves the cursor of a stream in its ring over what is not for it, up to the next frame that is. */
void stream_filter_skip(struct stream *stream);

/* Writes the next frames that wait: of the backlog, or where there is none, those of the ring that are for the stream. */
void stream_filter_send(struct stream_context *context, struct stream *stream);

/*
 * The socket is full: takes what waits in the ring into the backlog. Nothing is done for a stream without a filter, or one
 * that is not ready: it loses nothing, since where the ring leaves it behind it goes on from the store.
 */
void stream_filter_gather(struct stream *stream);

/* Lets the backlog's frames in front of that slot go; an empty backlog is none. */
void stream_filter_let_go(struct stream *stream, uint64_t slot);

#endif
