#ifndef SLUICE_AUTH_IDENTITY_H
#define SLUICE_AUTH_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/api_key.h"
#include "core/event_filter.h"

enum { IDENTITY_TEXT_SIZE = 129 };

/*
 * Who asks, and for which company. Made once, then never changed, and shared by references from any thread: each stream
 * keeps one, so that it takes no more memory than its texts.
 */
struct identity {
    /* Of less than IDENTITY_TEXT_SIZE bytes each; what is not known is empty. */
    const char *company;
    const char *user;
    const char *session;
    const char *token_id;
    const char *key_id;            /* the API key's name, never the key */
    const unsigned char *key_hash; /* API_KEY_HASH_BYTES; NULL: it did not come by an API key */
    int64_t expires_ms;            /* Unix time from which it is void; 0: never */
    struct event_filter *filter;   /* the events that it may have; NULL: all. A reference */
};

/*
 * One like that, with texts of its own (NULL there: empty), a reference to the filter, and one reference for the caller.
 * NULL: no memory.
 */
struct identity *identity_new(const struct identity *like);

/* NULL is fine for both. */
struct identity *identity_ref(struct identity *identity);
void identity_unref(struct identity *identity);

/*
 * A user by name, wherever one is kept or counted: `<company>|<user>`; with an empty company the user of that name in all of
 * them. A company has no `|` in its name, so no user's can be taken for another's. Returns false when it is too long.
 */
bool identity_user_name(const char *company, const char *user, char *ret_name, size_t size);

#endif
