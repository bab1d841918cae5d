#ifndef SLUICE_AUTH_KEY_SOURCE_H
#define SLUICE_AUTH_KEY_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "auth/key_set.h"
#include "core/log.h"
#include "core/metrics.h"

/*
 * Where the keys come from, and their replacement while the process runs. A file is looked at once a second and read again
 * when it has changed; a URL is asked as often as its answers allow. Whatever goes wrong then, the keys before it stay. A
 * thread of its own does that, apart from a secret given as text, which needs none.
 */
struct key_source;

enum key_source_kind {
    KEY_SOURCE_SECRET,      /* `where` is the secret itself */
    KEY_SOURCE_SECRET_FILE, /* one line end at the file's end does not belong to the secret */
    KEY_SOURCE_PEM_FILE,
    KEY_SOURCE_JWKS_FILE,
    KEY_SOURCE_JWKS_URL,
};

/* In milliseconds; 0 for the usual ones. Tests shorten them. */
struct key_source_times {
    int64_t file_check_ms;
    int64_t least_refresh_ms; /* however short Cache-Control wants it */
    int64_t most_refresh_ms;
    int64_t usual_refresh_ms; /* where Cache-Control says nothing */
    int64_t first_retry_ms;   /* after a failure; doubled with each further one */
    int64_t most_retry_ms;
    int64_t asked_refresh_ms; /* least time between two requests when key_source_ask_refresh() is called */
    int64_t connect_timeout_ms;
    int64_t timeout_ms;
};

struct key_source_options {
    enum key_source_kind kind;
    const char *where;
    struct key_source_times times;
    struct log *log;         /* may be NULL; outlives the source, like metrics */
    struct metrics *metrics; /* may be NULL */
};

/*
 * Starts it. Keys from a text or a file are there when this returns; those from a URL come later. NULL: the keys cannot be
 * used, and ret_error says why.
 */
struct key_source *key_source_new(const struct key_source_options *options, struct key_error *ret_error);

/* Ends the thread at once, also in the middle of a request. Sets that others hold live on. */
void key_source_free(struct key_source *source);

/* The keys of now, with a reference for the caller; NULL while a URL has not given any. Any thread. */
struct key_set *key_source_get(struct key_source *source);

/*
 * A token named a key that is not known: asks for one early request, which happens once the last one is ten seconds ago.
 * However often this is called, there is no more than one request in that time. For files and secrets it does nothing.
 * Any thread; never waits.
 */
void key_source_ask_refresh(struct key_source *source);

#endif
