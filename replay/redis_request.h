#ifndef SLUICE_REPLAY_REDIS_REQUEST_H
#define SLUICE_REPLAY_REDIS_REQUEST_H

#include "replay/redis_connection.h"
#include "replay/redis_scripts.h"
#include "replay/store.h"

/*
 * The store's requests as Redis commands, and the replies as what the store's callbacks take. A request keeps what it was
 * made of until its answer, so that it can be sent again as a whole script when Redis forgot the script (NOSCRIPT). One
 * thread; the callbacks come from redis_connection_run() and redis_connection_free().
 */
enum { REDIS_SHA_SIZE = 41 };

/* What all requests of one store share. */
struct redis_requests {
    struct redis_connection *connection;
    char scripts[REDIS_SCRIPTS_NAMED][REDIS_SHA_SIZE]; /* their names in Redis, known once the handshake is over */
    struct store_limits limits;
    uint64_t id; /* of this Redis, or what one without is given: redis_id.h */
    void (*on_error)(void *context, const char *error, bool is_write);
    void *context;
};

struct redis_request {
    struct redis_request *next; /* for the owner's list */
    struct redis_requests *requests;
    enum { REDIS_CLAIM, REDIS_APPEND, REDIS_LOAD, REDIS_READ, REDIS_COUNT, REDIS_PLACE } kind;
    union {
        store_claim_done claim;
        store_append_done append;
        store_head_done load;
        store_page_done read;
        store_count_done count;
        store_place_done place;
    } done;
    void *context;
    char name[STORE_STREAM_MAX + 1]; /* the company, who claims, or the stream */
    bool sent_whole;                 /* as a whole script, not by its name */
    int status;                      /* of one that was refused, for redis_request_fail() */
    uint64_t epoch;                  /* of a claim or an append */
    int64_t lease_ms;
    struct event_position after;
    size_t max_events;
    size_t max_bytes;
    uint64_t since_ms;
    bool has_sources;
    bool extends; /* of an append: REDIS_SCRIPT_EXTEND is tried first */
    size_t frame_count;
    struct {
        struct frame *frame;
        uint64_t source;
    } frames[];
};

/* New requests. Memory that runs out here ends the process: an unanswered request would stall its company for good. */
struct redis_request *redis_request_claim(const struct store_claim *claim, store_claim_done done, void *context);
struct redis_request *redis_request_append(const struct store_append *append, uint64_t epoch, store_append_done done,
                                           void *context);
struct redis_request *redis_request_load(const char *company, uint64_t epoch, store_head_done done, void *context);
struct redis_request *redis_request_read(const struct store_read *read, store_page_done done, void *context);
struct redis_request *redis_request_count(size_t max_companies, store_count_done done, void *context);
struct redis_request *redis_request_place(const char *stream, store_place_done done, void *context);

/* Sends; from here the request answers and frees itself. On an error (-ENOMEM, -ENOBUFS) it stays the caller's. */
int redis_request_send(struct redis_requests *requests, struct redis_request *request);

/* Answers with a status, and frees. */
void redis_request_fail(struct redis_request *request, int status);

/* Events older than that are past the retention. */
int64_t redis_requests_cutoff_ms(const struct redis_requests *requests);

/* Commands that nobody waits for. */
void redis_request_release(struct redis_requests *requests, const char *holder);
void redis_request_save_place(struct redis_requests *requests, const char *stream, uint64_t sequence, uint64_t epoch);
void redis_request_list_company(struct redis_requests *requests, const char *company);
void redis_request_note_hole(struct redis_requests *requests, uint64_t unix_ms);

#endif
