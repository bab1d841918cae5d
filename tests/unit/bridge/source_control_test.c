/* Messages that are no events: bridge/source.c and libnats against a server of the test's own. */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "bridge/source.h"
#include "core/clock.h"
#include "tests/unit/bridge/nats_server.h"

#define CONTROL "sluice.control.revoke"
#define EVENTS "metrics.*"

enum { WAIT_MS = 10000, ITEMS_MAX = 64 };

/* What the callback was given. */
struct heard {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int count;
    char last[256];
    size_t last_size;
};

static struct heard heard = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
static struct nats_server *server;
static struct metrics *metrics;
static struct source *source;

static void on_control(void *context, const char *payload, size_t size)
{
    struct heard *to = context;

    pthread_mutex_lock(&to->lock);
    to->count++;
    to->last_size = size;
    memcpy(to->last, payload, size < sizeof to->last ? size : sizeof to->last);
    pthread_cond_broadcast(&to->changed);
    pthread_mutex_unlock(&to->lock);
}

static void await_heard(int count)
{
    struct timespec until;
    int error = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_MS / 1000;
    pthread_mutex_lock(&heard.lock);
    while (heard.count < count && error == 0)
        error = pthread_cond_timedwait(&heard.changed, &heard.lock, &until);
    assert_int_equal(heard.count, count);
    pthread_mutex_unlock(&heard.lock);
}

/* Only then the hole that a new connection begins with is in the inbox. */
static void await_connected(void)
{
    for (int i = 0; i < WAIT_MS && metrics_get(metrics, METRIC_NATS_CONNECTED) != 1; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    assert_int_equal(metrics_get(metrics, METRIC_NATS_CONNECTED), 1);
}

static void begin(const char *control, size_t max_pending_events)
{
    heard.count = 0;
    server = nats_server_new();
    metrics = metrics_new();
    source = source_new(&(struct source_options){
        .identity = {.url = nats_server_url(server)},
        .subjects = EVENTS ",journey.*",
        .control = {.subject = control, .callback = on_control, .context = &heard},
        .max_pending_events = max_pending_events,
        .max_pending_bytes = 1 << 20,
        .metrics = metrics,
    });
    assert_non_null(source);
    nats_server_await(server, "journey.*");
    await_connected();
}

static int tear_down(void **state)
{
    (void)state;
    source_free(source);
    metrics_free(metrics);
    nats_server_free(server);
    return 0;
}

static void send_text(const char *subscription, const char *subject, const char *payload)
{
    nats_server_send(server, subscription, subject, payload, strlen(payload));
}

/* Takes items until a message comes whose payload is `last`. Returns how many messages there were, and the holes. */
static int take_until(const char *last, int *ret_holes)
{
    struct source_item items[ITEMS_MAX];
    int messages = 0;
    bool found = false;

    *ret_holes = 0;
    while (!found) {
        struct pollfd fd = {.fd = source_fd(source, SOURCE_EVENTS), .events = POLLIN};
        size_t count;

        assert_int_equal(poll(&fd, 1, WAIT_MS), 1);
        count = source_take(source, SOURCE_EVENTS, items, ITEMS_MAX);
        for (size_t i = 0; i < count; i++) {
            size_t size;
            const char *payload = items[i].message ? source_message_payload(items[i].message, &size) : NULL;

            *ret_holes += payload == NULL;
            messages += payload != NULL;
            found = found || (payload && size == strlen(last) && memcmp(payload, last, size) == 0);
            source_message_free(items[i].message);
        }
    }
    return messages;
}

/* A rest only saves work: in its middle, behind its end or far ahead of it, all messages come, in order. */
static void what_comes_during_a_rest_comes_behind_it(void **state)
{
    enum { MESSAGES = 60 };
    static const int64_t rests_ms[] = {40, -1000, 0, 15};
    int taken = 0;

    (void)state;
    begin(NULL, 1000);
    for (size_t i = 0; i < MESSAGES; i++) {
        char payload[16];

        snprintf(payload, sizeof payload, "%zu", i);
        if (i % 15 == 0)
            source_rest(source, clock_monotonic_ns() + rests_ms[i / 15] * 1000000);
        send_text(EVENTS, "metrics.a", payload);
    }
    while (taken < MESSAGES) {
        struct pollfd fd = {.fd = source_fd(source, SOURCE_EVENTS), .events = POLLIN};
        struct source_item item;
        char expected[16];
        size_t size;

        assert_int_equal(poll(&fd, 1, WAIT_MS), 1);
        assert_int_equal(source_take(source, SOURCE_EVENTS, &item, 1), 1);
        if (!item.message)
            continue;
        snprintf(expected, sizeof expected, "%d", taken++);
        assert_memory_equal(source_message_payload(item.message, &size), expected, strlen(expected));
        assert_int_equal(size, strlen(expected));
        source_message_free(item.message);
    }
}

static void a_control_message_reaches_the_callback_as_it_is(void **state)
{
    static const char payload[] = "{\"keyId\":\"k\"}\0\xff";

    (void)state;
    begin(CONTROL, 1000);
    nats_server_send(server, CONTROL, CONTROL, payload, sizeof payload - 1);
    await_heard(1);
    assert_int_equal(heard.last_size, sizeof payload - 1);
    assert_memory_equal(heard.last, payload, sizeof payload - 1);
    nats_server_send(server, CONTROL, CONTROL, "", 0);
    await_heard(2);
    assert_int_equal(heard.last_size, 0);
}

/* The library's thread counts an event when the taker has it already. */
static void await_received(int64_t count)
{
    for (int i = 0; i < WAIT_MS && metrics_get(metrics, METRIC_EVENTS_RECEIVED) < count; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    assert_int_equal(metrics_get(metrics, METRIC_EVENTS_RECEIVED), count);
}

static void a_control_message_is_no_event(void **state)
{
    int holes;

    (void)state;
    begin(CONTROL, 1000);
    send_text(EVENTS, "metrics.a", "first");
    (void)take_until("first", &holes);
    for (int i = 0; i < 100; i++)
        send_text(CONTROL, CONTROL, "{}");
    send_text(EVENTS, "metrics.a", "second");
    assert_int_equal(take_until("second", &holes), 1);
    await_heard(100);
    assert_int_equal(holes, 0);
    await_received(2);
    assert_int_equal(metrics_get(metrics, METRIC_DROPPED_SOURCE), 0);
}

static void a_full_inbox_does_not_keep_it_out(void **state)
{
    (void)state;
    begin(CONTROL, 1);
    for (int i = 0; i < 5; i++)
        send_text(EVENTS, "metrics.a", "x");
    send_text(CONTROL, CONTROL, "{}");
    await_heard(1);
    await_received(5);
    assert_true(metrics_get(metrics, METRIC_DROPPED_SOURCE) >= 4);
}

static void it_comes_again_after_a_reconnect(void **state)
{
    (void)state;
    begin(CONTROL, 1000);
    for (int i = 1; i <= 3; i++) {
        nats_server_cut(server);
        nats_server_await(server, CONTROL);
        send_text(CONTROL, CONTROL, "{}");
        await_heard(i);
    }
}

static void without_a_subject_there_is_no_such_subscription(void **state)
{
    (void)state;
    begin(NULL, 1000);
    assert_true(nats_server_has(server, EVENTS));
    assert_false(nats_server_has(server, CONTROL));
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_control_message_reaches_the_callback_as_it_is),
        TEST(a_control_message_is_no_event),
        TEST(a_full_inbox_does_not_keep_it_out),
        TEST(it_comes_again_after_a_reconnect),
        TEST(without_a_subject_there_is_no_such_subscription),
        TEST(what_comes_during_a_rest_comes_behind_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
