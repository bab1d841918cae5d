#include "inflater.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <zlib.h>

#define TEXT_BYTES 65536
#define GZIP_WINDOW_BITS (16 + 15)

struct inflater {
    http_body_sink *sink;
    void *context;
    z_stream stream;
    bool ended;
};

struct inflater *inflater_new(http_body_sink *sink, void *context)
{
    struct inflater *inflater = calloc(1, sizeof *inflater);

    if (!inflater)
        return NULL;
    inflater->sink = sink;
    inflater->context = context;
    if (inflateInit2(&inflater->stream, GZIP_WINDOW_BITS) != Z_OK) {
        free(inflater);
        return NULL;
    }
    return inflater;
}

void inflater_free(struct inflater *inflater)
{
    if (!inflater)
        return;
    (void)inflateEnd(&inflater->stream);
    free(inflater);
}

int inflater_feed(struct inflater *inflater, const char *bytes, size_t size)
{
    z_stream *stream = &inflater->stream;
    char text[TEXT_BYTES];

    if (inflater->ended && size > 0)
        return -EPROTO;
    stream->next_in = (Bytef *)(uintptr_t)bytes;
    stream->avail_in = (uInt)size;
    do {
        int status;
        int error;

        stream->next_out = (Bytef *)text;
        stream->avail_out = TEXT_BYTES;
        status = inflate(stream, Z_SYNC_FLUSH);
        if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
            return -EPROTO;
        inflater->ended = status == Z_STREAM_END;
        error = inflater->sink(inflater->context, text, TEXT_BYTES - stream->avail_out);
        if (error)
            return error;
    } while (!inflater->ended && stream->avail_out == 0);
    return inflater->ended && stream->avail_in > 0 ? -EPROTO : 0;
}
