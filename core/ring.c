#include "core/ring.h"

#include <errno.h>
#include <stdlib.h>

struct entry {
    struct frame *frame;
    uint64_t end_bytes; /* bytes of all frames ever pushed, this one included */
};

struct ring {
    struct entry *entries;
    uint64_t capacity; /* a power of two, or 0 */
    uint64_t begin;
    uint64_t end;
    uint64_t begin_bytes; /* end_bytes of the frame in front of the first */
    struct event_position before;
};

enum { FIRST_CAPACITY = 8 };

struct ring *ring_new(struct event_position before)
{
    struct ring *ring = calloc(1, sizeof *ring);

    if (ring)
        ring->before = before;
    return ring;
}

void ring_free(struct ring *ring)
{
    if (!ring)
        return;
    ring_trim(ring, ring->end);
    free(ring->entries);
    free(ring);
}

static struct entry *entry_at(const struct ring *ring, uint64_t slot)
{
    return &ring->entries[slot & (ring->capacity - 1)];
}

/* Moves the entries to an array of `capacity`, which holds them all. */
static int resize(struct ring *ring, uint64_t capacity)
{
    struct entry *entries = malloc((size_t)capacity * sizeof *entries);

    if (!entries)
        return -ENOMEM;
    for (uint64_t slot = ring->begin; slot < ring->end; slot++)
        entries[slot & (capacity - 1)] = *entry_at(ring, slot);
    free(ring->entries);
    ring->entries = entries;
    ring->capacity = capacity;
    return 0;
}

int ring_push(struct ring *ring, struct frame *frame)
{
    uint64_t bytes = ring->end > ring->begin ? entry_at(ring, ring->end - 1)->end_bytes : ring->begin_bytes;

    if (ring->end - ring->begin == ring->capacity) {
        int status = resize(ring, ring->capacity ? ring->capacity * 2 : FIRST_CAPACITY);

        if (status < 0)
            return status;
    }
    *entry_at(ring, ring->end) =
        (struct entry){.frame = frame_ref(frame), .end_bytes = bytes + frame_memory_size(frame)};
    ring->end++;
    return 0;
}

void ring_trim(struct ring *ring, uint64_t begin)
{
    uint64_t held;

    while (ring->begin < begin && ring->begin < ring->end) {
        struct entry *entry = entry_at(ring, ring->begin);

        ring->before = frame_position(entry->frame);
        ring->begin_bytes = entry->end_bytes;
        frame_unref(entry->frame);
        ring->begin++;
    }
    /* A burst must not keep its array for ever; failing to shrink does no harm. */
    held = ring->end - ring->begin;
    if (ring->capacity > 64 && held < ring->capacity / 4)
        (void)resize(ring, ring->capacity / 2);
}

uint64_t ring_begin(const struct ring *ring)
{
    return ring->begin;
}

uint64_t ring_end(const struct ring *ring)
{
    return ring->end;
}

struct frame *ring_frame(const struct ring *ring, uint64_t slot)
{
    return entry_at(ring, slot)->frame;
}

struct event_position ring_before(const struct ring *ring, uint64_t slot)
{
    return slot == ring->begin ? ring->before : frame_position(ring_frame(ring, slot - 1));
}

static uint64_t bytes_before(const struct ring *ring, uint64_t slot)
{
    return slot == ring->begin ? ring->begin_bytes : entry_at(ring, slot - 1)->end_bytes;
}

size_t ring_bytes(const struct ring *ring, uint64_t from, uint64_t to)
{
    return (size_t)(bytes_before(ring, to) - bytes_before(ring, from));
}

uint64_t ring_find(const struct ring *ring, struct event_position position, bool *ret_exact)
{
    uint64_t low = ring->begin;
    uint64_t high = ring->end;

    while (low < high) {
        uint64_t middle = low + (high - low) / 2;

        if (event_position_compare(frame_position(ring_frame(ring, middle)), position) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_exact = event_position_compare(ring_before(ring, low), position) == 0;
    return low;
}
