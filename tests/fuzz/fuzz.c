#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/core/sse_parser.h"

void fuzz_must(bool holds, const char *condition, const char *file, int line)
{
    if (holds)
        return;
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
    abort();
}

char *fuzz_text(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    MUST(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

/* Whether the data is the payload with each of its line ends as LF. */
static bool has_same_lines(const char *data, size_t data_size, const char *payload, size_t size)
{
    size_t used = 0;

    for (size_t i = 0; i < size; i++) {
        char expected = payload[i] == '\r' ? '\n' : payload[i];

        if (payload[i] == '\r' && i + 1 < size && payload[i + 1] == '\n')
            i++;
        if (used == data_size || data[used++] != expected)
            return false;
    }
    return used == data_size;
}

static void check_chunk(const struct frame *frame)
{
    size_t chunked_size;
    size_t size;
    const char *chunked = frame_bytes(frame, true, &chunked_size);
    char head[16];
    int head_size;

    frame_bytes(frame, false, &size);
    head_size = snprintf(head, sizeof head, "%zx\r\n", size);
    MUST(chunked_size == (size_t)head_size + size + 2);
    MUST(memcmp(chunked, head, (size_t)head_size) == 0);
    MUST(memcmp(chunked + chunked_size - 2, "\r\n", 2) == 0);
}

void fuzz_check_frame(const struct frame *frame, const char *payload, size_t payload_size)
{
    size_t size;
    const char *bytes = frame_bytes(frame, false, &size);
    struct sse_stream stream = sse_parse(bytes, size);
    struct event_position position;
    char id[EVENT_ID_SIZE];

    frame_id(frame, id);
    MUST(event_id_parse(id, strlen(id), &position));
    MUST(event_position_compare(position, frame_position(frame)) == 0);
    MUST(!stream.is_cut && stream.odd_lines == 0 && stream.comment_lines == 0 && stream.blank_blocks == 0);
    MUST(stream.count == 1);
    MUST(strcmp(stream.events[0].type, frame_event_name(frame)) == 0);
    MUST(strcmp(stream.events[0].id, frame_kind(frame) == FRAME_HOLE ? "" : id) == 0);
    MUST(strcmp(stream.id, id) == 0);
    MUST(has_same_lines(stream.events[0].data, stream.events[0].data_size, payload, payload_size));
    check_chunk(frame);
    sse_release(&stream);
}
