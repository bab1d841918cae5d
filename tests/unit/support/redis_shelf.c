#include "support/redis_shelf.h"

#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "support/fake_clock.h"

const struct written *shelf_last(const struct shelf *shelf)
{
    return shelf && shelf->count > 0 ? &shelf->written[shelf->count - 1] : NULL;
}

struct store_head shelf_head(const struct shelf *shelf)
{
    const struct written *last = shelf_last(shelf);
    struct store_head head = {.exists = last != NULL};

    if (!last)
        return head;
    head.position = frame_position(last->frame);
    head.since_ms = last->since_ms;
    strcpy(head.subject, frame_subject(last->frame));
    return head;
}

/* What comes back from Redis has no mark and no time of receipt. */
static struct frame *copy_frame(const struct frame *frame)
{
    struct buffer payload = buffer_make(65536);
    struct frame *copy;

    frame_append_payload(frame, &payload);
    copy = frame_new_event(&(struct frame_event){
        .kind = frame_kind(frame),
        .subject = frame_subject(frame),
        .event = frame_event_name(frame),
        .payload = payload.data,
        .payload_size = payload.size,
        .position = frame_position(frame),
    });
    buffer_release(&payload);
    if (!copy)
        abort();
    return copy;
}

void shelf_add(struct shelf *shelf, const struct frame *frame, uint64_t epoch, uint64_t since_ms)
{
    const struct written *last = shelf_last(shelf);

    if (last && event_position_compare(frame_position(frame), frame_position(last->frame)) <= 0)
        return;
    if (shelf->count == SHELF_FRAMES_MAX)
        abort();
    shelf->written[shelf->count++] = (struct written){
        .frame = copy_frame(frame), .epoch = epoch, .since_ms = since_ms, .written_ms = fake_clock_true_ms()};
}
