#ifndef SLUICE_BRIDGE_INTAKE_H
#define SLUICE_BRIDGE_INTAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/appender.h"
#include "bridge/company.h"
#include "bridge/hub.h"
#include "bridge/source.h"
#include "bridge/transform.h"
#include "core/log.h"
#include "core/metrics.h"
#include "replay/store.h"

/*
 * Gives every event its number, and hands it to the appender and the hub. One replica at a time does this: it is the owner
 * of the intake. Everything here belongs to the bridge's thread.
 *
 * A company's numbering goes on from the head in the store, which is read once. Without the store it starts anew: ids
 * hold the time too, so the order stays.
 *
 * What a company publishes above its rates is dropped, and told by a hole where that begins and by another where it ends.
 */
struct intake;

struct intake_options {
    struct store *store;
    struct appender *appender;
    struct hub *hub;
    struct source *source; /* for dead letters */
    const struct transform *transform;
    struct companies *companies;
    const char *dead_letter_subject; /* empty: none */
    size_t max_event_bytes;          /* once encoded */
    size_t max_parked;               /* messages that wait for their company's numbering */
    int64_t events_per_second;       /* of one company; 0: no limit */
    int64_t bytes_per_second;        /* likewise, of payloads */
    struct log *log;
    struct metrics *metrics;
};

/* The options' strings must outlive it. NULL: no memory. */
struct intake *intake_new(const struct intake_options *options);

/* The store must be gone: it may call back while it is freed. */
void intake_free(struct intake *intake);

/* Takes one item out of the source's inbox: a message (which it frees) or a hole. */
void intake_take(struct intake *intake, const struct source_item *item);

/* The company of that name; its numbering is asked for when it is new. NULL: no memory. */
struct company *intake_company(struct intake *intake, const char *name);

/* Forgets the company if nothing keeps it: no event, no subscription, no request, no rate to remember. */
void intake_release(struct intake *intake, struct company *company);

/* Now and then: ends the dropping of what was above a rate, and forgets companies that have been quiet. */
void intake_tick(struct intake *intake);

/* Whether more messages may be taken: not too many wait for their company's numbering. */
bool intake_may_take(const struct intake *intake);

/* Messages that wait for their company's numbering. */
int64_t intake_parked(const struct intake *intake);

#endif
