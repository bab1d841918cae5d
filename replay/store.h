#ifndef SLUICE_REPLAY_STORE_H
#define SLUICE_REPLAY_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/event_id.h"
#include "core/frame.h"

/*
 * The replay store: what a company's clients may ask for again. Two kinds, in Redis (store_redis.h) and in this process
 * (store_memory.h). It also keeps the lease of the intake, by which one process at a time numbers and appends.
 *
 * Everything here belongs to one thread. Each request ends in exactly one call of its callback, made from store_run() (or
 * from store_free(), as failed), never from the request itself. Statuses: 0; -EAGAIN when the store is not to be had
 * now; -ENOMEM; of an append also -EPERM.
 */
struct store;

/* What the store knows of a company's numbering. */
struct store_head {
    bool exists;
    struct event_position position;      /* of the last event or hole */
    struct event_position floor;         /* events up to here were trimmed; {0, 0}: none were */
    uint64_t since_ms;                   /* when the present numbering began with seq 1; 0: not known */
    uint64_t source;                     /* place in its stream of the last event that had one; 0: none had */
    char subject[EVENT_SUBJECT_MAX + 1]; /* of the last event */
};

/* A part of a company's history, in order. The frames are the store's: a callback takes references of those it keeps. */
struct store_page {
    struct store_head head;       /* its floor is also above what is past the retention but not trimmed yet */
    bool exact;                   /* exactly the place asked from is held */
    bool last;                    /* nothing is held behind these frames */
    struct event_position oldest; /* the first that is held; {0, 0}: nothing is */
    char oldest_subject[EVENT_SUBJECT_MAX + 1];
    struct frame *const *frames;
    size_t count;
};

/* Events held of one company. */
struct store_count {
    const char *company;
    int64_t events;
};

/* The lease of the intake: who may number and append. Kept by Redis's clock. */
struct store_claim {
    const char *holder; /* the replica's id; STORE_HOLDER_MAX characters at most */
    uint64_t epoch;     /* held, or assumed while the store was away; 0: none */
    int64_t lease_ms;
};
enum { STORE_HOLDER_MAX = 128 };

struct store_lease {
    bool mine;
    uint64_t epoch;  /* of whoever holds it */
    int64_t left_ms; /* when it is another's: until it is free */
};

typedef void (*store_claim_done)(void *context, int status, const struct store_lease *lease);
typedef void (*store_append_done)(void *context, int status);
typedef void (*store_head_done)(void *context, int status, const struct store_head *head);
typedef void (*store_page_done)(void *context, int status, const struct store_page *page);
typedef void (*store_place_done)(void *context, int status, uint64_t sequence);
typedef void (*store_count_done)(void *context, int status, const struct store_count *counts, size_t count);

/*
 * One company's next events, in order and behind those of the append before, whose answer the caller has had: one append of
 * a company is under way at a time. (Redis may forget a script; the append that is then sent again must not be overtaken.)
 */
struct store_append {
    const char *company;
    struct frame *const *frames;
    const uint64_t
        *sources; /* of each frame, its place in the stream it comes from, growing; 0: it has none. NULL: none has */
    size_t count; /* STORE_APPEND_MAX at most */
    uint64_t since_ms;
    bool
        upkeep; /* also trim what is too old or too much, prolong what is kept, and list the company for store_count_events() */
};
enum {
    STORE_APPEND_MAX = 512,
    STORE_UPKEEP_MS =
        30000, /* a company's first append has upkeep, and the first one that long after another that had */
};

/* What store_read() asks for: the events behind `after`, at most so many and about so many bytes. */
struct store_read {
    const char *company;
    struct event_position after;
    size_t max_events; /* STORE_PAGE_MAX at most */
    size_t max_bytes;
};
enum { STORE_PAGE_MAX = 1024 };

/* Limits of what is kept, for both kinds. */
struct store_limits {
    int64_t ttl_ms;
    int64_t max_events; /* per company */
    int64_t max_bytes;  /* per company */
};

enum store_state {
    STORE_LOST,  /* requests fail with -EAGAIN */
    STORE_READY, /* requests are answered */
};

/* Called from store_run() when the state changes. reason: for the log, without secrets. */
typedef void (*store_observer)(void *context, enum store_state state, const char *reason);

void store_observe(struct store *store, store_observer observer, void *context);
enum store_state store_state(const struct store *store);
bool store_is_memory(const struct store *store);

/* Takes the lease if it is free or ours, and renews it. Epochs only grow, also over a Redis that lost its data. status: 0
 * or -EAGAIN. */
void store_claim(struct store *store, const struct store_claim *claim, store_claim_done done, void *context);

/* Gives the lease back, if it is ours: another may take it at once. Nobody waits for it; the next store_run() sends it. */
void store_release(struct store *store, const char *holder);

/* Appends carry this epoch from now on; 0, as in the beginning: they are refused. */
void store_set_epoch(struct store *store, uint64_t epoch);

/*
 * Appends events; those that the store holds already, by their numbers or by their places in the stream, are skipped, so that
 * an append may be repeated, also with other numbers. -EPERM: without an
 * epoch, or a later one has read or written the company.
 */
void store_append(struct store *store, const struct store_append *append, store_append_done done, void *context);

/* Reads a company's head. With an epoch for appends, those of a lower one are refused there from then on. */
void store_load(struct store *store, const char *company, store_head_done done, void *context);

/* Reads the next page of a company's history; events past the retention are not shown, trimmed or not. */
void store_read(struct store *store, const struct store_read *read, store_page_done done, void *context);

/* Counts the events held of each company. */
void store_count_events(struct store *store, store_count_done done, void *context);

/*
 * The reader's place in a stream (STORE_STREAM_MAX characters at most): all up to it is appended. Saved only forwards, and
 * only by the owner's epoch or a later one; nobody waits for it. 0: none was saved.
 */
enum { STORE_STREAM_MAX = 255 };
void store_save_place(struct store *store, const char *stream, uint64_t sequence);
void store_load_place(struct store *store, const char *stream, store_place_done done, void *context);

/* Remembers that up to unix_ms events of any company may have been missed at the source. */
void store_note_hole(struct store *store, uint64_t unix_ms);

/* The last noted hole, also by an earlier process; 0: none. Valid while the store is ready. */
uint64_t store_noted_hole(const struct store *store);

/*
 * The id of what is behind the store: equal at all who share it, and at nobody else. 0: not known yet, or a store in memory.
 * It is kept while the store is lost, and may change when that lost its data.
 */
uint64_t store_id(const struct store *store);

/* The descriptor to poll and for what; -1: none now. */
int store_poll_fd(const struct store *store, short *ret_events);

/* When store_run() is due at the latest, on clock_monotonic_ns(). */
int64_t store_deadline_ns(const struct store *store);

/* Does what is due, without blocking: reads replies, keeps time-outs, reconnects, calls back. */
void store_run(struct store *store);

/* Ends every request as failed, and frees. */
void store_free(struct store *store);

/* What the kinds of store implement; the functions above, without the store's own checks. */
struct store_operations {
    void (*claim)(struct store *store, const struct store_claim *claim, store_claim_done done, void *context);
    void (*release)(struct store *store, const char *holder);
    void (*append)(struct store *store, const struct store_append *append, store_append_done done, void *context);
    void (*load)(struct store *store, const char *company, store_head_done done, void *context);
    void (*read)(struct store *store, const struct store_read *read, store_page_done done, void *context);
    void (*count_events)(struct store *store, store_count_done done, void *context);
    void (*save_place)(struct store *store, const char *stream, uint64_t sequence);
    void (*load_place)(struct store *store, const char *stream, store_place_done done, void *context);
    void (*note_hole)(struct store *store, uint64_t unix_ms);
    int (*poll_fd)(const struct store *store, short *ret_events);
    int64_t (*deadline_ns)(const struct store *store);
    void (*run)(struct store *store);
    void (*free)(struct store *store);
    bool is_memory;
};

/* The common part, at the front of each kind's struct. */
struct store {
    const struct store_operations *operations;
    enum store_state state;
    char reason[256]; /* of the state, as told last */
    uint64_t epoch;   /* of appends */
    uint64_t id;
    uint64_t noted_hole_ms;
    store_observer observer;
    void *observer_context;
};

/* For the kinds: changes the state and tells the observer, also of another reason for the same state. */
void store_set_state(struct store *store, enum store_state state, const char *reason);

#endif
