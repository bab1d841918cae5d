#include "bridge/doubt.h"

#include <stdlib.h>
#include <string.h>

#include "bridge/source_message.h"
#include "core/clock.h"

enum { HOLES_MAX = 8 /* with a place of their own among the messages */ };

struct doubt {
    struct shadow *shadow;
    bool exists;
    bool has_given_up;
    int64_t holes_ns[HOLES_MAX]; /* in order */
    size_t hole_count;
    int64_t last_hole_ns;
    int64_t given_up_ns;
    bool returns_hole; /* while what was to be numbered comes back: a hole stands in front of the next message */
};

struct doubt *doubt_new(struct shadow *shadow)
{
    struct doubt *doubt = calloc(1, sizeof *doubt);

    if (doubt)
        doubt->shadow = shadow;
    return doubt;
}

void doubt_free(struct doubt *doubt)
{
    free(doubt);
}

static void drop_until(struct doubt *doubt, int64_t received_ns)
{
    doubt->has_given_up = true;
    if (received_ns > doubt->given_up_ns)
        doubt->given_up_ns = received_ns;
    shadow_expire(doubt->shadow, doubt->given_up_ns + 1);
}

void doubt_note_hole(struct doubt *doubt, int64_t received_ns)
{
    size_t at;

    if (!doubt->shadow)
        return;
    if (!doubt->exists)
        doubt->hole_count = 0;
    doubt->exists = true;
    if (received_ns > doubt->last_hole_ns)
        doubt->last_hole_ns = received_ns;
    for (at = doubt->hole_count; at > 0 && doubt->holes_ns[at - 1] >= received_ns; at--)
        if (doubt->holes_ns[at - 1] == received_ns)
            return;
    if (doubt->hole_count == HOLES_MAX) {
        drop_until(doubt, doubt->last_hole_ns);
        return;
    }
    memmove(&doubt->holes_ns[at + 1], &doubt->holes_ns[at], (doubt->hole_count++ - at) * sizeof doubt->holes_ns[0]);
    doubt->holes_ns[at] = received_ns;
}

void doubt_give_up(struct doubt *doubt, int64_t received_ns)
{
    doubt_note_hole(doubt, received_ns);
    if (doubt->shadow)
        drop_until(doubt, received_ns);
}

bool doubt_is_given_up(const struct doubt *doubt, int64_t received_ns)
{
    return received_ns <= doubt->given_up_ns;
}

void doubt_hear_told(struct doubt *doubt, int64_t told_ns)
{
    if (told_ns <= doubt->last_hole_ns)
        return;
    doubt->exists = false;
    doubt->has_given_up = false;
}

bool doubt_exists(const struct doubt *doubt)
{
    return doubt->exists;
}

/* Becoming the owner. */

static const struct source_item hole = {.message = NULL};

/* Takes all messages out of the shadow: those that are numbered go there again until they are heard. */
static struct source_item *take_shadow(struct shadow *shadow, size_t *ret_count)
{
    size_t count = shadow_count(shadow);
    struct source_item *items = calloc(count + 1, sizeof *items);
    size_t taken = 0;

    if (!items)
        return NULL;
    while (taken < count && shadow_take(shadow, &items[taken]))
        taken++;
    *ret_count = taken;
    return items;
}

/* Numbers the items received up to then; returns how many they were. */
static size_t number_until(struct intake *intake, const struct source_item *items, size_t count, int64_t received_ns)
{
    size_t i = 0;

    while (i < count && items[i].received_ns <= received_ns)
        intake_take(intake, &items[i++]);
    return i;
}

void doubt_number_all(struct doubt *doubt, struct intake *intake, bool lacks_first)
{
    size_t holes = doubt->exists ? doubt->hole_count : 0;
    bool is_told = lacks_first || doubt->has_given_up;
    size_t count = 0;
    size_t done = 0;
    struct source_item *items;

    if (!doubt->shadow)
        return;
    items = take_shadow(doubt->shadow, &count);
    doubt->exists = false;
    doubt->has_given_up = false;
    if (!items)
        shadow_expire(doubt->shadow, INT64_MAX);
    if (is_told || !items)
        intake_take(intake, &hole);
    if (!items)
        return;
    for (size_t i = 0; i < holes; i++) {
        size_t numbered = number_until(intake, items + done, count - done, doubt->holes_ns[i]);

        done += numbered;
        if (numbered > 0 || !is_told)
            intake_take(intake, &hole);
        is_told = true;
    }
    (void)number_until(intake, items + done, count - done, INT64_MAX);
    free(items);
}

/* The owner no more. */

static void return_hole(struct doubt *doubt, int64_t next_ns)
{
    if (doubt->returns_hole)
        doubt_note_hole(doubt, next_ns - 1);
    doubt->returns_hole = false;
}

void doubt_return_frame(void *context, const struct frame *frame)
{
    struct doubt *doubt = context;

    if (frame_kind(frame) == FRAME_HOLE)
        doubt->returns_hole = true;
    else
        return_hole(doubt, frame_received_ns(frame));
}

void doubt_return_parked(void *context, const struct parked *parked)
{
    struct doubt *doubt = context;

    if (!parked->message) {
        doubt->returns_hole = true;
        return;
    }
    return_hole(doubt, parked->received_ns);
    if (!doubt->shadow) {
        source_message_free(parked->message);
        return;
    }
    shadow_add(doubt->shadow, &(struct source_item){.message = parked->message, .received_ns = parked->received_ns});
}

void doubt_end_return(struct doubt *doubt)
{
    return_hole(doubt, clock_monotonic_ns() + 1);
}
