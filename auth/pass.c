#include "auth/pass.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/gate_private.h"
#include "core/clock.h"

enum { HOLDER_SIZE = 24, RETRY_SECONDS = 5, TICKET_RETRY_SECONDS = 2 };

/* What stands between a request and its pass, in this order. */
enum step { STEP_TICKET, STEP_PLACE, STEP_USER, STEP_KEY, STEP_SUCCESSOR, STEP_DONE };

/* Of those who come by a ticket; the others' passes, which live as long as their streams, go without. */
struct ticket_use {
    char holder[HOLDER_SIZE];
    char company[IDENTITY_TEXT_SIZE]; /* that the ticket is to be for; empty: whatever it is for */
    char hash[TICKET_HASH_SIZE];
    char fingerprint[TICKET_HASH_SIZE];
    char successor[TICKET_TEXT_SIZE];
    bool held;
};

/* Of those who wait, while they do. */
struct wait {
    bool refused;
    struct refusal refusal;
    void (*done)(void *context);
    void *context;
};

/* Each stream has one, as long as it lives. */
struct pass {
    struct gate *gate;
    struct identity *identity; /* NULL: not known yet */
    struct ticket_use *ticket; /* NULL: none */
    struct wait *wait;
    struct limits_place place;
    enum step step;
    struct address address;
};

/* The steps to a pass. Each that need not wait returns 0 or -EACCES. */

static struct limits_who who_is(const struct gate *gate, const struct identity *identity, const struct address *address)
{
    return (struct limits_who){.company = identity->company,
                               .user = *identity->user ? identity->user : NULL,
                               .key = *identity->key_id ? identity->key_id : NULL,
                               .key_max = auth_key_max(gate->auth, identity),
                               .address = address};
}

static int enter_here(struct pass *pass, struct refusal *ret_refusal)
{
    struct limits_who who = who_is(pass->gate, pass->identity, &pass->address);
    enum limit limit;
    int status = limits_enter(pass->gate->limits, &who, &pass->place, &limit);

    if (status == -EBUSY)
        return gate_refuse_limit(ret_refusal, limit, RETRY_SECONDS);
    if (status < 0)
        return gate_refuse_for_now(ret_refusal, "The server is out of memory; try again later");
    return 0;
}

/*
 * Whether other replicas may have streams that count. Looked at once it is counted here: should the first other one come right
 * behind it, that one is told of it (gate.c).
 */
static bool must_ask(const struct pass *pass, enum limit limit)
{
    return limits_rank(&pass->place, limit) > 0 && atomic_load(&pass->gate->has_others);
}

/* Whether the step has to ask the others. */
static bool must_wait(const struct pass *pass)
{
    switch (pass->step) {
    case STEP_TICKET:
    case STEP_SUCCESSOR:
        return pass->ticket != NULL;
    case STEP_USER:
        return must_ask(pass, LIMIT_USER);
    case STEP_KEY:
        return must_ask(pass, LIMIT_KEY);
    case STEP_PLACE:
    case STEP_DONE:
        break;
    }
    return false;
}

/* Goes on until a step must wait (-EAGAIN), refuses (-EACCES), or all is done (0). */
static int advance(struct pass *pass, struct refusal *ret_refusal)
{
    for (; pass->step != STEP_DONE; pass->step++) {
        if (must_wait(pass))
            return -EAGAIN;
        if (pass->step == STEP_PLACE && enter_here(pass, ret_refusal) < 0)
            return -EACCES;
    }
    return 0;
}

static void start_step(struct pass *pass);

/* The step that waited has succeeded. */
static void go_on(struct pass *pass)
{
    int status;

    pass->step++;
    status = advance(pass, &pass->wait->refusal);
    pass->wait->refused = status == -EACCES;
    if (status == -EAGAIN)
        start_step(pass);
    else
        pass->wait->done(pass->wait->context);
}

static void give_up(struct pass *pass)
{
    pass->wait->refused = true;
    pass->wait->done(pass->wait->context);
}

static int read_ticket(struct pass *pass, const char *value, size_t size)
{
    struct refusal *refusal = &pass->wait->refusal;
    int status = ticket_read(value, size, &pass->identity);

    if (status == -ENOMEM)
        return gate_refuse_for_now(refusal, "The server is out of memory; try again later");
    if (status < 0)
        return refusal_set(refusal, 401, "bad_ticket", "The ticket is not valid");
    if (pass->identity->expires_ms > 0 && pass->identity->expires_ms <= clock_unix_ms())
        return refusal_set(refusal, 401, "expired", "The token that the ticket was made for has expired");
    if (!auth_is_own_company(pass->identity, pass->ticket->company, strlen(pass->ticket->company), refusal))
        return -EACCES;
    return gate_check(pass->gate, pass->identity, refusal);
}

static int refuse_ticket(struct refusal *ret_refusal, int status)
{
    if (status == -EALREADY) {
        /* A browser that comes back before its old connection has died here: it must not give up. */
        (void)refusal_set(ret_refusal, 429, "ticket_in_use", "The ticket's stream is still open; try again later");
        ret_refusal->metric = METRIC_ERROR_TICKET_IN_USE;
        ret_refusal->retry_after_seconds = TICKET_RETRY_SECONDS;
        ret_refusal->come_back = true;
        return -EACCES;
    }
    if (status == -EPERM)
        return refusal_set(ret_refusal, 401, "ticket_used", "The ticket was used by another client");
    if (status == -ENOENT)
        return refusal_set(ret_refusal, 401, "unknown_ticket",
                           "The ticket is not known, or not any more: get a new one from POST /stream/ticket");
    return gate_refuse_for_now(ret_refusal, "Tickets cannot be checked now; try again later");
}

static void on_ticket(void *context, int status, const char *value, size_t size)
{
    struct pass *pass = context;

    pass->ticket->held = status == 0 || status == -EAGAIN;
    if (status == 0)
        status = read_ticket(pass, value, size);
    else
        status = refuse_ticket(&pass->wait->refusal, status);
    if (status == 0)
        go_on(pass);
    else
        give_up(pass);
}

/* Without Redis the counts of this replica are all that is known. */
static void settle_slot(struct pass *pass, int status, enum limit limit)
{
    if (status == 0 || status == -EAGAIN) {
        go_on(pass);
        return;
    }
    if (status == -EDQUOT)
        (void)gate_refuse_limit(&pass->wait->refusal, limit, RETRY_SECONDS);
    else
        (void)gate_refuse_for_now(&pass->wait->refusal, "The server cannot count its streams now; try again later");
    give_up(pass);
}

static void on_user_slot(void *context, int status)
{
    settle_slot(context, status, LIMIT_USER);
}

static void on_key_slot(void *context, int status)
{
    settle_slot(context, status, LIMIT_KEY);
}

/* A stream goes without a successor rather than not at all. */
static void on_successor(void *context, int status)
{
    struct pass *pass = context;

    if (status < 0)
        *pass->ticket->successor = '\0';
    go_on(pass);
}

/* Seconds of life for a ticket of that identity. */
static int64_t ticket_seconds(const struct identity *identity, int64_t most)
{
    int64_t left;

    if (identity->expires_ms == 0)
        return most;
    left = (identity->expires_ms - clock_unix_ms() + 999) / 1000;
    return left < most ? left : most;
}

/* Makes a ticket and begins to keep it. */
static int put_ticket(struct gate *gate, const struct identity *identity, int64_t seconds,
                      char ret_ticket[TICKET_TEXT_SIZE], shared_done done, void *context)
{
    struct buffer value = buffer_make(TICKET_VALUE_MAX_BYTES);
    char hash[TICKET_HASH_SIZE];
    int status = ticket_generate(ret_ticket);

    if (status == 0)
        status = ticket_hash(ret_ticket, strlen(ret_ticket), hash);
    ticket_write(identity, &value);
    if (status == 0)
        status = value.failed ? -ENOMEM : 0;
    if (status == 0)
        status = shared_ticket_put(gate->shared, hash, value.data, value.size, seconds * 1000, done, context);
    buffer_release(&value);
    return status;
}

static int start_ticket(struct pass *pass)
{
    struct shared_take take = {.ticket_hash = pass->ticket->hash,
                               .holder = pass->ticket->holder,
                               .fingerprint = pass->ticket->fingerprint,
                               .resume_ms = pass->gate->config->ticket_resume_seconds * 1000};

    return shared_ticket_take(pass->gate->shared, &take, on_ticket, pass);
}

static int start_slot(struct pass *pass, enum limit limit, shared_done done)
{
    struct limits_who who = who_is(pass->gate, pass->identity, &pass->address);
    struct limits_slot slot;

    if (!limits_slot(pass->gate->limits, &who, limit, &slot))
        return -EINVAL;
    return shared_slots_enter(pass->gate->shared, slot.name, limits_rank(&pass->place, limit), slot.max, done, pass);
}

/* Whoever opens stream after stream would fill Redis with tickets for later: those count like all others. */
static int start_successor(struct pass *pass)
{
    const struct config *config = pass->gate->config;
    struct refusal ignored;

    if (pass_admit_ticket(pass->gate, pass->identity, &pass->address, &ignored) < 0)
        return -EBUSY;
    return put_ticket(pass->gate, pass->identity, ticket_seconds(pass->identity, config->ticket_successor_seconds),
                      pass->ticket->successor, on_successor, pass);
}

/* Asks the others what the step needs. Whatever cannot be asked counts as an answer of -EBUSY. */
static void start_step(struct pass *pass)
{
    switch (pass->step) {
    case STEP_TICKET:
        if (start_ticket(pass) < 0)
            on_ticket(pass, -EBUSY, NULL, 0);
        break;
    case STEP_USER:
        if (start_slot(pass, LIMIT_USER, on_user_slot) < 0)
            on_user_slot(pass, -EBUSY);
        break;
    case STEP_KEY:
        if (start_slot(pass, LIMIT_KEY, on_key_slot) < 0)
            on_key_slot(pass, -EBUSY);
        break;
    case STEP_SUCCESSOR:
        if (start_successor(pass) < 0)
            on_successor(pass, -EBUSY);
        break;
    case STEP_PLACE:
    case STEP_DONE:
        break;
    }
}

/* Passes. */

static struct pass *pass_new(struct gate *gate, const struct pass_request *request)
{
    struct pass *pass = calloc(1, sizeof *pass);

    if (!pass)
        return NULL;
    pass->gate = gate;
    pass->address = request->address;
    return pass;
}

/* Notes the ticket, whose identity is not known yet. */
static int begin_ticket(struct pass *pass, const struct pass_request *request, struct refusal *ret_refusal)
{
    struct ticket_use *ticket = calloc(1, sizeof *ticket);

    pass->ticket = ticket;
    if (!ticket)
        return gate_refuse_for_now(ret_refusal, "The server is out of memory; try again later");
    snprintf(ticket->holder, sizeof ticket->holder, "%s", request->connection_id);
    if (ticket_hash(request->ticket, request->ticket_size, ticket->hash) < 0)
        return refusal_set(ret_refusal, 401, "bad_ticket", "The ticket is malformed");
    if (ticket_fingerprint(&request->address, request->user_agent, ticket->fingerprint) < 0)
        return gate_refuse_for_now(ret_refusal, "The server is out of memory; try again later");
    if (request->auth.company && request->auth.company_size >= sizeof ticket->company)
        return refusal_set(ret_refusal, 400, "bad_company", "companyId is too long");
    if (request->auth.company)
        memcpy(ticket->company, request->auth.company, request->auth.company_size);
    return 0;
}

static int begin(struct pass *pass, const struct pass_request *request, struct refusal *ret_refusal)
{
    int status;

    if (request->ticket)
        status = begin_ticket(pass, request, ret_refusal);
    else
        status = gate_identify(pass->gate, &request->auth, &pass->identity, ret_refusal);
    if (status == 0)
        status = advance(pass, ret_refusal);
    if (status != -EAGAIN)
        return status;
    pass->wait = calloc(1, sizeof *pass->wait);
    return pass->wait ? -EAGAIN : gate_refuse_for_now(ret_refusal, "The server is out of memory; try again later");
}

int pass_ask(struct gate *gate, const struct pass_request *request, struct pass **ret_pass,
             struct identity **ret_identity, struct refusal *ret_refusal)
{
    struct pass *pass = pass_new(gate, request);
    int status;

    *ret_identity = NULL;
    if (!pass)
        return gate_refuse_for_now(ret_refusal, "The server is out of memory; try again later");
    status = begin(pass, request, ret_refusal);
    if (status == -EACCES) {
        *ret_identity = identity_ref(pass->identity);
        pass_free(pass);
    } else {
        *ret_pass = pass;
    }
    return status;
}

void pass_wait(struct pass *pass, void (*done)(void *context), void *context)
{
    pass->wait->done = done;
    pass->wait->context = context;
    start_step(pass);
}

int pass_result(struct pass *pass, struct refusal *ret_refusal)
{
    int status = pass->wait->refused ? -EACCES : 0;

    *ret_refusal = pass->wait->refusal;
    free(pass->wait);
    pass->wait = NULL;
    return status;
}

const struct identity *pass_identity(const struct pass *pass)
{
    return pass->identity;
}

const struct address *pass_address(const struct pass *pass)
{
    return &pass->address;
}

const char *pass_successor(const struct pass *pass)
{
    return pass->ticket && *pass->ticket->successor ? pass->ticket->successor : NULL;
}

enum verdict pass_verdict(const struct pass *pass)
{
    return gate_judge(pass->gate, pass->identity);
}

static void tell_left(const struct pass *pass, enum limit limit)
{
    struct limits_who who = who_is(pass->gate, pass->identity, &pass->address);
    struct limits_slot slot;

    if (limits_slot(pass->gate->limits, &who, limit, &slot))
        (void)shared_slots_leave(pass->gate->shared, slot.name);
}

/* Counts the stream out here, and then tells the others, where there may be some. */
static void leave_place(struct pass *pass)
{
    if (pass->step <= STEP_PLACE)
        return;
    limits_leave(pass->gate->limits, &pass->place);
    if (!atomic_load(&pass->gate->has_others))
        return;
    tell_left(pass, LIMIT_USER);
    tell_left(pass, LIMIT_KEY);
}

void pass_free(struct pass *pass)
{
    if (!pass)
        return;
    leave_place(pass);
    identity_unref(pass->identity);
    if (pass->ticket && pass->ticket->held)
        (void)shared_ticket_release(pass->gate->shared, pass->ticket->hash, pass->ticket->holder, NULL, NULL);
    free(pass->ticket);
    free(pass->wait);
    free(pass);
}

int pass_admit_ticket(struct gate *gate, const struct identity *identity, const struct address *address,
                      struct refusal *ret_refusal)
{
    struct limits_who who = who_is(gate, identity, address);
    int64_t wait_seconds;
    int status = limits_take_ticket(gate->limits, &who, clock_monotonic_ns(), &wait_seconds);

    if (status == 0)
        return 0;
    if (status == -EBUSY)
        return gate_refuse_limit(ret_refusal, LIMIT_TICKET_RATE, wait_seconds);
    return gate_refuse_for_now(ret_refusal, "The server is out of memory; try again later");
}

int pass_issue_ticket(struct gate *gate, const struct identity *identity, char ret_ticket[TICKET_TEXT_SIZE],
                      int64_t *ret_seconds, pass_ticket_done done, void *context)
{
    *ret_seconds = ticket_seconds(identity, gate->config->ticket_seconds);
    return put_ticket(gate, identity, *ret_seconds, ret_ticket, done, context);
}
