#include "core/gzip.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    STORED_MAX = 65535, /* bytes in one stored block */
    STORED_HEAD_SIZE = 5,
    WINDOW_BITS = 15,
    MEMORY_LEVEL = 6,          /* 160 KB for each compressor; more finds nothing more in a few events */
    SCRATCH_KEPT_MAX = 262144, /* what a huge event took is given back */
};

/* An empty stored block that is not the last one: type and length, and the length inverted. */
static const char flush_mark[STORED_HEAD_SIZE] = {0, 0, 0, (char)0xff, (char)0xff};

struct gzip {
    z_stream deflate;
    size_t min_bytes;
    unsigned char *scratch; /* where a piece is made */
    size_t scratch_size;
};

struct gzip *gzip_new(size_t min_bytes)
{
    struct gzip *gzip = calloc(1, sizeof *gzip);

    if (!gzip)
        return NULL;
    gzip->min_bytes = min_bytes;
    /* Events in one batch are so much alike that the fastest level finds nearly all there is to find. */
    if (deflateInit2(&gzip->deflate, Z_BEST_SPEED, Z_DEFLATED, -WINDOW_BITS, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) !=
        Z_OK) {
        free(gzip);
        return NULL;
    }
    return gzip;
}

void gzip_free(struct gzip *gzip)
{
    if (!gzip)
        return;
    (void)deflateEnd(&gzip->deflate);
    free(gzip->scratch);
    free(gzip);
}

/* Stored. */

static size_t stored_size(size_t size)
{
    return size + STORED_HEAD_SIZE * ((size + STORED_MAX - 1) / STORED_MAX);
}

/* The head of a stored block that is not the last one. */
static void put_stored_head(unsigned char *to, size_t size)
{
    to[0] = 0;
    to[1] = (unsigned char)(size & 0xff);
    to[2] = (unsigned char)(size >> 8);
    to[3] = (unsigned char)~to[1];
    to[4] = (unsigned char)~to[2];
}

static unsigned char *put_stored(unsigned char *to, const char *text, size_t size)
{
    while (size > 0) {
        size_t part = size < STORED_MAX ? size : STORED_MAX;

        put_stored_head(to, part);
        memcpy(to + STORED_HEAD_SIZE, text, part);
        to += STORED_HEAD_SIZE + part;
        text += part;
        size -= part;
    }
    return to;
}

static size_t store(struct gzip *gzip, struct frame *const *frames, int count)
{
    unsigned char *to = gzip->scratch;

    for (int i = 0; i < count; i++) {
        size_t size;
        const char *text = frame_bytes(frames[i], false, &size);

        to = put_stored(to, text, size);
    }
    memcpy(to, flush_mark, sizeof flush_mark);
    return (size_t)(to - gzip->scratch) + sizeof flush_mark;
}

/* Compressed. Returns the size in the scratch, or 0 where that would not be less than `limit`. */
static size_t compress_frames(struct gzip *gzip, struct frame *const *frames, int count, size_t limit)
{
    z_stream *stream = &gzip->deflate;

    if (deflateReset(stream) != Z_OK)
        return 0;
    stream->next_out = gzip->scratch;
    stream->avail_out = (uInt)limit;
    for (int i = 0; i < count; i++) {
        size_t size;
        const char *text = frame_bytes(frames[i], false, &size);

        stream->next_in = (Bytef *)(uintptr_t)text;
        stream->avail_in = (uInt)size;
        if (deflate(stream, i + 1 < count ? Z_NO_FLUSH : Z_SYNC_FLUSH) != Z_OK || stream->avail_out == 0)
            return 0;
    }
    return limit - stream->avail_out;
}

static int reserve(struct gzip *gzip, size_t size)
{
    unsigned char *scratch;

    if (size <= gzip->scratch_size)
        return 0;
    scratch = realloc(gzip->scratch, size);
    if (!scratch)
        return -ENOMEM;
    gzip->scratch = scratch;
    gzip->scratch_size = size;
    return 0;
}

static void give_back(struct gzip *gzip)
{
    if (gzip->scratch_size <= SCRATCH_KEPT_MAX)
        return;
    free(gzip->scratch);
    gzip->scratch = NULL;
    gzip->scratch_size = 0;
}

/* As gzip_make(). min_bytes: what has less text is stored. */
static int make(struct gzip *gzip, struct frame *const *frames, int count, size_t min_bytes,
                struct gzip_piece *ret_piece)
{
    struct gzip_piece piece = {.frame = NULL};
    size_t limit = sizeof flush_mark;
    size_t text_size = 0;
    size_t size = 0;
    uLong crc = 0;

    for (int i = 0; i < count; i++) {
        size_t frame_size;
        const char *text = frame_bytes(frames[i], false, &frame_size);

        crc = crc32_z(crc, (const Bytef *)text, frame_size);
        text_size += frame_size;
        limit += stored_size(frame_size);
    }
    if (reserve(gzip, limit) < 0)
        return -ENOMEM;
    if (text_size >= min_bytes)
        size = compress_frames(gzip, frames, count, limit);
    if (size == 0)
        size = store(gzip, frames, count);
    piece.frame = frame_new_control((const char *)gzip->scratch, size);
    give_back(gzip);
    if (!piece.frame)
        return -ENOMEM;
    piece.sum = (struct gzip_sum){.crc = (uint32_t)crc, .size = (uint32_t)text_size};
    piece.shift = (uint32_t)crc32_combine_gen((z_off_t)text_size);
    *ret_piece = piece;
    return 0;
}

int gzip_make(struct gzip *gzip, struct frame *const *frames, int count, struct gzip_piece *ret_piece)
{
    return make(gzip, frames, count, gzip->min_bytes, ret_piece);
}

int gzip_store(struct gzip *gzip, struct frame *frame, struct gzip_piece *ret_piece)
{
    return make(gzip, &frame, 1, SIZE_MAX, ret_piece);
}

struct gzip_sum gzip_sum_add(struct gzip_sum sum, const struct gzip_piece *piece)
{
    return (struct gzip_sum){
        .crc = (uint32_t)crc32_combine_op(sum.crc, piece->sum.crc, piece->shift),
        .size = sum.size + piece->sum.size,
    };
}

/* The frame around the pieces. */

void gzip_append_header(struct buffer *bytes)
{
    /* Deflate, no flags, no time, no hint, no system named. */
    static const char header[10] = {0x1f, (char)0x8b, 8, 0, 0, 0, 0, 0, 0, (char)0xff};

    buffer_append(bytes, header, sizeof header);
}

void gzip_append_stored(struct buffer *bytes, const char *text, size_t size, struct gzip_sum *sum)
{
    unsigned char head[STORED_HEAD_SIZE];

    if (size > STORED_MAX) {
        bytes->failed = true;
        return;
    }
    put_stored_head(head, size);
    buffer_append(bytes, head, sizeof head);
    buffer_append(bytes, text, size);
    buffer_append(bytes, flush_mark, sizeof flush_mark);
    sum->crc = (uint32_t)crc32_z(sum->crc, (const Bytef *)text, size);
    sum->size += (uint32_t)size;
}

static void append_number(struct buffer *bytes, uint32_t number)
{
    const unsigned char little[4] = {(unsigned char)number, (unsigned char)(number >> 8), (unsigned char)(number >> 16),
                                     (unsigned char)(number >> 24)};

    buffer_append(bytes, little, sizeof little);
}

void gzip_append_end(struct buffer *bytes, struct gzip_sum sum)
{
    /* An empty block with fixed codes, and the last one. */
    static const char last_block[2] = {3, 0};

    buffer_append(bytes, last_block, sizeof last_block);
    append_number(bytes, sum.crc);
    append_number(bytes, sum.size);
}
