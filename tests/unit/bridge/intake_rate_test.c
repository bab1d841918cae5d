/* What a company publishes above its rates: bridge/intake.c over a store on a script. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "replay/redis_member.h"
#include "support/bridge_rig.h"
#include "support/fake_clock.h"
#include "support/fake_source.h"

static struct bridge_rig rig;

static int set_up(void **state)
{
    (void)state;
    fake_clock_set_ms(INT64_C(1700000000000));
    bridge_rig_init(&rig, &(struct bridge_rig_options){.state = STORE_READY, .events_per_second = 5});
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    bridge_rig_release(&rig);
    assert_int_equal(fake_messages_alive(), 0);
    return 0;
}

static void publish(const char *company, int first, int last)
{
    for (int i = first; i <= last; i++)
        bridge_rig_publish(&rig, company, i);
}

/* A company in memory, whose numbering is known, that has had its burst of ten. */
static void exhaust(const char *company)
{
    publish(company, 1, 10);
    fake_store_answer_all(rig.store);
}

/* What is in memory: the number of each event; S and L for holes of the source and of the limit. */
static const char *story(const char *company)
{
    static char text[1024];
    const struct ring *ring = bridge_rig_company(&rig, company)->recent;
    size_t size = 0;

    text[0] = '\0';
    for (uint64_t slot = ring_begin(ring); slot < ring_end(ring); slot++) {
        const struct frame *frame = ring_frame(ring, slot);
        struct buffer payload = buffer_make(1024);
        const char *number;

        frame_append_payload(frame, &payload);
        buffer_append(&payload, "", 1);
        number = strstr(payload.data, "\"n\":");
        if (frame_kind(frame) == FRAME_HOLE)
            number = gap_hole_reason(frame) == GAP_RATE_LIMITED ? "    L" : "    S";
        size += (size_t)snprintf(text + size, sizeof text - size, "%s%.*s", size > 0 ? " " : "",
                                 (int)strcspn(number + 4, "}"), number + 4);
        buffer_release(&payload);
    }
    return text;
}

static int64_t dropped(void)
{
    return metrics_get(rig.metrics, METRIC_DROPPED_RATE_LIMITED);
}

static void the_hole_stands_at_the_first_dropped_event(void **state)
{
    (void)state;
    exhaust("acme");
    publish("acme", 11, 11);
    assert_string_equal(story("acme"), "1 2 3 4 5 6 7 8 9 10 L");
    publish("acme", 12, 20);
    assert_string_equal(story("acme"), "1 2 3 4 5 6 7 8 9 10 L");
    assert_int_equal(dropped(), 10);
    assert_int_equal(metrics_get(rig.metrics, METRIC_EVENTS_ACCEPTED), 10);
}

static void numbers_stay_dense_over_the_hole(void **state)
{
    const struct ring *ring;

    (void)state;
    exhaust("acme");
    publish("acme", 11, 15);
    fake_clock_advance_ms(1000);
    publish("acme", 16, 17);
    assert_string_equal(story("acme"), "1 2 3 4 5 6 7 8 9 10 L L 16 17");
    ring = bridge_rig_company(&rig, "acme")->recent;
    assert_int_equal(frame_position(ring_frame(ring, ring_end(ring) - 1)).seq, 12);
}

static void the_hole_has_a_reason_and_no_number(void **state)
{
    struct buffer payload = buffer_make(1024);
    const struct ring *ring;

    (void)state;
    exhaust("acme");
    publish("acme", 11, 11);
    ring = bridge_rig_company(&rig, "acme")->recent;
    frame_append_payload(ring_frame(ring, ring_end(ring) - 1), &payload);
    buffer_append(&payload, "", 1);
    assert_string_equal(payload.data,
                        "{\"reason\":\"rate_limited\",\"requested\":null,\"oldest\":null,\"missed\":null}");
    buffer_release(&payload);
}

static void other_companies_notice_nothing(void **state)
{
    (void)state;
    for (int i = 1; i <= 8; i++) {
        publish("acme", 2 * i - 1, 2 * i);
        publish("beta", i, i);
        fake_store_answer_all(rig.store);
    }
    assert_string_equal(story("acme"), "1 2 3 4 5 6 7 8 9 10 L");
    assert_string_equal(story("beta"), "1 2 3 4 5 6 7 8");
}

static void the_rate_counts_where_messages_wait_for_their_numbering(void **state)
{
    (void)state;
    publish("acme", 1, 12);
    assert_int_equal(dropped(), 2);
    bridge_rig_hole(&rig);
    fake_clock_advance_ms(600);
    publish("acme", 13, 13);
    /* What waited long is no burst. */
    fake_clock_advance_ms(60000);
    fake_store_answer_all(rig.store);
    assert_string_equal(story("acme"), "1 2 3 4 5 6 7 8 9 10 L S L 13");
}

static void what_waited_at_the_source_is_no_burst(void **state)
{
    int64_t came_ns = clock_monotonic_ns();

    (void)state;
    exhaust("acme");
    for (int i = 11; i <= 30; i++) {
        char payload[64];
        struct source_item item = {.received_ns = came_ns + (i - 10) * INT64_C(200000000)};

        snprintf(payload, sizeof payload, "{\"companyId\":\"acme\",\"n\":%d}", i);
        item.message = fake_message_new("metrics.x", payload);
        intake_take(rig.intake, &item);
    }
    assert_int_equal(dropped(), 0);
}

static void the_end_is_told_when_the_company_goes_quiet(void **state)
{
    (void)state;
    exhaust("acme");
    publish("acme", 11, 12);
    fake_clock_advance_ms(499);
    bridge_rig_tick(&rig);
    assert_string_equal(story("acme"), "1 2 3 4 5 6 7 8 9 10 L");
    fake_clock_advance_ms(1);
    bridge_rig_tick(&rig);
    bridge_rig_tick(&rig);
    assert_string_equal(story("acme"), "1 2 3 4 5 6 7 8 9 10 L L");
    fake_clock_advance_ms(500);
    publish("acme", 13, 13);
    assert_string_equal(story("acme"), "1 2 3 4 5 6 7 8 9 10 L L 13");
}

static void bytes_are_those_of_the_payload(void **state)
{
    (void)state;
    bridge_rig_release(&rig);
    /* {"companyId":"acme","n":1} has 26; the burst is two seconds. */
    bridge_rig_init(&rig, &(struct bridge_rig_options){.state = STORE_READY, .bytes_per_second = 39});
    publish("acme", 1, 4);
    fake_store_answer_all(rig.store);
    assert_string_equal(story("acme"), "1 2 3 L");
}

static void without_a_limit_nothing_is_dropped(void **state)
{
    (void)state;
    bridge_rig_release(&rig);
    bridge_rig_init(&rig, &(struct bridge_rig_options){.state = STORE_READY});
    publish("acme", 1, 900);
    fake_store_answer_all(rig.store);
    assert_int_equal(dropped(), 0);
    assert_int_equal(metrics_get(rig.metrics, METRIC_EVENTS_ACCEPTED), 900);
}

static void dropped_events_are_no_dead_letters(void **state)
{
    int before = fake_forwards();

    (void)state;
    exhaust("acme");
    publish("acme", 11, 20);
    assert_int_equal(fake_forwards(), before);
}

/* Whose events are all refused has no number, and would be forgotten at once. */
static void a_company_does_not_escape_by_being_forgotten(void **state)
{
    static char payload[70000];

    (void)state;
    /* Below the limit as a payload, above it once encoded. */
    memset(payload, ' ', 65536 - 10);
    memcpy(payload, "{\"companyId\":\"acme\"}", 20);
    for (int i = 0; i < 12; i++) {
        struct source_item item = {.received_ns = clock_monotonic_ns()};

        item.message = fake_message_new("metrics.x", payload);
        intake_take(rig.intake, &item);
        fake_store_answer_all(rig.store);
        bridge_rig_tick(&rig);
    }
    assert_int_equal(metrics_get(rig.metrics, METRIC_REJECTED_TOO_LARGE), 10);
    assert_int_equal(dropped(), 2);
    fake_clock_advance_ms(1999);
    bridge_rig_tick(&rig);
    assert_non_null(bridge_rig_company(&rig, "acme"));
    fake_clock_advance_ms(2);
    bridge_rig_tick(&rig);
    assert_null(bridge_rig_company(&rig, "acme"));
}

static void the_reason_outlives_the_store(void **state)
{
    static const enum gap_reason reasons[] = {GAP_SOURCE, GAP_RATE_LIMITED};

    (void)state;
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        struct buffer member = buffer_make(4096);
        struct frame *written = gap_hole(reasons[i], (struct event_position){0});
        struct frame *read;

        assert_non_null(written);
        redis_member_write(written, &member);
        read = redis_member_read(member.data, member.size, 1700000000000);
        assert_int_equal(gap_hole_reason(written), reasons[i]);
        assert_int_equal(gap_hole_reason(read), reasons[i]);
        frame_unref(written);
        frame_unref(read);
        buffer_release(&member);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_hole_stands_at_the_first_dropped_event),
        TEST(numbers_stay_dense_over_the_hole),
        TEST(the_hole_has_a_reason_and_no_number),
        TEST(other_companies_notice_nothing),
        TEST(the_rate_counts_where_messages_wait_for_their_numbering),
        TEST(what_waited_at_the_source_is_no_burst),
        TEST(the_end_is_told_when_the_company_goes_quiet),
        TEST(bytes_are_those_of_the_payload),
        TEST(without_a_limit_nothing_is_dropped),
        TEST(dropped_events_are_no_dead_letters),
        TEST(a_company_does_not_escape_by_being_forgotten),
        TEST(the_reason_outlives_the_store),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
