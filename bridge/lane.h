#ifndef SLUICE_BRIDGE_LANE_H
#define SLUICE_BRIDGE_LANE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/source.h"

/* What one thread gives another in order: a bounded inbox, and a descriptor that tells of it. Under its owner's lock. */
struct lane;

/* NULL: no memory or descriptor. */
struct lane *lane_new(size_t max_items, size_t max_bytes);

/* Frees the messages inside, too. */
void lane_free(struct lane *lane);

/*
 * Adds a message of so many bytes. False: the lane is full, or there is no memory; then the message stays the caller's. The taker
 * learns of it by lane_unlock().
 */
bool lane_add(struct lane *lane, const struct source_item *item, size_t bytes);

/*
 * Lets the owner's lock go, and then wakes up the taker if it has to learn of a message: woken under the lock, it would only wait for
 * that, and be woken up once more.
 */
void lane_unlock(struct lane *lane, pthread_mutex_t *lock);

/*
 * Writes down that messages were missed here. Holes that follow each other become one: nothing stands between them. dropped: how many
 * are known to be lost. The taker learns of it at once.
 */
void lane_add_hole(struct lane *lane, int64_t now_ns, int64_t dropped);

/* Takes up to `max` items, in order. Returns how many. */
size_t lane_take(struct lane *lane, struct source_item *items, size_t max);

/* Readable while there are items. The one function that needs no lock. */
int lane_fd(const struct lane *lane);

size_t lane_count(const struct lane *lane);

/* Whether so many more items may be asked for: their number fits, and half of the bytes are free. */
bool lane_has_room(const struct lane *lane, size_t items);

#endif
