#ifndef SLUICE_BRIDGE_FANOUT_H
#define SLUICE_BRIDGE_FANOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/company.h"
#include "bridge/heads.h"
#include "bridge/ownership.h"
#include "bridge/shadow.h"
#include "bridge/voice.h"

/*
 * From the owner's numbers to all replicas. Alone, an event enters its company at once. With other replicas, it is sent to
 * all of them, this one included, and enters its company when it is heard: so no client gets an event with a number that
 * could die with this process, and all replicas hear the same in the same order. Everything here belongs to the bridge's thread.
 */
struct fanout;

struct fanout_options {
    const struct store *store;
    struct heads *heads;
    struct companies *companies;
    struct shadow *shadow; /* NULL, like the next two: always alone */
    struct ownership *ownership;
    struct voice *voice;
};

/* NULL: no memory. */
struct fanout *fanout_new(const struct fanout_options *options);
void fanout_free(struct fanout *fanout);

/* Whether events go to others, too. It changes in fanout_flush() alone. */
bool fanout_is_replicated(const struct fanout *fanout);

/* The company's next frame, as it was numbered. Returns 0 or -ENOMEM. */
int fanout_add(struct fanout *fanout, struct company *company, struct frame *frame);

/* Sends what was added. */
void fanout_flush(struct fanout *fanout);

/* Whether fanout_flush() has something to send. */
bool fanout_is_due(const struct fanout *fanout);

/* Whether so much was sent and not heard yet that no more should be numbered. */
bool fanout_is_full(const struct fanout *fanout);

/* Whether something was sent and not heard yet. */
bool fanout_is_waiting(const struct fanout *fanout);

/* The place in its stream of the first event that was not heard yet; 0: there is none. */
uint64_t fanout_oldest_mark(const struct fanout *fanout);

/* A batch of ours was heard, and with it all in front of it. */
void fanout_hear(struct fanout *fanout, uint64_t batch);

/* This replica is not the owner any more: what was numbered and not heard is void, and shown to `visit` in order. */
void fanout_void(struct fanout *fanout, void (*visit)(void *context, const struct frame *frame), void *context);

/* Sends again, without a batch's number, all that the store does not have: to a replica that came. */
void fanout_repeat(struct fanout *fanout);

/* Whether fanout_repeat() must leave out what NATS does not take, and the store does not have it yet. */
bool fanout_needs_store(const struct fanout *fanout);

/* The smallest ms among what was numbered and not heard yet; UINT64_MAX: there is nothing. */
uint64_t fanout_first_ms(const struct fanout *fanout);

/* When the first message was received whose event was not heard yet; INT64_MAX: there is none. */
int64_t fanout_oldest_ns(const struct fanout *fanout);

#endif
