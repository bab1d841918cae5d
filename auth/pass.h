#ifndef SLUICE_AUTH_PASS_H
#define SLUICE_AUTH_PASS_H

#include <stddef.h>
#include <stdint.h>

#include "auth/gate.h"
#include "auth/ticket.h"
#include "auth/verdicts.h"
#include "core/address.h"

/*
 * What lets one stream in: its identity, its places in the counts, its ticket. The gate must outlive it.
 */
struct pass;

/* What a request brings along. The texts need to live only during the call. */
struct pass_request {
    struct auth_request auth;
    const char *ticket; /* NULL: none; otherwise it alone says who asks */
    size_t ticket_size;
    struct address address;
    const char *user_agent;    /* NULL: none */
    const char *connection_id; /* of the stream to be; at most 23 characters, different in all replicas */
};

/*
 * Asks for a pass. Returns 0 and the pass; -EAGAIN and a pass that pass_wait() must be called for; or -EACCES, the refusal,
 * and for the log a reference to who asked (identity_unref()), as far as that is known (NULL: not at all).
 */
int pass_ask(struct gate *gate, const struct pass_request *request, struct pass **ret_pass,
             struct identity **ret_identity, struct refusal *ret_refusal);

/* Waits: done is called once, on the gate's thread, perhaps before this returns. Then pass_result() is due. */
void pass_wait(struct pass *pass, void (*done)(void *context), void *context);

/* What came of the wait: 0; or -EACCES and the refusal: the pass is then good for nothing but pass_free(). To be asked once. */
int pass_result(struct pass *pass, struct refusal *ret_refusal);

/* Lives as long as the pass. NULL where it was refused before that was known. */
const struct identity *pass_identity(const struct pass *pass);

/* Whence the request came. Lives as long as the pass. */
const struct address *pass_address(const struct pass *pass);

/* A ticket for later, for streams that were opened by one; NULL: none. A secret. */
const char *pass_successor(const struct pass *pass);

/* Whether its stream may go on. Any thread. */
enum verdict pass_verdict(const struct pass *pass);

/* Gives the pass back, from any thread: the stream has ended, or never came to be. NULL is fine. */
void pass_free(struct pass *pass);

/*
 * Whether somebody may have one more ticket now: each is kept for a while, by all replicas. Returns 0 or -EACCES and the
 * refusal.
 */
int pass_admit_ticket(struct gate *gate, const struct identity *identity, const struct address *address,
                      struct refusal *ret_refusal);

typedef void (*pass_ticket_done)(void *context, int status);

/*
 * Keeps the identity under a new ticket, good for at most TICKET_SECONDS and not longer than the identity. Returns 0 with
 * the ticket and the seconds; done is then called once, on the gate's thread: 0, or -EAGAIN when it could not be kept. Or
 * -EBUSY, -ENOMEM, -errno: done is never called.
 */
int pass_issue_ticket(struct gate *gate, const struct identity *identity, char ret_ticket[TICKET_TEXT_SIZE],
                      int64_t *ret_seconds, pass_ticket_done done, void *context);

#endif
