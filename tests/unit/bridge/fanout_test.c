/* What was numbered and is not heard yet: how much of that there may be. bridge/takeover_test.c has all else of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bridge/fanout.h"
#include "core/clock.h"
#include "support/bridge_rig.h"
#include "support/fake_clock.h"
#include "support/fake_source.h"

enum { EVENTS_MAX = 16384, BYTES_MAX = 64 * 1024 * 1024, LARGE = 1024 * 1024 };

static const struct live_id here = {{1}};

static struct bridge_rig rig;
static struct source *source;
static struct shadow *shadow;
static struct ownership *ownership;
static struct voice *voice;
static struct fanout *fanout;
static struct company *acme;
static uint64_t numbered;

static bool publish(void *context, const char *subject, const char *payload, size_t size)
{
    (void)context;
    (void)subject;
    (void)payload;
    (void)size;
    return true;
}

static void send_nothing(void *context, struct live_header *header)
{
    (void)context;
    (void)header;
}

static void change_nothing(void *context)
{
    (void)context;
}

static int set_up(void **state)
{
    (void)state;
    fake_clock_set_ms(INT64_C(1700000000000));
    bridge_rig_init(&rig, &(struct bridge_rig_options){.state = STORE_READY});
    bridge_rig_have(&rig, "acme", 1);
    acme = bridge_rig_company(&rig, "acme");
    source = fake_source_new(&(struct fake_source_options){.publish = publish, .max_payload = 8 * LARGE});
    shadow = shadow_new(1, 0);
    ownership = ownership_new(&(struct ownership_options){.id = here,
                                                          .store = fake_store_base(rig.store),
                                                          .send = send_nothing,
                                                          .began = change_nothing,
                                                          .ended = change_nothing,
                                                          .metrics = rig.metrics});
    voice = voice_new(&(struct voice_options){.id = here,
                                              .ownership = ownership,
                                              .store = fake_store_base(rig.store),
                                              .source = source,
                                              .live_subject = "sluice.live.test"});
    fanout = fanout_new(&(struct fanout_options){.store = fake_store_base(rig.store),
                                                 .heads = rig.heads,
                                                 .companies = rig.companies,
                                                 .shadow = shadow,
                                                 .ownership = ownership,
                                                 .voice = voice});
    assert_true(shadow && ownership && voice && fanout);
    /* Others may be there, as long as it is not sure to be alone. */
    ownership_run(ownership, &(struct ownership_turn){.now_ns = clock_monotonic_ns(), .connected = true});
    fanout_flush(fanout);
    assert_true(fanout_is_replicated(fanout));
    numbered = 1;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fanout_free(fanout);
    voice_free(voice);
    bridge_rig_release(&rig);
    ownership_free(ownership);
    shadow_free(shadow);
    fake_source_free(source);
    return 0;
}

static void add(size_t payload_size)
{
    char *payload = malloc(payload_size);
    struct frame *frame;

    assert_non_null(payload);
    memset(payload, 'p', payload_size);
    frame = frame_new_event(&(struct frame_event){
        .kind = FRAME_EVENT,
        .subject = "metrics.x",
        .event = "metric_updated",
        .payload = payload,
        .payload_size = payload_size,
        .position = {.ms = (uint64_t)clock_unix_ms(), .seq = ++numbered},
    });
    assert_non_null(frame);
    assert_int_equal(fanout_add(fanout, acme, frame), 0);
    frame_unref(frame);
    free(payload);
}

static void assert_room_once_all_is_heard(void)
{
    assert_true(fanout_is_full(fanout));
    fanout_flush(fanout);
    assert_true(fanout_is_full(fanout));
    fanout_hear(fanout, ownership_last_batch(ownership));
    assert_false(fanout_is_full(fanout));
    assert_false(fanout_is_waiting(fanout));
    assert_int_equal(acme->head.seq, numbered);
}

static void many_events_that_are_not_heard_hold_the_source_up(void **state)
{
    (void)state;
    for (int i = 0; i < EVENTS_MAX; i++)
        add(10);
    assert_false(fanout_is_full(fanout));
    add(10);
    assert_room_once_all_is_heard();
}

static void large_events_that_are_not_heard_hold_the_source_up(void **state)
{
    (void)state;
    for (int i = 0; i < BYTES_MAX / LARGE - 1; i++)
        add(LARGE);
    assert_false(fanout_is_full(fanout));
    add(LARGE);
    assert_room_once_all_is_heard();
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(many_events_that_are_not_heard_hold_the_source_up),
        TEST(large_events_that_are_not_heard_hold_the_source_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
