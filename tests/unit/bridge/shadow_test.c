#include "bridge/shadow.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/fake_source.h"

#define MIB ((size_t)1024 * 1024)

static uint64_t mark_of(const char *payload)
{
    return shadow_mark("metrics.a", payload, strlen(payload));
}

static void add(struct shadow *shadow, const char *payload, int64_t now_ns)
{
    shadow_add(shadow, &(struct source_item){.message = fake_message_new("metrics.a", payload), .received_ns = now_ns});
}

static void assert_next(struct shadow *shadow, const char *payload, int64_t received_ns)
{
    struct source_item item;
    size_t size;

    assert_true(shadow_take(shadow, &item));
    assert_string_equal(source_message_payload(item.message, &size), payload);
    assert_int_equal(item.received_ns, received_ns);
    source_message_free(item.message);
}

static void assert_empty(struct shadow *shadow)
{
    struct source_item item;

    assert_int_equal(shadow_count(shadow), 0);
    assert_false(shadow_take(shadow, &item));
}

static int no_message_is_left(void **state)
{
    (void)state;
    return fake_messages_alive();
}

static void test_what_was_not_heard_is_taken_in_order(void **state)
{
    struct shadow *shadow = shadow_new(100, MIB);

    (void)state;
    assert_empty(shadow);
    add(shadow, "a", 1);
    add(shadow, "b", 2);
    add(shadow, "c", 3);
    shadow_strike(shadow, mark_of("b"), 4);
    assert_int_equal(shadow_count(shadow), 2);
    assert_next(shadow, "a", 1);
    assert_next(shadow, "c", 3);
    assert_empty(shadow);
    shadow_free(shadow);
}

static void test_a_message_that_comes_back_gets_its_place_again(void **state)
{
    struct shadow *shadow = shadow_new(100, MIB);

    (void)state;
    add(shadow, "a", 2);
    add(shadow, "b", 4);
    add(shadow, "a", 6);
    add(shadow, "a", 3);
    add(shadow, "c", 1);
    add(shadow, "a", 5);
    add(shadow, "a", 1);
    shadow_strike(shadow, mark_of("a"), 7);
    assert_next(shadow, "c", 1);
    assert_next(shadow, "a", 2);
    assert_next(shadow, "a", 3);
    shadow_expire(shadow, 5);
    assert_next(shadow, "a", 5);
    assert_next(shadow, "a", 6);
    assert_empty(shadow);
    shadow_free(shadow);
}

static void test_an_event_heard_in_front_of_its_message_strikes_it_out(void **state)
{
    struct shadow *shadow = shadow_new(100, MIB);

    (void)state;
    shadow_strike(shadow, mark_of("a"), 1);
    add(shadow, "b", 2);
    add(shadow, "a", 3);
    add(shadow, "a", 4);
    assert_next(shadow, "b", 2);
    assert_next(shadow, "a", 4);
    assert_empty(shadow);
    shadow_free(shadow);
}

static void test_each_event_strikes_out_the_first_of_equal_messages(void **state)
{
    struct shadow *shadow = shadow_new(100, MIB);

    (void)state;
    add(shadow, "a", 1);
    add(shadow, "b", 2);
    add(shadow, "a", 3);
    add(shadow, "a", 4);
    shadow_strike(shadow, mark_of("a"), 5);
    assert_int_equal(shadow_count(shadow), 3);
    assert_next(shadow, "b", 2);
    assert_next(shadow, "a", 3);
    shadow_strike(shadow, mark_of("a"), 6);
    assert_empty(shadow);
    shadow_free(shadow);
}

static void test_an_event_whose_message_may_never_come_is_not_kept_for_a_later_one(void **state)
{
    struct shadow *shadow = shadow_new(100, MIB);

    (void)state;
    add(shadow, "a", 1);
    shadow_strike_received(shadow, mark_of("a"), 2);
    assert_empty(shadow);
    shadow_strike_received(shadow, mark_of("a"), 3);
    shadow_strike_received(shadow, mark_of("a"), 5);
    add(shadow, "a", 4);
    assert_empty(shadow);
    shadow_strike_received(shadow, mark_of("a"), 5);
    add(shadow, "a", 6);
    assert_next(shadow, "a", 6);
    shadow_strike_received(shadow, mark_of("a"), 7);
    shadow_strike(shadow, mark_of("a"), 7);
    assert_true(shadow_consume(shadow, mark_of("a"), 8));
    assert_false(shadow_consume(shadow, mark_of("a"), 8));
    assert_empty(shadow);
    shadow_free(shadow);
}

static void test_an_event_of_no_message_strikes_out_nothing(void **state)
{
    struct shadow *shadow = shadow_new(2, MIB);

    (void)state;
    add(shadow, "a", 1);
    shadow_strike(shadow, mark_of("x"), 2);
    for (int i = 0; i < 3; i++)
        shadow_strike(shadow, 0, 3); /* nor does it take the place of another */
    add(shadow, "x", 4);
    assert_next(shadow, "a", 1);
    assert_empty(shadow);
    shadow_free(shadow);
}

static void test_messages_and_events_of_long_ago_are_forgotten(void **state)
{
    struct shadow *shadow = shadow_new(100, MIB);

    (void)state;
    add(shadow, "a", 10);
    add(shadow, "b", 20);
    shadow_strike(shadow, mark_of("c"), 10);
    shadow_strike(shadow, mark_of("d"), 20);
    shadow_expire(shadow, 20);
    assert_int_equal(shadow_count(shadow), 1);
    add(shadow, "c", 21);
    add(shadow, "d", 22);
    assert_next(shadow, "b", 20);
    assert_next(shadow, "c", 21);
    assert_empty(shadow);
    assert_false(shadow_has_dropped(shadow, 0));
    shadow_free(shadow);
}

static void test_above_so_many_messages_the_oldest_go(void **state)
{
    struct shadow *shadow = shadow_new(2, MIB);

    (void)state;
    add(shadow, "a", 1);
    add(shadow, "b", 2);
    assert_false(shadow_has_dropped(shadow, 0));
    add(shadow, "c", 3);
    assert_int_equal(shadow_count(shadow), 2);
    assert_true(shadow_has_dropped(shadow, 0));
    assert_true(shadow_has_dropped(shadow, 3));
    assert_false(shadow_has_dropped(shadow, 4));
    assert_next(shadow, "b", 2);
    assert_next(shadow, "c", 3);
    shadow_free(shadow);
}

static void test_above_so_many_bytes_the_oldest_go(void **state)
{
    struct shadow *shadow = shadow_new(100, 10);

    (void)state;
    add(shadow, "aaaa", 1);
    add(shadow, "bbbb", 2);
    add(shadow, "cc", 3);
    assert_int_equal(shadow_count(shadow), 3);
    add(shadow, "dddddd", 4);
    assert_int_equal(shadow_count(shadow), 2);
    assert_true(shadow_has_dropped(shadow, 4));
    assert_next(shadow, "cc", 3);
    assert_next(shadow, "dddddd", 4);
    shadow_free(shadow);
}

static void test_a_message_that_never_fits_drives_out_no_other(void **state)
{
    struct shadow *shadow = shadow_new(100, 10);

    (void)state;
    add(shadow, "a", 1);
    add(shadow, "bbbbbbbbbbb", 2);
    assert_true(shadow_has_dropped(shadow, 2));
    assert_next(shadow, "a", 1);
    assert_empty(shadow);
    shadow_free(shadow);
}

static void test_events_of_messages_that_never_come_are_limited_too(void **state)
{
    struct shadow *shadow = shadow_new(2, MIB);

    (void)state;
    shadow_strike(shadow, mark_of("a"), 1);
    shadow_strike(shadow, mark_of("b"), 2);
    shadow_strike(shadow, mark_of("c"), 3);
    add(shadow, "a", 4);
    add(shadow, "b", 5);
    add(shadow, "c", 6);
    assert_next(shadow, "a", 4);
    assert_empty(shadow);
    assert_false(shadow_has_dropped(shadow, 0));
    shadow_free(shadow);
}

static void test_what_is_held_is_freed(void **state)
{
    struct shadow *shadow = shadow_new(100, MIB);

    (void)state;
    for (int i = 0; i < 10; i++)
        add(shadow, i % 2 == 0 ? "a" : "b", i);
    shadow_strike(shadow, mark_of("c"), 11);
    shadow_free(shadow);
    shadow_free(NULL);
    assert_int_equal(fake_messages_alive(), 0);
}

/* A million pairs take less than half a second without sanitizers; if each searched through all the others, hours. */
static void test_many_messages_equal_or_not_take_no_longer_each(void **state)
{
    enum { MANY = 100000 };
    struct shadow *shadow = shadow_new(MANY, 100 * MIB);
    char payload[32] = "the same";

    (void)state;
    for (int distinct = 0; distinct < 2; distinct++) {
        for (int i = 0; i < MANY; i++) {
            if (distinct)
                snprintf(payload, sizeof payload, "number %d", i);
            add(shadow, payload, i);
        }
        assert_int_equal(shadow_count(shadow), MANY);
        for (int i = MANY - 1; i >= 0; i--) {
            if (distinct)
                snprintf(payload, sizeof payload, "number %d", i);
            shadow_strike(shadow, mark_of(payload), MANY);
        }
        assert_empty(shadow);
    }
    assert_false(shadow_has_dropped(shadow, 0));
    shadow_free(shadow);
}

/* The same, done with two lists and nothing else. */

enum { MODEL_MESSAGES = 12, MODEL_BYTES = 40, MODEL_ROUNDS = 200000 };

static const char *const model_payloads[] = {"", "a", "bb", "cccc", "dddddddd", "eeeeeeeeeeeeeeee"};

struct model_list {
    struct {
        int payload;
        int64_t received_ns;
    } items[MODEL_MESSAGES + 1];
    size_t count;
};

struct model {
    struct model_list messages;
    struct model_list events;
    int64_t dropped_ns;
};

static void model_remove(struct model_list *list, size_t at)
{
    list->count--;
    memmove(&list->items[at], &list->items[at + 1], (list->count - at) * sizeof list->items[0]);
}

static void model_append(struct model_list *list, int payload, int64_t now_ns)
{
    list->items[list->count].payload = payload;
    list->items[list->count].received_ns = now_ns;
    list->count++;
}

static bool model_strike(struct model_list *list, int payload)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].payload == payload) {
            model_remove(list, i);
            return true;
        }
    return false;
}

static void model_expire(struct model_list *list, int64_t before_ns)
{
    while (list->count > 0 && list->items[0].received_ns < before_ns)
        model_remove(list, 0);
}

static bool model_is_above(const struct model_list *messages)
{
    size_t bytes = 0;

    for (size_t i = 0; i < messages->count; i++)
        bytes += strlen(model_payloads[messages->items[i].payload]);
    return messages->count > MODEL_MESSAGES || bytes > MODEL_BYTES;
}

static void model_add_message(struct model *model, int payload, int64_t now_ns)
{
    if (model_strike(&model->events, payload))
        return;
    model_append(&model->messages, payload, now_ns);
    while (model_is_above(&model->messages)) {
        model_remove(&model->messages, 0);
        model->dropped_ns = now_ns;
    }
}

static void model_add_event(struct model *model, int payload, int64_t now_ns)
{
    if (model_strike(&model->messages, payload))
        return;
    model_append(&model->events, payload, now_ns);
    if (model->events.count > MODEL_MESSAGES)
        model_remove(&model->events, 0);
}

static void take_as_modelled(struct shadow *shadow, struct model *model)
{
    if (model->messages.count == 0) {
        assert_empty(shadow);
        return;
    }
    assert_next(shadow, model_payloads[model->messages.items[0].payload], model->messages.items[0].received_ns);
    model_remove(&model->messages, 0);
}

/* Mostly messages and events; at times the times stand still. */
static void do_something(struct shadow *shadow, struct model *model, int64_t *now_ns)
{
    int payload = (int)(random() % (long)(sizeof model_payloads / sizeof model_payloads[0]));
    long what = random() % 100;

    *now_ns += random() % 3;
    if (what < 48) {
        add(shadow, model_payloads[payload], *now_ns);
        model_add_message(model, payload, *now_ns);
    } else if (what < 92) {
        shadow_strike(shadow, mark_of(model_payloads[payload]), *now_ns);
        model_add_event(model, payload, *now_ns);
    } else if (what < 96) {
        int64_t before_ns = *now_ns - random() % 20;

        shadow_expire(shadow, before_ns);
        model_expire(&model->messages, before_ns);
        model_expire(&model->events, before_ns);
    } else {
        take_as_modelled(shadow, model);
    }
}

static void test_whatever_happens_it_is_as_with_two_lists(void **state)
{
    struct shadow *shadow = shadow_new(MODEL_MESSAGES, MODEL_BYTES);
    struct model model = {0};
    int64_t now_ns = 1000;

    (void)state;
    srandom(5);
    for (int i = 0; i < MODEL_ROUNDS; i++) {
        do_something(shadow, &model, &now_ns);
        assert_int_equal(shadow_count(shadow), model.messages.count);
        assert_int_equal(fake_messages_alive(), model.messages.count);
        assert_int_equal(shadow_has_dropped(shadow, now_ns - 5), model.dropped_ns >= now_ns - 5);
    }
    assert_true(model.dropped_ns > 0);
    while (model.messages.count > 0)
        take_as_modelled(shadow, &model);
    assert_empty(shadow);
    shadow_free(shadow);
}

/* Replicas of different builds and machines must agree. */
static void test_a_mark_is_the_same_everywhere(void **state)
{
    (void)state;
    assert_true(shadow_mark("", "", 0) != 0);
    assert_true(shadow_mark("metrics.a", "{\"companyId\":\"acme\"}", 20) == UINT64_C(0xc388d3b594cfa92e));
}

static void test_other_bytes_or_sizes_make_another_mark(void **state)
{
    static const char zeros[32] = "";
    char payload[27] = "{\"companyId\":\"acme\",\"n\":1}";
    uint64_t mark = shadow_mark("s", payload, sizeof payload);

    (void)state;
    for (size_t bit = 0; bit < 8 * sizeof payload; bit++) {
        payload[bit / 8] = (char)(payload[bit / 8] ^ 1 << bit % 8);
        assert_true(shadow_mark("s", payload, sizeof payload) != mark);
        payload[bit / 8] = (char)(payload[bit / 8] ^ 1 << bit % 8);
    }
    assert_true(shadow_mark("t", payload, sizeof payload) != mark);
    assert_true(shadow_mark("ab", "c", 1) != shadow_mark("a", "bc", 2));
    for (size_t a = 0; a <= sizeof zeros; a++)
        for (size_t b = 0; b < a; b++)
            assert_true(shadow_mark("s", zeros, a) != shadow_mark("s", zeros, b));
}

/* 16384 messages that hardly differ: a bucket of 256 gets about 64 of them. */
static void test_marks_of_similar_messages_spread_over_the_buckets(void **state)
{
    enum { BUCKETS = 256, EACH = 64 };
    int counts[BUCKETS] = {0};
    char payload[32];

    (void)state;
    for (int i = 0; i < BUCKETS * EACH; i++) {
        snprintf(payload, sizeof payload, "{\"n\":%d}", i);
        counts[mark_of(payload) % BUCKETS]++;
    }
    for (int i = 0; i < BUCKETS; i++)
        assert_in_range(counts[i], EACH / 2, EACH * 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_what_was_not_heard_is_taken_in_order, no_message_is_left),
        cmocka_unit_test_teardown(test_a_message_that_comes_back_gets_its_place_again, no_message_is_left),
        cmocka_unit_test_teardown(test_an_event_heard_in_front_of_its_message_strikes_it_out, no_message_is_left),
        cmocka_unit_test_teardown(test_each_event_strikes_out_the_first_of_equal_messages, no_message_is_left),
        cmocka_unit_test_teardown(test_an_event_whose_message_may_never_come_is_not_kept_for_a_later_one,
                                  no_message_is_left),
        cmocka_unit_test_teardown(test_an_event_of_no_message_strikes_out_nothing, no_message_is_left),
        cmocka_unit_test_teardown(test_messages_and_events_of_long_ago_are_forgotten, no_message_is_left),
        cmocka_unit_test_teardown(test_above_so_many_messages_the_oldest_go, no_message_is_left),
        cmocka_unit_test_teardown(test_above_so_many_bytes_the_oldest_go, no_message_is_left),
        cmocka_unit_test_teardown(test_a_message_that_never_fits_drives_out_no_other, no_message_is_left),
        cmocka_unit_test_teardown(test_events_of_messages_that_never_come_are_limited_too, no_message_is_left),
        cmocka_unit_test_teardown(test_what_is_held_is_freed, no_message_is_left),
        cmocka_unit_test_teardown(test_many_messages_equal_or_not_take_no_longer_each, no_message_is_left),
        cmocka_unit_test_teardown(test_whatever_happens_it_is_as_with_two_lists, no_message_is_left),
        cmocka_unit_test(test_a_mark_is_the_same_everywhere),
        cmocka_unit_test(test_other_bytes_or_sizes_make_another_mark),
        cmocka_unit_test(test_marks_of_similar_messages_spread_over_the_buckets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
