#ifndef SLUICE_AUTH_LIMITS_H
#define SLUICE_AUTH_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/address.h"
#include "core/config.h"
#include "core/metrics.h"

/*
 * How many streams one user, API key, company or client address may have open, and how fast new ones may come. Any thread; it
 * knows no clock and no requests. What it remembers is bounded: a count lives as long as its streams, and of the rates by
 * address, and by who asks for tickets, at most LIMITS_ADDRESSES each are kept, the one asked for longest ago leaving first.
 */
struct limits;

enum { LIMITS_ADDRESSES = 65536, LIMITS_NAME_SIZE = 512 };

enum limit {
    LIMIT_COMPANY,
    LIMIT_USER,
    LIMIT_KEY,
    LIMIT_ADDRESS,
    LIMIT_RATE,         /* new streams a second, in all */
    LIMIT_ADDRESS_RATE, /* from one address */
    LIMIT_TICKET_RATE,  /* tickets of one user */
};

/* Who opens a stream. Nothing of it is kept. */
struct limits_who {
    const char *company;
    const char *user;              /* of the company; NULL: no user */
    const char *key;               /* the API key's id; NULL: no API key */
    int64_t key_max;               /* the key's own limit; 0: it has none */
    const struct address *address; /* NULL, or of no family: not limited by address */
};

enum { LIMITS_COUNTED = LIMIT_ADDRESS + 1 }; /* the limits that count streams stand first */

struct limits_count;

/* A stream that was counted in, until limits_leave(). In memory of the caller; what is in it is for limits.c alone. */
struct limits_place {
    struct limits_count *counts[LIMITS_COUNTED]; /* NULL: not counted there */
    uint32_t ranks[LIMITS_COUNTED];              /* how many there were then, with this one */
};

/* Takes the settings of the group "Limits". NULL: no memory. */
struct limits *limits_new(const struct config *config);

/* All places must have been left. */
void limits_free(struct limits *limits);

/*
 * Counts a stream in everywhere, or nowhere. Returns 0 and its place; -EBUSY and the limit that refused; or -ENOMEM.
 */
int limits_enter(struct limits *limits, const struct limits_who *who, struct limits_place *ret_place,
                 enum limit *ret_limit);

/* Counts a stream out. An empty place ({0}) is fine, and is what it leaves behind. */
void limits_leave(struct limits *limits, struct limits_place *place);

/* Under which name, and up to which number, the streams of a user or a key count over all replicas. */
struct limits_slot {
    char name[LIMITS_NAME_SIZE];
    int64_t max;
};

/* limit: LIMIT_USER or LIMIT_KEY. Returns false when who is not counted by it. */
bool limits_slot(const struct limits *limits, const struct limits_who *who, enum limit limit,
                 struct limits_slot *ret_slot);

/* Which of the streams counted here by that limit it was when it came; the first is 1. 0: it is not counted by it. */
int64_t limits_rank(const struct limits_place *place, enum limit limit);

/* How many streams of that slot there are here. */
int64_t limits_count(struct limits *limits, const char *name);

/* Visits the name of each slot that has streams here. The counts stand still meanwhile: visit must be quick, and ask nothing. */
void limits_each_name(struct limits *limits, void (*visit)(void *context, const char *name), void *context);

/*
 * Asks for one new connection: to be called before the costly parts of answering it. now_ns: monotonic. Returns 0; -EBUSY, the
 * limit and the seconds to wait (1 at least, for Retry-After), having taken nothing; or -ENOMEM.
 */
int limits_admit(struct limits *limits, const struct address *address, int64_t now_ns, enum limit *ret_limit,
                 int64_t *ret_wait_seconds);

/*
 * Asks for one new ticket, which stays in Redis for a while. Returns 0; -EBUSY and the seconds to wait; or -ENOMEM.
 */
int limits_take_ticket(struct limits *limits, const struct limits_who *who, int64_t now_ns, int64_t *ret_wait_seconds);

/* How many addresses have a rate to remember. */
size_t limits_addresses(struct limits *limits);

/* What a refusal counts as, and what the answer says. The text is constant. */
enum metric limits_metric(enum limit limit);
const char *limits_message(enum limit limit);

#endif
