#ifndef SLUICE_REPLAY_REDIS_SLOT_H
#define SLUICE_REPLAY_REDIS_SLOT_H

#include <stddef.h>

/* Which slot of a Redis Cluster a key belongs to. */

enum { REDIS_SLOTS = 16384, REDIS_SLOT_TAG_SIZE = 12 };

/* Of the text between the first { and the next }, if there is any, else of the whole key. */
unsigned redis_slot_of_key(const char *key, size_t size);

/* Which of a command's arguments is its key, all of its keys being in one slot; -1: it has none. */
int redis_slot_key_argument(int count, const char *const *arguments);

/* A text that belongs to that slot. */
void redis_slot_tag(unsigned slot, char ret_tag[REDIS_SLOT_TAG_SIZE]);

#endif
