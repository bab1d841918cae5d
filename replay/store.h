#ifndef SLUICE_REPLAY_STORE_H
#define SLUICE_REPLAY_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/event_id.h"
#include "core/frame.h"

/*
 * The replay store: what a company's clients may ask for again. Two kinds, in Redis (store_redis.h) and in this process
 * (store_memory.h).
 *
 * Everything here belongs to one thread. Each request ends in exactly one call of its callback, made from store_run() (or
 * from store_free(), as failed), never from the request itself. Statuses: 0; -EAGAIN when the store is not to be had
 * now; -ENOMEM.
 */
struct store;

/* What the store knows of a company's numbering. */
struct store_head {
    bool exists;
    struct event_position position;      /* of the last event or hole */
    struct event_position floor;         /* events up to here were trimmed; {0, 0}: none were */
    uint64_t since_ms;                   /* when the present numbering began with seq 1; 0: not known */
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

typedef void (*store_append_done)(void *context, int status);
typedef void (*store_head_done)(void *context, int status, const struct store_head *head);
typedef void (*store_page_done)(void *context, int status, const struct store_page *page);
typedef void (*store_count_done)(void *context, int status, const struct store_count *counts, size_t count);

/*
 * One company's next events, in order and behind those of the append before, whose answer the caller has had: one append of
 * a company is under way at a time. (Redis may forget a script; the append that is then sent again must not be overtaken.)
 */
struct store_append {
    const char *company;
    struct frame *const *frames;
    size_t count; /* STORE_APPEND_MAX at most */
    uint64_t since_ms;
    bool list_company; /* also enter the company in the list that store_count_events() goes through */
};
enum { STORE_APPEND_MAX = 128 };

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
    STORE_LOST,   /* requests fail with -EAGAIN */
    STORE_READY,  /* requests are answered */
    STORE_FENCED, /* another process took the intake over: appends of this one are refused for good */
};

/* Called from store_run() when the state changes. reason: for the log, without secrets. */
typedef void (*store_observer)(void *context, enum store_state state, const char *reason);

void store_observe(struct store *store, store_observer observer, void *context);
enum store_state store_state(const struct store *store);
bool store_is_memory(const struct store *store);

/* Appends events; those that the store holds already are skipped, so that an append may be repeated. */
void store_append(struct store *store, const struct store_append *append, store_append_done done, void *context);

/* Reads a company's head. */
void store_load(struct store *store, const char *company, store_head_done done, void *context);

/* Reads the next page of a company's history; events past the retention are not shown, trimmed or not. */
void store_read(struct store *store, const struct store_read *read, store_page_done done, void *context);

/* Counts the events held of each company. */
void store_count_events(struct store *store, store_count_done done, void *context);

/* Remembers that up to unix_ms events of any company may have been missed at the source. */
void store_note_hole(struct store *store, uint64_t unix_ms);

/* The last noted hole, also by an earlier process; 0: none. Valid while the store is ready. */
uint64_t store_noted_hole(const struct store *store);

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
    void (*append)(struct store *store, const struct store_append *append, store_append_done done, void *context);
    void (*load)(struct store *store, const char *company, store_head_done done, void *context);
    void (*read)(struct store *store, const struct store_read *read, store_page_done done, void *context);
    void (*count_events)(struct store *store, store_count_done done, void *context);
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
    uint64_t noted_hole_ms;
    store_observer observer;
    void *observer_context;
};

/* For the kinds: changes the state and tells the observer, also of another reason for the same state. */
void store_set_state(struct store *store, enum store_state state, const char *reason);

#endif
