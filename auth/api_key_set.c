#include "auth/api_key_set.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

struct entry {
    struct api_key key;
    const struct api_key_line *line; /* while the set is made */
};

struct api_key_set {
    atomic_size_t references;
    size_t count;
    struct entry *by_hash;
    const struct api_key **by_id;
};

static int compare_hashes(const void *a, const void *b)
{
    return memcmp(((const struct entry *)a)->key.hash, ((const struct entry *)b)->key.hash, API_KEY_HASH_BYTES);
}

static int compare_ids(const void *a, const void *b)
{
    return strcmp((*(const struct api_key *const *)a)->id, (*(const struct api_key *const *)b)->id);
}

static void complain(struct buffer *errors, const struct api_key_line *line, const char *problem)
{
    if (line->label)
        buffer_printf(errors, "%.128s: %s\n", line->label, problem);
    else
        buffer_printf(errors, "line %zu: %s\n", line->number, problem);
}

/* Reads the lines. Returns how many are bad, or -ENOMEM. */
static ptrdiff_t read_lines(struct api_key_set *set, const struct api_key_line *lines, size_t count,
                            struct buffer *errors)
{
    ptrdiff_t bad = 0;

    for (size_t i = 0; i < count; i++) {
        struct entry *entry = &set->by_hash[set->count];
        const char *problem = NULL;
        int status = api_key_parse(lines[i].text, lines[i].size, &entry->key, &problem);

        if (status == -ENOMEM)
            return status;
        if (status == 0) {
            entry->line = &lines[i];
            set->count++;
            if (lines[i].label && strcmp(lines[i].label, entry->key.id) != 0)
                problem = "holds a key of another id";
        }
        if (problem) {
            complain(errors, &lines[i], problem);
            bad++;
        }
    }
    return bad;
}

/* Sorts what was read, and complains about what is there twice. Returns how many are. */
static ptrdiff_t sort_keys(struct api_key_set *set, struct buffer *errors)
{
    ptrdiff_t bad = 0;

    qsort(set->by_hash, set->count, sizeof *set->by_hash, compare_hashes);
    for (size_t i = 0; i < set->count; i++) {
        set->by_id[i] = &set->by_hash[i].key;
        if (i > 0 && compare_hashes(&set->by_hash[i - 1], &set->by_hash[i]) == 0) {
            complain(errors, set->by_hash[i].line, "the same key stands elsewhere, too");
            bad++;
        }
    }
    qsort(set->by_id, set->count, sizeof *set->by_id, compare_ids);
    for (size_t i = 1; i < set->count; i++) {
        if (compare_ids(&set->by_id[i - 1], &set->by_id[i]) == 0) {
            /* A key is the first member of its entry. */
            complain(errors, ((const struct entry *)(const void *)set->by_id[i])->line, "another key has the same id");
            bad++;
        }
    }
    return bad;
}

static struct api_key_set *make_set(size_t count)
{
    struct api_key_set *set = calloc(1, sizeof *set);

    if (!set)
        return NULL;
    atomic_init(&set->references, 1);
    /* One more, since none at all would be NULL. */
    set->by_hash = calloc(count + 1, sizeof *set->by_hash);
    set->by_id = calloc(count + 1, sizeof *set->by_id);
    if (set->by_hash && set->by_id)
        return set;
    api_key_set_unref(set);
    return NULL;
}

int api_key_set_from_lines(const struct api_key_line *lines, size_t count, struct buffer *errors,
                           struct api_key_set **ret_set)
{
    struct api_key_set *set;
    ptrdiff_t bad;

    if (count > API_KEY_SET_MAX) {
        buffer_append_text(errors, "there are more than 100000 keys\n");
        return -EINVAL;
    }
    set = make_set(count);
    if (!set)
        return -ENOMEM;
    bad = read_lines(set, lines, count, errors);
    if (bad >= 0)
        bad += sort_keys(set, errors);
    if (bad != 0) {
        api_key_set_unref(set);
        return bad < 0 ? -ENOMEM : -EINVAL;
    }
    for (size_t i = 0; i < set->count; i++)
        set->by_hash[i].line = NULL;
    *ret_set = set;
    return 0;
}

/* The next line with a key, from *at on; false behind the last. Counts all lines. */
static bool next_line(const char **at, const char *end, struct api_key_line *line)
{
    while (*at < end) {
        const char *begin = *at;
        const char *stop = memchr(begin, '\n', (size_t)(end - begin));

        *at = stop ? stop + 1 : end;
        stop = stop ? stop : end;
        line->number++;
        while (begin < stop && (*begin == ' ' || *begin == '\t' || *begin == '\r'))
            begin++;
        if (begin < stop && *begin != '#') {
            line->text = begin;
            line->size = (size_t)(stop - begin);
            return true;
        }
    }
    return false;
}

int api_key_set_from_text(const char *text, size_t size, struct buffer *errors, struct api_key_set **ret_set)
{
    const char *at = text;
    struct api_key_line line = {0};
    struct api_key_line *lines;
    size_t count = 0;
    int status;

    while (count <= API_KEY_SET_MAX && next_line(&at, text + size, &line))
        count++;
    lines = calloc(count + 1, sizeof *lines);
    if (!lines)
        return -ENOMEM;
    at = text;
    line = (struct api_key_line){0};
    for (size_t i = 0; i < count && next_line(&at, text + size, &line); i++)
        lines[i] = line;
    status = api_key_set_from_lines(lines, count, errors, ret_set);
    free(lines);
    return status;
}

struct api_key_set *api_key_set_ref(struct api_key_set *set)
{
    /* Relaxed: whoever adds a reference has one already. */
    atomic_fetch_add_explicit(&set->references, 1, memory_order_relaxed);
    return set;
}

void api_key_set_unref(struct api_key_set *set)
{
    /* All that others did with the set comes before its end: release by each, acquire by the last. */
    if (!set || atomic_fetch_sub_explicit(&set->references, 1, memory_order_acq_rel) > 1)
        return;
    for (size_t i = 0; i < set->count; i++)
        api_key_release(&set->by_hash[i].key);
    free(set->by_hash);
    free((void *)set->by_id);
    free(set);
}

size_t api_key_set_count(const struct api_key_set *set)
{
    return set->count;
}

enum { SEARCHED_BYTES = 8 };

/*
 * The search goes by the first bytes of the hash, whose time tells nothing that helps to find a key (nor could anybody choose
 * the bytes of a hash); the whole is compared in a time that does not depend on it.
 */
const struct api_key *api_key_set_find(const struct api_key_set *set, const char *presented, size_t size)
{
    unsigned char hash[API_KEY_HASH_BYTES];
    const struct api_key *found = NULL;
    size_t low = 0;
    size_t high = set->count;

    if (api_key_hash(presented, size, hash) < 0)
        return NULL;
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (memcmp(set->by_hash[middle].key.hash, hash, SEARCHED_BYTES) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < set->count && memcmp(set->by_hash[low].key.hash, hash, SEARCHED_BYTES) == 0; low++)
        if (CRYPTO_memcmp(set->by_hash[low].key.hash, hash, sizeof hash) == 0)
            found = &set->by_hash[low].key;
    return found;
}

static int compare_id(const void *id, const void *key)
{
    return strcmp(id, (*(const struct api_key *const *)key)->id);
}

const struct api_key *api_key_set_find_id(const struct api_key_set *set, const char *id)
{
    const struct api_key *const *found =
        bsearch(id, (const void *)set->by_id, set->count, sizeof *set->by_id, compare_id);

    return found ? *found : NULL;
}

bool api_key_set_keeps(const struct api_key_set *set, const char *id, const unsigned char hash[API_KEY_HASH_BYTES],
                       const char *company, int64_t now_unix_ms)
{
    const struct api_key *key = api_key_set_find_id(set, id);

    if (!key || CRYPTO_memcmp(key->hash, hash, API_KEY_HASH_BYTES) != 0 || api_key_is_expired(key, now_unix_ms))
        return false;
    if (!key->company || !company)
        return key->company == company;
    return strcmp(key->company, company) == 0;
}
