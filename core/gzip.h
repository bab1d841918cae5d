#ifndef SLUICE_CORE_GZIP_H
#define SLUICE_CORE_GZIP_H

#include <stddef.h>
#include <stdint.h>

#include "core/buffer.h"
#include "core/frame.h"

/*
 * A gzip stream (RFC 1951, RFC 1952) that is written as events come, put together from pieces.
 *
 * A piece begins and ends at a byte, refers to nothing in front of it, and ends with an empty stored block (zlib's sync
 * flush), behind which every decoder gives out all that it has. So a piece is made once, and fits into any number of
 * streams, wherever each of them is. All that a stream has to keep is what its whole text sums up to, for the end.
 */

/* The CRC-32 and the size, modulo 2^32, of the text so far: what a gzip stream ends with. All zero: of no text. */
struct gzip_sum {
    uint32_t crc;
    uint32_t size;
};

struct gzip_piece {
    struct frame *frame; /* the compressed bytes: the holder's reference; NULL: no piece */
    struct gzip_sum sum; /* of the text */
    uint32_t shift;      /* what zlib takes to join the CRC of text of that size to another one */
};

/* Makes pieces, one after the other. One thread. */
struct gzip;

/* min_bytes: less text than that is not compressed, but stored as it is, which costs a copy and a checksum. NULL: no memory. */
struct gzip *gzip_new(size_t min_bytes);
void gzip_free(struct gzip *gzip);

/* Makes one piece of the SSE bytes of these frames, at least one. Returns 0 or -ENOMEM. */
int gzip_make(struct gzip *gzip, struct frame *const *frames, int count, struct gzip_piece *ret_piece);

/* The same of one frame, which is stored as it is, however long. */
int gzip_store(struct gzip *gzip, struct frame *frame, struct gzip_piece *ret_piece);

/* The sum of a stream behind which the piece was put. */
struct gzip_sum gzip_sum_add(struct gzip_sum sum, const struct gzip_piece *piece);

/* What a gzip stream begins with. */
void gzip_append_header(struct buffer *bytes);

/* A piece of that text, stored as it is, which is added to the stream's sum. At most 65535 bytes. */
void gzip_append_stored(struct buffer *bytes, const char *text, size_t size, struct gzip_sum *sum);

/* What a gzip stream ends with, whose text has that sum. */
void gzip_append_end(struct buffer *bytes, struct gzip_sum sum);

#endif
