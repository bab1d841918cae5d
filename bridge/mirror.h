#ifndef SLUICE_BRIDGE_MIRROR_H
#define SLUICE_BRIDGE_MIRROR_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/company.h"
#include "bridge/heads.h"
#include "bridge/live.h"
#include "bridge/shadow.h"
#include "core/log.h"
#include "core/metrics.h"

/*
 * What this replica hears of the owner's events: each enters its company exactly behind the one that it followed at the owner.
 * Where something is missing in between, it is fetched from the store before the company goes on; what cannot be had is told
 * to clients as a hole. Everything here belongs to the bridge's thread.
 */
struct mirror;

struct mirror_options {
    struct heads *heads;
    struct companies *companies;
    struct hub *hub;
    struct shadow *shadow;
    struct log *log;
    struct metrics *metrics;
};

/* NULL: no memory. */
struct mirror *mirror_new(const struct mirror_options *options);
void mirror_free(struct mirror *mirror);

/* What the frames of a message say of the messages that wait in the shadow. */
enum mirror_marks {
    MIRROR_FIRST,    /* they are numbered, each heard for the first time; it may be heard before its message */
    MIRROR_DOUBTED,  /* the same, but who hears it may have missed the message, or given it up */
    MIRROR_REPEATED, /* nothing: it was said before */
};

/* Takes the sections of a message. Returns 0 or -EINVAL; what stood in front of the fault is taken. */
int mirror_take(struct mirror *mirror, struct live_reader *reader, int64_t received_ns, enum mirror_marks marks);

/* A frame that was parked goes on; takes over its reference. */
void mirror_unpark(struct mirror *mirror, struct company *company, const struct parked *parked);

/* Batches were missed, or may have been: no company is sure of its head any more, until mirror_fill(). */
void mirror_suspect(struct mirror *mirror);

/* Whether a company misses frames that somebody must be asked for. */
bool mirror_is_wanting(const struct mirror *mirror);

/* All that the owner had sent is now in the store or was repeated: what is missing is fetched. */
void mirror_fill(struct mirror *mirror);

#endif
