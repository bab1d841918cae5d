#include "core/table.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* uthash leaves the memory to us: a failed growth of its buckets is an error of the one entry, not of the process. */
#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(entry) ((entry)->key_size = SIZE_MAX)
#include <uthash.h>

struct entry {
    UT_hash_handle hh;
    void *object;
    size_t key_size;
    char key[];
};

struct table {
    struct entry *entries;
};

struct table *table_new(void)
{
    return calloc(1, sizeof(struct table));
}

void table_free(struct table *table)
{
    struct entry *entry;
    struct entry *next;

    if (!table)
        return;
    HASH_ITER(hh, table->entries, entry, next)
    {
        /* The analyzer does not see that deleting the last entry also ends the list. */
        HASH_DEL(table->entries, entry); /* NOLINT(clang-analyzer-unix.Malloc) */
        free(entry);
    }
    free(table);
}

static struct entry *find(const struct table *table, const char *key)
{
    struct entry *entry;

    HASH_FIND(hh, table->entries, key, strlen(key), entry);
    return entry;
}

void *table_get(const struct table *table, const char *key)
{
    struct entry *entry = find(table, key);

    return entry ? entry->object : NULL;
}

int table_add(struct table *table, const char *key, void *object)
{
    size_t size = strlen(key);
    struct entry *entry = malloc(sizeof *entry + size + 1);

    if (!entry)
        return -ENOMEM;
    memcpy(entry->key, key, size + 1);
    entry->key_size = size;
    entry->object = object;
    HASH_ADD_KEYPTR(hh, table->entries, entry->key, size, entry);
    if (entry->key_size == SIZE_MAX) {
        free(entry);
        return -ENOMEM;
    }
    return 0;
}

void table_remove(struct table *table, const char *key)
{
    struct entry *entry = find(table, key);

    if (!entry)
        return;
    HASH_DEL(table->entries, entry);
    free(entry);
}

size_t table_count(const struct table *table)
{
    return HASH_COUNT(table->entries);
}

void table_each(struct table *table, void (*visit)(const char *key, void *object, void *context), void *context)
{
    struct entry *entry;
    struct entry *next;

    HASH_ITER(hh, table->entries, entry, next)
    {
        visit(entry->key, entry->object, context);
    }
}
