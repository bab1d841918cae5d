#ifndef SLUICE_AUTH_AUTH_H
#define SLUICE_AUTH_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/api_key_set.h"
#include "auth/identity.h"
#include "auth/refusal.h"
#include "core/buffer.h"
#include "core/config.h"
#include "core/log.h"

/*
 * From credentials to an identity: who asks, and for which company. The only place that decides it. With AUTH_MODE=none
 * everybody may have every company, and the company is the one asked for. Any thread may ask.
 */
struct auth;

struct auth_options {
    const struct config *config; /* outlives it, like log and metrics */
    struct log *log;
    struct metrics *metrics;
    /* An API key was taken away or changed: open streams are to be looked at again. Any thread; may be NULL. */
    void (*changed)(void *context);
    void *context;
};

/* What a request brings along. The texts need to live only during the call. */
struct auth_request {
    const char *company; /* asked for; NULL: none */
    size_t company_size; /* bytes, which may hold a NUL */
    const char *token;   /* NULL: none */
    size_t token_size;
    const char *api_key; /* NULL: none */
    size_t api_key_size;
};

/* Whose numbers somebody may see. */
struct auth_scope {
    bool is_admin; /* everybody's */
    char company[IDENTITY_TEXT_SIZE];
};

/* Reads the keys. Returns 0; -EINVAL with what is wrong in `errors`; or -ENOMEM. */
int auth_new(const struct auth_options *options, struct buffer *errors, struct auth **ret_auth);
void auth_free(struct auth *auth);

/* Waits until keys that come from elsewhere are there, but for no longer than timeout_ms. */
void auth_await_start(struct auth *auth, int timeout_ms);

/*
 * Returns 0 and the identity; or -EACCES, the refusal, and for the log who asked, as far as that is known (NULL: not at all).
 * identity_unref() is due in either case.
 */
int auth_identify(struct auth *auth, const struct auth_request *request, struct identity **ret_identity,
                  struct refusal *ret_refusal);

/*
 * Who may see which numbers: an administrator (by ADMIN_KEY or token) all, others those of their own company. With
 * AUTH_MODE=none and no ADMIN_KEY, everybody all. Returns 0; or -EACCES and the refusal. The identity is there as far as
 * credentials tell it (NULL: they do not); identity_unref() is due in either case.
 */
int auth_find_scope(struct auth *auth, const struct auth_request *request, struct auth_scope *ret_scope,
                    struct identity **ret_identity, struct refusal *ret_refusal);

/* Whether company is what the identity's company must be: absent, or the same. Otherwise the refusal. */
bool auth_is_own_company(const struct identity *identity, const char *company, size_t size,
                         struct refusal *ret_refusal);

/*
 * Whether the API key of the identity, if it came by one, still stands, and may still have the same events for as long. One
 * that may more than before keeps its streams as they are.
 */
bool auth_keeps(struct auth *auth, const struct identity *identity);

/* How many streams the identity's API key may have open by now, whenever the identity was made; 0: it has no limit of its own. */
int64_t auth_key_max(struct auth *auth, const struct identity *identity);

/* The keys of the Redis hash, where API_KEYS_FILE names none; nothing happens otherwise. */
void auth_take_keys(struct auth *auth, const struct api_key_line *lines, size_t count);

/* The challenge of 401 answers (RFC 9110, 11.6.1). */
const char *auth_challenge(const struct auth *auth);

#endif
