#include "core/frame.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHUNK_HEAD_MAX = 10, /* 8 hexadecimal digits, CR LF */
    CHUNK_TAIL_SIZE = 2,
    HEAD_SIZE = EVENT_ID_SIZE + 256,
    TAIL_SIZE = EVENT_ID_SIZE + 16,
};

struct frame {
    /* Counts the holders. Relaxed when it grows (the caller holds one already), acquire-release when it shrinks, so that
       every holder's reads happen before the memory goes. */
    atomic_uint references;
    enum frame_kind kind;
    struct event_position position;
    int64_t received_ns;
    uint64_t mark;
    uint32_t subject_size; /* the subject and the event name stand in front of the bytes, each with a NUL */
    uint32_t names_size;
    uint32_t chunk_head_size;
    uint32_t sse_size;
    uint32_t chunk_tail_size;
    uint32_t data_offset; /* of the first data line within the SSE bytes */
    uint32_t data_size;
    char memory[];
};

/* The length of the line that starts at text, and in ret_skip that of the line with its end: the two differ exactly when
   another line follows, be it an empty one. */
static size_t line_length(const char *text, size_t size, size_t *ret_skip)
{
    size_t length = 0;

    while (length < size && text[length] != '\n' && text[length] != '\r')
        length++;
    *ret_skip = length;
    if (length < size)
        *ret_skip += length + 1 < size && text[length] == '\r' && text[length + 1] == '\n' ? 2 : 1;
    return length;
}

static size_t data_lines_size(const char *payload, size_t size)
{
    size_t total = 0;
    size_t at = 0;
    size_t length;
    size_t skip;

    do {
        length = line_length(payload + at, size - at, &skip);
        total += strlen("data: ") + length + 1;
        at += skip;
    } while (skip > length);
    return total;
}

static char *put(char *to, const char *bytes, size_t size)
{
    memcpy(to, bytes, size);
    return to + size;
}

static char *put_data_lines(char *to, const char *payload, size_t size)
{
    size_t at = 0;
    size_t length;
    size_t skip;

    do {
        length = line_length(payload + at, size - at, &skip);
        to = put(to, "data: ", strlen("data: "));
        to = put(to, payload + at, length);
        *to++ = '\n';
        at += skip;
    } while (skip > length);
    return to;
}

/* An event begins with its id and name. A hole is a gap block that carries no id, then a bare id, which moves a client's
   cursor without dispatching anything, so that the gap is not told twice. */
static size_t sse_head(const struct frame_event *event, char *ret_text, size_t size)
{
    char id[EVENT_ID_SIZE];

    event_id_format(event->subject, event->position, id);
    if (event->kind == FRAME_HOLE)
        return (size_t)snprintf(ret_text, size, "event: %s\n", event->event);
    return (size_t)snprintf(ret_text, size, "id: %s\nevent: %s\n", id, event->event);
}

static size_t sse_tail(const struct frame_event *event, char *ret_text, size_t size)
{
    char id[EVENT_ID_SIZE];

    if (event->kind != FRAME_HOLE)
        return (size_t)snprintf(ret_text, size, "\n");
    event_id_format(event->subject, event->position, id);
    return (size_t)snprintf(ret_text, size, "\nid: %s\n\n", id);
}

size_t frame_encoded_size(const struct frame_event *event)
{
    char head[HEAD_SIZE];
    char tail[TAIL_SIZE];

    return sse_head(event, head, sizeof head) + data_lines_size(event->payload, event->payload_size) +
           sse_tail(event, tail, sizeof tail);
}

static struct frame *frame_allocate(size_t names_size, size_t sse_size, bool chunk_framing)
{
    char chunk_head[CHUNK_HEAD_MAX + 1] = "";
    size_t tail_size = chunk_framing ? CHUNK_TAIL_SIZE : 0;
    size_t head_size = 0;
    struct frame *frame;
    char *bytes;

    if (sse_size > UINT32_MAX / 2)
        return NULL;
    if (chunk_framing)
        head_size = (size_t)snprintf(chunk_head, sizeof chunk_head, "%x\r\n", (unsigned)sse_size);
    frame = malloc(sizeof *frame + names_size + head_size + sse_size + tail_size);
    if (!frame)
        return NULL;
    memset(frame, 0, sizeof *frame);
    atomic_init(&frame->references, 1);
    frame->kind = FRAME_CONTROL;
    frame->names_size = (uint32_t)names_size;
    frame->chunk_head_size = (uint32_t)head_size;
    frame->sse_size = (uint32_t)sse_size;
    frame->chunk_tail_size = (uint32_t)tail_size;
    bytes = frame->memory + names_size;
    memcpy(bytes, chunk_head, head_size);
    memcpy(bytes + head_size + sse_size, "\r\n", tail_size);
    return frame;
}

struct frame *frame_new_event(const struct frame_event *event)
{
    char head[HEAD_SIZE];
    char tail[TAIL_SIZE];
    size_t head_size = sse_head(event, head, sizeof head);
    size_t tail_size = sse_tail(event, tail, sizeof tail);
    size_t data_size = data_lines_size(event->payload, event->payload_size);
    size_t subject_size = strlen(event->subject) + 1;
    size_t event_size = strlen(event->event) + 1;
    struct frame *frame;
    char *to;

    if (head_size >= sizeof head || tail_size >= sizeof tail)
        return NULL;
    frame = frame_allocate(subject_size + event_size, head_size + data_size + tail_size, true);
    if (!frame)
        return NULL;
    frame->kind = event->kind;
    frame->position = event->position;
    frame->received_ns = event->received_ns;
    frame->mark = event->mark;
    frame->subject_size = (uint32_t)subject_size;
    frame->data_offset = (uint32_t)head_size;
    frame->data_size = (uint32_t)data_size;
    to = put(frame->memory, event->subject, subject_size);
    to = put(to, event->event, event_size);
    to = put(to + frame->chunk_head_size, head, head_size);
    to = put_data_lines(to, event->payload, event->payload_size);
    put(to, tail, tail_size);
    return frame;
}

struct frame *frame_new_control(const char *sse, size_t size)
{
    struct frame *frame = frame_allocate(0, size, true);

    if (frame)
        memcpy(frame->memory + frame->chunk_head_size, sse, size);
    return frame;
}

struct frame *frame_new_raw(const char *bytes, size_t size)
{
    struct frame *frame = frame_allocate(0, size, false);

    if (frame)
        memcpy(frame->memory, bytes, size);
    return frame;
}

struct frame *frame_ref(struct frame *frame)
{
    atomic_fetch_add_explicit(&frame->references, 1, memory_order_relaxed);
    return frame;
}

void frame_unref(struct frame *frame)
{
    if (frame && atomic_fetch_sub_explicit(&frame->references, 1, memory_order_acq_rel) == 1)
        free(frame);
}

enum frame_kind frame_kind(const struct frame *frame)
{
    return frame->kind;
}

struct event_position frame_position(const struct frame *frame)
{
    return frame->position;
}

int64_t frame_received_ns(const struct frame *frame)
{
    return frame->received_ns;
}

uint64_t frame_mark(const struct frame *frame)
{
    return frame->mark;
}

size_t frame_memory_size(const struct frame *frame)
{
    return sizeof *frame + frame->names_size + frame->chunk_head_size + frame->sse_size + frame->chunk_tail_size;
}

void frame_id(const struct frame *frame, char ret_text[EVENT_ID_SIZE])
{
    event_id_format(frame_subject(frame), frame->position, ret_text);
}

const char *frame_subject(const struct frame *frame)
{
    return frame->memory;
}

const char *frame_event_name(const struct frame *frame)
{
    return frame->memory + frame->subject_size;
}

static const char *data_lines(const struct frame *frame)
{
    return frame->memory + frame->names_size + frame->chunk_head_size + frame->data_offset;
}

/* The text of the data line at *line, without its LF; moves *line behind that. */
static const char *next_data(const char **line, const char *end, size_t *ret_size)
{
    const char *text = *line + strlen("data: ");
    const char *lf = memchr(text, '\n', (size_t)(end - text));

    *ret_size = (size_t)(lf - text);
    *line = lf + 1;
    return text;
}

size_t frame_payload_size(const struct frame *frame)
{
    const char *line = data_lines(frame);
    const char *end = line + frame->data_size;
    size_t total = 0;
    size_t size;

    while (line < end) {
        next_data(&line, end, &size);
        total += size + 1;
    }
    return total > 0 ? total - 1 : 0;
}

void frame_append_payload(const struct frame *frame, struct buffer *buffer)
{
    const char *line = data_lines(frame);
    const char *end = line + frame->data_size;
    size_t size;

    for (bool first = true; line < end; first = false) {
        const char *text = next_data(&line, end, &size);

        if (!first)
            buffer_append(buffer, "\n", 1);
        buffer_append(buffer, text, size);
    }
}

const char *frame_bytes(const struct frame *frame, bool chunked, size_t *ret_size)
{
    const char *bytes = frame->memory + frame->names_size;

    if (chunked) {
        *ret_size = (size_t)frame->chunk_head_size + frame->sse_size + frame->chunk_tail_size;
        return bytes;
    }
    *ret_size = frame->sse_size;
    return bytes + frame->chunk_head_size;
}
