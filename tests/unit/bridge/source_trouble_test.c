/* A connection that is there and of no use: bridge/source.c and libnats against a server of the test's own. */
#include <nats/nats.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "bridge/source.h"
#include "tests/unit/bridge/nats_server.h"

#define CONTROL "sluice.control.revoke"
#define EVENTS "metrics.*"

enum { WAIT_MS = 15000, ITEMS_MAX = 64 };

static struct nats_server *server;
static struct metrics *metrics;
static struct source *source;
/* Held by the test while the library's delivery thread is to wait. */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static bool is_gate_shut;
static int pending_limit;
static atomic_bool reader_gone;
/* What becomes of the next confirmations that the server answers. */
static atomic_int answer;

enum {
    ANSWER_USUAL,
    ANSWER_THEN_LOSS, /* the connection is lost right behind the answer; the next one is kept waiting */
    ANSWER_NEXT,
    ANSWER_WAITS, /* until an event was received */
};

natsStatus __real_natsSubscription_SetPendingLimits(natsSubscription *subscription, int messages, int bytes);
natsStatus __wrap_natsSubscription_SetPendingLimits(natsSubscription *subscription, int messages, int bytes);

/* The limit that the library had if it took none off. */
natsStatus __wrap_natsSubscription_SetPendingLimits(natsSubscription *subscription, int messages, int bytes)
{
    return __real_natsSubscription_SetPendingLimits(subscription, pending_limit ? pending_limit : messages, bytes);
}

natsStatus __real_natsConnection_GetLocalIPAndPort(natsConnection *connection, char **ip, int *port);
natsStatus __wrap_natsConnection_GetLocalIPAndPort(natsConnection *connection, char **ip, int *port);

/* The library's reader had no memory: it has closed the socket, and all else looks as before. Once. */
natsStatus __wrap_natsConnection_GetLocalIPAndPort(natsConnection *connection, char **ip, int *port)
{
    if (atomic_exchange(&reader_gone, false))
        return NATS_CONNECTION_DISCONNECTED;
    return __real_natsConnection_GetLocalIPAndPort(connection, ip, port);
}

/* Waits until the condition holds, or the time is over. */
#define WAIT_UNTIL(condition)                         \
    for (int i = 0; i < WAIT_MS && !(condition); i++) \
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL)

static void await_metric(enum metric metric, int64_t least)
{
    WAIT_UNTIL(metrics_get(metrics, metric) >= least);
    assert_true(metrics_get(metrics, metric) >= least);
}

natsStatus __real_natsConnection_FlushTimeout(natsConnection *connection, int64_t timeout_ms);
natsStatus __wrap_natsConnection_FlushTimeout(natsConnection *connection, int64_t timeout_ms);

natsStatus __wrap_natsConnection_FlushTimeout(natsConnection *connection, int64_t timeout_ms)
{
    natsStatus status = __real_natsConnection_FlushTimeout(connection, timeout_ms);

    if (atomic_load(&answer) == ANSWER_THEN_LOSS) {
        nats_server_cut(server);
        WAIT_UNTIL(metrics_get(metrics, METRIC_NATS_DISCONNECTS) >= 1);
        atomic_store(&answer, ANSWER_NEXT);
    } else if (atomic_load(&answer) == ANSWER_NEXT) {
        atomic_store(&answer, ANSWER_WAITS);
        WAIT_UNTIL(metrics_get(metrics, METRIC_EVENTS_RECEIVED) >= 1);
    }
    return status;
}

static void on_control(void *context, const char *payload, size_t size)
{
    (void)context;
    (void)payload;
    (void)size;
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
}

static void shut_gate(void)
{
    pthread_mutex_lock(&gate);
    is_gate_shut = true;
}

static void open_gate(void)
{
    if (is_gate_shut)
        pthread_mutex_unlock(&gate);
    is_gate_shut = false;
}

static int set_up(void **state)
{
    (void)state;
    pending_limit = 0;
    atomic_store(&reader_gone, false);
    atomic_store(&answer, ANSWER_USUAL);
    server = nats_server_new();
    metrics = metrics_new();
    return 0;
}

static void begin(void)
{
    source = source_new(&(struct source_options){
        .identity = {.url = nats_server_url(server)},
        .subjects = EVENTS,
        .control = {.subject = CONTROL, .callback = on_control},
        .max_pending_events = 10000,
        .max_pending_bytes = 1 << 20,
        .metrics = metrics,
    });
    assert_non_null(source);
}

static int tear_down(void **state)
{
    (void)state;
    open_gate();
    source_free(source);
    metrics_free(metrics);
    nats_server_free(server);
    return 0;
}

static void send_numbers(int first, int last)
{
    nats_server_send_numbers(server, EVENTS, "metrics.a", first, last);
}

static void send_number(int number)
{
    send_numbers(number, number);
}

/* Takes items up to message `last`: they come in order, and a hole stands wherever one is missing. Returns how many were. */
static int take_until(int last)
{
    struct source_item items[ITEMS_MAX];
    int before = 0;
    int missing = 0;
    bool told = false;

    while (before < last) {
        struct pollfd fd = {.fd = source_fd(source, SOURCE_EVENTS), .events = POLLIN};
        size_t count;

        assert_int_equal(poll(&fd, 1, WAIT_MS), 1);
        count = source_take(source, SOURCE_EVENTS, items, ITEMS_MAX);
        for (size_t i = 0; i < count; i++) {
            size_t size;
            int number;

            if (!items[i].message) {
                told = true;
                continue;
            }
            number = atoi(source_message_payload(items[i].message, &size));
            source_message_free(items[i].message);
            assert_true(number > before);
            if (number > before + 1 && !told)
                fail_msg("%d to %d are missing unsaid", before + 1, number - 1);
            missing += number - before - 1;
            before = number;
            told = false;
        }
    }
    return missing;
}

static void what_the_library_drops_is_a_hole_in_its_place(void **state)
{
    (void)state;
    pending_limit = 10;
    begin();
    nats_server_await(server, EVENTS);
    await_metric(METRIC_NATS_CONNECTED, 1);
    send_number(1);
    await_metric(METRIC_EVENTS_RECEIVED, 1);
    shut_gate();
    nats_server_send(server, CONTROL, CONTROL, "{}", 2);
    send_numbers(2, 100);
    await_metric(METRIC_NATS_ERRORS, 1);
    open_gate();
    await_metric(METRIC_NATS_DISCONNECTS, 1);
    nats_server_await(server, EVENTS);
    await_metric(METRIC_NATS_CONNECTED, 1);
    send_number(101);
    assert_true(take_until(101) >= 89);
}

static void a_server_that_does_not_answer_is_asked_again(void **state)
{
    (void)state;
    nats_server_mute_next(server);
    begin();
    await_metric(METRIC_NATS_DISCONNECTS, 1);
    await_metric(METRIC_NATS_CONNECTED, 1);
    nats_server_await(server, EVENTS);
    send_number(1);
    assert_int_equal(take_until(1), 0);
}

static void one_that_does_not_answer_any_more_after_a_reconnect_is_asked_again(void **state)
{
    (void)state;
    begin();
    nats_server_await(server, EVENTS);
    await_metric(METRIC_NATS_CONNECTED, 1);
    send_number(1);
    await_metric(METRIC_EVENTS_RECEIVED, 1);
    nats_server_mute_next(server);
    nats_server_cut(server);
    await_metric(METRIC_NATS_DISCONNECTS, 2);
    await_metric(METRIC_NATS_CONNECTED, 1);
    nats_server_await(server, EVENTS);
    send_number(5);
    assert_int_equal(take_until(5), 3);
}

static void one_that_is_lost_right_behind_its_answer_has_a_hole_in_front_of_the_next(void **state)
{
    struct source_item items[ITEMS_MAX];

    (void)state;
    atomic_store(&answer, ANSWER_THEN_LOSS);
    begin();
    WAIT_UNTIL(atomic_load(&answer) == ANSWER_WAITS);
    assert_int_equal(atomic_load(&answer), ANSWER_WAITS);
    assert_int_equal(metrics_get(metrics, METRIC_NATS_CONNECTED), 0);
    /* The hole of the one that was lost. */
    assert_int_equal(source_take(source, SOURCE_EVENTS, items, ITEMS_MAX), 1);
    assert_null(items[0].message);
    send_number(5);
    assert_int_equal(take_until(5), 4);
    await_metric(METRIC_NATS_CONNECTED, 1);
}

static void one_that_nobody_reads_is_not_taken_for_a_connection(void **state)
{
    (void)state;
    atomic_store(&reader_gone, true);
    begin();
    await_metric(METRIC_NATS_DISCONNECTS, 1);
    await_metric(METRIC_NATS_CONNECTED, 1);
    nats_server_await(server, EVENTS);
    send_number(1);
    assert_int_equal(take_until(1), 0);
}

static void one_that_nobody_reads_any_more_is_made_anew(void **state)
{
    (void)state;
    begin();
    nats_server_await(server, EVENTS);
    await_metric(METRIC_NATS_CONNECTED, 1);
    send_number(1);
    await_metric(METRIC_EVENTS_RECEIVED, 1);
    atomic_store(&reader_gone, true);
    await_metric(METRIC_NATS_DISCONNECTS, 1);
    nats_server_await(server, EVENTS);
    await_metric(METRIC_NATS_CONNECTED, 1);
    send_number(5);
    assert_int_equal(take_until(5), 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_the_library_drops_is_a_hole_in_its_place),
        TEST(a_server_that_does_not_answer_is_asked_again),
        TEST(one_that_does_not_answer_any_more_after_a_reconnect_is_asked_again),
        TEST(one_that_is_lost_right_behind_its_answer_has_a_hole_in_front_of_the_next),
        TEST(one_that_nobody_reads_is_not_taken_for_a_connection),
        TEST(one_that_nobody_reads_any_more_is_made_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
