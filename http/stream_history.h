#ifndef SLUICE_HTTP_STREAM_HISTORY_H
#define SLUICE_HTTP_STREAM_HISTORY_H

#include "http/stream.h"

/*
 * A stream that reads its company's history, page by page, until what follows is in its channel's ring: because its client
 * came back with an id, or because the ring has let its place go. The stream's worker only.
 */

/* Asks for what is behind the stream's last place. first: that is the client's own id, and whether it is held is asked too. */
void stream_ask_history(struct stream_context *context, struct stream *stream, bool first);

/* One step in the history. Returns false when nothing is due. */
bool stream_step_in_history(struct stream_context *context, struct stream *stream);

/* Lets the page go that is being read; none is fine. */
void stream_free_page(struct stream *stream);

/* The same for a client that does not read: what is left of the page is asked for again when it does. */
void stream_put_page_back(struct stream *stream);

/* Goes on in the ring from `slot`. */
void stream_join_ring(struct stream *stream, uint64_t slot);

/* What the stream is told next: that events are missing. */
void stream_set_gap(struct stream_context *context, struct stream *stream, enum gap_reason reason, struct frame *gap);

#endif
