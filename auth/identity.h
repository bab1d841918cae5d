#ifndef SLUICE_AUTH_IDENTITY_H
#define SLUICE_AUTH_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/api_key.h"
#include "core/event_filter.h"

enum { IDENTITY_TEXT_SIZE = 129 };

/* Who asks, and for which company. A text that is not known is empty. identity_release() is due. */
struct identity {
    char company[IDENTITY_TEXT_SIZE];
    char user[IDENTITY_TEXT_SIZE];
    char session[IDENTITY_TEXT_SIZE];
    char token_id[IDENTITY_TEXT_SIZE];
    char key_id[IDENTITY_TEXT_SIZE]; /* the API key's name, never the key */
    unsigned char key_hash[API_KEY_HASH_BYTES];
    int64_t key_max;             /* streams that the API key may have open; 0: it has no limit of its own */
    int64_t expires_ms;          /* Unix time from which it is void; 0: never */
    struct event_filter *filter; /* the events that it may have; NULL: all. A reference */
};

/* Gives up what it holds; it stays readable but for that. */
void identity_release(struct identity *identity);

/*
 * A user by name, wherever one is kept or counted: `<company>|<user>`; with an empty company the user of that name in all of
 * them. A company has no `|` in its name, so no user's can be taken for another's. Returns false when it is too long.
 */
bool identity_user_name(const char *company, const char *user, char *ret_name, size_t size);

#endif
