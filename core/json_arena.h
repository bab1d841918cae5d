#ifndef SLUICE_CORE_JSON_ARENA_H
#define SLUICE_CORE_JSON_ARENA_H

#include <stddef.h>
#include <yajl/yajl_common.h>

/*
 * Memory for yajl, which checks none of its allocations: where one fails, it writes to address 0. So it gets all from a block
 * that was reserved beforehand. Nothing is given back before the arena is set up anew. One owner.
 *
 * Each allocation has room for a power of two of bytes, and grows in its place within it. So what grows step by step to n bytes
 * takes less than 4n in all: its last room is below 2n, and those before it together are below that.
 */
struct json_arena {
    char *bytes;
    size_t size;
    size_t used;
};

enum {
    JSON_ARENA_ROOM_MIN = 64, /* what the smallest allocation has room for */
    JSON_ARENA_HEAD = 16,     /* what each takes besides */
};

/* Empties the arena over `bytes`, which are aligned as malloc() does it and outlive it. */
void json_arena_init(struct json_arena *arena, char *bytes, size_t size);

/*
 * What yajl is to allocate with, which ends with the arena. More than was reserved ends the process: whoever reserves knows
 * what yajl can need at most.
 */
yajl_alloc_funcs json_arena_funcs(struct json_arena *arena);

#endif
