#ifndef SLUICE_TESTS_BRIDGE_RIG_H
#define SLUICE_TESTS_BRIDGE_RIG_H

#include "bridge/appender.h"
#include "bridge/company.h"
#include "bridge/fanout.h"
#include "bridge/heads.h"
#include "bridge/hub.h"
#include "bridge/intake.h"
#include "bridge/transform.h"
#include "support/fake_store.h"

/* The parts of a bridge that has no other replicas, on the test's own thread, over a fake store. Appends have epoch 1. */
enum {
    BRIDGE_RIG_WORKERS = 3,
    BRIDGE_RIG_GATHER_MS = 21, /* after so long no frame waits for others to be appended with */
};

struct bridge_rig_options {
    enum store_state state;
    size_t recent_events; /* 0: a thousand */
    size_t recent_bytes;  /* 0: 64 MiB */
    size_t backlog_bytes; /* 0: 64 MiB */
    int64_t ttl_ms;       /* 0: a day */
    int64_t flush_window_ms;
    int64_t events_per_second; /* of a company; 0: no limit */
    int64_t bytes_per_second;
    bool has_stream;            /* events come from a stream */
    size_t max_waiting;         /* frames that wait for the window's end; 0: a thousand */
    struct hub_worker *workers; /* NULL: the rig's own */
    unsigned worker_count;
    struct metrics *metrics; /* NULL: the rig's own */
};

struct bridge_rig {
    struct fake_store *store;
    struct metrics *metrics;
    struct companies *companies;
    struct transform *transform;
    struct hub *hub;
    struct appender *appender;
    struct heads *heads;
    struct fanout *fanout;
    struct intake *intake;
    bool owns_metrics;
    struct bridge_rig_options options;
    struct hub_worker
        workers[BRIDGE_RIG_WORKERS]; /* their mailboxes are the rig's; unused with workers of the test's */
    struct message *mail[BRIDGE_RIG_WORKERS];
};

void bridge_rig_init(struct bridge_rig *rig, const struct bridge_rig_options *options);

/* A crash, and a start of the same: all but the store is made anew. None of its answers may be due. */
void bridge_rig_restart(struct bridge_rig *rig);

/* Frees all. */
void bridge_rig_release(struct bridge_rig *rig);

/*
 * A message {"companyId":company,"n":number} arrives; or a hole. On subjects metrics.* it is a metric_updated, as those of
 * the first function are, on q2q.* a vis_updated.
 */
void bridge_rig_publish(struct bridge_rig *rig, const char *company, int number);
void bridge_rig_publish_to(struct bridge_rig *rig, const char *subject, const char *company, int number);
void bridge_rig_hole(struct bridge_rig *rig);

/* Messages of the numbers from..to arrive. */
void bridge_rig_publish_all(struct bridge_rig *rig, const char *company, int from, int to);

/* A company that is loaded, with `count` events, all of them in the store. */
void bridge_rig_have(struct bridge_rig *rig, const char *company, int count);

/* Fails the test unless the store has the company's events first_seq..last_seq, and no others. */
void bridge_rig_assert_stored(const struct bridge_rig *rig, const char *company, uint64_t first_seq, uint64_t last_seq);

/* The same message comes from a stream, of that place and time. */
void bridge_rig_stream(struct bridge_rig *rig, const char *company, int number, uint64_t sequence, int64_t stamp_ms);

/* What the bridge does now and then. */
void bridge_rig_tick(struct bridge_rig *rig);

/* What the bridge's loop does behind all else: frames to workers, appends to the store. */
void bridge_rig_flush(struct bridge_rig *rig);

/* As BRIDGE_SUBSCRIBE, BRIDGE_UNSUBSCRIBE and BRIDGE_READ do. */
void bridge_rig_subscribe(struct bridge_rig *rig, const char *company, unsigned worker, void *token);
void bridge_rig_unsubscribe(struct bridge_rig *rig, const char *company, unsigned worker, void *token);
void bridge_rig_read(struct bridge_rig *rig, const char *company, const struct hub_read *read);

/* Flushes and answers until nothing is left to do. */
void bridge_rig_settle(struct bridge_rig *rig);

/* The next message to a worker of the rig's own, which the caller releases; NULL: there is none. */
struct message *bridge_rig_take(struct bridge_rig *rig, unsigned worker);

/* The same, if it is of that type, and fails the program if it is not. */
struct hub_snapshot *bridge_rig_take_snapshot(struct bridge_rig *rig, unsigned worker);
struct hub_page *bridge_rig_take_page(struct bridge_rig *rig, unsigned worker);

/* Releases all messages to a worker. */
void bridge_rig_skip(struct bridge_rig *rig, unsigned worker);

/* Flushes when what gathers is due. */
void bridge_rig_flush_late(struct bridge_rig *rig);

struct company *bridge_rig_company(struct bridge_rig *rig, const char *company);

#endif
