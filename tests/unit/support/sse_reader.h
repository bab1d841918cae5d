#ifndef SLUICE_TESTS_SSE_READER_H
#define SLUICE_TESTS_SSE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <zlib.h>

/*
 * A client's view of a stream, stricter than a browser's: the response head, chunk framing (HTTP/1.1) or none (HTTP/1.0),
 * lines ended by LF, and no line that this server has no reason to send. A compressed response is decoded as it comes, and
 * must have whole blocks at the end of each chunk, and the right sum at its own end.
 */
enum { SSE_DATA_MAX = 65536 };

struct sse_block {
    char event[64];
    char data[SSE_DATA_MAX];
    char id[160];
    size_t data_size;
    bool has_event;
    bool has_data;
    bool has_id;
    bool has_retry;
    bool is_comment;
    int lines;
};

enum sse_state {
    SSE_HEAD,
    SSE_CHUNK_SIZE,
    SSE_CHUNK_DATA,
    SSE_CHUNK_END,
    SSE_LAST_END,
    SSE_BARE,
    SSE_ENDED,
};

struct sse_reader {
    bool chunked;
    enum sse_state state;
    char line[SSE_DATA_MAX];
    size_t line_size;
    char head[2048];
    size_t head_size;
    char framing[32];
    size_t framing_size;
    size_t chunk_left;
    bool gzip;
    bool gzip_ended; /* with the right sum */
    z_stream inflate;
    struct sse_block block;
    const char *error; /* the first thing that was wrong */
    void (*on_block)(const struct sse_block *block, void *context);
    void *context;
};

void sse_reader_init(struct sse_reader *reader, bool chunked,
                     void (*on_block)(const struct sse_block *block, void *context), void *context);

/* Frees what a compressed response took; also before the reader begins anew. */
void sse_reader_release(struct sse_reader *reader);

/* Takes the next bytes. Stops at the first error. */
void sse_reader_feed(struct sse_reader *reader, const char *bytes, size_t size);

#endif
