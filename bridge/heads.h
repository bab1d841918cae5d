#ifndef SLUICE_BRIDGE_HEADS_H
#define SLUICE_BRIDGE_HEADS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/appender.h"
#include "bridge/company.h"
#include "bridge/hub.h"
#include "core/log.h"
#include "replay/store.h"

/*
 * Where each company's order stands. A company's head is read from the store once, when it is first asked for, and again
 * where frames may have been missed; what comes for it meanwhile is parked, in order. Frames enter a company here, those that
 * this replica numbered and those that it heard. Everything here belongs to the bridge's thread.
 */
struct heads;
struct stream_place;

struct heads_options {
    struct store *store;
    struct appender *appender;
    struct hub *hub;
    struct companies *companies;
    size_t max_parked; /* items of all companies, after which no more are to come */
    size_t max_parked_bytes;
    const struct stream_place *place; /* NULL: events come by core NATS */
    int64_t events_per_second;        /* of one company; 0: no limit */
    int64_t bytes_per_second;
    /* What was parked goes on, in order; the item is the receiver's, but for its memory. */
    void (*unpark)(void *context, struct company *company, struct parked *parked);
    /*
     * The head was read: hole_ms is the time up to which events behind it may have been missed at the source; 0: none were.
     */
    void (*loaded)(void *context, struct company *company, uint64_t hole_ms);
    /* Whether frames that are missing, and that the store did not give, may be looked for again. NULL: never. */
    bool (*is_patient)(void *context);
    void *context;
};

/* NULL: no memory. */
struct heads *heads_new(const struct heads_options *options);

/* The store must be gone: it may call back while it is freed. Frees what is parked. */
void heads_free(struct heads *heads);

/* The company of that name; a new one loads its head. NULL: no memory. */
struct company *heads_get(struct heads *heads, const char *name);

/* The same, but of a new one nothing is known, and nothing is asked: its order begins behind the first frame heard. */
struct company *heads_get_blank(struct heads *heads, const char *name);

/* Whether what comes for the company is to be parked. */
bool heads_is_busy(const struct company *company);

/* Parks a copy of the item. False: no memory; then the item stays the caller's, and a hole goes before the next event, but for a stream's message. */
bool heads_park(struct heads *heads, struct company *company, const struct parked *item);

/* Takes messages and holes that are parked out of there, in order; the items are the receiver's. Frames stay. */
void heads_take_parked(struct heads *heads, struct company *company,
                       void (*take)(void *context, const struct parked *parked), void *context);

/* Items that are parked; whether more may be. */
int64_t heads_parked(const struct heads *heads);

/* When the first message that is parked was received; INT64_MAX: there is none. */
int64_t heads_oldest_ns(const struct heads *heads);
bool heads_may_park(const struct heads *heads);

/*
 * The next frame, behind the head: into memory, to the store if this replica appends, and to all who subscribed. since_ms: when
 * the numbering began; 0: not known. Returns 0 or -ENOMEM.
 */
int heads_push(struct heads *heads, struct company *company, struct frame *frame, uint64_t since_ms);

/* The same of a hole at that place, behind the head: what is missing there nobody has. */
int heads_push_hole(struct heads *heads, struct company *company, struct event_position position);

/* Whether all companies have a hole that may stand behind this one's head. */
bool heads_is_before_hole(const struct heads *heads, const struct company *company);

/* The company's order goes on behind `before`, which is not its head: what this replica has of it is given up. */
void heads_rebase(struct heads *heads, struct company *company, struct event_position before);

/* Frames behind the head may have been missed: they are read from the store. What comes meanwhile is parked. */
void heads_fill(struct heads *heads, struct company *company);

/* Now and then: looks again for frames that the store did not give, for some seconds. Then they are missing for good. */
void heads_fill_again(struct heads *heads, struct company *company);

/*
 * Somebody resumes in a company that may have missed frames: what the store has of them comes first. More may be missing still; what
 * is parked meanwhile waits on for heads_fill() if it does not follow.
 */
void heads_refresh(struct heads *heads, struct company *company);

/* Forgets a company that need not be in memory: no event of late, no subscription, no request, no rate to remember. */
void heads_release(struct heads *heads, struct company *company);

#endif
