#include "core/json_arena.h"

#include <assert.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

struct block {
    size_t room;
    alignas(max_align_t) char bytes[];
};

static_assert(sizeof(struct block) == JSON_ARENA_HEAD, "the head is as large as is said");

void json_arena_init(struct json_arena *arena, char *bytes, size_t size)
{
    *arena = (struct json_arena){.bytes = bytes, .size = size};
}

static void *arena_malloc(void *context, size_t size)
{
    struct json_arena *arena = context;
    size_t room = JSON_ARENA_ROOM_MIN;
    struct block *block;

    while (room < size)
        room *= 2;
    if (room + sizeof *block > arena->size - arena->used)
        abort();
    block = (struct block *)(void *)(arena->bytes + arena->used);
    arena->used += room + sizeof *block;
    block->room = room;
    return block->bytes;
}

static void *arena_realloc(void *context, void *bytes, size_t size)
{
    struct block *block;
    void *larger;

    if (!bytes)
        return arena_malloc(context, size);
    block = (struct block *)(void *)((char *)bytes - offsetof(struct block, bytes));
    if (size <= block->room)
        return bytes;
    larger = arena_malloc(context, size);
    memcpy(larger, bytes, block->room);
    return larger;
}

static void arena_free(void *context, void *bytes)
{
    (void)context;
    (void)bytes;
}

yajl_alloc_funcs json_arena_funcs(struct json_arena *arena)
{
    return (yajl_alloc_funcs){
        .malloc = arena_malloc,
        .realloc = arena_realloc,
        .free = arena_free,
        .ctx = arena,
    };
}
