#ifndef SLUICE_CORE_TABLE_H
#define SLUICE_CORE_TABLE_H

#include <stddef.h>

/* A table from text keys to objects, which it does not own. One owner thread, or its owner's lock. */
struct table;

struct table *table_new(void);
void table_free(struct table *table);

/* The object under key, or NULL. */
void *table_get(const struct table *table, const char *key);

/* Puts an object under a key that is not there yet (the key is copied). Returns 0 or -ENOMEM. */
int table_add(struct table *table, const char *key, void *object);

/* Takes the key out, if it is there. */
void table_remove(struct table *table, const char *key);

size_t table_count(const struct table *table);

/* Calls visit for each key in the order of their adding. visit may remove the key it was called with, and no other. */
void table_each(struct table *table, void (*visit)(const char *key, void *object, void *context), void *context);

#endif
