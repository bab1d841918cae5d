#ifndef SLUICE_AUTH_GATE_H
#define SLUICE_AUTH_GATE_H

#include "auth/auth.h"
#include "auth/verdicts.h"
#include "core/address.h"

/*
 * Who is let in: everything between a request's credentials and an open stream. It asks who it is (auth.h, or a ticket),
 * whether they were revoked or switched off, and whether there is room for them (limits.h, and over all replicas). Who is
 * let in gets a pass (pass.h), which the stream keeps until its end.
 *
 * Any thread may ask; with Redis some answers come later, on a thread of the gate's own.
 */
struct gate;

struct gate_options {
    const struct config *config; /* outlives it, like auth, log and metrics */
    struct auth *auth;
    struct log *log;
    struct metrics *metrics;
    /* Somebody was revoked or switched off: each pass is to be asked pass_verdict(). Any thread; may be NULL. */
    void (*changed)(void *context);
    void *context;
};

/* NULL: no memory, descriptor or thread. */
struct gate *gate_new(const struct gate_options *options);

/* No callback runs any more when it returns; what still waits is answered before. Passes may still be given back. */
void gate_stop(struct gate *gate);

/* All passes must have been given back; auth may be gone. */
void gate_free(struct gate *gate);

/* Waits until it is known who is revoked and switched off, and which replicas there are, but for no longer than timeout_ms. */
void gate_await_start(struct gate *gate, int timeout_ms);

/*
 * Whether one more stream may be asked for now: before anything costly. Returns 0 or -EACCES and the refusal.
 */
int gate_admit(struct gate *gate, const struct address *address, struct refusal *ret_refusal);

/* Who asks, without a ticket, and whether they may stream: as auth_identify(), but for those who were revoked. */
int gate_identify(struct gate *gate, const struct auth_request *request, struct identity **ret_identity,
                  struct refusal *ret_refusal);

/*
 * Whose numbers the asker may see: as auth_find_scope(), but for those who were revoked. Returns 0 or -EACCES and the
 * refusal.
 */
int gate_find_scope(struct gate *gate, const struct auth_request *request, struct auth_scope *ret_scope,
                    struct refusal *ret_refusal);

/* Revokes, here at once and on all replicas within about a second. Any thread. */
void gate_revoke(struct gate *gate, const struct shared_revocation *revocation);

/*
 * Takes a message of the control subject (revocation_message.h): revokes; or logs, at most once a second, and counts what is
 * wrong with it. Never waits. One thread at a time.
 */
void gate_take_control(struct gate *gate, const char *payload, size_t size);

#endif
