#ifndef SLUICE_TESTS_UNIT_REPLAY_STORE_CLIENT_H
#define SLUICE_TESTS_UNIT_REPLAY_STORE_CLIENT_H

#include "replay/store.h"

/* Waits for a store's answers as its owner does: polls its descriptor until its deadline, and lets it run. */

/* One turn. */
void store_pump(struct store *store);

/* An answer to come. It must come once, and never while the request is made. */
struct answer {
    int calls;
    int status;
};

/* Runs until the answer is there. */
void store_wait(struct store *store, const struct answer *answer);

/* Runs until the store is in that state. */
void store_wait_state(struct store *store, enum store_state state);

/* Claims the lease for a second with that epoch and waits for the answer, which must not fail. */
struct store_lease lease_claim(struct store *store, const char *holder, uint64_t epoch);

/* The same, for `lease_ms`; gives the status. */
int lease_try_claim(struct store *store, const struct store_claim *claim, struct store_lease *ret_lease);

/* Only the claim's end. */
void claim_start(struct store *store, struct answer *ret_answer);

/* Where a run of events begins, and what they hold. */
struct events {
    const char *company;
    struct event_position first;
    uint64_t ms_step; /* between two events */
    size_t payload_size;
    uint64_t since_ms;
    uint64_t first_source; /* place of the first one in its stream; 0: they have none */
};

/* The frame of number index: its payload tells its seq. The caller's reference. */
struct frame *events_frame(const struct events *events, size_t index);
struct frame *hole_frame(struct event_position position);

/* Starts an append of frames from `from`, `count` of them, at most STORE_APPEND_MAX. From 0 it has upkeep. */
void events_start_append(struct store *store, const struct events *events, size_t from, size_t count,
                         struct answer *ret_answer);

/* Appends `count` events in as many appends as needed; each must succeed. */
void events_append(struct store *store, const struct events *events, size_t count);

/* Starts an append. */
void frames_start_append(struct store *store, const struct store_append *append, struct answer *ret_answer);

/* Appends frames and gives the references up. Returns the status. */
int frames_append(struct store *store, const char *company, struct frame **frames, size_t count);

/* Loads a reader's place. */
uint64_t place_load(struct store *store, const char *stream);
void place_start(struct store *store, const char *stream, struct answer *ret_answer);

/* A page with references of its own; page_release() is due. */
struct page {
    struct answer answer;
    struct store_page page;
    struct frame *frames[2 * STORE_PAGE_MAX];
};
void page_start(struct store *store, const struct store_read *read, struct page *ret_page);
void page_read(struct store *store, const char *company, struct event_position after, size_t max_events,
               size_t max_bytes, struct page *ret_page);
void page_release(struct page *page);

struct loaded_head {
    struct answer answer;
    struct store_head head;
};
void head_start(struct store *store, const char *company, struct loaded_head *ret_head);
struct store_head head_load(struct store *store, const char *company);

/* The number of events of one company among the counts; -1: it is not there. */
int64_t events_count(struct store *store, const char *company);
void count_start(struct store *store, struct answer *ret_answer);

/* Everything of a company from `after` on, page by page: the number of frames, which must be in order. */
size_t read_all(struct store *store, const char *company, struct event_position after, size_t page_size,
                struct event_position *ret_first);

#endif
