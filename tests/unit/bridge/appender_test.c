/* What the replay store gets, and what is told of it: bridge/appender.c over a store on a script. */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "support/bridge_rig.h"
#include "support/fake_clock.h"

#define NOW INT64_C(1700000000000)

static struct bridge_rig rig;
static int walks; /* over all companies */

void __real_companies_each(struct companies *companies, void (*visit)(struct company *company, void *context),
                           void *context);
void __wrap_companies_each(struct companies *companies, void (*visit)(struct company *company, void *context),
                           void *context);

void __wrap_companies_each(struct companies *companies, void (*visit)(struct company *company, void *context),
                           void *context)
{
    walks++;
    __real_companies_each(companies, visit, context);
}

static void begin(const struct bridge_rig_options *options)
{
    fake_clock_set_ms(NOW);
    bridge_rig_init(&rig, options);
}

static int tear_down(void **state)
{
    (void)state;
    assert_false(fake_store_misused(rig.store));
    bridge_rig_release(&rig);
    return 0;
}

/* The states that a worker was told since the last call, as letters. */
static void assert_told(const char *expected)
{
    char told[32] = "";
    size_t count = 0;
    struct message *message = bridge_rig_take(&rig, 0);

    while (message) {
        if (message->type == HUB_REPLAY_STATE && count + 1 < sizeof told)
            told[count++] = ((struct hub_replay_state *)(void *)message)->ok ? 'R' : 'L';
        message->release(message);
        message = bridge_rig_take(&rig, 0);
    }
    assert_string_equal(told, expected);
}

static void appends_are_bounded_in_order_and_one_at_a_time(void **state)
{
    static const size_t counts[] = {STORE_APPEND_MAX, STORE_APPEND_MAX, 44};

    (void)state;
    begin(&(struct bridge_rig_options){.state = STORE_READY});
    bridge_rig_publish(&rig, "acme", 0);
    fake_store_answer(rig.store);
    bridge_rig_publish_all(&rig, "acme", 1, 2 * STORE_APPEND_MAX + 43);
    for (size_t i = 0; i < 3; i++) {
        bridge_rig_flush_late(&rig);
        bridge_rig_flush_late(&rig);
        assert_int_equal(fake_store_waiting(rig.store), 1);
        assert_int_equal(fake_store_append_count(rig.store), counts[i]);
        assert_int_equal(fake_store_append_first(rig.store).seq, i * STORE_APPEND_MAX + 1);
        fake_store_answer(rig.store);
    }
    bridge_rig_assert_stored(&rig, "acme", 1, 2 * STORE_APPEND_MAX + 44);
    assert_int_equal(appender_backlog_events(rig.appender), 0);
}

static void companies_do_not_wait_for_each_other(void **state)
{
    (void)state;
    begin(&(struct bridge_rig_options){.state = STORE_READY});
    bridge_rig_have(&rig, "acme", 1);
    bridge_rig_have(&rig, "beta", 1);
    bridge_rig_publish(&rig, "acme", 2);
    bridge_rig_publish(&rig, "beta", 2);
    bridge_rig_flush_late(&rig);
    assert_int_equal(fake_store_waiting(rig.store), 2);
    bridge_rig_settle(&rig);
    bridge_rig_assert_stored(&rig, "acme", 1, 2);
    bridge_rig_assert_stored(&rig, "beta", 1, 2);
}

static void fail_and_repeat(bool carried_out)
{
    begin(&(struct bridge_rig_options){.state = STORE_READY});
    bridge_rig_have(&rig, "acme", 3);
    bridge_rig_publish_all(&rig, "acme", 4, 6);
    bridge_rig_flush_late(&rig);
    fake_store_fail(rig.store, carried_out, -EAGAIN);
    assert_int_equal(appender_backlog_events(rig.appender), 3);
    bridge_rig_publish_all(&rig, "acme", 7, 7);
    appender_tick(rig.appender);
    bridge_rig_flush_late(&rig);
    assert_int_equal(fake_store_append_first(rig.store).seq, 4);
    assert_int_equal(fake_store_append_count(rig.store), 4);
    bridge_rig_settle(&rig);
    bridge_rig_assert_stored(&rig, "acme", 1, 7);
}

static void an_append_that_failed_is_repeated(void **state)
{
    (void)state;
    fail_and_repeat(false);
}

static void an_append_whose_answer_was_lost_is_repeated_without_harm(void **state)
{
    (void)state;
    fail_and_repeat(true);
}

static void what_came_while_the_store_was_away_is_appended(void **state)
{
    (void)state;
    begin(&(struct bridge_rig_options){.state = STORE_READY});
    bridge_rig_have(&rig, "acme", 2);
    bridge_rig_publish_all(&rig, "acme", 3, 4);
    bridge_rig_flush_late(&rig);
    fake_store_lose(rig.store, 0);
    bridge_rig_publish_all(&rig, "acme", 5, 6);
    bridge_rig_settle(&rig);
    bridge_rig_assert_stored(&rig, "acme", 1, 2);
    assert_int_equal(appender_backlog_events(rig.appender), 4);
    fake_store_restore(rig.store);
    bridge_rig_settle(&rig);
    bridge_rig_assert_stored(&rig, "acme", 1, 6);
}

static void a_tail_that_the_store_lost_is_appended_again(void **state)
{
    (void)state;
    begin(&(struct bridge_rig_options){.state = STORE_READY});
    bridge_rig_have(&rig, "acme", 10);
    fake_store_lose(rig.store, 0);
    fake_store_drop_tail(rig.store, "acme", 4);
    fake_store_restore(rig.store);
    bridge_rig_settle(&rig);
    bridge_rig_assert_stored(&rig, "acme", 1, 10);
}

static void all_that_is_in_memory_is_appended_to_a_store_that_lost_everything(void **state)
{
    (void)state;
    begin(&(struct bridge_rig_options){.state = STORE_READY, .recent_events = 4});
    bridge_rig_have(&rig, "acme", 10);
    fake_store_lose(rig.store, 0);
    fake_store_drop_everything(rig.store);
    fake_store_restore(rig.store);
    bridge_rig_publish_all(&rig, "acme", 11, 11);
    bridge_rig_settle(&rig);
    bridge_rig_assert_stored(&rig, "acme", 7, 11);
}

static void a_company_without_events_leaves_nothing_in_the_store(void **state)
{
    (void)state;
    begin(&(struct bridge_rig_options){.state = STORE_READY});
    bridge_rig_subscribe(&rig, "acme", 0, &rig);
    bridge_rig_settle(&rig);
    bridge_rig_hole(&rig);
    bridge_rig_settle(&rig);
    assert_int_equal(fake_store_count(rig.store, "acme"), 0);
}

static void recent_frames_are_kept_to_their_number_once_stored(void **state)
{
    const struct ring *recent;

    (void)state;
    begin(&(struct bridge_rig_options){.state = STORE_READY, .recent_events = 5});
    bridge_rig_have(&rig, "acme", 20);
    recent = bridge_rig_company(&rig, "acme")->recent;
    assert_int_equal(ring_end(recent) - ring_begin(recent), 5);
    fake_store_lose(rig.store, 0);
    bridge_rig_publish_all(&rig, "acme", 21, 40);
    assert_true(ring_end(recent) - ring_begin(recent) >= 20);
    fake_store_restore(rig.store);
    bridge_rig_settle(&rig);
    assert_int_equal(ring_end(recent) - ring_begin(recent), 5);
}

/* The backlog: 100 events of which at most 4000 bytes may wait. */
static void overflow(void)
{
    begin(&(struct bridge_rig_options){.state = STORE_READY, .backlog_bytes = 4000, .recent_events = 3});
    bridge_rig_have(&rig, "acme", 5);
    fake_store_lose(rig.store, 0);
    bridge_rig_publish_all(&rig, "acme", 6, 105);
}

static void a_full_backlog_gives_up_the_oldest(void **state)
{
    const struct company *company;
    int64_t dropped;

    (void)state;
    overflow();
    company = bridge_rig_company(&rig, "acme");
    dropped = metrics_get(rig.metrics, METRIC_REPLAY_BACKLOG_DROPPED);
    assert_true(company_backlog_bytes(company) <= 4000);
    assert_true(dropped > 0);
    assert_int_equal(appender_backlog_events(rig.appender), 100 - dropped);
    fake_store_restore(rig.store);
    bridge_rig_settle(&rig);
    assert_int_equal(fake_store_count(rig.store, "acme"), 5 + 100 - dropped);
    assert_int_equal(fake_store_at(rig.store, "acme", 4).seq, 5);
    assert_int_equal(fake_store_at(rig.store, "acme", 5).seq, 6 + dropped);
}

static void a_later_replay_tells_exactly_what_was_given_up(void **state)
{
    struct hub_read read = {.worker = 0, .first = true, .token = &rig};
    struct hub_page *page;
    char expected[256];
    char oldest[EVENT_ID_SIZE];
    const char *bytes;
    size_t size;

    (void)state;
    overflow();
    fake_store_restore(rig.store);
    bridge_rig_settle(&rig);
    bridge_rig_skip(&rig, 0);
    read.after = fake_store_at(rig.store, "acme", 2);
    bridge_rig_read(&rig, "acme", &read);
    bridge_rig_settle(&rig);
    page = bridge_rig_take_page(&rig, 0);
    assert_null(page->gap);
    assert_int_equal(frame_kind(page->frames[2]), FRAME_CONTROL);
    frame_id(page->frames[3], oldest);
    snprintf(expected, sizeof expected,
             "event: stream.gap\n"
             "data: {\"reason\":\"replay_unavailable\",\"requested\":null,\"oldest\":\"%s\",\"missed\":%" PRId64
             "}\n\n",
             oldest, metrics_get(rig.metrics, METRIC_REPLAY_BACKLOG_DROPPED));
    bytes = frame_bytes(page->frames[2], false, &size);
    assert_int_equal(size, strlen(expected));
    assert_memory_equal(bytes, expected, size);
    page->message.release(&page->message);
}

static void what_is_given_up_ends_with_an_event(void **state)
{
    const struct company *company;

    (void)state;
    begin(&(struct bridge_rig_options){.state = STORE_READY, .backlog_bytes = 3000});
    bridge_rig_have(&rig, "acme", 1);
    fake_store_lose(rig.store, 0);
    for (int i = 0; i < 60; i++) {
        bridge_rig_publish(&rig, "acme", i);
        bridge_rig_hole(&rig);
        bridge_rig_hole(&rig);
    }
    company = bridge_rig_company(&rig, "acme");
    assert_true(company->stored > 1);
    assert_int_equal(frame_kind(ring_frame(company->recent, company->stored - 1)), FRAME_EVENT);
}

static void the_largest_backlog_pays(void **state)
{
    (void)state;
    begin(&(struct bridge_rig_options){.state = STORE_READY, .backlog_bytes = 20000});
    bridge_rig_have(&rig, "quiet", 1);
    bridge_rig_have(&rig, "noisy", 1);
    fake_store_lose(rig.store, 0);
    bridge_rig_publish_all(&rig, "quiet", 2, 5);
    bridge_rig_publish_all(&rig, "noisy", 2, 500);
    fake_store_restore(rig.store);
    bridge_rig_settle(&rig);
    bridge_rig_assert_stored(&rig, "quiet", 1, 5);
    assert_int_equal(fake_store_at(rig.store, "noisy", fake_store_count(rig.store, "noisy") - 1).seq, 500);
}

static void a_full_backlog_of_many_companies_is_not_looked_through_for_each_event(void **state)
{
    enum { COMPANIES = 100, EVENTS = 12 };
    char name[16];

    (void)state;
    begin(&(struct bridge_rig_options){.state = STORE_READY, .backlog_bytes = 150000});
    for (int i = 0; i < COMPANIES; i++) {
        snprintf(name, sizeof name, "c%d", i);
        bridge_rig_have(&rig, name, 1);
    }
    fake_store_lose(rig.store, 0);
    walks = 0;
    for (int event = 0; event < EVENTS; event++)
        for (int i = 0; i < COMPANIES; i++) {
            snprintf(name, sizeof name, "c%d", i);
            bridge_rig_publish(&rig, name, event);
        }
    assert_true(metrics_get(rig.metrics, METRIC_REPLAY_BACKLOG_DROPPED) > COMPANIES);
    assert_true(walks < EVENTS * COMPANIES / 20);
    assert_in_range(metrics_get(rig.metrics, METRIC_REPLAY_BACKLOG_BYTES), 75000, 153000);
}

static void a_lost_store_is_told_once(void **state)
{
    (void)state;
    begin(&(struct bridge_rig_options){.state = STORE_READY});
    bridge_rig_have(&rig, "acme", 1);
    assert_told("");
    assert_true(hub_replay_ok(rig.hub));
    fake_store_lose(rig.store, 0);
    bridge_rig_publish_all(&rig, "acme", 2, 9);
    bridge_rig_settle(&rig);
    appender_tick(rig.appender);
    assert_told("L");
    assert_false(hub_replay_ok(rig.hub));
}

static void a_store_is_restored_once_and_only_when_heads_and_backlog_are_in(void **state)
{
    (void)state;
    begin(&(struct bridge_rig_options){.state = STORE_READY});
    bridge_rig_have(&rig, "acme", 1);
    bridge_rig_have(&rig, "beta", 1);
    fake_store_lose(rig.store, 0);
    bridge_rig_publish_all(&rig, "acme", 2, 2000);
    assert_told("L");
    fake_store_restore(rig.store);
    assert_told("");
    fake_store_answer(rig.store);
    assert_told("");
    fake_store_answer(rig.store);
    assert_told("");
    bridge_rig_flush_late(&rig);
    fake_store_answer(rig.store);
    assert_told("");
    bridge_rig_settle(&rig);
    assert_told("R");
    bridge_rig_assert_stored(&rig, "acme", 1, 2000);
}

static void a_store_that_refuses_appends_is_not_restored(void **state)
{
    (void)state;
    begin(&(struct bridge_rig_options){.state = STORE_READY});
    bridge_rig_have(&rig, "acme", 1);
    fake_store_lose(rig.store, 0);
    bridge_rig_publish_all(&rig, "acme", 2, 3);
    fake_store_restore(rig.store);
    fake_store_answer(rig.store);
    assert_told("L");
    for (int i = 0; i < 3; i++) {
        appender_tick(rig.appender);
        bridge_rig_flush_late(&rig);
        assert_int_equal(fake_store_first(rig.store), FAKE_APPEND);
        fake_store_fail(rig.store, false, -EAGAIN);
    }
    assert_told("");
    appender_tick(rig.appender);
    bridge_rig_settle(&rig);
    assert_told("R");
}

static void a_head_that_cannot_be_read_is_asked_for_again(void **state)
{
    (void)state;
    begin(&(struct bridge_rig_options){.state = STORE_READY});
    bridge_rig_have(&rig, "acme", 1);
    fake_store_lose(rig.store, 0);
    fake_store_restore(rig.store);
    fake_store_fail(rig.store, false, -EAGAIN);
    assert_told("L");
    assert_int_equal(fake_store_waiting(rig.store), 0);
    appender_tick(rig.appender);
    assert_int_equal(fake_store_first(rig.store), FAKE_LOAD);
    fake_store_answer(rig.store);
    assert_told("R");
}

static void an_append_that_a_later_owner_fenced_is_kept(void **state)
{
    (void)state;
    begin(&(struct bridge_rig_options){.state = STORE_READY});
    bridge_rig_have(&rig, "acme", 2);
    fake_store_fence(rig.store, 2);
    bridge_rig_publish_all(&rig, "acme", 3, 9);
    bridge_rig_flush_late(&rig);
    fake_store_answer_all(rig.store);
    bridge_rig_assert_stored(&rig, "acme", 1, 2);
    assert_int_equal(appender_backlog_events(rig.appender), 7);
    /* Whoever owns the intake again appends it. */
    store_set_epoch(fake_store_base(rig.store), 3);
    appender_tick(rig.appender);
    bridge_rig_settle(&rig);
    bridge_rig_assert_stored(&rig, "acme", 1, 9);
}

static void without_the_lease_nothing_is_appended(void **state)
{
    (void)state;
    begin(&(struct bridge_rig_options){.state = STORE_READY});
    bridge_rig_have(&rig, "acme", 2);
    store_set_epoch(fake_store_base(rig.store), 0);
    bridge_rig_publish_all(&rig, "acme", 3, 9);
    bridge_rig_settle(&rig);
    bridge_rig_assert_stored(&rig, "acme", 1, 2);
    assert_int_equal(appender_backlog_events(rig.appender), 7);
}

static void what_is_forgotten_is_no_backlog(void **state)
{
    (void)state;
    begin(&(struct bridge_rig_options){.state = STORE_READY});
    bridge_rig_have(&rig, "acme", 1);
    fake_store_lose(rig.store, 0);
    bridge_rig_publish_all(&rig, "acme", 2, 3);
    appender_forget(rig.appender, bridge_rig_company(&rig, "acme"));
    assert_int_equal(metrics_get(rig.metrics, METRIC_REPLAY_BACKLOG_BYTES), 0);
    fake_store_restore(rig.store);
    bridge_rig_settle(&rig);
    assert_told("LR");
}

static void who_does_not_own_any_more_appends_nothing_more(void **state)
{
    struct company *company;

    (void)state;
    begin(&(struct bridge_rig_options){.state = STORE_READY});
    bridge_rig_have(&rig, "acme", 1);
    company = bridge_rig_company(&rig, "acme");
    bridge_rig_publish(&rig, "acme", 2);
    bridge_rig_flush_late(&rig);
    assert_true(company->appending);
    bridge_rig_publish(&rig, "acme", 3);
    appender_set_active(rig.appender, false);
    fake_store_answer(rig.store);
    assert_false(company->appending);
    assert_false(company->due);
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(appends_are_bounded_in_order_and_one_at_a_time),
        TEST(companies_do_not_wait_for_each_other),
        TEST(an_append_that_failed_is_repeated),
        TEST(an_append_whose_answer_was_lost_is_repeated_without_harm),
        TEST(what_came_while_the_store_was_away_is_appended),
        TEST(a_tail_that_the_store_lost_is_appended_again),
        TEST(all_that_is_in_memory_is_appended_to_a_store_that_lost_everything),
        TEST(a_company_without_events_leaves_nothing_in_the_store),
        TEST(recent_frames_are_kept_to_their_number_once_stored),
        TEST(a_full_backlog_gives_up_the_oldest),
        TEST(a_later_replay_tells_exactly_what_was_given_up),
        TEST(what_is_given_up_ends_with_an_event),
        TEST(the_largest_backlog_pays),
        TEST(a_full_backlog_of_many_companies_is_not_looked_through_for_each_event),
        TEST(a_lost_store_is_told_once),
        TEST(a_store_is_restored_once_and_only_when_heads_and_backlog_are_in),
        TEST(a_store_that_refuses_appends_is_not_restored),
        TEST(a_head_that_cannot_be_read_is_asked_for_again),
        TEST(an_append_that_a_later_owner_fenced_is_kept),
        TEST(without_the_lease_nothing_is_appended),
        TEST(what_is_forgotten_is_no_backlog),
        TEST(who_does_not_own_any_more_appends_nothing_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
