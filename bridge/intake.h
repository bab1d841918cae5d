#ifndef SLUICE_BRIDGE_INTAKE_H
#define SLUICE_BRIDGE_INTAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/company.h"
#include "bridge/fanout.h"
#include "bridge/heads.h"
#include "bridge/shadow.h"
#include "bridge/source.h"
#include "bridge/transform.h"
#include "core/log.h"
#include "core/metrics.h"
#include "replay/store.h"

/*
 * Gives every event its number, and hands it on. One replica at a time does this: it is the owner of the intake. Everything
 * here belongs to the bridge's thread.
 *
 * What a company publishes above its rates is dropped, and told by a hole where that begins and by another where it ends.
 *
 * The number of a stream's message is a function of the stream: its time there, and the count of its company's events. So a
 * message that is read again gets the same one; and if its company's order is known to have it, it is dropped.
 */
struct intake;

struct intake_options {
    struct store *store;
    struct heads *heads;
    struct fanout *fanout;
    struct shadow
        *shadow; /* for messages that other replicas have not been told of yet; NULL: there never are others */
    struct source *source; /* for dead letters */
    struct transform *transform;
    struct companies *companies;
    const char *subjects;            /* of a stream's messages, those that are events */
    const char *dead_letter_subject; /* empty: none */
    size_t max_event_bytes;          /* once encoded */
    struct log *log;
    struct metrics *metrics;
};

/* The options' strings must outlive it. NULL: no memory. */
struct intake *intake_new(const struct intake_options *options);
void intake_free(struct intake *intake);

/* Takes a message or a hole. The message is freed, with others, when there are many or at intake_release(). */
void intake_take(struct intake *intake, const struct source_item *item);

/*
 * The first message of a stream that had no memory; 0: all had. It and all behind it were not numbered, and are not until this
 * was called: it is to be read again.
 */
uint64_t intake_take_failed(struct intake *intake);

/* Events of any company may have been missed at the source until now. dropped: how many are known to be; 0: none. */
void intake_take_hole(struct intake *intake, int64_t dropped);

/* A message or hole that was parked goes on; frees the message. */
void intake_unpark(struct intake *intake, struct company *company, const struct parked *parked);

/* Writes down that the company's clients miss something behind its last number, or may, at unix_ms. */
void intake_add_hole(struct intake *intake, struct company *company, enum gap_reason reason, uint64_t unix_ms);

/* Frees the messages that were taken: for now and then. */
void intake_release(struct intake *intake);

/* The same at the present time, and behind what is parked if the company is busy. */
void intake_write_hole(struct intake *intake, struct company *company, enum gap_reason reason);

/* Now and then: ends the dropping of what was above a rate. */
void intake_tick(struct intake *intake);

#endif
