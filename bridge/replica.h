#ifndef SLUICE_BRIDGE_REPLICA_H
#define SLUICE_BRIDGE_REPLICA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/appender.h"
#include "bridge/census.h"
#include "bridge/company.h"
#include "bridge/hub.h"
#include "bridge/source.h"
#include "bridge/stream_place.h"
#include "bridge/transform.h"
#include "core/config.h"
#include "core/log.h"
#include "core/metrics.h"
#include "replay/store.h"

/*
 * This process as one of the replicas: takes what comes from NATS as its role wants it. The owner of the intake (ownership.h)
 * numbers events (intake.h) and tells the others (fanout.h). The others keep the messages for the case that it dies
 * (shadow.h), and enter what they hear (mirror.h). Of a stream the owner alone reads, from the place where the one before had
 * got to (stream_place.h): nobody else need keep anything. Everything here belongs to the bridge's thread.
 */
struct replica;

struct replica_options {
    const struct config *config;
    struct source *source;
    const char *live_subject; /* where replicas hear each other; must outlive the replica */
    struct store *store;
    struct appender *appender;
    struct hub *hub;
    struct companies *companies;
    struct transform *transform;
    struct census_streams streams; /* that are open here */
    struct stream_place *place;    /* NULL: events come by core NATS */
    struct log *log;
    struct metrics *metrics;
};

/* NULL: no memory. */
struct replica *replica_new(const struct replica_options *options);

/* Needs the store no more, which must be gone: it may call back while it is freed. */
void replica_free(struct replica *replica);

/* Takes one item out of a lane of the source; it is freed. */
void replica_take_event(struct replica *replica, const struct source_item *item);
void replica_take_live(struct replica *replica, const struct source_item *item);

/* Whether more events may be taken: not too many wait for something. */
bool replica_may_take(const struct replica *replica);

/* What is due by time; then what was numbered leaves. */
void replica_run(struct replica *replica);

/* When replica_run() is due at the latest. */
int64_t replica_deadline_ns(const struct replica *replica);

/* Now and then. */
void replica_tick(struct replica *replica);

/* The company of that name; NULL: no memory. */
struct company *replica_company(struct replica *replica, const char *name);

/* Somebody reads the company's history: what may be missing here is read from the store first (heads_refresh()). */
void replica_refresh(struct replica *replica, struct company *company);

/* Forgets a company that need not be in memory. */
void replica_release(struct replica *replica, struct company *company);

/*
 * Whether other replicas are there, or may be: as ownership_may_have_peers(); and whether one of them can take over from this one without missing
 * anything.
 */
bool replica_has_peers(const struct replica *replica);
bool replica_may_have_peers(const struct replica *replica);
bool replica_has_heir(const struct replica *replica);

/*
 * Whether streams may begin: of a stream of NATS all is numbered that was in it before, by whoever owns the intake. Sooner, who
 * comes back could be told as new what it has. It may become false again, when another replica begins to read.
 */
bool replica_is_open(const struct replica *replica);

/* Numbers nothing from here on. Others take over once replica_is_settled(). */
void replica_retire(struct replica *replica);

/* Whether nothing that was numbered is still on its way. */
bool replica_is_settled(const struct replica *replica);

/* Whether NATS was there, an owner is known, and this replica has all that it sent, and could take over from it. */
bool replica_has_begun(const struct replica *replica);

/* The end: another may own at once. */
void replica_leave(struct replica *replica);

/* Counts the open streams of all replicas: as census_ask(). */
void replica_count_streams(struct replica *replica, census_done done, void *context);

/* Messages that wait for a number. */
int64_t replica_waiting(const struct replica *replica);

#endif
