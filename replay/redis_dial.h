#ifndef SLUICE_REPLAY_REDIS_DIAL_H
#define SLUICE_REPLAY_REDIS_DIAL_H

#include "replay/redis_endpoint.h"

/*
 * One attempt at a connection, by TCP or to a socket of this machine, on a thread of its own: looking a name up can block for seconds, and the thread that
 * owns the intake never may.
 */
struct redis_dial;

/* Starts. timeout_ms bounds each address's connect. NULL: no memory or no thread. */
struct redis_dial *redis_dial_new(const struct redis_endpoint *server, int timeout_ms);

/* Readable as soon as the attempt is over. */
int redis_dial_fd(const struct redis_dial *dial);

/* The connected, non-blocking socket, which becomes the caller's; -EINPROGRESS; or why it failed: -errno. */
int redis_dial_result(struct redis_dial *dial);

/* Gives the attempt up. Never waits for its thread, which frees what it still uses. */
void redis_dial_free(struct redis_dial *dial);

#endif
