#ifndef SLUICE_TESTS_SEAM_MODEL_H
#define SLUICE_TESTS_SEAM_MODEL_H

#include "bridge/hub.h"
#include "core/event_id.h"
#include "support/fake_store.h"
#include "support/sse_reader.h"

/*
 * The reference of http/seam_test.c: what happened in each company, and what each client was sent of it, held against each
 * other block by block. Needs --wrap=hub_publish, by which it learns what happens.
 */
enum { SEAM_COMPANIES = 2, SEAM_TRUTH_MAX = 256, SEAM_GAPS_MAX = 32 };

extern const char *const seam_company_names[SEAM_COMPANIES];

/* What happened in a company, in order: the reference that clients are held against. */
struct seam_truth {
    bool is_hole;
    struct event_position position;
    int number;     /* of an event: what its payload says */
    char event[32]; /* its name */
    char id[EVENT_ID_SIZE];
};

struct seam_gap {
    char reason[32];
    int64_t missed; /* -1: null */
};

struct seam_model {
    const char *violation; /* the first; NULL: none */
    char detail[512];
    bool forgetful[SEAM_COMPANIES]; /* the store lost data, or could not say: a gap may be told that was none */
    bool data_lost;                 /* by the store: a hole has no number by which it could be missed */
    uint64_t hole_ms;               /* the last hole at the source */
    struct fake_store *store;       /* OVERFLOW=refill: what it still has must not be passed over; NULL: it may */
    bool is_unreadable;             /* the store could not be read at some time */
    bool is_shown;                  /* SEAM_SHOW: what happens is printed */
    int truth_count[SEAM_COMPANIES];
    struct seam_truth truth[SEAM_COMPANIES][SEAM_TRUTH_MAX];
};

/* A client's view of its company, across its reconnects. */
struct seam_view {
    struct seam_model *model;
    int number; /* the client's */
    int company;
    const char *filter;          /* the name of the events that it may have; NULL: all */
    char last_id[EVENT_ID_SIZE]; /* empty: none yet */
    int at;                      /* entries of the truth that it has, or was told of; -1: not known yet */
    int opened_at;               /* entries when it connected */
    bool ready;
    bool was_ready; /* the last block was stream.ready */
    char ready_head[EVENT_ID_SIZE];
    bool incomplete; /* a gap was told before stream.ready */
    int64_t replayed;
    int store_state; /* 0: ok, 1: told that it is lost */
    int gap_count;   /* told since the last event or id */
    struct seam_gap gaps[SEAM_GAPS_MAX];
    bool ended;
};

/* Empties the model, and from here on notes in it what the hub publishes; until seam_model_end(). */
void seam_model_begin(struct seam_model *model);

/* Notes no more. */
void seam_model_end(void);

/* From here on the store may have forgotten something of every company. */
void seam_model_doubt(struct seam_model *model);

/* Notes a violation of the promise `what`, unless there is one already. */
void seam_violate(struct seam_model *model, const char *what, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Entries of the truth up to that place; of a `start` id, holes that have its time are in front of it. */
int seam_truth_up_to(const struct seam_model *model, int company, struct event_position position);

/* A client that has not connected yet. */
void seam_view_init(struct seam_view *view, struct seam_model *model, int number, int company);

/* The client connects, with its last id if it has one; `opened_at`: entries that it cannot be sent without one. */
void seam_view_open(struct seam_view *view, int opened_at);

/* Whether there is something behind its place that the client may have. */
bool seam_view_lacks(const struct seam_view *view);

/* Checks the next block that the client reads: an sse_reader's callback, its context the view. */
void seam_view_block(const struct sse_block *block, void *context);

#endif
