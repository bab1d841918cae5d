#ifndef SLUICE_TESTS_UNIT_CORE_SSE_PARSER_H
#define SLUICE_TESTS_UNIT_CORE_SSE_PARSER_H

#include <stdbool.h>
#include <stddef.h>

/*
 * What a browser makes of a whole event stream: WHATWG HTML, "Server-sent events", section "Interpreting an event stream".
 * Written from the standard, not from our encoder.
 */
struct sse_event {
    char *type; /* "message" where the stream names none */
    char *data;
    size_t data_size; /* bytes; data may hold NUL bytes */
    char *id;         /* lastEventId when the event was dispatched */
};

struct sse_stream {
    struct sse_event *events;
    size_t count;
    char *id;         /* the last event id string: what a reconnecting client would send */
    bool is_cut;      /* the text ends inside a block */
    size_t odd_lines; /* lines that are no comment and hold no known field */
    size_t comment_lines;
    size_t blank_blocks; /* blocks that dispatch nothing and hold no id either */
};

/* Parses a whole stream. Memory that runs out ends the process. */
struct sse_stream sse_parse(const char *text, size_t size);
void sse_release(struct sse_stream *stream);

#endif
