#ifndef SLUICE_HTTP_STREAM_TIMER_H
#define SLUICE_HTTP_STREAM_TIMER_H

#include "http/stream.h"

/*
 * What a stream does because time has passed: heartbeats, the checks for clients that are gone, the end of its token.
 * Its worker's thread only.
 */

/* Sets the timer of a stream that was just made; at its time stream_on_timer() is due. */
void stream_timer_begin(struct stream_context *context, struct stream *stream);

/* A random number below range. */
unsigned stream_jitter(struct stream_context *context, int64_t range);

/* Somebody was revoked or switched off: ends the stream if it is whose. */
void stream_review(struct stream_context *context, struct stream *stream);

/* The stream's timer has run out: what is due, and the timer anew, unless the stream ended. */
void stream_on_timer(struct stream_context *context, struct stream *stream);

#endif
