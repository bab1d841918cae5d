#include "http/suspensions.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"

enum { PATIENCE_MS = 20000, CONNECTIONS = 64 };

/* libmicrohttpd's, as far as it is asked here: it must be told of each connection once, in this order. */
struct MHD_Connection {
    atomic_int suspended;
    atomic_int resumed;
};

void MHD_suspend_connection(struct MHD_Connection *connection)
{
    assert_int_equal(atomic_load(&connection->suspended), atomic_load(&connection->resumed));
    atomic_fetch_add(&connection->suspended, 1);
}

void MHD_resume_connection(struct MHD_Connection *connection)
{
    atomic_fetch_add(&connection->resumed, 1);
    assert_int_equal(atomic_load(&connection->suspended), atomic_load(&connection->resumed));
}

static void wait_until(const atomic_bool *condition, const char *what)
{
    int64_t until_ns = clock_monotonic_ns() + PATIENCE_MS * INT64_C(1000000);

    while (!atomic_load(condition)) {
        if (clock_monotonic_ns() > until_ns)
            fail_msg("waited in vain for %s", what);
        usleep(1000);
    }
}

static void test_a_connection_is_suspended_until_it_ends(void **state)
{
    struct suspensions *suspensions = suspensions_new();
    struct MHD_Connection connection = {0};

    (void)state;
    for (int i = 1; i <= 3; i++) {
        assert_true(suspensions_begin(suspensions, &connection));
        assert_int_equal(atomic_load(&connection.suspended), i);
        suspensions_end(suspensions, &connection);
        assert_int_equal(atomic_load(&connection.resumed), i);
    }
    suspensions_close(suspensions);
    suspensions_free(suspensions);
}

static void test_none_begins_once_they_are_closed(void **state)
{
    struct suspensions *suspensions = suspensions_new();
    struct MHD_Connection connection = {0};

    (void)state;
    suspensions_close(suspensions);
    assert_false(suspensions_begin(suspensions, &connection));
    assert_int_equal(atomic_load(&connection.suspended), 0);
    suspensions_close(suspensions);
    suspensions_free(suspensions);
    suspensions_free(NULL);
}

struct closing {
    struct suspensions *suspensions;
    atomic_bool closed;
};

static void *close_all(void *context)
{
    struct closing *closing = context;

    suspensions_close(closing->suspensions);
    atomic_store(&closing->closed, true);
    return NULL;
}

static void test_closing_waits_for_those_that_have_begun(void **state)
{
    struct closing closing = {.suspensions = suspensions_new()};
    struct MHD_Connection connections[CONNECTIONS] = {0};
    struct MHD_Connection late = {0};
    pthread_t thread;

    (void)state;
    for (int i = 0; i < CONNECTIONS; i++)
        assert_true(suspensions_begin(closing.suspensions, &connections[i]));
    assert_int_equal(pthread_create(&thread, NULL, close_all, &closing), 0);
    /* It has begun to close when no more begin. */
    while (suspensions_begin(closing.suspensions, &late))
        suspensions_end(closing.suspensions, &late);
    for (int i = 0; i < CONNECTIONS; i++) {
        assert_false(atomic_load(&closing.closed));
        suspensions_end(closing.suspensions, &connections[i]);
    }
    wait_until(&closing.closed, "the end of closing");
    pthread_join(thread, NULL);
    for (int i = 0; i < CONNECTIONS; i++)
        assert_int_equal(atomic_load(&connections[i].resumed), 1);
    suspensions_free(closing.suspensions);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_connection_is_suspended_until_it_ends),
        cmocka_unit_test(test_none_begins_once_they_are_closed),
        cmocka_unit_test(test_closing_waits_for_those_that_have_begun),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
