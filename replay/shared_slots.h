#ifndef SLUICE_REPLAY_SHARED_SLOTS_H
#define SLUICE_REPLAY_SHARED_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

#include "replay/redis_command.h"
#include "replay/shared_request.h"

/*
 * How many streams a name has on all replicas together. `sluice:replicas` holds the ids of the replicas that live, each with
 * the end of its lease; `sluice:slots:<name>` holds how many streams each of them has, by the same ids. A count is worth
 * something only while its id lives.
 *
 * A replica that knows that it is alone tells nothing of its streams. What it told before must not be believed once there is
 * another one, so it goes on under another id; as it does with each connection, since a Redis that hung may still carry
 * out what it was sent over the last one.
 *
 * This writes commands, which its owner sends over one connection in the order of their writing. Each has the count of the
 * moment it is written, so the last one leaves the right count behind. One thread.
 */
struct slots;

/* listener: outlives it, and is told of replicas. NULL: no memory, or options without an id. */
struct slots *slots_new(const struct shared_options *options, const struct shared_listener *listener);
void slots_free(struct slots *slots);

/* There is a new connection, or none any more. */
void slots_connect(struct slots *slots);
void slots_disconnect(struct slots *slots);

/* The ids of all that live, as names of fields, as read over this connection. */
void slots_take_replicas(struct slots *slots, const struct shared_field *ids, size_t count);

/* There is nobody to ask and to tell. */
bool slots_are_alone(const struct slots *slots);

/* The request for a place; and how many streams the name has here now. */
void slots_write_enter(const struct slots *slots, struct redis_command *command, const struct shared_request *request);
void slots_write_count(const struct slots *slots, struct redis_command *command, const char *name);

/* Writes what is due next of that which nobody asked for: the lease, and counts. Returns false when nothing is. */
bool slots_write_next(struct slots *slots, struct redis_command *command);
int64_t slots_deadline_ns(const struct slots *slots);

/* A count may not have arrived: all are told again after a while. */
void slots_doubt(struct slots *slots);

/* The end of the lease, before its time. */
void slots_write_end(const struct slots *slots, struct redis_command *command);

#endif
