#ifndef SLUICE_BRIDGE_SOURCE_H
#define SLUICE_BRIDGE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/log.h"
#include "core/metrics.h"

/*
 * The one user of NATS: subscriptions on one ordered path into one inbox. A thread of its own connects, and connects
 * anew for ever. Wherever messages may have been missed (while not connected, or dropped because the inbox was full) the
 * inbox holds a hole, in its place among the messages.
 */
struct source;
struct source_message;

struct source_options {
    const char *url;      /* servers, comma-separated */
    const char *subjects; /* to subscribe to, comma-separated */
    size_t max_pending_events;
    size_t max_pending_bytes;
    struct log *log;
    struct metrics *metrics;
};

struct source_item {
    struct source_message *message; /* NULL: a hole */
    int64_t received_ns;            /* clock_monotonic_ns() */
    int64_t dropped;                /* of a hole: messages known to be lost; 0: not known */
};

/* Starts to connect. NULL: no memory, descriptor or thread. The strings are copied. */
struct source *source_new(const struct source_options *options);

/* Stops taking messages: what NATS had sent is in the inbox when this returns, at most timeout_ms later. */
void source_drain(struct source *source, int timeout_ms);

/* Drops what is still in the inbox, and frees. */
void source_free(struct source *source);

/* Readable while the inbox holds items. */
int source_fd(const struct source *source);

/*
 * Takes up to `max` items, in order; the caller frees their messages. Returns how many. One thread.
 */
size_t source_take(struct source *source, struct source_item *items, size_t max);

/* The parts of a message; valid until source_message_free(). */
const char *source_message_subject(const struct source_message *message);
const char *source_message_payload(const struct source_message *message, size_t *ret_size);
void source_message_free(struct source_message *message);

/* Publishes a copy of the message to `subject`. False: not connected, or NATS refused it. Any thread. */
bool source_forward(struct source *source, const char *subject, const struct source_message *message);

#endif
