#ifndef SLUICE_REPLAY_SHARED_H
#define SLUICE_REPLAY_SHARED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "replay/redis_access.h"

/*
 * The small state that replicas share to know whom to let in: tickets, revocations, slots, and two hashes that operators
 * write. In Redis, over a connection of its own, or in this process when there is no Redis.
 *
 * A thread of its own does all of it. Requests may be made from any thread, also from callbacks. A request that returns 0
 * is answered by exactly one call of its callback (which may be NULL), on that thread, within the time-out. Otherwise the
 * callback is never called: -EINVAL (an empty or too long text, a number out of range), -EBUSY (SHARED_WAITING_MAX
 * requests wait), -ECANCELED (stopped). Texts are copied.
 *
 * Statuses that callbacks are given: 0; -EAGAIN: Redis is away, and it is not known whether the request was carried out;
 * -ECANCELED: stopped before the answer came; and what stands at each request. Memory that runs out ends the process: an
 * answer that is owed would never come.
 */
struct shared;

enum {
    SHARED_WAITING_MAX = 10000,
    SHARED_NAME_MAX = 512, /* bytes of a hash, a holder, a name */
    SHARED_REPLICA_MAX = 48,
    SHARED_VALUE_MAX = 4096,
    SHARED_FIELDS_MAX = 100000, /* of a hash; and revocations */
    SHARED_CONTENT_MAX = 16 * 1024 * 1024,
};

enum shared_subject { SHARED_COMPANY, SHARED_USER, SHARED_KEY, SHARED_TOKEN };

struct shared_revocation {
    enum shared_subject subject;
    const char *value; /* `acme`; of a user `acme|u1`, or `|u1` in every company; a key's id; a token's */
    int64_t until_ms;  /* Unix time */
};

/* A field of one of the hashes. Names hold no NUL; values may. Both are ended by one. */
struct shared_field {
    const char *name;
    const char *value;
    size_t value_size;
};

/*
 * Who is told of changes, on shared's thread; each function may be NULL. Lists are whole, and live during the call. Each is
 * told once it is known, also when it is empty, and then whenever it changed. While Redis is away nothing is told: what was
 * known stays.
 */
struct shared_listener {
    void *context;
    void (*on_revoked)(void *context, const struct shared_revocation *revocations, size_t count);
    void (*on_features)(void *context, const struct shared_field *fields, size_t count); /* field: a company */
    void (*on_keys)(void *context, const struct shared_field *fields, size_t count);     /* field: a key's id */
    /* Redis is there, or away. reason: for the log, without secrets. The same is not told twice. */
    void (*on_state)(void *context, bool connected, const char *reason);
    /* A key that cannot be read (too large, or no such thing): what was known of it stays. Told once until it is read. */
    void (*on_unreadable)(void *context, const char *key, const char *reason);
    /*
     * How many replicas there are, this one with them; 0: that is not known, as at the start and while Redis is away. While it
     * is 1, nobody needs to ask for slots or to give them back.
     */
    void (*on_replicas)(void *context, size_t count);
};

/*
 * The streams of this replica by the names that are counted over all replicas. Called on shared's thread, when others are told;
 * both are needed where there is a Redis.
 */
struct shared_counts {
    void *context;
    int64_t (*count)(void *context, const char *name);
    /* Visits all that have streams. */
    void (*each_name)(void *context, void (*visit)(void *visitor, const char *name), void *visitor);
};

struct shared_options {
    struct redis_access redis; /* no URL: in this process; timeout_ms is each request's too */
    int64_t lease_ms;          /* how long what a killed replica held stays held; renewed three times in it. 0: 15 s */
    /* Of this process, and of no other: at most SHARED_REPLICA_MAX letters and digits. Needed where there is a Redis. */
    const char *replica;
    struct shared_counts counts;
    struct shared_listener listener;
};

/* Starts the thread. NULL: not a URL, or no memory, descriptor or thread. */
struct shared *shared_new(const struct shared_options *options);

/*
 * Ends the thread: requests that still wait get -ECANCELED before it returns, within a second. Other replicas count none of
 * its streams from then on, if Redis answers by then. Not from a callback.
 */
void shared_stop(struct shared *shared);

/* Stops, if that was not done, and frees. No thread may use it any more. */
void shared_free(struct shared *shared);

typedef void (*shared_done)(void *context, int status);

/* value: the ticket's, ended by a NUL, during the call; NULL unless status is 0. */
typedef void (*shared_ticket_done)(void *context, int status, const char *value, size_t size);

/* Keeps a value under a ticket that nobody has used. Gone after ttl_ms without use. -EEXIST: the ticket is there already. */
int shared_ticket_put(struct shared *shared, const char *ticket_hash, const char *value, size_t size, int64_t ttl_ms,
                      shared_done done, void *context);

struct shared_take {
    const char *ticket_hash;
    const char *holder;      /* who uses it now: the id of one connection of one replica */
    const char *fingerprint; /* of the client: who used a ticket once may use it again, and nobody else */
    int64_t resume_ms;       /* for how long, once its stream has ended; 0: not at all */
};

/*
 * Uses a ticket: it is the holder's alone until shared_ticket_release(), or until the lease ends because this process did
 * (it is renewed here). -ENOENT: no such ticket, or not any more; -EPERM: its client is another one; -EALREADY: its client
 * holds it still, for another stream. Taking it again as the same holder is no error.
 */
int shared_ticket_take(struct shared *shared, const struct shared_take *take, shared_ticket_done done, void *context);

/* The holder's stream has ended: the time to resume begins. Never -EBUSY. */
int shared_ticket_release(struct shared *shared, const char *ticket_hash, const char *holder, shared_done done,
                          void *context);

/* Revokes until a Unix time; an earlier revocation that lasts longer stays. All replicas see it within about a second. */
int shared_revoke(struct shared *shared, enum shared_subject subject, const char *value, int64_t until_ms,
                  shared_done done, void *context);

/*
 * Asks whether there is a slot of that name, of which there are `max` over all replicas, for a stream that is counted here
 * already (struct shared_counts): its count on the others and rank, which is how many there were here when it came, with itself,
 * may be max together. -EDQUOT: all are taken; it is to be counted out again, and shared_slots_leave() is due.
 */
int shared_slots_enter(struct shared *shared, const char *name, int64_t rank, int64_t max, shared_done done,
                       void *context);

/* A stream of that name was counted out here: the others are told. Never -EBUSY. */
int shared_slots_leave(struct shared *shared, const char *name);

#endif
