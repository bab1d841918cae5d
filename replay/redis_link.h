#ifndef SLUICE_REPLAY_REDIS_LINK_H
#define SLUICE_REPLAY_REDIS_LINK_H

#include <stdint.h>

#include "replay/redis_access.h"

/*
 * Keeps a connection to Redis, and makes another one when it is lost: to the server of the URL; to the master that its
 * Sentinels name, who are asked before each attempt, as is the server itself whether it is the master; or to a cluster, which
 * is up while all of its slots are. One thread; it never blocks it.
 */
struct redis_link;
struct redis_connection;

/* Called from redis_link_run(). reason: for the log, without secrets. on_down also comes for each attempt that failed. */
struct redis_link_options {
    struct redis_access redis; /* the names of its files stay the caller's, the other texts are copied */
    void (*on_up)(void *context);
    void (*on_down)(void *context, const char *reason);
    void *context;
};

/* NULL: no memory, or not a URL. */
struct redis_link *redis_link_new(const struct redis_link_options *options);

/* The connection, while it takes commands; NULL: it does not now. Valid until the next redis_link_run(). */
struct redis_connection *redis_link_connection(const struct redis_link *link);

/* The next redis_link_run() ends the connection for that reason. For callbacks of commands, which must not end it. */
void redis_link_give_up(struct redis_link *link, const char *what, const char *detail);

/* What to wait for, and until when, before the next run. */
int redis_link_poll_fd(const struct redis_link *link, short *ret_events);
int64_t redis_link_deadline_ns(const struct redis_link *link);
void redis_link_run(struct redis_link *link);

/* Calls back every waiting command with NULL, and not on_down. */
void redis_link_free(struct redis_link *link);

#endif
