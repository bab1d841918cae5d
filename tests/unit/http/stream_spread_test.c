/* Streams that end together, or came together, must not all come back together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/fake_clock.h"
#include "support/stream_rig.h"

enum { FLEET = STREAM_RIG_SOCKETS, RETRY_MS = 1000 };

static struct stream_rig rig;
static struct fake_socket *fleet[FLEET];

static void begin(const struct stream_rig_options *options)
{
    stream_rig_init(&rig, options);
    for (int i = 0; i < FLEET; i++)
        fleet[i] = stream_rig_open(&rig, "acme", false, NULL, LOTS_OF_ROOM);
    stream_rig_settle(&rig);
}

static int tear_down(void **state)
{
    (void)state;
    stream_rig_release(&rig);
    return 0;
}

static int by_value(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* That so many values are between two bounds, and fill the range as chance does. */
static void assert_spread(int *values, int from, int to)
{
    int quarter = (to - from) / 4;

    qsort(values, FLEET, sizeof values[0], by_value);
    assert_in_range(values[0], from, from + quarter);
    assert_in_range(values[FLEET / 2], from + quarter, to - quarter);
    assert_in_range(values[FLEET - 1], to - quarter, to);
    for (int i = 1; i < FLEET; i++)
        assert_true(values[i] - values[i - 1] < quarter);
}

/* What the client is told: when to come back, in the event and in the line above it. */
static int told_retry(struct fake_socket *socket, const char *reason)
{
    static char text[65536];
    const char *retry;
    const char *data;

    stream_rig_read(socket);
    memcpy(text, socket->bytes, socket->read);
    text[socket->read] = '\0';
    data = strstr(text, "event: stream.closing\ndata: {\"reason\":\"");
    assert_non_null(data);
    data += strlen("event: stream.closing\ndata: {\"reason\":\"");
    assert_int_equal(strncmp(data, reason, strlen(reason)), 0);
    data = strstr(data, "\"retryMs\":");
    assert_non_null(data);
    retry = strstr(strstr(text, "retry: ") + 1, "retry: ");
    assert_non_null(retry);
    assert_int_equal(atoi(retry + strlen("retry: ")), atoi(data + strlen("\"retryMs\":")));
    return atoi(retry + strlen("retry: "));
}

static void a_shutdown_spreads_the_clients_over_the_time_that_is_set(void **state)
{
    int retries[FLEET];

    (void)state;
    begin(&(struct stream_rig_options){.drain_spread_seconds = 60});
    worker_rig_drain(rig.worker);
    stream_rig_turn(&rig);
    for (int i = 0; i < FLEET; i++)
        retries[i] = told_retry(fleet[i], "shutdown");
    assert_spread(retries, RETRY_MS, RETRY_MS + 60000);
}

static void without_a_spread_all_are_told_the_same(void **state)
{
    (void)state;
    begin(&(struct stream_rig_options){0});
    worker_rig_drain(rig.worker);
    stream_rig_turn(&rig);
    for (int i = 0; i < FLEET; i++)
        assert_int_equal(told_retry(fleet[i], "shutdown"), RETRY_MS);
}

static void streams_end_at_their_age_give_or_take_a_fifth(void **state)
{
    int ages[FLEET] = {0};

    (void)state;
    begin(&(struct stream_rig_options){.max_stream_age_seconds = 10000});
    for (int second = 1; second <= 12010; second++) {
        fake_clock_advance_ms(1000);
        stream_rig_turn(&rig);
        for (int i = 0; i < FLEET; i++)
            if (fleet[i]->closed && ages[i] == 0)
                ages[i] = second;
    }
    for (int i = 0; i < FLEET; i++) {
        int retry_ms = told_retry(fleet[i], "max_age");

        assert_in_range(retry_ms, RETRY_MS, 2 * RETRY_MS);
        assert_true(ages[i] >= 8000 && ages[i] <= 12001);
    }
    assert_spread(ages, 8000, 12001);
    assert_int_equal(metrics_get(rig.metrics, METRIC_CLOSED_MAX_AGE), FLEET);
    assert_int_equal(registry_connections(rig.registry), 0);
}

static void without_a_limit_streams_grow_old(void **state)
{
    (void)state;
    begin(&(struct stream_rig_options){0});
    for (int hour = 0; hour < 100; hour++) {
        fake_clock_advance_ms(INT64_C(3600) * 1000);
        stream_rig_turn(&rig);
        for (int i = 0; i < FLEET; i++)
            stream_rig_read(fleet[i]);
    }
    for (int i = 0; i < FLEET; i++)
        assert_false(fleet[i]->closed);
}

static void a_stream_that_is_too_old_gets_what_waits_first(void **state)
{
    struct fake_socket *client;

    (void)state;
    stream_rig_init(&rig, &(struct stream_rig_options){.max_stream_age_seconds = 20});
    client = stream_rig_open(&rig, "acme", true, NULL, LOTS_OF_ROOM);
    stream_rig_settle(&rig);
    stream_rig_read(client);
    fake_socket_set_capacity(client, 10);
    stream_rig_publish(&rig, "acme", 1, 3);
    stream_rig_settle(&rig);
    for (int second = 0; second < 25; second++) {
        fake_clock_advance_ms(1000);
        stream_rig_settle(&rig);
    }
    assert_false(client->closed);
    fake_socket_set_capacity(client, LOTS_OF_ROOM);
    stream_rig_settle(&rig);
    assert_true(client->closed);
    stream_rig_read(client);
    assert_string_equal(stream_rig_story(client, true), "ready @0 1 2 3 closing(max_age) end");
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_shutdown_spreads_the_clients_over_the_time_that_is_set),
        TEST(without_a_spread_all_are_told_the_same),
        TEST(streams_end_at_their_age_give_or_take_a_fifth),
        TEST(without_a_limit_streams_grow_old),
        TEST(a_stream_that_is_too_old_gets_what_waits_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
