#ifndef SLUICE_TESTS_REPLICA_MODEL_H
#define SLUICE_TESTS_REPLICA_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/frame.h"

/*
 * The reference of bridge/replica_test.c: what was published, in order, by each publisher for each company; and what somebody
 * saw of a company's order, held against it. Whatever is missing must have a gap in its place.
 */
enum { MODEL_COMPANIES = 2, MODEL_PUBLISHERS = 2, MODEL_PUBLISHED_MAX = 1024 };

extern const char *const model_company_names[MODEL_COMPANIES];

/* What one publisher published for one company: equal payloads have equal numbers, and follow each other. */
struct model_published {
    int count;
    int numbers[MODEL_PUBLISHED_MAX];
};

/* An event that somebody saw. */
struct model_seen {
    struct event_position position;
    int publisher;
    int number;
};

struct replica_model {
    const char *violation; /* the first; NULL: none */
    char detail[512];
    bool intact; /* set by model_promise() */
    uint64_t intact_ms;
    bool is_shown; /* REPLICA_SHOW: what happens is printed */
    struct model_published published[MODEL_PUBLISHERS][MODEL_COMPANIES];
    int seen_count[MODEL_COMPANIES];
    struct model_seen seen[MODEL_COMPANIES][2 * MODEL_PUBLISHED_MAX];
};

void model_begin(struct replica_model *model);

/* From here on nothing may be missing, and so there may be no gap. */
void model_promise(struct replica_model *model);

/* Notes the first violation. */
void model_violate(struct replica_model *model, const char *what, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Adds what a publisher publishes next for a company; again: the same as the last time. Writes its payload. */
void model_publish(struct replica_model *model, int publisher, int company, bool again, char ret_payload[64]);

/* Where a view stands among a publisher's events: one of low..high, since equal ones cannot be told apart. */
struct model_place {
    bool known;
    bool gap;  /* something may be missing behind it, and this was told */
    int begun; /* so many were published when the view began: those that follow it must not miss */
    int low;
    int high;
};

/* What somebody sees of a company: a worker, or who reads the store. */
struct model_view {
    struct replica_model *model;
    int company;
    char name[32];
    bool open;
    bool jumped; /* its numbers were not dense */
    struct event_position last;
    struct event_position cursor;
    struct model_place places[MODEL_PUBLISHERS];
};

/* It begins (anew) behind `before`. */
void model_view_begin(struct model_view *view, struct event_position before);

/* Its stream is told to come back with `cursor`: what it sees from here on is behind that. */
void model_view_cursor(struct model_view *view, const char *cursor);

/* It sees the next frame. */
void model_view_frame(struct model_view *view, const struct frame *frame);

/* Nothing is left to be seen. */
void model_view_end(struct model_view *view);

#endif
