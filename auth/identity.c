#include "auth/identity.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct shared_identity {
    atomic_uint references;
    struct identity identity;
    unsigned char bytes[]; /* the key's hash, then the texts */
};

static struct shared_identity *shared(struct identity *identity)
{
    return (struct shared_identity *)(void *)((char *)identity - offsetof(struct shared_identity, identity));
}

/* What the text takes: nothing when it is empty, since all of those are the same one. */
static size_t size_of(const char *text)
{
    return text && *text ? strlen(text) + 1 : 0;
}

/* Copies the text to *at, and moves that behind it. */
static void keep(const char **text, unsigned char **at)
{
    size_t size = size_of(*text);

    if (size > 0)
        memcpy(*at, *text, size);
    *text = size > 0 ? (const char *)*at : "";
    *at += size;
}

static void keep_hash(const unsigned char **hash, unsigned char **at)
{
    if (!*hash)
        return;
    memcpy(*at, *hash, API_KEY_HASH_BYTES);
    *hash = *at;
    *at += API_KEY_HASH_BYTES;
}

struct identity *identity_new(const struct identity *like)
{
    size_t size = size_of(like->company) + size_of(like->user) + size_of(like->session) + size_of(like->token_id) +
                  size_of(like->key_id) + (like->key_hash ? API_KEY_HASH_BYTES : 0);
    struct shared_identity *made = malloc(sizeof *made + size);
    unsigned char *at;

    if (!made)
        return NULL;
    atomic_init(&made->references, 1);
    made->identity = *like;
    at = made->bytes;
    keep_hash(&made->identity.key_hash, &at);
    keep(&made->identity.company, &at);
    keep(&made->identity.user, &at);
    keep(&made->identity.session, &at);
    keep(&made->identity.token_id, &at);
    keep(&made->identity.key_id, &at);
    event_filter_ref(like->filter);
    return &made->identity;
}

struct identity *identity_ref(struct identity *identity)
{
    /* Relaxed: whoever takes a reference has one already. */
    if (identity)
        atomic_fetch_add_explicit(&shared(identity)->references, 1, memory_order_relaxed);
    return identity;
}

void identity_unref(struct identity *identity)
{
    /* Release and acquire: the last one frees after all others have read. */
    if (!identity || atomic_fetch_sub_explicit(&shared(identity)->references, 1, memory_order_acq_rel) > 1)
        return;
    event_filter_unref(identity->filter);
    free(shared(identity));
}

bool identity_user_name(const char *company, const char *user, char *ret_name, size_t size)
{
    int length = snprintf(ret_name, size, "%s|%s", company, user);

    return length >= 0 && (size_t)length < size;
}
