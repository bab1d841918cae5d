#ifndef SLUICE_REPLAY_REDIS_CONNECTION_H
#define SLUICE_REPLAY_REDIS_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A pipelined connection to Redis over a non-blocking socket: hiredis parses the replies, the commands, the
 * socket and the time-outs are ours. One thread.
 */
struct redis_connection;
struct redisReply;
struct redis_tls;

/* reply: as hiredis parsed it, freed behind the call; NULL: the connection ended before the reply came. */
typedef void (*redis_reply_done)(void *context, const struct redisReply *reply);

/* Takes over a connected non-blocking socket, and the TLS over it if that is not NULL, also on failure. timeout_ms: how long the oldest command may wait for its reply. */
struct redis_connection *redis_connection_new(int fd, struct redis_tls *tls, int timeout_ms);

/*
 * A connection to several servers: it hands each command on to the one that has its key. Only commands may be asked of it,
 * and connections by keys.
 */
struct redis_route {
    /* As redis_connection_command() and redis_connection_of_key(). */
    int (*command)(void *context, int count, const char *const *arguments, const size_t *sizes, redis_reply_done done,
                   void *done_context);
    struct redis_connection *(*of_key)(void *context, const char *key);
    void *context;
};
struct redis_connection *redis_connection_new_routed(const struct redis_route *route);

/* Calls back every waiting command with NULL, closes the socket, frees. */
void redis_connection_free(struct redis_connection *connection);

/* Queues one command. Returns 0, or -ENOMEM or -ENOBUFS when too much waits already: then done is never called. */
int redis_connection_command(struct redis_connection *connection, int count, const char *const *arguments,
                             const size_t *sizes, redis_reply_done done, void *context);

/* The connection to the server that has the key, which is the same one where there is only one; NULL: there is none now. */
struct redis_connection *redis_connection_of_key(struct redis_connection *connection, const char *key);

int redis_connection_fd(const struct redis_connection *connection);
bool redis_connection_wants_write(const struct redis_connection *connection);

/* Whether a command waits for its reply. */
bool redis_connection_is_waiting(const struct redis_connection *connection);

/* When the oldest command times out; INT64_MAX: none waits. */
int64_t redis_connection_deadline_ns(const struct redis_connection *connection);

/* When something came last, or the connection was made. */
int64_t redis_connection_heard_ns(const struct redis_connection *connection);

/* Writes and reads what the socket takes and has, and calls back. Returns 0 or -errno: then the connection is over. */
int redis_connection_run(struct redis_connection *connection);

/* What TLS says of the end of the connection; empty: nothing. */
const char *redis_connection_error(const struct redis_connection *connection);

#endif
