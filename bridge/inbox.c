#include "bridge/inbox.h"

#include <errno.h>
#include <stdlib.h>

enum { FIRST_CAPACITY = 64 };

struct entry {
    struct source_item item;
    size_t bytes;
};

struct inbox {
    struct entry *entries;
    size_t capacity;
    size_t first;
    size_t count;
    size_t bytes;
};

struct inbox *inbox_new(void)
{
    return calloc(1, sizeof(struct inbox));
}

void inbox_free(struct inbox *inbox)
{
    if (inbox)
        free(inbox->entries);
    free(inbox);
}

static struct entry *entry_at(const struct inbox *inbox, size_t index)
{
    return &inbox->entries[(inbox->first + index) % inbox->capacity];
}

static int grow(struct inbox *inbox)
{
    size_t capacity = inbox->capacity ? inbox->capacity * 2 : FIRST_CAPACITY;
    struct entry *entries = malloc(capacity * sizeof *entries);

    if (!entries)
        return -ENOMEM;
    for (size_t i = 0; i < inbox->count; i++)
        entries[i] = *entry_at(inbox, i);
    free(inbox->entries);
    inbox->entries = entries;
    inbox->capacity = capacity;
    inbox->first = 0;
    return 0;
}

int inbox_add(struct inbox *inbox, const struct source_item *item, size_t bytes)
{
    if (inbox->count == inbox->capacity && grow(inbox) < 0)
        return -ENOMEM;
    *entry_at(inbox, inbox->count) = (struct entry){.item = *item, .bytes = bytes};
    inbox->count++;
    inbox->bytes += bytes;
    return 0;
}

bool inbox_take(struct inbox *inbox, struct source_item *ret_item)
{
    struct entry *entry;

    if (inbox->count == 0)
        return false;
    entry = entry_at(inbox, 0);
    *ret_item = entry->item;
    inbox->bytes -= entry->bytes;
    inbox->first = (inbox->first + 1) % inbox->capacity;
    inbox->count--;
    return true;
}

struct source_item *inbox_last(struct inbox *inbox)
{
    return inbox->count > 0 ? &entry_at(inbox, inbox->count - 1)->item : NULL;
}

size_t inbox_count(const struct inbox *inbox)
{
    return inbox->count;
}

size_t inbox_bytes(const struct inbox *inbox)
{
    return inbox->bytes;
}
