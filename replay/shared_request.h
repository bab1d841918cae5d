#ifndef SLUICE_REPLAY_SHARED_REQUEST_H
#define SLUICE_REPLAY_SHARED_REQUEST_H

#include "core/mailbox.h"
#include "replay/shared.h"

/* Above it Redis's scripts lose digits. */
#define SHARED_NUMBER_MAX (INT64_C(1) << 53)

enum { SHARED_RENEWALS_PER_LEASE = 3 };

/* What shared.c and its two backends have in common. All but the making of requests is on shared's thread. */
enum shared_kind {
    SHARED_TICKET_PUT,
    SHARED_TICKET_TAKE,
    SHARED_TICKET_RELEASE,
    SHARED_REVOKE,
    SHARED_SLOTS_ENTER,
    SHARED_SLOTS_LEAVE,
};

struct shared_request {
    struct message message;
    struct shared *shared;
    /* Among those that wait, in the order of their deadlines. */
    struct shared_request *next;
    struct shared_request *previous;
    int64_t deadline_ns;
    bool answered; /* too late for its backend: only to be freed */
    enum shared_kind kind;
    shared_done done;
    shared_ticket_done ticket_done;
    void *context;
    enum shared_subject subject;
    int64_t number; /* ttl_ms, resume_ms, until_ms or max, by kind */
    int64_t rank;   /* of a stream that wants a slot */
    char *name;     /* the ticket, the slots, or what is revoked; all texts stand behind the request */
    char *holder;
    char *fingerprint;
    char *value;
    size_t value_size;
};

/* Answers, unless its time was over, and frees. A backend does it once with each request it was given. */
void shared_request_finish(struct shared_request *request, int status, const char *value, size_t value_size);

/* A ticket, revocations or slots are kept by one of these; each begins its own struct. */
struct shared_backend {
    /* Carries out a request; it is the backend's until shared_request_finish(), which may come at once. */
    void (*perform)(struct shared_backend *backend, struct shared_request *request);
    int (*poll_fd)(const struct shared_backend *backend, short *ret_events); /* -1: none now */
    int64_t (*deadline_ns)(const struct shared_backend *backend);
    void (*run)(struct shared_backend *backend);
    /* Takes leave of the other replicas, behind the last request. Takes a second at most. */
    void (*stop)(struct shared_backend *backend);
    void (*free)(struct shared_backend *backend); /* finishes what it still has */
};

/* As in Redis: `company|acme`. The beginning of a member with its `|`. */
const char *shared_subject_prefix(enum shared_subject subject);

/* Tells a listener of members and their times, as pairs of `name` and a number as `value`. Skips what is no revocation. */
void shared_tell_revoked(const struct shared_listener *listener, const struct shared_field *pairs, size_t count);

#endif
