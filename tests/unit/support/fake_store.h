#ifndef SLUICE_TESTS_FAKE_STORE_H
#define SLUICE_TESTS_FAKE_STORE_H

#include "replay/store.h"

/*
 * A replay store on a script: it keeps what it is told to append as Redis would, carries requests out in order, and
 * answers only when the test says so. Requests of a store that is not ready wait for fake_store_answer() too, which fails
 * them.
 */
struct fake_store;

enum fake_request { FAKE_NONE, FAKE_CLAIM, FAKE_APPEND, FAKE_LOAD, FAKE_READ, FAKE_COUNT, FAKE_PLACE };

/* A store that is ready, unless `state` says otherwise. */
struct fake_store *fake_store_new(enum store_state state);
struct store *fake_store_base(struct fake_store *fake);

/* Pages hold no more frames than that, and companies no more events: the oldest go at the next append. */
void fake_store_set_limits(struct fake_store *fake, size_t page_frames, size_t company_frames);

/* Events older than that are not shown. */
void fake_store_set_cutoff(struct fake_store *fake, uint64_t cutoff_ms);

/* What the first request is, and how many there are. */
enum fake_request fake_store_first(const struct fake_store *fake);
size_t fake_store_waiting(const struct fake_store *fake);

/* Of the first request, an append: its frames, and whether it has upkeep. */
size_t fake_store_append_count(const struct fake_store *fake);
struct event_position fake_store_append_first(const struct fake_store *fake);
bool fake_store_append_has_upkeep(const struct fake_store *fake);

/* Carries the first request out and answers it. */
void fake_store_answer(struct fake_store *fake);
void fake_store_answer_all(struct fake_store *fake);

/* Answers the first request as failed, after carrying it out or not. */
void fake_store_fail(struct fake_store *fake, bool carried_out, int status);

/* Loses the connection: the first `carried_out` requests are carried out, and all of them fail. */
void fake_store_lose(struct fake_store *fake, size_t carried_out);
void fake_store_restore(struct fake_store *fake);

/* What claims are answered from now on. In the beginning they get the lease, with the epoch that they bring, or 1. */
void fake_store_set_lease(struct fake_store *fake, const struct store_lease *lease);

/* The last claim; its holder is empty when there was none. Who gave the lease back last; empty: nobody did. */
const struct store_claim *fake_store_claim(const struct fake_store *fake);
const char *fake_store_released_by(const struct fake_store *fake);

/* The epoch of the next appends. Those with a lower one than `epoch` are refused from now on. */
uint64_t fake_store_epoch(const struct fake_store *fake);
void fake_store_fence(struct fake_store *fake, uint64_t epoch);

/* Loses data: the last frames of a company, all but the head, one frame that cannot be read, or everything. */
void fake_store_drop_tail(struct fake_store *fake, const char *company, size_t frames);
void fake_store_drop_frame(struct fake_store *fake, const char *company, size_t index);
void fake_store_drop_everything(struct fake_store *fake);

/* Trims a company to its last frames, as age and limits do. */
void fake_store_trim(struct fake_store *fake, const char *company, size_t keep);

/* What is held of a company. */
size_t fake_store_count(struct fake_store *fake, const char *company);
struct event_position fake_store_at(struct fake_store *fake, const char *company, size_t index);
struct store_head fake_store_head(struct fake_store *fake, const char *company);

/* Puts an event there as an earlier process would have. */
void fake_store_put(struct fake_store *fake, const char *company, struct event_position position);
void fake_store_set_since(struct fake_store *fake, const char *company, uint64_t since_ms);

/* A reader's place in a stream; 0: none was saved. */
uint64_t fake_store_place(struct fake_store *fake, const char *stream);
void fake_store_set_place(struct fake_store *fake, const char *stream, uint64_t sequence);

/* Whether an append ever came out of order, or while another of its company was under way. */
bool fake_store_misused(const struct fake_store *fake);

#endif
