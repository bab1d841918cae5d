#include "http/head_deadline.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* A connection: our end, which the deadline watches, and the client's. */
struct connection {
    int ours;
    int clients;
    struct head_timer *timer;
};

static struct connection open_connection(struct head_deadline *deadline)
{
    struct connection connection;
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    connection.ours = fds[0];
    connection.clients = fds[1];
    connection.timer = head_deadline_begin(deadline, connection.ours);
    assert_non_null(connection.timer);
    return connection;
}

static void close_connection(struct head_deadline *deadline, struct connection *connection)
{
    head_deadline_end(deadline, connection->timer);
    close(connection->ours);
    close(connection->clients);
}

/* Waits, for however long it takes, until the client sees the end of its connection. */
static void wait_for_end(const struct connection *connection)
{
    char byte;

    assert_int_equal(recv(connection->clients, &byte, 1, 0), 0);
}

static bool is_open(const struct connection *connection)
{
    char byte;

    return recv(connection->clients, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static void test_a_head_that_never_comes_ends_the_connection(void **state)
{
    struct metrics *metrics = metrics_new();
    struct head_deadline *deadline = head_deadline_new(1, 100, metrics);
    struct connection connection = open_connection(deadline);

    (void)state;
    wait_for_end(&connection);
    close_connection(deadline, &connection);
    head_deadline_free(deadline);
    assert_int_equal(metrics_get(metrics, METRIC_ERROR_HEAD_TIMEOUT), 1);
    metrics_free(metrics);
}

/* Later deadlines pass: had the first connections' still stood, they would have ended before. */
static void test_connections_whose_head_came_stay(void **state)
{
    struct metrics *metrics = metrics_new();
    struct head_deadline *deadline = head_deadline_new(1, 100, metrics);
    struct connection disarmed = open_connection(deadline);
    struct connection again = open_connection(deadline);
    struct connection ended = open_connection(deadline);
    struct connection late;

    (void)state;
    head_deadline_disarm(deadline, disarmed.timer);
    head_deadline_disarm(deadline, disarmed.timer);
    head_deadline_end(deadline, ended.timer);
    ended.timer = NULL;
    late = open_connection(deadline);
    head_deadline_disarm(deadline, again.timer);
    head_deadline_arm(deadline, again.timer);
    wait_for_end(&late);
    wait_for_end(&again);
    assert_true(is_open(&disarmed));
    assert_true(is_open(&ended));
    head_deadline_arm(deadline, disarmed.timer);
    wait_for_end(&disarmed);
    close_connection(deadline, &disarmed);
    close_connection(deadline, &again);
    close_connection(deadline, &ended);
    close_connection(deadline, &late);
    head_deadline_free(deadline);
    assert_int_equal(metrics_get(metrics, METRIC_ERROR_HEAD_TIMEOUT), 3);
    metrics_free(metrics);
}

/* Bytes that trickle in do not help: it is the whole head that counts. */
static void test_a_trickle_of_bytes_does_not_move_the_deadline(void **state)
{
    struct metrics *metrics = metrics_new();
    struct head_deadline *deadline = head_deadline_new(1, 100, metrics);
    struct connection connection = open_connection(deadline);
    struct pollfd end = {.fd = connection.clients, .events = POLLIN};

    (void)state;
    while (poll(&end, 1, 20) == 0)
        (void)send(connection.clients, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    wait_for_end(&connection);
    close_connection(deadline, &connection);
    head_deadline_free(deadline);
    metrics_free(metrics);
}

static void test_it_ends_at_once_with_deadlines_far_ahead(void **state)
{
    struct metrics *metrics = metrics_new();
    struct head_deadline *deadline = head_deadline_new(3600, 100, metrics);
    struct connection connection = open_connection(deadline);

    (void)state;
    close_connection(deadline, &connection);
    head_deadline_arm(deadline, NULL);
    head_deadline_disarm(deadline, NULL);
    head_deadline_end(deadline, NULL);
    head_deadline_free(deadline);
    head_deadline_free(NULL);
    assert_int_equal(metrics_get(metrics, METRIC_ERROR_HEAD_TIMEOUT), 0);
    metrics_free(metrics);
}

static void test_too_many_heads_cost_the_oldest_its_place(void **state)
{
    struct metrics *metrics = metrics_new();
    struct head_deadline *deadline = head_deadline_new(3600, 2, metrics);
    struct connection oldest = open_connection(deadline);
    struct connection come = open_connection(deadline);
    struct connection newer;
    struct connection newest;

    (void)state;
    head_deadline_disarm(deadline, come.timer);
    newer = open_connection(deadline);
    assert_true(is_open(&oldest));
    newest = open_connection(deadline);
    /* It came with the others. */
    assert_true(is_open(&oldest));
    wait_for_end(&oldest);
    assert_true(is_open(&come));
    assert_true(is_open(&newer));
    assert_true(is_open(&newest));
    head_deadline_arm(deadline, come.timer);
    wait_for_end(&newer);
    assert_true(is_open(&come));
    close_connection(deadline, &oldest);
    close_connection(deadline, &come);
    close_connection(deadline, &newer);
    close_connection(deadline, &newest);
    head_deadline_free(deadline);
    assert_int_equal(metrics_get(metrics, METRIC_ERROR_HEAD_TIMEOUT), 2);
    metrics_free(metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_head_that_never_comes_ends_the_connection),
        cmocka_unit_test(test_connections_whose_head_came_stay),
        cmocka_unit_test(test_a_trickle_of_bytes_does_not_move_the_deadline),
        cmocka_unit_test(test_too_many_heads_cost_the_oldest_its_place),
        cmocka_unit_test(test_it_ends_at_once_with_deadlines_far_ahead),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
