#ifndef SLUICE_BRIDGE_COMPANY_H
#define SLUICE_BRIDGE_COMPANY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/gap.h"
#include "bridge/publish_rate.h"
#include "bridge/transform.h"
#include "core/event_id.h"
#include "core/ring.h"
#include "core/table.h"

/*
 * What the bridge's thread knows of one company: its numbering and its recent events, which the intake writes, and who
 * gets them, which the hub keeps. The two share this struct; nobody else looks into it.
 */
enum { COMPANY_WORKERS_MAX = 256 };

/* The greatest place in a stream: what Redis's scripts can count. */
#define COMPANY_SOURCE_MAX ((UINT64_C(1) << 53) - 1)

/* What waits until it is known where its company's order stands: a message, a frame that was heard, or else a hole. */
struct parked {
    struct parked *next;
    struct source_message *message;
    struct transformed event;     /* of the message */
    struct frame *frame;          /* with a reference */
    struct event_position before; /* the place that the frame follows */
    uint64_t since_ms;            /* when its numbering began */
    enum gap_reason hole;         /* why, if it is one */
    int64_t received_ns;
    uint64_t sequence; /* of the message, as in struct source_item */
    int64_t stamp_ms;
};

/* A worker that gets the company's frames. */
struct subscription {
    struct subscription *next;
    unsigned worker;
    void *token; /* the worker's own mark for the company */
};

struct heads;
struct appender;

struct company {
    char name[COMPANY_ID_SIZE];
    struct heads *heads;
    struct appender *appender;

    /* Numbering. */
    bool loading;                        /* its head was asked for: what arrives is parked */
    bool filling;                        /* frames behind its head are wanted from the store: likewise */
    bool refreshing;                     /* it is filled only as far as the store is, for those who read now */
    bool fetching;                       /* a page of them was asked for */
    bool fetch_again;                    /* more may have come into the store since */
    bool suspect;                        /* frames behind its head may have been missed */
    bool settled;                        /* while what was parked goes on: what does not follow is missing for good */
    bool deferring;                      /* likewise: what does not follow is parked until all behind it had its turn */
    int64_t unfilled_ns;                 /* since when frames are missing that the store did not give; 0: none are */
    bool blank;                          /* nothing is known: its order begins with the first frame heard */
    struct event_position head;          /* of the last event or hole */
    struct event_position numbered;      /* of the last one that was given a number; behind the head while others
                                            have not been told of it */
    uint64_t source;                     /* place in its stream of the last event that had one; 0: none had */
    uint64_t numbered_source;            /* likewise of the last one that was given a number */
    bool was_numbered;                   /* this replica gave numbers */
    enum gap_reason hole_due;            /* a hole goes before the next event: memory was short; GAP_NONE: none */
    struct event_position floor;         /* up to there events are not held, as far as we know */
    uint64_t since_ms;                   /* when this numbering began; 0: it has not yet */
    char subject[EVENT_SUBJECT_MAX + 1]; /* of the last event or hole; empty: there is none */
    struct parked *parked;
    struct parked **parked_last;
    struct publish_rate rate;

    /* Recent frames: all that the store has not confirmed, and as many more as the limits allow. */
    struct ring *recent;
    uint64_t stored; /* slots below are in the store, or given up */
    uint64_t sent;   /* slots below were sent to the store */
    uint64_t unsent; /* slots below that are not stored: other replicas can have one of them from the store alone */
    bool appending;  /* an append is under way */
    bool unsynced;   /* the store's head is not known, or not since the store was lost */
    bool asking;     /* for that head */
    bool due;        /* in the appender's list of those with something to append */
    bool urgent;     /* which does not wait for others */
    bool lacks_hole; /* the store lost a hole in front of what is to be appended, and no number tells */
    struct company *next_due;
    int64_t upkeep_ms; /* when its last append with upkeep was sent, by the system's clock; 0: the next one has it */

    /* Who gets the frames, and when. */
    int64_t window_end_ns; /* frames published before that wait for it */
    bool held;             /* in the hub's list of those with waiting frames */
    struct company *next_held;
    struct subscription *subscriptions;
    struct reading *readings; /* history asked for, not answered yet */
};

/* All companies in memory. */
struct companies;

struct companies *companies_new(void);
void companies_free(struct companies *companies);

struct company *companies_get(const struct companies *companies, const char *name);

/* A new company, with nothing known of it yet. NULL: no memory. */
struct company *companies_add(struct companies *companies, const char *name);

/* Frees the company, which must have nothing parked and no reading. */
void companies_remove(struct companies *companies, struct company *company);

size_t companies_count(const struct companies *companies);

/* Calls visit for each; visit may remove the company it got. */
void companies_each(struct companies *companies, void (*visit)(struct company *company, void *context), void *context);

/* The place in its stream that a frame's event had; 0: none (a hole has none, nor what came by core NATS). */
uint64_t company_source_of(const struct frame *frame);

/* Bytes of frames that the store has not confirmed. */
size_t company_backlog_bytes(const struct company *company);

/*
 * The id of the head. Where there is none yet `start-0-<ms>`, a place in front of any event to come, and behind hole_ms, the last
 * hole that is noted; 0: none is.
 */
void company_head_id(const struct company *company, uint64_t hole_ms, char ret_id[EVENT_ID_SIZE]);

/* Whether the recent frames are all that there is behind a place; that of a start id has no number. */
bool company_reaches_back_to(const struct company *company, struct event_position place);

#endif
