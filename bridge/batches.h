#ifndef SLUICE_BRIDGE_BATCHES_H
#define SLUICE_BRIDGE_BATCHES_H

#include <stddef.h>
#include <stdint.h>

#include "bridge/live.h"
#include "bridge/source.h"

/*
 * The batches of events heard in the last seconds, as they came: a new owner that had not heard all of them is sent the rest.
 * One thread.
 */
struct batches;

/* Batches older than keep_ns go, and the oldest ones above max_bytes. NULL: no memory. */
struct batches *batches_new(int64_t keep_ns, size_t max_bytes);
void batches_free(struct batches *batches);

/* Takes over the item's message. */
void batches_add(struct batches *batches, const struct source_item *item, const struct live_header *header);

/* Forgets what is too old. */
void batches_expire(struct batches *batches, int64_t now_ns);

/* Gives the body of each batch of that epoch behind `batch`, in order. */
void batches_each(const struct batches *batches, uint64_t epoch, uint64_t batch,
                  void (*visit)(void *context, uint64_t batch, const struct live_reader *body), void *context);

#endif
