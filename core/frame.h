#ifndef SLUICE_CORE_FRAME_H
#define SLUICE_CORE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buffer.h"
#include "core/event_id.h"

/*
 * A frame is what goes over a socket for one event, encoded once and shared by every stream that sends it: the head of an
 * HTTP/1.1 chunk, the SSE bytes, the end of the chunk. HTTP/1.0 streams send the SSE bytes alone. Frames never change;
 * they are reference-counted, and any thread may hold references.
 *
 * SSE encoding: WHATWG HTML, "Server-sent events", interpretation of an event stream.
 */
struct frame;

enum frame_kind {
    FRAME_EVENT,   /* one event of a company */
    FRAME_HOLE,    /* a place in a company's order where events may be missing: stream.gap and a cursor behind it */
    FRAME_CONTROL, /* a block for one stream: no place in any order */
};

/* The event name under which holes are sent and stored; no configured event name can be the same. */
#define FRAME_GAP_EVENT "stream.gap"

/* What frame_new_event() encodes. The strings are copied. */
struct frame_event {
    enum frame_kind kind;           /* FRAME_EVENT or FRAME_HOLE */
    const char *subject;            /* as event_id_subject() gives it */
    const char *event;              /* the SSE event name */
    const char *payload;            /* sent as one data line per line; CR, LF and CR LF end a line */
    size_t payload_size;            /* bytes */
    struct event_position position; /* the frame's place in its company's order */
    int64_t received_ns;            /* clock_monotonic_ns() at the receipt from NATS; 0 in a replay */
    uint64_t mark; /* what replicas recognise the message by: the shadow's mark, or JetStream's sequence; 0: none */
};

/* A new event or hole, with one reference for the caller. NULL: no memory. */
struct frame *frame_new_event(const struct frame_event *event);

/* A new control frame of SSE text (whole blocks), or of what that was compressed to, with one reference. NULL: no memory. */
struct frame *frame_new_control(const char *sse, size_t size);

/* A new control frame of bytes that are sent as they are to every kind of client. NULL: no memory. */
struct frame *frame_new_raw(const char *bytes, size_t size);

/* Bytes of the SSE encoding of an event, without chunk framing: what MAX_EVENT_BYTES limits. */
size_t frame_encoded_size(const struct frame_event *event);

struct frame *frame_ref(struct frame *frame);
void frame_unref(struct frame *frame);

enum frame_kind frame_kind(const struct frame *frame);
struct event_position frame_position(const struct frame *frame);
int64_t frame_received_ns(const struct frame *frame);
uint64_t frame_mark(const struct frame *frame);

/* Bytes that the frame takes in memory. */
size_t frame_memory_size(const struct frame *frame);

/* The id of an event or hole, written as event_id_format() does. */
void frame_id(const struct frame *frame, char ret_text[EVENT_ID_SIZE]);

const char *frame_subject(const struct frame *frame);
const char *frame_event_name(const struct frame *frame);

/* Bytes that frame_append_payload() adds. */
size_t frame_payload_size(const struct frame *frame);

/* Appends the payload, its lines joined by LF. */
void frame_append_payload(const struct frame *frame, struct buffer *buffer);

/* The bytes to send: with chunk framing for HTTP/1.1 (chunked), the SSE bytes for HTTP/1.0. */
const char *frame_bytes(const struct frame *frame, bool chunked, size_t *ret_size);

#endif
