#include "tests/unit/core/sse_parser.h"

#include <stdlib.h>
#include <string.h>

struct parser {
    struct sse_stream stream;
    char *data;
    size_t data_size;
    char *type;
    char *id;
    bool has_id;
    bool in_block;
};

static void *grown(void *memory, size_t size)
{
    memory = realloc(memory, size ? size : 1);
    if (!memory)
        abort();
    return memory;
}

static char *copied(const char *text, size_t size)
{
    char *copy = grown(NULL, size + 1);

    if (size > 0)
        memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}

static void replace(char **text, const char *value, size_t size)
{
    free(*text);
    *text = copied(value, size);
}

static void add_data(struct parser *parser, const char *value, size_t size)
{
    parser->data = grown(parser->data, parser->data_size + size + 1);
    if (size > 0)
        memcpy(parser->data + parser->data_size, value, size);
    parser->data[parser->data_size + size] = '\n';
    parser->data_size += size + 1;
}

static bool is_field(const char *name, size_t size, const char *expected)
{
    return size == strlen(expected) && memcmp(name, expected, size) == 0;
}

static void process_field(struct parser *parser, const char *name, size_t name_size, const char *value, size_t size)
{
    if (is_field(name, name_size, "event")) {
        replace(&parser->type, value, size);
    } else if (is_field(name, name_size, "data")) {
        add_data(parser, value, size);
    } else if (is_field(name, name_size, "id")) {
        if (!memchr(value, '\0', size))
            replace(&parser->id, value, size);
        parser->has_id = true;
    } else if (!is_field(name, name_size, "retry")) {
        parser->stream.odd_lines++;
    }
}

static void process_line(struct parser *parser, const char *line, size_t size)
{
    const char *colon = memchr(line, ':', size);
    size_t name_size = colon ? (size_t)(colon - line) : size;
    const char *value = colon ? colon + 1 : line + size;

    if (colon == line) {
        parser->stream.comment_lines++;
        return;
    }
    if (value < line + size && *value == ' ')
        value++;
    process_field(parser, line, name_size, value, (size_t)(line + size - value));
}

static void dispatch(struct parser *parser)
{
    struct sse_stream *stream = &parser->stream;

    replace(&stream->id, parser->id, strlen(parser->id));
    if (parser->data_size > 0) {
        const char *type = *parser->type ? parser->type : "message";

        stream->events = grown(stream->events, (stream->count + 1) * sizeof *stream->events);
        stream->events[stream->count++] = (struct sse_event){
            .type = copied(type, strlen(type)),
            .data = copied(parser->data, parser->data_size - 1),
            .data_size = parser->data_size - 1,
            .id = copied(stream->id, strlen(stream->id)),
        };
    } else if (!parser->has_id) {
        stream->blank_blocks++;
    }
    parser->data_size = 0;
    parser->has_id = false;
    replace(&parser->type, "", 0);
}

/* The size of the line at text without its end; ret_end: of its end, 0 when there is none. */
static size_t measure_line(const char *text, size_t size, size_t *ret_end)
{
    size_t length = 0;

    while (length < size && text[length] != '\n' && text[length] != '\r')
        length++;
    if (length == size)
        *ret_end = 0;
    else
        *ret_end = text[length] == '\r' && length + 1 < size && text[length + 1] == '\n' ? 2 : 1;
    return length;
}

struct sse_stream sse_parse(const char *text, size_t size)
{
    struct parser parser = {.type = copied("", 0), .id = copied("", 0), .stream.id = copied("", 0)};
    size_t at = size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;

    while (at < size) {
        size_t end;
        size_t length = measure_line(text + at, size - at, &end);

        parser.in_block = length > 0 || end == 0;
        if (end == 0)
            break;
        if (length == 0)
            dispatch(&parser);
        else
            process_line(&parser, text + at, length);
        at += length + end;
    }
    parser.stream.is_cut = parser.in_block;
    free(parser.data);
    free(parser.type);
    free(parser.id);
    return parser.stream;
}

void sse_release(struct sse_stream *stream)
{
    for (size_t i = 0; i < stream->count; i++) {
        free(stream->events[i].type);
        free(stream->events[i].data);
        free(stream->events[i].id);
    }
    free(stream->events);
    free(stream->id);
}
