#ifndef SLUICE_AUTH_GATE_PRIVATE_H
#define SLUICE_AUTH_GATE_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "auth/gate.h"
#include "auth/limits.h"
#include "auth/revocation_keeper.h"
#include "auth/verdicts.h"
#include "replay/shared.h"

enum { REPLICA_BYTES = 16 };

/* What gate.c and pass.c share, and nobody else. */
struct gate {
    const struct config *config;
    struct auth *auth;
    struct log *log;
    struct metrics *metrics;
    void (*changed)(void *context);
    void *context;
    bool has_redis;
    atomic_bool has_others; /* or may have: slots of a user and a key go over all replicas */
    char replica[2 * REPLICA_BYTES + 1];
    struct limits *limits;
    struct verdicts *verdicts;
    struct revocation_keeper *keeper;
    struct shared *shared;
    struct log_limiter refusals; /* of control messages */
    /* Guards what was heard of so far, for gate_await_start(). */
    pthread_mutex_t lock;
    pthread_cond_t heard;
    bool heard_revoked;
    bool heard_features;
    bool heard_replicas;
};

/* Whether the identity may stream now. */
enum verdict gate_judge(struct gate *gate, const struct identity *identity);

/* Likewise, as 0 or -EACCES and the refusal. */
int gate_check(struct gate *gate, const struct identity *identity, struct refusal *ret_refusal);

/* Each fills in the refusal and returns -EACCES. */
int gate_refuse_for_now(struct refusal *ret_refusal, const char *message);
int gate_refuse_limit(struct refusal *ret_refusal, enum limit limit, int64_t retry_after_seconds);

#endif
