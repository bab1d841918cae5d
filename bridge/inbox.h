#ifndef SLUICE_BRIDGE_INBOX_H
#define SLUICE_BRIDGE_INBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "bridge/source.h"

/* Messages and holes in order: a circle that grows. Under its owner's lock. */
struct inbox;

struct inbox *inbox_new(void);

/* The messages inside are not freed. */
void inbox_free(struct inbox *inbox);

/* Adds an item whose message has that many bytes. Returns 0 or -ENOMEM. */
int inbox_add(struct inbox *inbox, const struct source_item *item, size_t bytes);

/* Takes the first item; false: there is none. */
bool inbox_take(struct inbox *inbox, struct source_item *ret_item);

/* The last item, which may be changed in place; NULL: there is none. */
struct source_item *inbox_last(struct inbox *inbox);

size_t inbox_count(const struct inbox *inbox);
size_t inbox_bytes(const struct inbox *inbox);

#endif
