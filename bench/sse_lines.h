/*
 * Splits an event stream into its lines as it arrives, in pieces of any size. A line that lies whole in the
 * caller's buffer is handed on from there; only one that is cut by the end of a read is copied.
 */
#ifndef BENCH_SSE_LINES_H
#define BENCH_SSE_LINES_H

#include <stddef.h>

struct sse_lines;

/* SSE_END is the blank line that completes an event. */
enum sse_line { SSE_COMMENT, SSE_DATA, SSE_EVENT, SSE_ID, SSE_OTHER, SSE_END };

/* Receives a line's kind and value, without the field's name; valid only during the call. */
typedef void sse_lines_sink(void *context, enum sse_line kind, const char *value, size_t size);

/* Gives NULL without memory. The caller frees it. */
struct sse_lines *sse_lines_new(sse_lines_sink *sink, void *context);
void sse_lines_free(struct sse_lines *lines);

/* Gives 0, -ENOMEM, or -EMSGSIZE for a line above 1 MiB. */
int sse_lines_feed(struct sse_lines *lines, const char *bytes, size_t size);

#endif
