#ifndef SLUICE_TESTS_UNIT_REPLAY_SHARED_CLIENT_H
#define SLUICE_TESTS_UNIT_REPLAY_SHARED_CLIENT_H

#include <pthread.h>

#include "replay/shared.h"

/* The streams that it has of one name. */
struct held {
    char name[SHARED_NAME_MAX + 1];
    int64_t count;
};

enum { HELD_MAX = 2048 };

/* A replica: shared state, what its listener was told, and answers that a test waits for. All waits end, in a failure. */
struct replica {
    struct shared *shared;
    /* Guards the rest, and the answers. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool connected;
    int downs;
    int revoked_calls;
    int features_calls;
    int keys_calls;
    int unreadable_calls;
    char revoked[4096]; /* lines of `<subject>|<value>=<until>` */
    char features[4096];
    char keys[4096];
    char unreadable[256];
    size_t keys_count;
    size_t replicas; /* as told last */
    struct held held[HELD_MAX];
    size_t held_count;
};

struct replica_options {
    const char *url;
    int timeout_ms;
    int64_t lease_ms;
};

/* Starts one; with a URL it waits until it is connected, unless timeout_ms is negative: then it does not. */
struct replica *replica_new(const struct replica_options *options);

/* Ends it; it gives no ticket back. */
void replica_free(struct replica *replica);

struct answer {
    struct replica *replica;
    int calls;
    int status;
    size_t size;
    char value[SHARED_VALUE_MAX + 1];
    bool on_caller; /* the thread that asked was the one that was called */
    pthread_t caller;
};

struct answer answer_of(struct replica *replica);
void on_answer(void *context, int status);
void on_ticket(void *context, int status, const char *value, size_t size);

/* Waits for the answer, which must come once; gives its status. */
int answer_wait(struct answer *answer);

/* Waits until the condition holds, which is looked at under the lock. */
void replica_wait(struct replica *replica, bool (*condition)(struct replica *replica));
void replica_wait_text(struct replica *replica, const char *list, const char *text);

/* Each asks and waits; gives the status. */
int ticket_put(struct replica *replica, const char *hash, const char *value, int64_t ttl_ms);
int ticket_take(struct replica *replica, const char *hash, const char *holder, const char *fingerprint,
                int64_t resume_ms);
int ticket_release(struct replica *replica, const char *hash, const char *holder);
int revoke(struct replica *replica, enum shared_subject subject, const char *value, int64_t until_ms);

/* Has that many streams of the name, without telling anybody. */
void hold(struct replica *replica, const char *name, int64_t count);

/* One more stream: it is counted here, and out again if it is refused. Its rank is that of now. */
int slots_enter(struct replica *replica, const char *name, int64_t max);

/* One stream less. */
void slots_leave(struct replica *replica, const char *name);

/* Enters, and leaves if that was wrong, again and again until the status is that one. */
void slots_enter_until(struct replica *replica, const char *name, int64_t max, int status);

/* Waits until it was told of so many replicas; 0: until it does not know. */
void replica_wait_replicas(struct replica *replica, size_t count);

/* Takes again and again until the status is that one. */
void ticket_take_until(struct replica *replica, const char *hash, const char *holder, const char *fingerprint,
                       int status);

#endif
