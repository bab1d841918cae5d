#include "auth/gate.h"

#include <errno.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "auth/auth.h"
#include "auth/pass.h"
#include "core/clock.h"
#include "core/config.h"
#include "tests/unit/auth/token_maker.h"
#include "tests/unit/replay/redis_server.h"

#define SECRET "a secret of the tests, long enough for HS256"

/* A gate over what one process shares with itself, or over a Redis, with limits of two. */
struct world {
    struct config config;
    struct metrics *metrics;
    struct auth *auth;
    struct gate *gate;
    atomic_int changes; /* how often streams were to be looked at again */
    bool waited;        /* whoever asked last */
};

static const char *redis_url = "";

static const char *lookup(void *context, const char *name)
{
    static const char *const settings[][2] = {
        {"AUTH_MODE", "jwt"},
        {"JWT_SECRET", SECRET},
        {"JWT_ADMIN_CLAIM", "admin"},
        {"MAX_CONNECTIONS_PER_USER", "2"},
        {"MAX_CONNECTIONS_PER_COMPANY", "3"},
        {"CONNECTION_RATE", "1"},
    };

    (void)context;
    if (strcmp(name, "REDIS_URL") == 0)
        return redis_url;
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
        if (strcmp(settings[i][0], name) == 0)
            return settings[i][1];
    return NULL;
}

static void on_changed(void *context)
{
    struct world *world = context;

    atomic_fetch_add(&world->changes, 1);
}

static struct world *world_new(void)
{
    struct world *world = calloc(1, sizeof *world);
    struct buffer errors = buffer_make(65536);

    assert_non_null(world);
    assert_int_equal(config_load(&world->config, 0, NULL, lookup, NULL, &errors), 0);
    world->metrics = metrics_new();
    assert_int_equal(
        auth_new(&(struct auth_options){.config = &world->config, .metrics = world->metrics}, &errors, &world->auth),
        0);
    world->gate = gate_new(&(struct gate_options){.config = &world->config,
                                                  .auth = world->auth,
                                                  .metrics = world->metrics,
                                                  .changed = on_changed,
                                                  .context = world});
    assert_non_null(world->gate);
    buffer_release(&errors);
    return world;
}

static void world_free(struct world *world)
{
    gate_stop(world->gate);
    auth_free(world->auth);
    gate_free(world->gate);
    metrics_free(world->metrics);
    config_release(&world->config);
    free(world);
}

/* Answers that come on the gate's thread. */

struct answer {
    sem_t given;
    int status;
};

static void on_done(void *context)
{
    sem_post(&((struct answer *)context)->given);
}

static void on_ticket(void *context, int status)
{
    struct answer *answer = context;

    answer->status = status;
    sem_post(&answer->given);
}

static void await(struct answer *answer)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 20;
    while (sem_timedwait(&answer->given, &until) < 0)
        if (errno == ETIMEDOUT)
            fail_msg("no answer came");
    sem_destroy(&answer->given);
}

/* Who asks. */

struct visitor {
    const char *token;  /* NULL: none */
    const char *ticket; /* NULL: none */
    const char *company;
    const char *agent;
};

static struct auth_request request_of(const struct visitor *visitor)
{
    return (struct auth_request){.company = visitor->company,
                                 .company_size = visitor->company ? strlen(visitor->company) : 0,
                                 .token = visitor->token,
                                 .token_size = visitor->token ? strlen(visitor->token) : 0};
}

/* Asks, and waits where that is needed. Returns 0 and the pass; or -EACCES and the refusal. */
static int ask(struct world *world, const struct visitor *visitor, struct pass **ret_pass, struct refusal *ret_refusal)
{
    static int count;
    char connection_id[24];
    struct pass_request request = {.auth = request_of(visitor),
                                   .ticket = visitor->ticket,
                                   .ticket_size = visitor->ticket ? strlen(visitor->ticket) : 0,
                                   .user_agent = visitor->agent,
                                   .connection_id = connection_id};
    struct answer answer;
    struct identity *identity;
    int status;

    snprintf(connection_id, sizeof connection_id, "c%d", count++);
    status = pass_ask(world->gate, &request, ret_pass, &identity, ret_refusal);
    identity_unref(identity);
    world->waited = status == -EAGAIN;
    if (!world->waited)
        return status;
    sem_init(&answer.given, 0, 0);
    pass_wait(*ret_pass, on_done, &answer);
    await(&answer);
    status = pass_result(*ret_pass, ret_refusal);
    if (status < 0)
        pass_free(*ret_pass);
    return status;
}

/* Likewise, where nobody but the ticket's keeper is to be asked. */
static int ask_alone(struct world *world, const struct visitor *visitor, struct pass **ret_pass,
                     struct refusal *ret_refusal)
{
    int status = ask(world, visitor, ret_pass, ret_refusal);

    assert_int_equal(world->waited, visitor->ticket != NULL);
    return status;
}

static struct pass *let_in(struct world *world, const struct visitor *visitor)
{
    struct refusal refusal = {.status = 0};
    struct pass *pass = NULL;

    if (ask_alone(world, visitor, &pass, &refusal) < 0)
        fail_msg("refused with %u %s: %s", refusal.status, refusal.reason, refusal.message);
    return pass;
}

static struct refusal refused(struct world *world, const struct visitor *visitor, unsigned status, const char *reason)
{
    struct refusal refusal = {.status = 0};
    struct pass *pass;

    assert_int_equal(ask_alone(world, visitor, &pass, &refusal), -EACCES);
    assert_string_equal(refusal.reason, reason);
    assert_int_equal(refusal.status, status);
    return refusal;
}

static char *token_for(const char *claims)
{
    char *payload = text_of("{\"exp\":%lld,%s}", (long long)(clock_unix_ms() / 1000 + 3600), claims);
    char *token = sign_with_secret(SECRET, strlen(SECRET), "HS256", "{\"alg\":\"HS256\",\"typ\":\"JWT\"}", payload);

    free(payload);
    return token;
}

static char *anna(void)
{
    return token_for("\"companyId\":\"acme\",\"sub\":\"anna\",\"jti\":\"t1\"");
}

static void issue(struct world *world, const char *token, char ret_ticket[TICKET_TEXT_SIZE])
{
    struct auth_request request = request_of(&(struct visitor){.token = token});
    struct answer answer;
    struct identity *identity;
    struct refusal refusal;
    int64_t seconds = 0;

    assert_int_equal(gate_identify(world->gate, &request, &identity, &refusal), 0);
    sem_init(&answer.given, 0, 0);
    assert_int_equal(pass_issue_ticket(world->gate, identity, ret_ticket, &seconds, on_ticket, &answer), 0);
    await(&answer);
    assert_int_equal(answer.status, 0);
    assert_int_equal(seconds, 30);
    identity_unref(identity);
}

/* The tests. */

static void test_a_token_is_let_in_at_once(void **state)
{
    struct world *world = world_new();
    char *token = anna();
    struct pass *pass = let_in(world, &(struct visitor){.token = token});

    (void)state;
    assert_string_equal(pass_identity(pass)->company, "acme");
    assert_string_equal(pass_identity(pass)->user, "anna");
    assert_null(pass_successor(pass));
    assert_int_equal(pass_verdict(pass), VERDICT_GOOD);
    pass_free(pass);
    refused(world, &(struct visitor){.agent = "nobody"}, 401, "no_credentials");
    refused(world, &(struct visitor){.token = token, .company = "other"}, 403, "other_company");
    pass_free(NULL);
    free(token);
    world_free(world);
}

static void test_places_are_given_back(void **state)
{
    struct world *world = world_new();
    char *token = anna();
    char *other = token_for("\"companyId\":\"acme\",\"sub\":\"bert\"");
    struct visitor visitor = {.token = token};
    struct pass *first = let_in(world, &visitor);
    struct pass *second = let_in(world, &visitor);
    struct pass *third;

    (void)state;
    for (int i = 0; i < 5; i++)
        assert_true(refused(world, &visitor, 429, "user_limit").retry_after_seconds > 0);
    /* Those took no place of the company either, which has one left. */
    third = let_in(world, &(struct visitor){.token = other});
    refused(world, &(struct visitor){.token = other}, 429, "company_limit");
    pass_free(first);
    first = let_in(world, &visitor);
    pass_free(first);
    pass_free(second);
    pass_free(third);
    free(token);
    free(other);
    world_free(world);
}

static void test_a_ticket_stands_for_its_identity(void **state)
{
    struct world *world = world_new();
    char *token = anna();
    char ticket[TICKET_TEXT_SIZE];
    char successor[TICKET_TEXT_SIZE];
    struct pass *pass;

    (void)state;
    issue(world, token, ticket);
    pass = let_in(world, &(struct visitor){.ticket = ticket, .agent = "browser"});
    assert_string_equal(pass_identity(pass)->company, "acme");
    assert_string_equal(pass_identity(pass)->user, "anna");
    assert_string_equal(pass_identity(pass)->token_id, "t1");
    assert_true(pass_identity(pass)->expires_ms > clock_unix_ms());
    strcpy(successor, pass_successor(pass));
    assert_string_not_equal(successor, ticket);
    pass_free(pass);
    pass = let_in(world, &(struct visitor){.ticket = successor, .agent = "another browser"});
    assert_string_equal(pass_identity(pass)->user, "anna");
    pass_free(pass);
    free(token);
    world_free(world);
}

static void test_a_ticket_is_one_clients_and_one_streams(void **state)
{
    struct world *world = world_new();
    char *token = anna();
    char ticket[TICKET_TEXT_SIZE];
    struct visitor visitor = {.ticket = ticket, .agent = "browser"};
    struct pass *pass;

    (void)state;
    issue(world, token, ticket);
    pass = let_in(world, &visitor);
    assert_true(refused(world, &visitor, 429, "ticket_in_use").come_back);
    refused(world, &(struct visitor){.ticket = ticket, .agent = "another"}, 401, "ticket_used");
    pass_free(pass);
    refused(world, &(struct visitor){.ticket = ticket, .agent = "another"}, 401, "ticket_used");
    pass_free(let_in(world, &visitor));
    free(token);
    world_free(world);
}

static void test_a_refused_ticket_gives_back_everything(void **state)
{
    struct world *world = world_new();
    char *token = anna();
    char ticket[TICKET_TEXT_SIZE];
    struct visitor visitor = {.ticket = ticket, .agent = "browser"};
    struct visitor elsewhere = {.ticket = ticket, .agent = "browser", .company = "other"};
    struct pass *passes[2];

    (void)state;
    issue(world, token, ticket);
    refused(world, &elsewhere, 403, "other_company");
    for (int i = 0; i < 2; i++)
        passes[i] = let_in(world, &(struct visitor){.token = token});
    refused(world, &visitor, 429, "user_limit");
    refused(world, &visitor, 429, "user_limit");
    pass_free(passes[0]);
    pass_free(let_in(world, &visitor));
    passes[0] = let_in(world, &(struct visitor){.token = token});
    refused(world, &(struct visitor){.token = token}, 429, "user_limit");
    pass_free(passes[0]);
    pass_free(passes[1]);
    free(token);
    world_free(world);
}

static void test_tickets_that_are_none(void **state)
{
    static const char unknown[] = "slt_0123456789012345678901234567890123456789012";
    struct world *world = world_new();
    struct pass_request request = {.ticket = "slt_short", .ticket_size = 9, .connection_id = "c"};
    struct refusal refusal;
    struct identity *identity;
    struct pass *pass;

    (void)state;
    assert_int_equal(pass_ask(world->gate, &request, &pass, &identity, &refusal), -EACCES);
    assert_null(identity);
    assert_string_equal(refusal.reason, "bad_ticket");
    refused(world, &(struct visitor){.ticket = unknown}, 401, "unknown_ticket");
    world_free(world);
}

static void test_a_revocation_is_told_and_holds(void **state)
{
    struct world *world = world_new();
    char *token = anna();
    char *other = token_for("\"companyId\":\"acme\",\"sub\":\"bert\"");
    char ticket[TICKET_TEXT_SIZE];
    struct shared_revocation revocation = {SHARED_USER, "|anna", clock_unix_ms() + 60000};
    struct pass *pass = let_in(world, &(struct visitor){.token = token});
    struct pass *stays = let_in(world, &(struct visitor){.token = other});
    int before = atomic_load(&world->changes);

    (void)state;
    issue(world, token, ticket);
    gate_revoke(world->gate, &revocation);
    assert_true(atomic_load(&world->changes) > before);
    assert_int_equal(pass_verdict(pass), VERDICT_REVOKED);
    assert_int_equal(pass_verdict(stays), VERDICT_GOOD);
    refused(world, &(struct visitor){.token = token}, 401, "revoked");
    refused(world, &(struct visitor){.ticket = ticket}, 401, "revoked");
    assert_int_equal(metrics_get(world->metrics, METRIC_REVOCATIONS), 1);
    pass_free(pass);
    pass_free(stays);
    free(token);
    free(other);
    world_free(world);
}

static void take_control(struct world *world, const char *message)
{
    gate_take_control(world->gate, message, strlen(message));
}

static void test_control_messages(void **state)
{
    struct world *world = world_new();
    char *token = anna();
    struct pass *pass = let_in(world, &(struct visitor){.token = token});

    (void)state;
    take_control(world, "nonsense");
    take_control(world, "{\"userId\":\"anna\",\"until\":1}");
    take_control(world, "");
    assert_int_equal(metrics_get(world->metrics, METRIC_REVOCATION_ERRORS), 3);
    assert_int_equal(pass_verdict(pass), VERDICT_GOOD);
    take_control(world, "{\"tokenId\":\"t1\"}");
    assert_int_equal(pass_verdict(pass), VERDICT_REVOKED);
    assert_int_equal(metrics_get(world->metrics, METRIC_REVOCATION_ERRORS), 3);
    pass_free(pass);
    free(token);
    world_free(world);
}

static void assert_scope(struct world *world, const char *token, bool is_admin, const char *company)
{
    struct auth_request request = request_of(&(struct visitor){.token = token});
    struct refusal refusal;
    struct auth_scope scope;

    assert_int_equal(gate_find_scope(world->gate, &request, &scope, &refusal), 0);
    assert_int_equal(scope.is_admin, is_admin);
    if (!is_admin)
        assert_string_equal(scope.company, company);
}

static void assert_no_scope(struct world *world, const char *token, const char *reason)
{
    struct auth_request request = request_of(&(struct visitor){.token = token});
    struct refusal refusal;
    struct auth_scope scope;

    assert_int_equal(gate_find_scope(world->gate, &request, &scope, &refusal), -EACCES);
    assert_string_equal(refusal.reason, reason);
}

static void test_the_revoked_see_no_numbers(void **state)
{
    struct world *world = world_new();
    char *user = anna();
    char *admin = token_for("\"admin\":true,\"sub\":\"root\"");

    (void)state;
    assert_scope(world, user, false, "acme");
    assert_scope(world, admin, true, NULL);
    assert_no_scope(world, NULL, "no_credentials");
    take_control(world, "{\"userId\":\"anna\"}");
    take_control(world, "{\"companyId\":\"any\"}");
    assert_no_scope(world, user, "revoked");
    assert_scope(world, admin, true, NULL);
    take_control(world, "{\"userId\":\"root\"}");
    assert_no_scope(world, admin, "revoked");
    free(user);
    free(admin);
    world_free(world);
}

static void test_streams_come_at_a_rate(void **state)
{
    struct world *world = world_new();
    struct address address = {.family = AF_UNSPEC};
    struct refusal refusal = {.status = 0};
    int let_in_count = 0;

    (void)state;
    while (let_in_count < 100 && gate_admit(world->gate, &address, &refusal) == 0)
        let_in_count++;
    assert_in_range(let_in_count, 1, 99);
    assert_int_equal(refusal.status, 429);
    assert_string_equal(refusal.reason, "rate");
    assert_true(refusal.retry_after_seconds >= 1);
    world_free(world);
}

static void test_a_gate_that_has_stopped_still_answers(void **state)
{
    struct world *world = world_new();
    char *token = anna();
    char ticket[TICKET_TEXT_SIZE];
    struct pass *by_token = let_in(world, &(struct visitor){.token = token});
    struct pass *by_ticket;

    (void)state;
    issue(world, token, ticket);
    by_ticket = let_in(world, &(struct visitor){.ticket = ticket});
    gate_stop(world->gate);
    refused(world, &(struct visitor){.ticket = ticket}, 503, "unavailable");
    pass_free(by_token);
    pass_free(by_ticket);
    free(token);
    world_free(world);
}

/* Asks until the first has heard of the second, which is soon; gives all but the refusal back. */
static void await_refusal(struct world *world, const struct visitor *visitor)
{
    int64_t until_ns = clock_monotonic_ns() + INT64_C(20000000000);
    struct refusal refusal;
    struct pass *pass;

    while (ask(world, visitor, &pass, &refusal) == 0) {
        pass_free(pass);
        assert_true(clock_monotonic_ns() < until_ns);
    }
    assert_string_equal(refusal.reason, "user_limit");
    assert_true(world->waited);
}

static void test_replicas_are_asked_where_there_are_others(void **state)
{
    struct redis_server server = {0};
    char url[64];
    char *token = anna();
    struct visitor visitor = {.token = token};
    struct world *worlds[2];
    struct pass *passes[2];
    struct refusal refusal;

    (void)state;
    redis_server_start(&server);
    snprintf(url, sizeof url, "redis://127.0.0.1:%d", server.port);
    redis_url = url;
    worlds[0] = world_new();
    gate_await_start(worlds[0]->gate, 20000);
    passes[0] = let_in(worlds[0], &visitor);
    worlds[1] = world_new();
    gate_await_start(worlds[1]->gate, 20000);
    assert_int_equal(ask(worlds[1], &visitor, &passes[1], &refusal), 0);
    assert_true(worlds[1]->waited);
    await_refusal(worlds[0], &visitor);
    await_refusal(worlds[1], &visitor);
    /* Who was refused counts nowhere, and who has left counts no more. */
    pass_free(passes[1]);
    gate_stop(worlds[1]->gate);
    assert_int_equal(ask(worlds[0], &visitor, &passes[1], &refusal), 0);
    pass_free(passes[0]);
    pass_free(passes[1]);
    redis_url = "";
    free(token);
    world_free(worlds[0]);
    world_free(worlds[1]);
    redis_server_kill(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_token_is_let_in_at_once),
        cmocka_unit_test(test_places_are_given_back),
        cmocka_unit_test(test_a_ticket_stands_for_its_identity),
        cmocka_unit_test(test_a_ticket_is_one_clients_and_one_streams),
        cmocka_unit_test(test_a_refused_ticket_gives_back_everything),
        cmocka_unit_test(test_tickets_that_are_none),
        cmocka_unit_test(test_a_revocation_is_told_and_holds),
        cmocka_unit_test(test_control_messages),
        cmocka_unit_test(test_the_revoked_see_no_numbers),
        cmocka_unit_test(test_streams_come_at_a_rate),
        cmocka_unit_test(test_a_gate_that_has_stopped_still_answers),
        cmocka_unit_test(test_replicas_are_asked_where_there_are_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
