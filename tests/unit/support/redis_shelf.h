#ifndef SLUICE_TESTS_REDIS_SHELF_H
#define SLUICE_TESTS_REDIS_SHELF_H

#include "replay/store.h"

/* What the Redis of several replicas (fake_redis.h) holds of one company. */
enum { SHELF_FRAMES_MAX = 4096 };

/* An event as Redis has it, and what the head said behind it. */
struct written {
    struct frame *frame;
    uint64_t epoch;
    uint64_t since_ms;
    int64_t written_ms;
};

struct shelf {
    char company[129];
    size_t count;
    struct written written[SHELF_FRAMES_MAX];
};

/* The last one; NULL: there is none, or no shelf. */
const struct written *shelf_last(const struct shelf *shelf);

/* The head, as a store gives it. */
struct store_head shelf_head(const struct shelf *shelf);

/* Adds a copy of the frame if it comes behind the last one. */
void shelf_add(struct shelf *shelf, const struct frame *frame, uint64_t epoch, uint64_t since_ms);

#endif
