#include "http/wheel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TICK_NS (INT64_C(1000000) * WHEEL_TICK_MS)
#define LONGEST_MS ((int64_t)(WHEEL_SLOTS - 1) * WHEEL_TICK_MS)

/* A timer, and between which times the model wants it called. */
struct entry {
    struct wheel_timer timer;
    bool is_set;
    int64_t earliest_ns;
    int64_t latest_ns;
    unsigned calls;
};

enum { ENTRIES = 200 };
struct model {
    struct wheel wheel;
    int64_t now_ns;
    struct entry entries[ENTRIES];
    bool sets_again;
};

static struct entry *entry_of(struct wheel_timer *timer)
{
    return (struct entry *)(void *)((char *)timer - offsetof(struct entry, timer));
}

/*
 * Not earlier than it is due, and not later than a tick behind that. The circle ends where it is still to be turned: by the model's longest
 * pass, two ticks, sooner.
 */
static void set(struct model *model, struct entry *entry, int64_t delay_ms)
{
    int64_t end_ms = LONGEST_MS - 3 * WHEEL_TICK_MS;
    int64_t reached_ms = delay_ms < end_ms ? delay_ms : end_ms;

    wheel_set(&model->wheel, &entry->timer, model->now_ns + delay_ms * INT64_C(1000000));
    entry->is_set = true;
    entry->earliest_ns = model->now_ns + reached_ms * INT64_C(1000000);
    entry->latest_ns = model->now_ns + (delay_ms + WHEEL_TICK_MS) * INT64_C(1000000);
}

static int64_t random_delay(void)
{
    return random() % 8 == 0 ? random() % 200000 : random() % 3000;
}

static void on_due(struct wheel_timer *timer, void *context)
{
    struct model *model = context;
    struct entry *entry = entry_of(timer);

    assert_true(entry->is_set);
    assert_null(timer->link);
    assert_true(model->now_ns >= entry->earliest_ns);
    entry->is_set = false;
    entry->calls++;
    /* A callback may unset any other timer, and set its own again. */
    if (random() % 4 == 0) {
        struct entry *other = &model->entries[random() % ENTRIES];

        wheel_unset(&other->timer);
        other->is_set = false;
    }
    if (model->sets_again && random() % 2 == 0)
        set(model, entry, random_delay());
}

static void pass(struct model *model, int64_t time_ns)
{
    model->now_ns += time_ns;
    wheel_run(&model->wheel, model->now_ns, on_due, model);
    assert_true(wheel_deadline_ns(&model->wheel) > model->now_ns);
    for (size_t i = 0; i < ENTRIES; i++) {
        if (!model->entries[i].is_set)
            continue;
        assert_true(model->now_ns < model->entries[i].latest_ns);
        assert_true(wheel_deadline_ns(&model->wheel) <= model->entries[i].latest_ns);
    }
}

static void act(struct model *model)
{
    struct entry *entry = &model->entries[random() % ENTRIES];

    if (!entry->is_set) {
        set(model, entry, random_delay());
    } else if (random() % 3 == 0) {
        wheel_unset(&entry->timer);
        entry->is_set = false;
    }
}

static void test_timers_are_called_in_time_as_a_model_wants_it(void **state)
{
    static const unsigned seed = 20240608;
    static struct model model;
    unsigned calls = 0;

    (void)state;
    print_message("seed %u\n", seed);
    srandom(seed);
    model.now_ns = 123456789;
    model.sets_again = true;
    wheel_init(&model.wheel, model.now_ns);
    for (int round = 0; round < 20000; round++) {
        for (int i = 0; i < 3; i++)
            act(&model);
        pass(&model, random() % (2 * TICK_NS));
    }
    for (size_t i = 0; i < ENTRIES; i++)
        calls += model.entries[i].calls;
    assert_true(calls > 1000);
}

static void test_after_a_long_stop_every_timer_is_called_once(void **state)
{
    static struct model model;

    (void)state;
    srandom(1);
    wheel_init(&model.wheel, model.now_ns);
    for (size_t i = 0; i < ENTRIES; i++)
        set(&model, &model.entries[i], (int64_t)i * 250);
    model.sets_again = false;
    model.now_ns += INT64_C(86400000000000);
    for (size_t i = 0; i < ENTRIES; i++)
        model.entries[i].earliest_ns = 0;
    wheel_run(&model.wheel, model.now_ns, on_due, &model);
    for (size_t i = 0; i < ENTRIES; i++)
        assert_false(model.entries[i].is_set);
    assert_true(wheel_deadline_ns(&model.wheel) > model.now_ns);
    set(&model, &model.entries[0], 0);
    assert_true(wheel_deadline_ns(&model.wheel) <= model.now_ns + TICK_NS);
}

static void count_call(struct wheel_timer *timer, void *context)
{
    int *calls = context;

    (void)timer;
    ++*calls;
}

static void test_an_unset_timer_is_never_called(void **state)
{
    struct wheel wheel;
    struct wheel_timer timer = {0};
    int calls = 0;

    (void)state;
    wheel_init(&wheel, 0);
    wheel_unset(&timer);
    wheel_set(&wheel, &timer, 0);
    wheel_unset(&timer);
    wheel_unset(&timer);
    wheel_run(&wheel, WHEEL_SLOTS * TICK_NS, count_call, &calls);
    assert_int_equal(calls, 0);
}

static void test_no_timer_is_called_before_its_tick(void **state)
{
    struct wheel wheel;
    struct wheel_timer timer = {0};
    int calls = 0;

    (void)state;
    wheel_init(&wheel, 0);
    wheel_set(&wheel, &timer, 10 * TICK_NS + 1);
    wheel_run(&wheel, 11 * TICK_NS - 1, count_call, &calls);
    assert_int_equal(calls, 0);
    wheel_run(&wheel, 11 * TICK_NS, count_call, &calls);
    assert_int_equal(calls, 1);
    wheel_set(&wheel, &timer, 20 * TICK_NS);
    wheel_run(&wheel, 20 * TICK_NS - 1, count_call, &calls);
    assert_int_equal(calls, 1);
    wheel_run(&wheel, 20 * TICK_NS, count_call, &calls);
    assert_int_equal(calls, 2);
}

/* The owner is called early, looks at the clock and sets it again. */
static void test_a_timer_beyond_the_circle_is_called_when_the_circle_ends(void **state)
{
    struct wheel wheel;
    struct wheel_timer timer = {0};
    int calls = 0;

    (void)state;
    wheel_init(&wheel, 0);
    wheel_set(&wheel, &timer, 10 * LONGEST_MS * INT64_C(1000000));
    wheel_run(&wheel, (WHEEL_SLOTS - 2) * TICK_NS, count_call, &calls);
    assert_int_equal(calls, 0);
    wheel_run(&wheel, (WHEEL_SLOTS - 1) * TICK_NS, count_call, &calls);
    assert_int_equal(calls, 1);
}

/* Nobody is woken up for slots in which nothing is. */
static void test_the_deadline_is_that_of_the_next_timer(void **state)
{
    struct wheel wheel;
    struct wheel_timer near = {0};
    struct wheel_timer far = {0};

    (void)state;
    wheel_init(&wheel, 0);
    assert_true(wheel_deadline_ns(&wheel) >= LONGEST_MS * INT64_C(1000000));
    wheel_set(&wheel, &far, 200 * TICK_NS);
    assert_true(wheel_deadline_ns(&wheel) == 200 * TICK_NS);
    wheel_set(&wheel, &near, 50 * TICK_NS);
    assert_true(wheel_deadline_ns(&wheel) == 50 * TICK_NS);
    wheel_unset(&near);
    assert_true(wheel_deadline_ns(&wheel) == 200 * TICK_NS);
}

/* Between two calls of wheel_run() there may be a sleep, behind which timers are set, and what was due passes at once. */
static void test_what_is_due_already_is_called_next(void **state)
{
    struct wheel wheel;
    struct wheel_timer timer = {0};
    int calls = 0;

    (void)state;
    wheel_init(&wheel, 0);
    wheel_run(&wheel, 30 * TICK_NS, count_call, &calls);
    wheel_set(&wheel, &timer, 7 * TICK_NS);
    wheel_run(&wheel, 31 * TICK_NS, count_call, &calls);
    assert_int_equal(calls, 1);
}

static void free_timer(struct wheel_timer *timer, void *context)
{
    int *calls = context;

    free(timer);
    ++*calls;
}

static void test_a_callback_may_free_its_timer(void **state)
{
    struct wheel wheel;
    int calls = 0;

    (void)state;
    wheel_init(&wheel, 0);
    for (int i = 0; i < 10; i++)
        wheel_set(&wheel, calloc(1, sizeof(struct wheel_timer)), TICK_NS);
    wheel_run(&wheel, 10 * TICK_NS, free_timer, &calls);
    assert_int_equal(calls, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timers_are_called_in_time_as_a_model_wants_it),
        cmocka_unit_test(test_after_a_long_stop_every_timer_is_called_once),
        cmocka_unit_test(test_an_unset_timer_is_never_called),
        cmocka_unit_test(test_no_timer_is_called_before_its_tick),
        cmocka_unit_test(test_a_timer_beyond_the_circle_is_called_when_the_circle_ends),
        cmocka_unit_test(test_the_deadline_is_that_of_the_next_timer),
        cmocka_unit_test(test_what_is_due_already_is_called_next),
        cmocka_unit_test(test_a_callback_may_free_its_timer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
