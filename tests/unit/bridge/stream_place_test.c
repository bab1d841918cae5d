/* Where the owner reads its stream: bridge/stream_place.c over a store on a script. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "bridge/stream_place.h"
#include "support/bridge_rig.h"
#include "support/fake_clock.h"
#include "support/fake_source.h"
#include "support/fake_stream.h"

#define NOW INT64_C(1700000000000)
#define MADE UINT64_C(1600000000000000)
#define HOUR_MS (INT64_C(3600) * 1000)

static struct bridge_rig rig;
static struct stream_reader *reader;
static struct stream_place *place;

static void make(enum store_state store, int64_t from_ms)
{
    fake_clock_set_ms(NOW);
    bridge_rig_init(&rig, &(struct bridge_rig_options){.state = store, .has_stream = true});
    reader = fake_stream_new();
    place = stream_place_new(&(struct stream_place_options){
        .store = fake_store_base(rig.store),
        .reader = reader,
        .companies = rig.companies,
        .stream = "EVENTS",
        .ttl_ms = HOUR_MS,
        .from_ms = from_ms,
    });
    assert_non_null(place);
}

static int set_up(void **state)
{
    (void)state;
    make(STORE_READY, 0);
    return 0;
}

static int set_up_lost(void **state)
{
    (void)state;
    make(STORE_LOST, 0);
    return 0;
}

static int set_up_replay(void **state)
{
    (void)state;
    make(STORE_READY, NOW - 7);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    bridge_rig_release(&rig);
    stream_place_free(place);
    fake_stream_free(reader);
    assert_int_equal(fake_messages_alive(), 0);
    return 0;
}

static void take(const char *company, uint64_t sequence)
{
    bridge_rig_stream(&rig, company, (int)sequence, MADE + sequence, NOW);
    stream_place_note(place, MADE + sequence);
}

static void assert_saved(uint64_t sequence)
{
    stream_place_tick(place);
    assert_int_equal(fake_store_place(rig.store, "EVENTS"), sequence);
}

static void begin(void)
{
    stream_place_begin(place, rig.fanout);
    fake_store_answer_all(rig.store);
    assert_true(fake_stream_is_reading(reader));
}

static void it_begins_where_the_owner_before_had_got_to(void **state)
{
    (void)state;
    fake_store_set_place(rig.store, "EVENTS", MADE + 50);
    fake_store_set_place(rig.store, "EVENTS.base", MADE);
    stream_place_begin(place, rig.fanout);
    assert_int_equal(fake_stream_starts(reader), 0);
    fake_store_answer_all(rig.store);
    assert_int_equal(fake_stream_starts(reader), 1);
    assert_int_equal(fake_stream_start(reader).place, MADE + 50);
    assert_int_equal(fake_stream_start(reader).base, MADE);
    stream_place_end(place);
    assert_false(fake_stream_is_reading(reader));
}

static void the_first_time_it_begins_as_far_back_as_events_are_kept(void **state)
{
    (void)state;
    begin();
    assert_int_equal(fake_stream_start(reader).place, 0);
    assert_int_equal(fake_stream_start(reader).from_ms, NOW - HOUR_MS);
}

static void who_ended_meanwhile_does_not_begin(void **state)
{
    (void)state;
    stream_place_begin(place, rig.fanout);
    stream_place_end(place);
    fake_store_answer_all(rig.store);
    assert_int_equal(fake_stream_starts(reader), 0);
    begin();
    assert_int_equal(fake_stream_starts(reader), 1);
}

/* What was heard may stand behind a message that the owner before had not numbered. */
static void without_the_store_it_begins_where_the_owner_before_said_it_was(void **state)
{
    (void)state;
    take("acme", 9);
    stream_place_begin(place, rig.fanout);
    fake_store_answer_all(rig.store);
    stream_place_tick(place);
    assert_int_equal(fake_stream_starts(reader), 0);
    stream_place_hear_done(place, MADE + 7);
    stream_place_hear_done(place, MADE + 6);
    stream_place_hear_done(place, 0);
    stream_place_tick(place);
    assert_int_equal(fake_stream_starts(reader), 1);
    assert_int_equal(fake_stream_start(reader).place, MADE + 7);
    assert_int_equal(stream_place_done(place), MADE + 7);
}

/* Also where there was nothing to take. */
static void what_it_says_of_a_stream_without_news_is_its_end(void **state)
{
    (void)state;
    begin();
    assert_int_equal(stream_place_done(place), 0);
    fake_stream_set_end(reader, MADE + 5);
    stream_place_run(place);
    assert_int_equal(stream_place_done(place), MADE + 5);
    assert_saved(MADE + 5);
}

static void what_it_says_is_where_all_in_front_of_is_numbered(void **state)
{
    (void)state;
    assert_int_equal(stream_place_done(place), 0);
    begin();
    assert_int_equal(stream_place_done(place), 0);
    take("acme", 1);
    assert_int_equal(stream_place_done(place), MADE); /* its head is not read yet */
    bridge_rig_settle(&rig);
    assert_int_equal(stream_place_done(place), MADE + 1);
    take("beta", 2);
    take("acme", 3);
    stream_place_note(place, MADE + 4);
    assert_int_equal(stream_place_done(place), MADE + 1);
    bridge_rig_settle(&rig);
    assert_int_equal(stream_place_done(place), MADE + 4);
    stream_place_end(place);
    assert_int_equal(stream_place_done(place), 0);
}

static void the_place_is_what_all_in_front_of_is_appended(void **state)
{
    (void)state;
    begin();
    take("acme", 1);
    take("beta", 2);
    take("acme", 3);
    assert_saved(MADE); /* their heads are not read yet */
    fake_store_answer(rig.store);
    fake_store_answer(rig.store);
    bridge_rig_flush_late(&rig);
    assert_saved(MADE);
    assert_int_equal(fake_store_first(rig.store), FAKE_APPEND);
    fake_store_answer(rig.store);
    /* The first append is of one of the two companies. */
    stream_place_tick(place);
    assert_true(fake_store_place(rig.store, "EVENTS") <= MADE + 1);
    bridge_rig_settle(&rig);
    assert_saved(MADE + 3);
    /* What is refused, or known, counts as done. */
    take("acme", 2);
    stream_place_note(place, MADE + 4);
    assert_saved(MADE + 4);
}

/* Nothing of what comes behind it counts, and it does not begin where it failed until the next tick. */
static void what_had_no_memory_is_read_again_from_its_place(void **state)
{
    (void)state;
    begin();
    take("acme", 1);
    take("acme", 2);
    take("acme", 3);
    stream_place_go_back(place, MADE + 2);
    assert_false(fake_stream_is_reading(reader));
    stream_place_note(place, MADE + 9);
    stream_place_save(place);
    assert_int_equal(fake_store_place(rig.store, "EVENTS"), 0);
    stream_place_tick(place);
    assert_true(fake_stream_is_reading(reader));
    assert_int_equal(fake_stream_starts(reader), 2);
    assert_int_equal(fake_stream_start(reader).place, MADE + 1);
    bridge_rig_settle(&rig);
    assert_saved(MADE + 1);
    take("acme", 4);
    bridge_rig_settle(&rig);
    assert_saved(MADE + 4);
}

/* The next owner begins where this one had saved. */
static void who_ends_does_not_read_again(void **state)
{
    (void)state;
    begin();
    take("acme", 1);
    stream_place_go_back(place, MADE + 1);
    stream_place_end(place);
    stream_place_tick(place);
    assert_int_equal(fake_stream_starts(reader), 1);
    fake_store_answer_all(rig.store);
    fake_store_set_place(rig.store, "EVENTS", MADE + 50);
    begin();
    assert_int_equal(fake_stream_start(reader).place, MADE + 50);
}

static void nothing_is_saved_that_the_store_has_not_confirmed(void **state)
{
    (void)state;
    begin();
    take("acme", 1);
    bridge_rig_settle(&rig);
    assert_saved(MADE + 1);
    fake_store_lose(rig.store, 0);
    take("acme", 2);
    take("beta", 3);
    assert_saved(MADE + 1);
    fake_store_restore(rig.store);
    assert_saved(MADE + 1);
    bridge_rig_settle(&rig);
    bridge_rig_tick(&rig);
    bridge_rig_settle(&rig);
    assert_saved(MADE + 3);
}

static void who_does_not_read_saves_nothing(void **state)
{
    (void)state;
    begin();
    take("acme", 1);
    bridge_rig_settle(&rig);
    stream_place_end(place);
    assert_saved(0);
}

static void a_shifted_base_is_saved_with_the_place(void **state)
{
    (void)state;
    begin();
    fake_stream_set_base(reader, MADE);
    take("acme", 1);
    bridge_rig_settle(&rig);
    assert_saved(MADE + 1);
    assert_int_equal(fake_store_place(rig.store, "EVENTS.base"), MADE);
}

static void a_replay_begins_where_it_is_told_and_leaves_a_saved_place(void **state)
{
    (void)state;
    fake_store_set_place(rig.store, "EVENTS", MADE + 50);
    begin();
    assert_int_equal(fake_stream_start(reader).place, 0);
    assert_int_equal(fake_stream_start(reader).from_ms, NOW - 7);
    take("acme", 60);
    bridge_rig_settle(&rig);
    assert_saved(MADE + 50);
}

static void a_replay_of_a_lost_store_saves_its_place(void **state)
{
    (void)state;
    begin();
    take("acme", 60);
    bridge_rig_settle(&rig);
    assert_saved(MADE + 60);
}

static bool has_caught_up(void)
{
    stream_place_run(place);
    return stream_place_has_caught_up(place);
}

static void it_has_caught_up_once_all_that_was_there_is_numbered(void **state)
{
    (void)state;
    begin();
    assert_false(has_caught_up());
    take("acme", 1);
    take("beta", 2);
    fake_stream_set_end(reader, MADE + 1);
    assert_false(has_caught_up()); /* the head is not read yet */
    fake_store_answer(rig.store);
    assert_true(has_caught_up());
    /* Once is enough: what comes later is new. */
    fake_stream_set_end(reader, MADE + 2);
    assert_true(has_caught_up());
    stream_place_end(place);
    assert_false(has_caught_up());
}

static void without_a_stream_nothing_is_done(void **state)
{
    (void)state;
    stream_place_begin(NULL, rig.fanout);
    stream_place_note(NULL, 1);
    stream_place_run(NULL);
    stream_place_tick(NULL);
    stream_place_save(NULL);
    stream_place_retire(NULL);
    stream_place_end(NULL);
    stream_place_hear_done(NULL, 1);
    assert_int_equal(stream_place_done(NULL), 0);
    assert_false(stream_place_has_caught_up(NULL));
    assert_false(stream_place_is_refilling(NULL));
    assert_true(stream_place_deadline_ns(NULL) == INT64_MAX);
    stream_place_free(NULL);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
#define TEST_LOST(test) cmocka_unit_test_setup_teardown(test, set_up_lost, tear_down)
#define TEST_REPLAY(test) cmocka_unit_test_setup_teardown(test, set_up_replay, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_begins_where_the_owner_before_had_got_to),
        TEST(the_first_time_it_begins_as_far_back_as_events_are_kept),
        TEST(who_ended_meanwhile_does_not_begin),
        TEST_LOST(without_the_store_it_begins_where_the_owner_before_said_it_was),
        TEST(what_it_says_of_a_stream_without_news_is_its_end),
        TEST(what_it_says_is_where_all_in_front_of_is_numbered),
        TEST(the_place_is_what_all_in_front_of_is_appended),
        TEST(what_had_no_memory_is_read_again_from_its_place),
        TEST(who_ends_does_not_read_again),
        TEST(nothing_is_saved_that_the_store_has_not_confirmed),
        TEST(who_does_not_read_saves_nothing),
        TEST(a_shifted_base_is_saved_with_the_place),
        TEST(it_has_caught_up_once_all_that_was_there_is_numbered),
        TEST(without_a_stream_nothing_is_done),
        TEST_REPLAY(a_replay_begins_where_it_is_told_and_leaves_a_saved_place),
        TEST_REPLAY(a_replay_of_a_lost_store_saves_its_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
