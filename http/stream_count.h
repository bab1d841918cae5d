#ifndef SLUICE_HTTP_STREAM_COUNT_H
#define SLUICE_HTTP_STREAM_COUNT_H

#include "http/stream.h"

/* What streams were sent, entered in the metrics. The streams' worker only. */

/* Enters the deliveries of a live batch. */
void stream_count_deliveries(struct stream_context *context, struct batch *batch);

/* Enters one frame that one stream was sent, in a replay or in part of a batch. */
void stream_count_frame(struct stream_context *context, struct stream *stream, const struct frame *frame);

#endif
