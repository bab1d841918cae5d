#ifndef SLUICE_BRIDGE_SHADOW_H
#define SLUICE_BRIDGE_SHADOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/source.h"

/*
 * The messages of the last seconds that the owner of the intake has not been heard to number: should it die, they are what
 * the next owner numbers first, in the order in which they came here. A message and its event are recognised by their mark
 * (shadow_mark()). The event may be heard in front of the message: then the message is known to be done when it comes.
 * Equal messages are counted: each event strikes out the first. One thread; times are clock_monotonic_ns().
 */
struct shadow;

/*
 * max_bytes: of payloads. Above the limits the oldest messages go. Events that wait for their message are limited to
 * max_messages, too. NULL: no memory.
 */
struct shadow *shadow_new(size_t max_messages, size_t max_bytes);

/* Frees what it holds, too. */
void shadow_free(struct shadow *shadow);

/* What a message and its event have in common: a hash (never 0) of subject and payload as NATS gave them. Any thread. */
uint64_t shadow_mark(const char *subject, const char *payload, size_t size);

/*
 * Takes over a message (item->message is one), which gets its place by the time of its receipt: it may have been elsewhere
 * meanwhile. If there is no memory, or it exceeds max_bytes alone, it is dropped.
 */
void shadow_add(struct shadow *shadow, const struct source_item *item);

/* An event with that mark was heard, numbered. 0, which no message has, does nothing. */
void shadow_strike(struct shadow *shadow, uint64_t mark, int64_t now_ns);

/*
 * The same where the event's message may never come, since this replica did not listen or gave it up: what is received later
 * than now_ns is another.
 */
void shadow_strike_received(struct shadow *shadow, uint64_t mark, int64_t now_ns);

/*
 * Whether an event with that mark was heard in front of its message, which was received then: the message is done. For who
 * numbers messages at once.
 */
bool shadow_consume(struct shadow *shadow, uint64_t mark, int64_t received_ns);

/* Forgets messages received, and events heard, before `before_ns`: the owner refused them, or their message never comes. */
void shadow_expire(struct shadow *shadow, int64_t before_ns);

/* Takes the first message that is left; the caller owns it. False: there is none. */
bool shadow_take(struct shadow *shadow, struct source_item *ret_item);

/*
 * Whether messages were dropped since `since_ns` (when one was received that they made room for): they may be missing at a
 * takeover.
 */
bool shadow_has_dropped(const struct shadow *shadow, int64_t since_ns);

/* When the first message that is left was received; INT64_MAX: there is none. */
int64_t shadow_oldest_ns(const struct shadow *shadow);

/* Messages that are left. */
size_t shadow_count(const struct shadow *shadow);

#endif
