#ifndef SLUICE_AUTH_API_KEY_SET_H
#define SLUICE_AUTH_API_KEY_SET_H

#include <stdbool.h>
#include <stddef.h>

#include "auth/api_key.h"
#include "core/buffer.h"

/* All API keys at one time. Never changes once made; counted references; any thread. */
struct api_key_set;

enum { API_KEY_SET_MAX = 100000 };

/* One stored key. */
struct api_key_line {
    const char
        *label; /* what it is called in error messages, such as a hash's field: also the id that it must have. NULL:
                          it is called by its number, and has the id that it has */
    size_t number;
    const char *text;
    size_t size;
};

/*
 * Makes a set of some lines. Returns 0; -EINVAL, with a line in `errors` for each that is bad (as many as it has room for;
 * nothing of the keys is repeated); or -ENOMEM.
 */
int api_key_set_from_lines(const struct api_key_line *lines, size_t count, struct buffer *errors,
                           struct api_key_set **ret_set);

/* Likewise of a file's text: a key a line; blank lines, and those that begin with #, are skipped. */
int api_key_set_from_text(const char *text, size_t size, struct buffer *errors, struct api_key_set **ret_set);

struct api_key_set *api_key_set_ref(struct api_key_set *set);
void api_key_set_unref(struct api_key_set *set);

size_t api_key_set_count(const struct api_key_set *set);

/* The key that somebody presents, also when it is expired; it lives as long as the set. NULL: unknown. */
const struct api_key *api_key_set_find(const struct api_key_set *set, const char *presented, size_t size);

/* The key of that id, or NULL. */
const struct api_key *api_key_set_find_id(const struct api_key_set *set, const char *id);

/*
 * Whether a stream opened with a key of an earlier set may go on: the id still stands for the same key of the same company,
 * and has not expired. company: NULL when it had none.
 */
bool api_key_set_keeps(const struct api_key_set *set, const char *id, const unsigned char hash[API_KEY_HASH_BYTES],
                       const char *company, int64_t now_unix_ms);

#endif
