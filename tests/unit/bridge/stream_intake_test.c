/* Numbering what comes from a stream: bridge/intake.c over a store on a script. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "support/bridge_rig.h"
#include "support/fake_clock.h"
#include "support/fake_source.h"

#define NOW INT64_C(1700000000000)
#define MADE UINT64_C(1600000000000000)

static struct bridge_rig rig;

/* The next calls of these that have no memory. */
static int frames_to_fail;
static int companies_to_fail;
static int parkings_to_fail;

int __real_fanout_add(struct fanout *fanout, struct company *company, struct frame *frame);
int __wrap_fanout_add(struct fanout *fanout, struct company *company, struct frame *frame);
struct company *__real_heads_get(struct heads *heads, const char *name);
struct company *__wrap_heads_get(struct heads *heads, const char *name);
bool __real_heads_park(struct heads *heads, struct company *company, const struct parked *item);
bool __wrap_heads_park(struct heads *heads, struct company *company, const struct parked *item);

int __wrap_fanout_add(struct fanout *fanout, struct company *company, struct frame *frame)
{
    return frames_to_fail > 0 && frames_to_fail-- > 0 ? -ENOMEM : __real_fanout_add(fanout, company, frame);
}

struct company *__wrap_heads_get(struct heads *heads, const char *name)
{
    return companies_to_fail > 0 && companies_to_fail-- > 0 ? NULL : __real_heads_get(heads, name);
}

bool __wrap_heads_park(struct heads *heads, struct company *company, const struct parked *item)
{
    return parkings_to_fail > 0 && parkings_to_fail-- > 0 ? false : __real_heads_park(heads, company, item);
}

static int set_up(void **state)
{
    (void)state;
    fake_clock_set_ms(NOW);
    bridge_rig_init(&rig, &(struct bridge_rig_options){.state = STORE_READY, .has_stream = true});
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_false(fake_store_misused(rig.store));
    bridge_rig_release(&rig);
    assert_int_equal(fake_messages_alive(), 0);
    return 0;
}

/* Messages 1 to `last` of a stream, every third one of beta; some come in the same millisecond, one with an older time. */
static void read_stream(int first, int last)
{
    for (int n = first; n <= last; n++)
        bridge_rig_stream(&rig, n % 3 == 0 ? "beta" : "acme", n, MADE + (uint64_t)n,
                          NOW - 5000 + n / 2 - (n == 7 ? 50 : 0));
}

/* The numbers of all events of the company in memory. */
static size_t numbers(const char *company, struct event_position ret_positions[64])
{
    const struct ring *ring = bridge_rig_company(&rig, company)->recent;
    size_t count = 0;

    for (uint64_t slot = ring_begin(ring); slot < ring_end(ring); slot++)
        ret_positions[count++] = frame_position(ring_frame(ring, slot));
    return count;
}

static void a_number_is_the_time_in_the_stream_and_a_count(void **state)
{
    struct event_position got[64];

    (void)state;
    read_stream(1, 9);
    fake_store_answer_all(rig.store);
    assert_int_equal(numbers("acme", got), 6);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(got[i].seq, i + 1);
    assert_int_equal(got[0].ms, NOW - 5000);
    assert_int_equal(got[1].ms, NOW - 4999);
    assert_int_equal(got[3].ms, NOW - 4998);
    assert_int_equal(got[4].ms, NOW - 4998); /* its own time is older */
    bridge_rig_settle(&rig);
    assert_int_equal(fake_store_head(rig.store, "acme").source, MADE + 8);
    assert_int_equal(fake_store_head(rig.store, "beta").source, MADE + 9);
}

static void what_is_read_again_after_a_crash_gets_the_same_numbers(void **state)
{
    struct event_position before[64];
    struct event_position after[64];
    size_t count;

    (void)state;
    read_stream(1, 20);
    fake_store_answer_all(rig.store);
    count = numbers("acme", before);
    bridge_rig_restart(&rig);
    fake_clock_advance_ms(60000);
    read_stream(1, 20);
    fake_store_answer_all(rig.store);
    assert_int_equal(numbers("acme", after), count);
    assert_memory_equal(after, before, count * sizeof before[0]);
}

static void what_the_store_has_is_passed_over_when_it_is_read_again(void **state)
{
    struct event_position before[64];
    struct event_position after[64];
    size_t count;

    (void)state;
    read_stream(1, 10);
    bridge_rig_settle(&rig);
    read_stream(11, 20);
    count = numbers("acme", before);
    bridge_rig_restart(&rig);
    read_stream(4, 20);
    fake_store_answer_all(rig.store);
    assert_int_equal(metrics_get(rig.metrics, METRIC_EVENTS_DUPLICATE), 7);
    /* Seven of the first ten messages are acme's. */
    assert_int_equal(numbers("acme", after), count - 7);
    assert_memory_equal(after, before + 7, (count - 7) * sizeof before[0]);
    bridge_rig_settle(&rig);
    assert_int_equal(fake_store_count(rig.store, "acme"), count);
}

static void a_message_that_comes_twice_is_one_event(void **state)
{
    (void)state;
    read_stream(1, 10);
    read_stream(1, 10);
    fake_store_answer_all(rig.store);
    read_stream(1, 12);
    bridge_rig_settle(&rig);
    assert_int_equal(fake_store_count(rig.store, "acme") + fake_store_count(rig.store, "beta"), 12);
}

/* Two that both believe that they own the intake read the same, and give the same numbers: the store has each once. */
static void two_readers_do_no_harm(void **state)
{
    struct bridge_rig other;
    struct event_position here[64];
    struct event_position there[64];
    struct bridge_rig first;
    size_t count;

    (void)state;
    read_stream(1, 10);
    bridge_rig_settle(&rig);
    read_stream(11, 20);
    count = numbers("acme", here);
    bridge_rig_init(&other, &(struct bridge_rig_options){.state = STORE_READY, .has_stream = true});
    first = rig;
    rig = other;
    read_stream(1, 20);
    bridge_rig_settle(&rig);
    assert_int_equal(numbers("acme", there), count);
    assert_memory_equal(here, there, count * sizeof here[0]);
    bridge_rig_release(&rig);
    rig = first;
}

static void subjects_that_are_not_wanted_are_passed_over(void **state)
{
    (void)state;
    intake_take(rig.intake,
                &(struct source_item){.message = fake_message_new("orders.made", "{\"companyId\":\"acme\"}"),
                                      .sequence = MADE + 1,
                                      .stamp_ms = NOW});
    assert_null(bridge_rig_company(&rig, "acme"));
    assert_int_equal(metrics_get(rig.metrics, METRIC_REJECTED_NO_EVENT_NAME), 0);
}

/* Until now the company's events came by core NATS: those that the stream has too are not told twice. */
static void a_company_of_core_nats_goes_on_in_the_stream(void **state)
{
    struct event_position got[64];

    (void)state;
    fake_store_put(rig.store, "acme", (struct event_position){.ms = NOW - 4998, .seq = 40});
    read_stream(1, 8);
    fake_store_answer_all(rig.store);
    /* Four of the six are older than the last event, and one comes again in its time; in front of what is new stands a hole. */
    assert_int_equal(numbers("acme", got), 2);
    assert_int_equal(got[0].seq, 40);
    assert_int_equal(got[1].seq, 41);
    assert_int_equal(frame_kind(ring_frame(bridge_rig_company(&rig, "acme")->recent,
                                           ring_begin(bridge_rig_company(&rig, "acme")->recent))),
                     FRAME_HOLE);
}

static void refused_messages_are_counted_again_when_they_are_read_again(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++)
        intake_take(rig.intake, &(struct source_item){.message = fake_message_new("metrics.x", "no JSON"),
                                                      .sequence = MADE + 1,
                                                      .stamp_ms = NOW});
    assert_int_equal(metrics_get(rig.metrics, METRIC_REJECTED_NOT_JSON), 2);
}

/* Reads on to message 12 with what fails, and again from where it failed: all is there, as if nothing had. */
static void read_with_failures(uint64_t failed)
{
    struct event_position got[64];

    read_stream(4, 12);
    fake_store_answer_all(rig.store);
    assert_int_equal(intake_take_failed(rig.intake), failed);
    assert_int_equal(intake_take_failed(rig.intake), 0);
    read_stream((int)(failed - MADE), 12);
    fake_store_answer_all(rig.store);
    assert_int_equal(intake_take_failed(rig.intake), 0);
    assert_int_equal(metrics_get(rig.metrics, METRIC_DROPPED_MEMORY), 0);
    assert_int_equal(numbers("acme", got), 8);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(got[i].seq, i + 1);
    assert_int_equal(numbers("beta", got), 4);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(got[i].seq, i + 1);
    bridge_rig_settle(&rig);
    assert_int_equal(fake_store_count(rig.store, "acme") + fake_store_count(rig.store, "beta"), 12);
}

static void a_message_that_has_no_memory_is_read_again_and_all_behind_it(void **state)
{
    (void)state;
    read_stream(1, 3);
    fake_store_answer_all(rig.store);
    frames_to_fail = 1;
    read_with_failures(MADE + 4);
}

static void a_message_whose_company_has_no_memory_is_read_again(void **state)
{
    (void)state;
    read_stream(1, 3);
    fake_store_answer_all(rig.store);
    companies_to_fail = 1;
    read_with_failures(MADE + 4);
}

static void a_message_that_cannot_be_parked_is_read_again(void **state)
{
    (void)state;
    read_stream(1, 3);
    parkings_to_fail = 1;
    read_with_failures(MADE + 4);
}

/* Both companies had parked some; of the second one those go on that the first one's failure does not concern. */
static void a_message_that_was_parked_is_read_again(void **state)
{
    (void)state;
    read_stream(1, 3);
    frames_to_fail = 1;
    read_with_failures(MADE + 1);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_number_is_the_time_in_the_stream_and_a_count),
        TEST(what_is_read_again_after_a_crash_gets_the_same_numbers),
        TEST(what_the_store_has_is_passed_over_when_it_is_read_again),
        TEST(a_message_that_comes_twice_is_one_event),
        TEST(two_readers_do_no_harm),
        TEST(subjects_that_are_not_wanted_are_passed_over),
        TEST(a_company_of_core_nats_goes_on_in_the_stream),
        TEST(a_message_that_has_no_memory_is_read_again_and_all_behind_it),
        TEST(a_message_whose_company_has_no_memory_is_read_again),
        TEST(a_message_that_cannot_be_parked_is_read_again),
        TEST(a_message_that_was_parked_is_read_again),
        TEST(refused_messages_are_counted_again_when_they_are_read_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
