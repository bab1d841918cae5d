#ifndef SLUICE_BRIDGE_HUB_H
#define SLUICE_BRIDGE_HUB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "bridge/company.h"
#include "bridge/gap.h"
#include "core/frame.h"
#include "core/mailbox.h"
#include "core/metrics.h"
#include "replay/store.h"

/*
 * Hands frames to the workers, and history to the streams that resume. It belongs to the bridge's thread; the messages
 * below are what workers get from it. A worker asks through bridge.h.
 *
 * The seam between replay and live: a worker subscribes to a company and gets a snapshot of its recent frames, then every
 * frame behind them, in one mailbox and in order. A stream reads history page by page until what follows is in the
 * worker's ring; from there it goes on in the ring. Nothing lies between the two.
 */
struct hub;

enum hub_message_type {
    HUB_SNAPSHOT = 100,
    HUB_EVENTS,
    HUB_PAGE,
    HUB_UNSUBSCRIBED,
    HUB_REPLAY_STATE,
    HUB_RESET,
};

/*
 * HUB_SNAPSHOT: the answer to a subscription, in front of the company's first HUB_EVENTS. HUB_RESET: the company's order is another
 * now. What streams got is not of it, so they are to end at once; who comes behind this message begins with what it brings.
 */
struct hub_snapshot {
    struct message message;
    void *token;                  /* the worker's mark for the company */
    struct event_position before; /* the place in front of the first frame */
    char head_id[EVENT_ID_SIZE];
    size_t count;
    struct frame *frames[]; /* each with a reference for the receiver */
};

struct hub_event {
    void *token;
    struct frame *frame; /* with a reference for the receiver */
};

/* New frames, in order. */
struct hub_events {
    struct message message;
    size_t count;
    struct hub_event events[];
};

/* The answer to a read. */
struct hub_page {
    struct message message;
    void *token;            /* the stream's mark, as given with the read */
    bool first;             /* as given with the read */
    struct frame *gap;      /* to be sent first: the stream's own id was not held; NULL: it was, or is not the matter */
    enum gap_reason reason; /* of the gap */
    bool available;         /* false: the history cannot be had now; go on with what the worker holds */
    bool last;              /* nothing more is held behind these frames */
    struct event_position floor; /* up to there nothing can be had any more, as far as is known; {0, 0}: nothing is */
    size_t count;
    struct frame *frames[]; /* events and holes; control frames are gaps between two of them. Each with a reference */
};

/* HUB_UNSUBSCRIBED: the end of a subscription, no event with this token follows. */
struct hub_mark {
    struct message message;
    void *token;
};

/* The replay store was lost, or is back with all that happened in between. */
struct hub_replay_state {
    struct message message;
    bool ok;
};

/*
 * What one worker has to do with the hub. The worker counts down `behind` as it takes frames out of its mailbox, the hub
 * counts up as it puts them in: relaxed, since it only steers how fast messages are taken from NATS.
 */
struct hub_worker {
    struct mailbox *mailbox;
    atomic_size_t behind;
};

/* A worker that has more frames than this before it holds the intake up. */
enum { HUB_BEHIND_MAX = 8192 };

/* History that a stream asks for. */
struct hub_read {
    unsigned worker;
    void *token;
    struct event_position after;
    bool first;                    /* the stream's own id: whether it is held is part of the answer */
    bool since;                    /* that is no id but a time: the place behind which all of its events are */
    char requested[EVENT_ID_SIZE]; /* that id, as it came */
};

struct hub_options {
    struct hub_worker *workers; /* the array must outlive the hub */
    unsigned worker_count;
    struct store *store; /* what history is read from */
    int64_t ttl_ms;      /* its retention */
    int64_t flush_window_ns;
    size_t max_waiting; /* frames that may wait for a window to end, for each worker */
    struct metrics *metrics;
};

/* NULL: no memory. */
struct hub *hub_new(const struct hub_options *options);
void hub_free(struct hub *hub);

/* Adds a subscription. The snapshot follows at once, or as soon as the company's numbering is known. */
void hub_subscribe(struct hub *hub, struct company *company, unsigned worker, void *token);
void hub_unsubscribe(struct hub *hub, struct company *company, unsigned worker, void *token);

/* Answers with one HUB_PAGE, now or when the store has answered. */
void hub_read(struct hub *hub, struct company *company, const struct hub_read *read);

/* The company's numbering has become known: what waited for it goes on. */
void hub_company_ready(struct hub *hub, struct company *company);

/* Reads that waited for the company's frames to be refreshed (heads.h) go on. */
void hub_company_read(struct company *company);

/*
 * Gives a new frame, the company's last, to all who subscribed. The first frame after a quiet moment leaves with the next
 * hub_flush(). Those that follow within the flush window gather, and leave together at its end, or sooner when something
 * else leaves for the same worker or too many wait: a wake-up and a write then serve many frames.
 */
void hub_publish(struct hub *hub, struct company *company, struct frame *frame);

/* The company's order is another now, with what is in memory: the streams of all who subscribed start anew. */
void hub_reset(struct hub *hub, struct company *company);

/* Sends what is due. */
void hub_flush(struct hub *hub);

/* When hub_flush() has something to do; INT64_MAX: nothing waits. */
int64_t hub_deadline_ns(const struct hub *hub);

/* No more windows: the end is near, and every frame leaves with the next hub_flush(). */
void hub_drain(struct hub *hub);

/* Tells all workers, when it changed. */
void hub_set_replay_state(struct hub *hub, bool ok);

/* The company is about to be freed. */
void hub_forget(struct hub *hub, struct company *company);

/* What was set last. Any thread. */
bool hub_replay_ok(const struct hub *hub);

/* Whether a worker is so far behind that no more messages should be taken. */
bool hub_is_behind(const struct hub *hub);

#endif
