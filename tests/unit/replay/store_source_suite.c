/* What both kinds of store keep of events that come from a stream: their places in it, and the reader's. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "tests/unit/replay/store_client.h"
#include "tests/unit/replay/store_suite.h"

static const struct store_limits roomy = {.ttl_ms = 3600000, .max_events = 1000000, .max_bytes = 1 << 28};
static const struct event_position beginning = {0, 0};

static struct store *store;
static struct store_suite *running;

static int set_up(void **state)
{
    (void)state;
    store = running->open(&roomy);
    store_set_epoch(store, 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    store_free(store);
    return 0;
}

static struct events events_from(uint64_t source)
{
    uint64_t ms = (uint64_t)clock_unix_ms() - 60000;

    return (struct events){
        .company = "acme", .first = {.ms = ms, .seq = 1}, .ms_step = 1, .since_ms = ms, .first_source = source};
}

/* Appends events from..from + count - 1. */
static void append(const struct events *events, size_t from, size_t count)
{
    struct answer answer;

    events_start_append(store, events, from, count, &answer);
    store_wait(store, &answer);
    assert_int_equal(answer.status, 0);
}

static void the_head_has_the_place_of_the_last_event(void **state)
{
    struct events events = events_from(1000);
    struct page page;

    (void)state;
    append(&events, 0, 10);
    assert_int_equal(head_load(store, "acme").source, 1009);
    page_read(store, "acme", beginning, 100, 1 << 20, &page);
    assert_int_equal(page.page.head.source, 1009);
    page_release(&page);
}

static void events_of_no_stream_have_no_place_and_leave_it(void **state)
{
    struct events events = events_from(0);

    (void)state;
    append(&events, 0, 10);
    assert_int_equal(head_load(store, "acme").source, 0);
    events.first_source = 1000;
    append(&events, 10, 10);
    assert_int_equal(head_load(store, "acme").source, 1019);
    events.first_source = 0;
    append(&events, 20, 10);
    assert_int_equal(head_load(store, "acme").source, 1019);
    assert_int_equal(read_all(store, "acme", beginning, 100, NULL), 30);
}

static void an_event_of_the_stream_is_held_once_whatever_its_number(void **state)
{
    struct events events = events_from(1000);

    (void)state;
    append(&events, 0, 10);
    /* Another process read them again from the fifth, and gave them later numbers. */
    events.first = (struct event_position){.ms = events.first.ms + 1000, .seq = 100};
    events.first_source = 1004;
    append(&events, 0, 10);
    assert_int_equal(read_all(store, "acme", beginning, 100, NULL), 14);
    assert_int_equal(head_load(store, "acme").source, 1013);
    assert_int_equal(head_load(store, "acme").position.seq, 109);
    /* The same once more. */
    append(&events, 0, 10);
    assert_int_equal(read_all(store, "acme", beginning, 100, NULL), 14);
}

static void a_hole_has_no_place(void **state)
{
    struct events events = events_from(1000);
    struct frame *frames[3];
    uint64_t sources[] = {1010, 0, 1011};
    struct answer answer;

    (void)state;
    append(&events, 0, 10);
    frames[0] = events_frame(&events, 10);
    frames[1] = hole_frame((struct event_position){.ms = events.first.ms + 11, .seq = 11});
    frames[2] = events_frame(&events, 12);
    frames_start_append(
        store, &(struct store_append){.company = "acme", .frames = frames, .sources = sources, .count = 3}, &answer);
    store_wait(store, &answer);
    assert_int_equal(answer.status, 0);
    for (size_t i = 0; i < 3; i++)
        frame_unref(frames[i]);
    assert_int_equal(read_all(store, "acme", beginning, 100, NULL), 13);
    assert_int_equal(head_load(store, "acme").source, 1011);
}

static void a_full_append_fits(void **state)
{
    struct events events = events_from(EVENT_NUMBER_MAX - STORE_APPEND_MAX);

    (void)state;
    append(&events, 0, STORE_APPEND_MAX);
    assert_int_equal(read_all(store, "acme", beginning, 100, NULL), STORE_APPEND_MAX);
    assert_int_equal(head_load(store, "acme").source, EVENT_NUMBER_MAX - 1);
}

static void a_place_goes_only_forwards(void **state)
{
    (void)state;
    assert_int_equal(place_load(store, "EVENTS"), 0);
    store_save_place(store, "EVENTS", 7);
    assert_int_equal(place_load(store, "EVENTS"), 7);
    store_save_place(store, "EVENTS", 5);
    assert_int_equal(place_load(store, "EVENTS"), 7);
    store_save_place(store, "EVENTS", EVENT_NUMBER_MAX);
    assert_int_equal(place_load(store, "EVENTS"), EVENT_NUMBER_MAX);
}

static void each_stream_has_its_own_place(void **state)
{
    char longest[STORE_STREAM_MAX + 1];

    (void)state;
    memset(longest, 's', STORE_STREAM_MAX);
    longest[STORE_STREAM_MAX] = '\0';
    store_save_place(store, "a", 1);
    store_save_place(store, longest, 2);
    store_save_place(store, "{a} b:%s", 3);
    assert_int_equal(place_load(store, "a"), 1);
    assert_int_equal(place_load(store, longest), 2);
    assert_int_equal(place_load(store, "{a} b:%s"), 3);
    assert_int_equal(place_load(store, "b"), 0);
}

static void without_an_epoch_no_place_is_saved(void **state)
{
    (void)state;
    store_set_epoch(store, 0);
    store_save_place(store, "EVENTS", 7);
    assert_int_equal(place_load(store, "EVENTS"), 0);
}

static void a_store_that_ends_answers_for_a_place(void **state)
{
    struct answer answer;

    (void)state;
    place_start(store, "EVENTS", &answer);
    store_free(store);
    store = NULL;
    assert_int_equal(answer.calls, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int store_source_suite_run(const char *name, struct store_suite *suite)
{
    const struct CMUnitTest tests[] = {
        TEST(the_head_has_the_place_of_the_last_event),
        TEST(events_of_no_stream_have_no_place_and_leave_it),
        TEST(an_event_of_the_stream_is_held_once_whatever_its_number),
        TEST(a_hole_has_no_place),
        TEST(a_full_append_fits),
        TEST(a_place_goes_only_forwards),
        TEST(each_stream_has_its_own_place),
        TEST(without_an_epoch_no_place_is_saved),
        TEST(a_store_that_ends_answers_for_a_place),
    };

    running = suite;
    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}
