#include "support/fake_shelf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fake_shelf *fake_shelf_get(struct fake_shelves *shelves, const char *company)
{
    struct fake_shelf *shelf;

    for (size_t i = 0; i < shelves->count; i++)
        if (strcmp(shelves->all[i]->company, company) == 0)
            return shelves->all[i];
    if (shelves->count == FAKE_SHELVES_MAX)
        abort();
    shelf = calloc(1, sizeof *shelf);
    if (!shelf)
        abort();
    snprintf(shelf->company, sizeof shelf->company, "%s", company);
    shelves->all[shelves->count++] = shelf;
    return shelf;
}

void fake_shelf_remove(struct fake_shelf *shelf, size_t index)
{
    frame_unref(shelf->frames[index]);
    shelf->count--;
    memmove(&shelf->frames[index], &shelf->frames[index + 1], (shelf->count - index) * sizeof shelf->frames[0]);
}

void fake_shelf_trim(struct fake_shelf *shelf, size_t keep)
{
    size_t gone = shelf->count > keep ? shelf->count - keep : 0;

    if (gone == 0)
        return;
    shelf->head.floor = frame_position(shelf->frames[gone - 1]);
    for (size_t i = 0; i < gone; i++)
        frame_unref(shelf->frames[i]);
    shelf->count = keep;
    memmove(&shelf->frames[0], &shelf->frames[gone], keep * sizeof shelf->frames[0]);
}

void fake_shelf_add(struct fake_shelf *shelf, struct frame *frame, uint64_t source)
{
    if (event_position_compare(frame_position(frame), shelf->head.position) <= 0)
        return;
    if (source > 0 && source <= shelf->head.source)
        return;
    if (shelf->count == FAKE_SHELF_FRAMES_MAX)
        abort();
    shelf->frames[shelf->count++] = frame_ref(frame);
    shelf->head.exists = true;
    shelf->head.position = frame_position(frame);
    strcpy(shelf->head.subject, frame_subject(frame));
    if (source > 0)
        shelf->head.source = source;
}

static void shelf_clear(struct fake_shelf *shelf)
{
    while (shelf->count > 0)
        frame_unref(shelf->frames[--shelf->count]);
    memset(&shelf->head, 0, sizeof shelf->head);
}

void fake_shelves_clear(struct fake_shelves *shelves)
{
    for (size_t i = 0; i < shelves->count; i++)
        shelf_clear(shelves->all[i]);
}

void fake_shelves_release(struct fake_shelves *shelves)
{
    fake_shelves_clear(shelves);
    for (size_t i = 0; i < shelves->count; i++)
        free(shelves->all[i]);
}
