#include "sse_lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES (1u << 20)
#define KEPT_FIRST_BYTES 512

struct sse_lines {
    sse_lines_sink *sink;
    void *context;
    char *kept; /* the start of a line whose end has not arrived */
    size_t kept_bytes;
    size_t kept_capacity;
};

struct sse_lines *sse_lines_new(sse_lines_sink *sink, void *context)
{
    struct sse_lines *lines = calloc(1, sizeof *lines);

    if (!lines)
        return NULL;
    lines->sink = sink;
    lines->context = context;
    return lines;
}

void sse_lines_free(struct sse_lines *lines)
{
    if (!lines)
        return;
    free(lines->kept);
    free(lines);
}

static int keep(struct sse_lines *lines, const char *bytes, size_t size)
{
    size_t needed = lines->kept_bytes + size;
    size_t capacity = lines->kept_capacity ? lines->kept_capacity : KEPT_FIRST_BYTES;
    char *grown;

    if (needed > LINE_MAX_BYTES)
        return -EMSGSIZE;
    while (capacity < needed)
        capacity *= 2;
    if (capacity != lines->kept_capacity) {
        grown = realloc(lines->kept, capacity);
        if (!grown)
            return -ENOMEM;
        lines->kept = grown;
        lines->kept_capacity = capacity;
    }
    memcpy(lines->kept + lines->kept_bytes, bytes, size);
    lines->kept_bytes = needed;
    return 0;
}

static enum sse_line kind_of(const char *name, size_t size)
{
    if (size == 4 && memcmp(name, "data", 4) == 0)
        return SSE_DATA;
    if (size == 5 && memcmp(name, "event", 5) == 0)
        return SSE_EVENT;
    if (size == 2 && memcmp(name, "id", 2) == 0)
        return SSE_ID;
    return SSE_OTHER;
}

static void hand_on(struct sse_lines *lines, const char *line, size_t size)
{
    const char *colon;
    size_t name_size;

    if (size > 0 && line[size - 1] == '\r')
        size--;
    if (size == 0) {
        lines->sink(lines->context, SSE_END, line, 0);
        return;
    }
    colon = memchr(line, ':', size);
    name_size = colon ? (size_t)(colon - line) : size;
    if (name_size == 0) {
        lines->sink(lines->context, SSE_COMMENT, line + 1, size - 1);
        return;
    }
    if (!colon) {
        lines->sink(lines->context, kind_of(line, size), line + size, 0);
        return;
    }
    colon++;
    if (colon < line + size && *colon == ' ')
        colon++;
    lines->sink(lines->context, kind_of(line, name_size), colon, (size_t)(line + size - colon));
}

int sse_lines_feed(struct sse_lines *lines, const char *bytes, size_t size)
{
    while (size > 0) {
        const char *feed = memchr(bytes, '\n', size);
        size_t part = feed ? (size_t)(feed - bytes) : size;
        int error = 0;

        if (!feed)
            return keep(lines, bytes, size);
        if (lines->kept_bytes > 0) {
            error = keep(lines, bytes, part);
            if (error)
                return error;
            hand_on(lines, lines->kept, lines->kept_bytes);
            lines->kept_bytes = 0;
        } else {
            hand_on(lines, bytes, part);
        }
        bytes += part + 1;
        size -= part + 1;
    }
    return 0;
}
