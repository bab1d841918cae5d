#ifndef SLUICE_AUTH_API_KEYS_H
#define SLUICE_AUTH_API_KEYS_H

#include "auth/api_key_set.h"
#include "core/buffer.h"
#include "core/log.h"
#include "core/metrics.h"

/*
 * The API keys of a file, read again when it changes. A thread of its own looks once a second. A file that cannot be read, or
 * has a bad line, changes nothing: the keys before it stay, one line of log for each attempt that differs says why, and
 * METRIC_API_KEYS_ERRORS counts it. METRIC_API_KEYS is the number of keys in use.
 */
struct api_keys;

#define API_KEYS_MAX_FILE_BYTES ((size_t)16 * 1024 * 1024)

struct api_keys_options {
    const char *path; /* needs to live only during the call; NULL: the keys come by api_keys_take() */
    /* Called after each change, by the thread of this module or in api_keys_take(), with the keys now in use; may be NULL. */
    void (*changed)(void *context, const struct api_key_set *set);
    void *context;
    struct log *log;
    struct metrics *metrics;
};

/*
 * Reads the file and starts to watch it. Returns 0; -EINVAL (bad lines, listed in `errors`), or what
 * file_read() may return: then there are no keys.
 */
int api_keys_new(const struct api_keys_options *options, struct buffer *errors, struct api_keys **ret_keys);

/* Ends the thread: no callback runs any more when it returns. Sets that others hold stay theirs. */
void api_keys_free(struct api_keys *keys);

/*
 * The keys as somebody else has read them, for an object without a file. Bad lines change nothing, as in a file. One thread
 * at a time.
 */
void api_keys_take(struct api_keys *keys, const struct api_key_line *lines, size_t count);

/* The keys in use, with a reference for the caller; NULL while none were given. Any thread. */
struct api_key_set *api_keys_current(struct api_keys *keys);

#endif
