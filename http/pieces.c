#include "http/pieces.h"

#include <stdlib.h>
#include <string.h>

enum {
    HELD_MAX = 64,
    HELD_MAX_BYTES = 4 * 1024 * 1024, /* of the frames and the pieces, for one worker */
};

struct held {
    struct frame **frames; /* with a reference to each, so that no other frame can come to lie where one of them did */
    int count;
    size_t bytes;
    struct gzip_piece piece;
};

struct pieces {
    struct gzip *gzip;
    struct metrics *metrics;
    struct held held[HELD_MAX]; /* a ring: the oldest goes first */
    unsigned first;
    unsigned count;
    size_t bytes;
};

struct pieces *pieces_new(size_t min_bytes, struct metrics *metrics)
{
    struct pieces *pieces = calloc(1, sizeof *pieces);

    if (!pieces)
        return NULL;
    pieces->metrics = metrics;
    pieces->gzip = gzip_new(min_bytes);
    if (!pieces->gzip) {
        free(pieces);
        return NULL;
    }
    return pieces;
}

void pieces_free(struct pieces *pieces)
{
    if (!pieces)
        return;
    pieces_clear(pieces);
    gzip_free(pieces->gzip);
    free(pieces);
}

static void let_oldest_go(struct pieces *pieces)
{
    struct held *held = &pieces->held[pieces->first];

    for (int i = 0; i < held->count; i++)
        frame_unref(held->frames[i]);
    free(held->frames);
    frame_unref(held->piece.frame);
    pieces->bytes -= held->bytes;
    pieces->first = (pieces->first + 1) % HELD_MAX;
    pieces->count--;
}

void pieces_clear(struct pieces *pieces)
{
    while (pieces->count > 0)
        let_oldest_go(pieces);
}

/* The newest first: it is the one that a round asks for. */
static const struct held *find(const struct pieces *pieces, struct frame *const *frames, int count)
{
    for (unsigned i = pieces->count; i > 0; i--) {
        const struct held *held = &pieces->held[(pieces->first + i - 1) % HELD_MAX];

        if (held->count == count && held->frames[0] == frames[0] &&
            memcmp(held->frames, frames, (size_t)count * sizeof *frames) == 0)
            return held;
    }
    return NULL;
}

static void hold(struct pieces *pieces, struct frame *const *frames, int count, const struct gzip_piece *piece)
{
    struct held held = {.count = count, .piece = *piece, .bytes = frame_memory_size(piece->frame)};

    for (int i = 0; i < count; i++)
        held.bytes += frame_memory_size(frames[i]);
    if (held.bytes > HELD_MAX_BYTES)
        return;
    while (pieces->count == HELD_MAX || pieces->bytes + held.bytes > HELD_MAX_BYTES)
        let_oldest_go(pieces);
    held.frames = malloc((size_t)count * sizeof *frames);
    if (!held.frames)
        abort();
    for (int i = 0; i < count; i++)
        held.frames[i] = frame_ref(frames[i]);
    (void)frame_ref(piece->frame);
    pieces->held[(pieces->first + pieces->count) % HELD_MAX] = held;
    pieces->count++;
    pieces->bytes += held.bytes;
}

struct gzip_piece pieces_get(struct pieces *pieces, struct frame *const *frames, int count)
{
    const struct held *held = find(pieces, frames, count);
    struct gzip_piece piece;
    size_t size;

    if (held) {
        (void)frame_ref(held->piece.frame);
        return held->piece;
    }
    if (gzip_make(pieces->gzip, frames, count, &piece) < 0)
        abort();
    (void)frame_bytes(piece.frame, false, &size);
    metrics_add(pieces->metrics, METRIC_COMPRESSION_INPUT_BYTES, piece.sum.size);
    metrics_add(pieces->metrics, METRIC_COMPRESSION_OUTPUT_BYTES, (int64_t)size);
    hold(pieces, frames, count, &piece);
    return piece;
}

struct gzip_piece pieces_store(struct pieces *pieces, struct frame *frame)
{
    struct gzip_piece piece;

    if (gzip_store(pieces->gzip, frame, &piece) < 0)
        abort();
    return piece;
}
