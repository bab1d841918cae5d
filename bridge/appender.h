#ifndef SLUICE_BRIDGE_APPENDER_H
#define SLUICE_BRIDGE_APPENDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/company.h"
#include "bridge/hub.h"
#include "core/log.h"
#include "core/metrics.h"
#include "replay/store.h"

/*
 * Keeps the replay store in step with the companies' recent frames, and those frames within their limits. What the store
 * has not confirmed stays in memory up to a limit, and is appended when the store is back; so is what the store lost.
 * Everything here belongs to the bridge's thread.
 */
struct appender;

struct appender_options {
    struct store *store;
    struct hub *hub;
    struct companies *companies;
    int64_t ttl_ms;       /* age up to which events are kept */
    size_t recent_events; /* kept in memory, per company */
    size_t recent_bytes;  /* and over all companies */
    size_t backlog_bytes; /* not yet in the store, over all companies */
    bool has_sources;     /* events come from a stream: the store keeps their places in it */
    struct log *log;
    struct metrics *metrics;
};

/* Watches the store from here on. NULL: no memory. */
struct appender *appender_new(const struct appender_options *options);

/* The store must be gone: it may call back while it is freed. */
void appender_free(struct appender *appender);

/* Adds the company's next frame to its recent frames, to be appended by the next flush. Returns 0 or -ENOMEM. */
int appender_add(struct appender *appender, struct company *company, struct frame *frame);

/* The company's head in the store is not known: it is asked for as soon as the store is ready. */
void appender_set_unsynced(struct appender *appender, struct company *company);

/*
 * Whether this replica appends: it does as long as it owns the intake. Those that do not keep what they hear in memory
 * until the owner says that the store has it. In the beginning it does not.
 */
void appender_set_active(struct appender *appender, bool active);

/* Of one that is not active: frames with a smaller ms are in the store, or given up; has_store: whether the owner has one. */
void appender_hear_owner(struct appender *appender, uint64_t stored_ms, bool has_store);

/* All frames with a smaller ms are in the store, or given up; UINT64_MAX: all are. */
uint64_t appender_stored_ms(const struct appender *appender);

/*
 * Sends to the store what is due. Frames gather for 20 ms behind the flush before: an append of several costs little more than
 * one of a single event, and Redis is woken up once for those of all companies.
 */
void appender_flush(struct appender *appender);

/* What the company has for the store does not gather: others need it from there. */
void appender_hurry(struct company *company);

/* When appender_flush() has something to do; INT64_MAX: nothing waits. */
int64_t appender_deadline_ns(const struct appender *appender);

/* Now and then: tries again what failed, and lets go what is too old. */
void appender_tick(struct appender *appender);

/* Whether nothing of the company waits for the store, or for an answer from it. */
bool appender_is_done_with(const struct company *company);

/* Gives up the company's recent frames, stored or not. */
void appender_forget(struct appender *appender, struct company *company);

/* Whether the store is there, and does not keep up, and events can wait, as those of a stream can. */
bool appender_is_behind(const struct appender *appender);

/* Events that this replica has to append, and the store does not hold yet. */
int64_t appender_backlog_events(const struct appender *appender);

#endif
