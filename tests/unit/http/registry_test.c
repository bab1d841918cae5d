#include "http/registry.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_counts(struct registry *registry, const struct metrics *metrics, int64_t connections,
                          int64_t companies)
{
    assert_int_equal(registry_connections(registry), connections);
    assert_int_equal(registry_companies(registry), companies);
    assert_int_equal(metrics_get(metrics, METRIC_CONNECTIONS), connections);
}

static void test_streams_are_counted_in_and_out(void **state)
{
    struct metrics *metrics = metrics_new();
    struct registry *registry = registry_new(100, 1, metrics);
    unsigned worker;

    (void)state;
    assert_counts(registry, metrics, 0, 0);
    assert_int_equal(registry_enter(registry, "acme", &worker), 0);
    assert_int_equal(registry_enter(registry, "acme", &worker), 0);
    assert_int_equal(registry_enter(registry, "other", &worker), 0);
    assert_counts(registry, metrics, 3, 2);
    registry_leave(registry, "acme", 0);
    assert_counts(registry, metrics, 2, 2);
    registry_leave(registry, "acme", 0);
    assert_counts(registry, metrics, 1, 1);
    registry_leave(registry, "other", 0);
    assert_counts(registry, metrics, 0, 0);
    registry_free(registry);
    registry_free(NULL);
    metrics_free(metrics);
}

static void test_the_limit_refuses_until_one_leaves(void **state)
{
    struct metrics *metrics = metrics_new();
    struct registry *registry = registry_new(2, 1, metrics);
    unsigned worker;

    (void)state;
    assert_int_equal(registry_enter(registry, "a", &worker), 0);
    assert_int_equal(registry_enter(registry, "b", &worker), 0);
    assert_int_equal(registry_enter(registry, "b", &worker), -EBUSY);
    assert_int_equal(registry_enter(registry, "c", &worker), -EBUSY);
    assert_counts(registry, metrics, 2, 2);
    registry_leave(registry, "a", 0);
    assert_int_equal(registry_enter(registry, "c", &worker), 0);
    assert_counts(registry, metrics, 2, 2);
    registry_free(registry);
    metrics_free(metrics);
}

static int64_t listed(struct registry *registry, size_t max, const char *company, ptrdiff_t expected)
{
    struct registry_count *counts = NULL;
    int64_t found = -1;

    assert_int_equal(registry_list(registry, max, &counts), expected);
    for (ptrdiff_t i = 0; i < expected; i++)
        if (strcmp(counts[i].company, company) == 0)
            found = counts[i].connections;
    free(counts);
    return found;
}

static void visit(void *visitor, const char *company, int64_t connections)
{
    int64_t *sum = visitor;

    assert_true(strcmp(company, "acme") == 0 ? connections == 2 : connections == 1);
    *sum = 10 * *sum + connections;
}

static void test_each_company_is_visited(void **state)
{
    struct metrics *metrics = metrics_new();
    struct registry *registry = registry_new(1000, 1, metrics);
    int64_t sum = 0;
    unsigned worker;

    (void)state;
    registry_each(registry, visit, &sum);
    assert_int_equal(sum, 0);
    assert_int_equal(registry_enter(registry, "acme", &worker), 0);
    assert_int_equal(registry_enter(registry, "acme", &worker), 0);
    assert_int_equal(registry_enter(registry, "other", &worker), 0);
    registry_each(registry, visit, &sum);
    assert_true(sum == 12 || sum == 21);
    registry_leave(registry, "acme", 0);
    registry_leave(registry, "acme", 0);
    registry_leave(registry, "other", 0);
    registry_free(registry);
    metrics_free(metrics);
}

static void test_the_list_gives_each_company_once(void **state)
{
    struct metrics *metrics = metrics_new();
    struct registry *registry = registry_new(1000, 1, metrics);
    char longest[129];
    unsigned worker;

    (void)state;
    assert_int_equal(listed(registry, 10, "a", 0), -1);
    memset(longest, 'c', 128);
    longest[128] = '\0';
    for (int i = 0; i < 7; i++)
        assert_int_equal(registry_enter(registry, longest, &worker), 0);
    assert_int_equal(registry_enter(registry, "b", &worker), 0);
    assert_int_equal(listed(registry, 10, longest, 2), 7);
    assert_int_equal(listed(registry, 2, "b", 2), 1);
    assert_int_equal(listed(registry, 1, longest, 1), 7);
    assert_int_equal(listed(registry, 0, "b", 0), -1);
    registry_free(registry);
    metrics_free(metrics);
}

static void test_a_company_stays_on_one_worker_until_it_is_large(void **state)
{
    struct metrics *metrics = metrics_new();
    struct registry *registry = registry_new(10000, 3, metrics);
    unsigned worker;
    int on_worker[3] = {0};

    (void)state;
    for (int i = 0; i < REGISTRY_HOME_STREAMS; i++) {
        assert_int_equal(registry_enter(registry, "large", &worker), 0);
        assert_int_equal(worker, 0);
    }
    for (int i = 0; i < 2 * REGISTRY_HOME_STREAMS; i++) {
        assert_int_equal(registry_enter(registry, "large", &worker), 0);
        on_worker[worker]++;
    }
    assert_int_equal(on_worker[0], 0);
    assert_int_equal(on_worker[1], REGISTRY_HOME_STREAMS);
    assert_int_equal(on_worker[2], REGISTRY_HOME_STREAMS);
    registry_free(registry);
    metrics_free(metrics);
}

static void test_a_new_company_goes_to_the_emptiest_worker(void **state)
{
    struct metrics *metrics = metrics_new();
    struct registry *registry = registry_new(100, 2, metrics);
    unsigned worker;

    (void)state;
    assert_int_equal(registry_enter(registry, "a", &worker), 0);
    assert_int_equal(worker, 0);
    assert_int_equal(registry_enter(registry, "b", &worker), 0);
    assert_int_equal(worker, 1);
    assert_int_equal(registry_enter(registry, "b", &worker), 0);
    assert_int_equal(worker, 1);
    assert_int_equal(registry_enter(registry, "c", &worker), 0);
    assert_int_equal(worker, 0);
    registry_leave(registry, "a", 0);
    registry_leave(registry, "c", 0);
    assert_int_equal(registry_enter(registry, "a", &worker), 0);
    assert_int_equal(worker, 0);
    registry_free(registry);
    metrics_free(metrics);
}

enum { THREADS = 4, ROUNDS = 5000, LIMIT = 3 };

static void *come_and_go(void *context)
{
    struct registry *registry = context;
    unsigned worker;

    for (int i = 0; i < ROUNDS; i++) {
        while (registry_enter(registry, "acme", &worker) != 0)
            sched_yield();
        if (registry_connections(registry) > LIMIT)
            abort();
        registry_leave(registry, "acme", 0);
    }
    return NULL;
}

static void test_threads_never_pass_the_limit_together(void **state)
{
    struct metrics *metrics = metrics_new();
    struct registry *registry = registry_new(LIMIT, 1, metrics);
    pthread_t threads[THREADS];

    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, registry), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_counts(registry, metrics, 0, 0);
    registry_free(registry);
    metrics_free(metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams_are_counted_in_and_out),
        cmocka_unit_test(test_the_limit_refuses_until_one_leaves),
        cmocka_unit_test(test_each_company_is_visited),
        cmocka_unit_test(test_the_list_gives_each_company_once),
        cmocka_unit_test(test_a_company_stays_on_one_worker_until_it_is_large),
        cmocka_unit_test(test_a_new_company_goes_to_the_emptiest_worker),
        cmocka_unit_test(test_threads_never_pass_the_limit_together),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
