#include "tests/unit/replay/store_suite.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "tests/unit/replay/store_client.h"

#define HOUR_MS INT64_C(3600000)

static const struct store_limits roomy = {.ttl_ms = HOUR_MS, .max_events = 1000000, .max_bytes = 1 << 28};
static const struct event_position beginning = {0, 0};

static struct store *open_store(void **state, const struct store_limits *limits)
{
    const struct store_suite *suite = *state;
    struct store *store = suite->open(limits);

    assert_non_null(store);
    assert_int_equal(store_state(store), STORE_READY);
    store_set_epoch(store, 1);
    return store;
}

static uint64_t minutes_ago(int64_t minutes)
{
    return (uint64_t)(clock_unix_ms() - minutes * 60000);
}

static struct events events_at(uint64_t ms)
{
    return (struct events){.company = "acme", .first = {.ms = ms, .seq = 1}, .ms_step = 1, .since_ms = ms};
}

static void test_of_an_unknown_company_nothing_is_held(void **state)
{
    struct store *store = open_store(state, &roomy);
    struct store_head head = head_load(store, "acme");
    struct page page;

    assert_false(head.exists);
    assert_int_equal(head.position.seq, 0);
    page_read(store, "acme", (struct event_position){.ms = 5, .seq = 5}, 10, 1000, &page);
    assert_int_equal(page.page.count, 0);
    assert_true(page.page.last);
    assert_false(page.page.exact);
    assert_false(page.page.head.exists);
    assert_int_equal(event_position_compare(page.page.oldest, beginning), 0);
    assert_int_equal(events_count(store, "acme"), -1);
    page_release(&page);
    store_free(store);
}

static void test_without_an_epoch_nothing_is_appended(void **state)
{
    struct store *store = open_store(state, &roomy);
    struct events events = events_at(minutes_ago(1));
    struct answer answer;

    store_set_epoch(store, 0);
    events_start_append(store, &events, 0, 3, &answer);
    store_wait(store, &answer);
    assert_int_equal(answer.status, -EPERM);
    assert_false(head_load(store, "acme").exists);
    assert_int_equal(store_state(store), STORE_READY);
    store_set_epoch(store, 2);
    events_append(store, &events, 3);
    assert_int_equal(read_all(store, "acme", beginning, 100, NULL), 3);
    store_free(store);
}

static void test_the_lease_goes_to_whoever_is_alone(void **state)
{
    struct store *store = open_store(state, &roomy);
    struct store_lease lease = lease_claim(store, "a", 0);

    assert_true(lease.mine);
    assert_true(lease.epoch > 0);
    assert_int_equal(lease_claim(store, "a", lease.epoch).epoch, lease.epoch);
    store_release(store, "a");
    assert_true(lease_claim(store, "a", lease.epoch).mine);
    store_free(store);
}

static void assert_same_bytes(const struct frame *a, const struct frame *b)
{
    size_t a_size;
    size_t b_size;
    const char *a_bytes = frame_bytes(a, true, &a_size);
    const char *b_bytes = frame_bytes(b, true, &b_size);

    assert_int_equal(a_size, b_size);
    assert_memory_equal(a_bytes, b_bytes, a_size);
    assert_int_equal(frame_kind(a), frame_kind(b));
}

static void test_what_was_appended_is_read_back_byte_for_byte(void **state)
{
    static const char *const payloads[] = {"{}",  "",          "|",       "a|b|c",   "line\nline", "\n\n",
                                           " x ", "h\xc3\xa9", "\r\nend", "0|1|2|3", "%s%n{}*?",   "hole|stream.gap "};
    enum { COUNT = sizeof payloads / sizeof payloads[0] };
    struct store *store = open_store(state, &roomy);
    struct frame *frames[COUNT];
    struct frame *kept[COUNT];
    struct page page;

    for (size_t i = 0; i < COUNT; i++) {
        struct frame_event event = {.subject = "metrics.a-b_c",
                                    .event = "some.name:x-y",
                                    .payload = payloads[i],
                                    .payload_size = strlen(payloads[i]),
                                    .position = {.ms = minutes_ago(1), .seq = i + 1}};

        frames[i] = frame_new_event(&event);
        kept[i] = frame_ref(frames[i]);
    }
    assert_int_equal(frames_append(store, "acme", frames, COUNT), 0);
    page_read(store, "acme", beginning, STORE_PAGE_MAX, 1 << 20, &page);
    assert_int_equal(page.page.count, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        assert_same_bytes(page.frames[i], kept[i]);
        frame_unref(kept[i]);
    }
    page_release(&page);
    store_free(store);
}

static void test_the_head_is_that_of_the_last_event(void **state)
{
    struct store *store = open_store(state, &roomy);
    struct events events = events_at(minutes_ago(1));
    struct store_head head;
    struct page page;

    events_append(store, &events, 10);
    head = head_load(store, "acme");
    assert_true(head.exists);
    assert_int_equal(head.position.seq, 10);
    assert_int_equal(head.position.ms, events.first.ms + 9);
    assert_int_equal(head.floor.seq, 0);
    assert_int_equal(head.floor.ms, 0);
    assert_int_equal(head.since_ms, events.since_ms);
    assert_string_equal(head.subject, "metrics.test");
    page_read(store, "acme", beginning, 2, 1 << 20, &page);
    assert_int_equal(page.page.head.position.seq, 10);
    assert_string_equal(page.page.head.subject, "metrics.test");
    assert_int_equal(page.page.oldest.seq, 1);
    assert_int_equal(page.page.oldest.ms, events.first.ms);
    assert_string_equal(page.page.oldest_subject, "metrics.test");
    page_release(&page);
    store_free(store);
}

static void test_a_repeated_append_changes_nothing(void **state)
{
    struct store *store = open_store(state, &roomy);
    struct events events = events_at(minutes_ago(1));
    struct answer answer;

    events_append(store, &events, 10);
    events_append(store, &events, 10);
    events_start_append(store, &events, 4, 10, &answer);
    store_wait(store, &answer);
    assert_int_equal(answer.status, 0);
    assert_int_equal(read_all(store, "acme", beginning, 100, NULL), 14);
    assert_int_equal(events_count(store, "acme"), 14);
    assert_int_equal(head_load(store, "acme").position.seq, 14);
    events_append(store, &events, 1);
    assert_int_equal(head_load(store, "acme").position.seq, 14);
    store_free(store);
}

static void test_pages_follow_each_other_without_loss(void **state)
{
    static const size_t sizes[] = {1, 10, 31, 32, 33, 100, 256, 1000, STORE_PAGE_MAX};
    struct store *store = open_store(state, &roomy);
    struct events events = events_at(minutes_ago(1));

    events_append(store, &events, 256);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct event_position first;

        assert_int_equal(read_all(store, "acme", beginning, sizes[i], &first), 256);
        assert_int_equal(first.seq, 1);
        assert_int_equal(
            read_all(store, "acme", (struct event_position){.ms = events.first.ms + 99, .seq = 100}, sizes[i], &first),
            156);
        assert_int_equal(first.seq, 101);
    }
    store_free(store);
}

static void test_a_page_holds_no_more_events_than_asked_for(void **state)
{
    static const size_t sizes[] = {1, 10, 31, 32, 33, 100};
    struct store *store = open_store(state, &roomy);
    struct events events = events_at(minutes_ago(1));

    events_append(store, &events, 128);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct page page;

        page_read(store, "acme", beginning, sizes[i], 1 << 20, &page);
        assert_int_equal(page.page.count, sizes[i]);
        assert_false(page.page.last);
        page_release(&page);
    }
    store_free(store);
}

static void test_a_page_holds_about_as_many_bytes_as_asked_for(void **state)
{
    struct store *store = open_store(state, &roomy);
    struct events events = events_at(minutes_ago(1));
    struct page page;

    events.payload_size = 10000;
    events_append(store, &events, 200);
    page_read(store, "acme", beginning, STORE_PAGE_MAX, 500000, &page);
    assert_in_range(page.page.count, 45, 50);
    assert_false(page.page.last);
    page_release(&page);
    page_read(store, "acme", beginning, STORE_PAGE_MAX, 1, &page);
    assert_int_equal(page.page.count, 1);
    page_release(&page);
    store_free(store);
}

static void assert_page(struct store *store, struct event_position after, bool exact, size_t count)
{
    struct page page;

    page_read(store, "acme", after, STORE_PAGE_MAX, 1 << 20, &page);
    assert_int_equal(page.page.exact, exact);
    assert_int_equal(page.page.count, count);
    page_release(&page);
}

static void test_it_tells_whether_exactly_the_place_asked_from_is_held(void **state)
{
    struct store *store = open_store(state, &roomy);
    struct events events = events_at(minutes_ago(1));
    uint64_t ms = events.first.ms;

    events.ms_step = 10;
    events_append(store, &events, 5);
    assert_page(store, (struct event_position){.ms = ms, .seq = 1}, true, 4);
    assert_page(store, (struct event_position){.ms = ms + 20, .seq = 3}, true, 2);
    assert_page(store, (struct event_position){.ms = ms + 40, .seq = 5}, true, 0);
    assert_page(store, (struct event_position){.ms = ms + 20, .seq = 2}, false, 3);
    assert_page(store, (struct event_position){.ms = ms + 20, .seq = 4}, false, 2);
    assert_page(store, (struct event_position){.ms = ms + 25, .seq = 3}, false, 2);
    assert_page(store, (struct event_position){.ms = ms + 50, .seq = 5}, false, 0);
    assert_page(store, (struct event_position){.ms = ms - 1, .seq = 1}, false, 5);
    assert_page(store, beginning, false, 5);
    store_free(store);
}

static void test_any_number_of_events_in_one_millisecond_is_paged(void **state)
{
    struct store *store = open_store(state, &roomy);
    struct events events = events_at(minutes_ago(1));
    struct event_position first;

    events.ms_step = 0;
    events.first.seq = 95; /* 99 and 100 have another number of digits */
    events_append(store, &events, 1000);
    assert_int_equal(read_all(store, "acme", beginning, 64, &first), 1000);
    for (uint64_t seq = 95; seq < 95 + 999; seq += 111) {
        struct event_position after = {.ms = events.first.ms, .seq = seq};

        assert_int_equal(read_all(store, "acme", after, 64, &first), 95 + 1000 - 1 - seq);
        assert_int_equal(first.seq, seq + 1);
        assert_page(store, after, true, 95 + 1000 - 1 - seq < STORE_PAGE_MAX ? 95 + 1000 - 1 - seq : STORE_PAGE_MAX);
    }
    assert_int_equal(read_all(store, "acme", (struct event_position){.ms = events.first.ms, .seq = 94}, 64, NULL),
                     1000);
    assert_int_equal(read_all(store, "acme", (struct event_position){.ms = events.first.ms, .seq = 5000}, 64, NULL), 0);
    store_free(store);
}

/* What came at a time or later: behind every number of the millisecond before it. */
static void assert_since(struct store *store, uint64_t since_ms, size_t count, uint64_t first_seq)
{
    struct event_position behind = {.ms = since_ms - 1, .seq = EVENT_NUMBER_MAX};
    struct event_position first = {0, 0};

    for (size_t page_size = 1; page_size <= 100; page_size *= 10) {
        assert_int_equal(read_all(store, "acme", behind, page_size, &first), count);
        assert_int_equal(first.seq, count > 0 ? first_seq : 0);
    }
}

static void test_history_is_read_from_a_time_on(void **state)
{
    struct store *store = open_store(state, &roomy);
    struct events events = events_at(minutes_ago(1));
    uint64_t ms = events.first.ms;

    assert_since(store, ms, 0, 0);
    /* Five events in one millisecond, then one every ten. */
    events.ms_step = 0;
    events_append(store, &events, 5);
    events.first = (struct event_position){.ms = ms + 10, .seq = 6};
    events.ms_step = 10;
    events_append(store, &events, 5);
    assert_since(store, 1, 10, 1);
    assert_since(store, ms - 1, 10, 1);
    assert_since(store, ms, 10, 1);
    assert_since(store, ms + 1, 5, 6);
    assert_since(store, ms + 10, 5, 6);
    assert_since(store, ms + 11, 4, 7);
    assert_since(store, ms + 50, 1, 10);
    assert_since(store, ms + 51, 0, 0);
    /* Nobody has such a number: the place itself is never held. */
    assert_page(store, (struct event_position){.ms = ms, .seq = EVENT_NUMBER_MAX}, false, 5);
    store_free(store);
}

static void test_events_past_the_retention_are_not_shown(void **state)
{
    struct store *store = open_store(state, &roomy);
    struct events old = events_at(minutes_ago(120));
    struct events recent = events_at(minutes_ago(1));
    struct event_position first;
    struct page page;

    events_append(store, &old, 10);
    recent.first.seq = 11;
    events_append(store, &recent, 5);
    assert_int_equal(read_all(store, "acme", beginning, 100, &first), 5);
    assert_int_equal(first.seq, 11);
    page_read(store, "acme", (struct event_position){.ms = old.first.ms + 4, .seq = 5}, 100, 1 << 20, &page);
    assert_false(page.page.exact);
    assert_int_equal(page.page.oldest.seq, 11);
    assert_int_equal(page.page.count, 5);
    page_release(&page);
    assert_int_equal(events_count(store, "acme"), 5);
    store_free(store);
}

/* Nobody appended since they became too old, so that nobody trimmed either. */
static void test_what_has_become_too_old_counts_as_trimmed(void **state)
{
    struct store *store = open_store(state, &roomy);
    struct events events = events_at(minutes_ago(60) + 300);
    struct page page = {0};

    events.ms_step = HOUR_MS / 4;
    events_append(store, &events, 3);
    do {
        page_release(&page);
        page_read(store, "acme", beginning, 100, 1 << 20, &page);
    } while (page.page.oldest.seq < 2);
    assert_int_equal(page.page.count, 2);
    assert_int_equal(event_position_compare(page.page.head.floor, events.first), 0);
    page_release(&page);
    store_free(store);
}

/* What was trimmed ends at the floor: with dense numbers, right in front of the oldest event. */
static void assert_trimmed(struct store *store, size_t most, size_t least)
{
    struct event_position first = {0, 0};
    size_t held = read_all(store, "acme", beginning, 100, &first);
    struct store_head head = head_load(store, "acme");

    assert_in_range(held, least, most);
    assert_int_equal(head.floor.seq, first.seq - 1);
    assert_int_equal(head.floor.ms, first.ms - 1);
    assert_int_equal(head.position.seq - head.floor.seq, held);
    assert_int_equal(events_count(store, "acme"), held);
}

static void test_the_oldest_events_beyond_the_number_are_trimmed(void **state)
{
    struct store_limits limits = {.ttl_ms = HOUR_MS, .max_events = 100, .max_bytes = 1 << 28};
    struct store *store = open_store(state, &limits);
    struct events events = events_at(minutes_ago(1));
    const struct store_suite *suite = *state;

    events_append(store, &events, 3 * (size_t)STORE_APPEND_MAX);
    assert_trimmed(store, 100 + suite->trim_slack, 100);
    store_free(store);
}

static void test_the_oldest_events_beyond_the_bytes_are_trimmed(void **state)
{
    struct store_limits limits = {.ttl_ms = HOUR_MS, .max_events = 1000000, .max_bytes = 200000};
    struct store *store = open_store(state, &limits);
    struct events events = events_at(minutes_ago(1));

    events.payload_size = 2000;
    events_append(store, &events, 512);
    assert_trimmed(store, 100, 80);
    store_free(store);
}

static void test_the_oldest_events_beyond_the_age_are_trimmed(void **state)
{
    struct store *store = open_store(state, &roomy);
    struct events events = events_at(minutes_ago(60) - 400);
    struct event_position first;
    struct store_head head;

    /* The first part is too old; the last reaches into the present. */
    events_append(store, &events, 200);
    events.first = (struct event_position){.ms = minutes_ago(1), .seq = 201};
    events_append(store, &events, 200);
    assert_int_equal(read_all(store, "acme", beginning, 100, &first), 200);
    assert_int_equal(first.seq, 201);
    head = head_load(store, "acme");
    assert_int_equal(head.floor.seq, 200);
    store_free(store);
}

static void test_holes_are_kept_in_order_and_not_counted_as_events(void **state)
{
    struct store *store = open_store(state, &roomy);
    struct events events = events_at(minutes_ago(1));
    struct frame *frames[4];
    struct page page;

    for (size_t i = 0; i < 4; i++)
        frames[i] = i == 2 ? hole_frame((struct event_position){.ms = events.first.ms + 2, .seq = 3})
                           : events_frame(&events, i);
    assert_int_equal(frames_append(store, "acme", frames, 4), 0);
    page_read(store, "acme", beginning, 100, 1 << 20, &page);
    assert_int_equal(page.page.count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(frame_kind(page.frames[i]), i == 2 ? FRAME_HOLE : FRAME_EVENT);
        assert_int_equal(frame_position(page.frames[i]).seq, i + 1);
    }
    page_release(&page);
    assert_int_equal(events_count(store, "acme"), 3);
    store_free(store);
}

static void test_holes_that_were_trimmed_are_not_subtracted(void **state)
{
    struct store_limits limits = {.ttl_ms = HOUR_MS, .max_events = 100, .max_bytes = 1 << 28};
    struct store *store = open_store(state, &limits);
    struct events events = events_at(minutes_ago(1));
    struct frame *hole = hole_frame((struct event_position){.ms = events.first.ms - 1, .seq = 0});

    assert_int_equal(frames_append(store, "acme", &hole, 1), 0);
    events_append(store, &events, 512);
    assert_int_equal(events_count(store, "acme"), read_all(store, "acme", beginning, 100, NULL));
    store_free(store);
}

/* After a lost head the numbers begin again; the time goes on. */
static void test_a_numbering_that_starts_anew_stays_in_order(void **state)
{
    struct store *store = open_store(state, &roomy);
    struct events events = events_at(minutes_ago(2));

    events.first.seq = 1000;
    events_append(store, &events, 10);
    events = events_at(minutes_ago(1));
    events_append(store, &events, 10);
    assert_int_equal(read_all(store, "acme", beginning, 100, NULL), 20);
    assert_int_equal(head_load(store, "acme").position.seq, 10);
    assert_int_equal(head_load(store, "acme").since_ms, events.since_ms);
    store_free(store);
}

static void test_companies_do_not_see_each_other(void **state)
{
    static const char *const companies[] = {"a", "A", "a.b", "a:log", "a:head", "a-b_c", "0"};
    struct store *store = open_store(state, &roomy);
    struct events events = events_at(minutes_ago(1));

    for (size_t i = 0; i < sizeof companies / sizeof companies[0]; i++) {
        events.company = companies[i];
        events_append(store, &events, i + 1);
    }
    for (size_t i = 0; i < sizeof companies / sizeof companies[0]; i++) {
        assert_int_equal(read_all(store, companies[i], beginning, 100, NULL), i + 1);
        assert_int_equal(events_count(store, companies[i]), i + 1);
    }
    store_free(store);
}

static void test_the_longest_company_name_fits(void **state)
{
    struct store *store = open_store(state, &roomy);
    struct events events = events_at(minutes_ago(1));
    char longest[129];

    memset(longest, 'c', 128);
    longest[128] = '\0';
    events.company = longest;
    events_append(store, &events, 3);
    assert_int_equal(read_all(store, longest, beginning, 100, NULL), 3);
    assert_int_equal(events_count(store, longest), 3);
    store_free(store);
}

static void test_requests_are_answered_in_the_order_of_their_making(void **state)
{
    struct store *store = open_store(state, &roomy);
    struct events events = events_at(minutes_ago(1));
    struct loaded_head before;
    struct loaded_head after;
    struct answer answer;

    head_start(store, "acme", &before);
    events_start_append(store, &events, 0, 10, &answer);
    head_start(store, "acme", &after);
    store_wait(store, &after.answer);
    assert_int_equal(before.answer.calls, 1);
    assert_int_equal(answer.calls, 1);
    assert_int_equal(after.head.position.seq, 10);
    store_free(store);
}

static void test_a_store_that_ends_answers_every_request_once(void **state)
{
    struct store *store = open_store(state, &roomy);
    struct events events = events_at(minutes_ago(1));
    struct store_read read = {.company = "acme", .max_events = 10, .max_bytes = 1000};
    struct loaded_head head;
    struct answer append;
    struct answer claim;
    struct answer count;
    struct page page;

    claim_start(store, &claim);
    events_start_append(store, &events, 0, 10, &append);
    head_start(store, "acme", &head);
    page_start(store, &read, &page);
    count_start(store, &count);
    store_free(store);
    assert_int_equal(claim.calls, 1);
    assert_int_equal(append.calls, 1);
    assert_int_equal(head.answer.calls, 1);
    assert_int_equal(page.answer.calls, 1);
    assert_int_equal(count.calls, 1);
    page_release(&page);
}

static void test_a_noted_hole_is_remembered(void **state)
{
    struct store *store = open_store(state, &roomy);

    assert_int_equal(store_noted_hole(store), 0);
    store_note_hole(store, 5000);
    assert_int_equal(store_noted_hole(store), 5000);
    store_note_hole(store, 4000);
    assert_int_equal(store_noted_hole(store), 5000);
    store_free(store);
}

static struct store_suite *running;

static int give_suite(void **state)
{
    *state = running;
    return 0;
}

int store_suite_run(const char *name, struct store_suite *suite)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_of_an_unknown_company_nothing_is_held),
        cmocka_unit_test(test_without_an_epoch_nothing_is_appended),
        cmocka_unit_test(test_the_lease_goes_to_whoever_is_alone),
        cmocka_unit_test(test_what_was_appended_is_read_back_byte_for_byte),
        cmocka_unit_test(test_the_head_is_that_of_the_last_event),
        cmocka_unit_test(test_a_repeated_append_changes_nothing),
        cmocka_unit_test(test_pages_follow_each_other_without_loss),
        cmocka_unit_test(test_a_page_holds_no_more_events_than_asked_for),
        cmocka_unit_test(test_a_page_holds_about_as_many_bytes_as_asked_for),
        cmocka_unit_test(test_it_tells_whether_exactly_the_place_asked_from_is_held),
        cmocka_unit_test(test_any_number_of_events_in_one_millisecond_is_paged),
        cmocka_unit_test(test_history_is_read_from_a_time_on),
        cmocka_unit_test(test_events_past_the_retention_are_not_shown),
        cmocka_unit_test(test_what_has_become_too_old_counts_as_trimmed),
        cmocka_unit_test(test_the_oldest_events_beyond_the_number_are_trimmed),
        cmocka_unit_test(test_the_oldest_events_beyond_the_bytes_are_trimmed),
        cmocka_unit_test(test_the_oldest_events_beyond_the_age_are_trimmed),
        cmocka_unit_test(test_holes_are_kept_in_order_and_not_counted_as_events),
        cmocka_unit_test(test_holes_that_were_trimmed_are_not_subtracted),
        cmocka_unit_test(test_a_numbering_that_starts_anew_stays_in_order),
        cmocka_unit_test(test_companies_do_not_see_each_other),
        cmocka_unit_test(test_the_longest_company_name_fits),
        cmocka_unit_test(test_requests_are_answered_in_the_order_of_their_making),
        cmocka_unit_test(test_a_store_that_ends_answers_every_request_once),
        cmocka_unit_test(test_a_noted_hole_is_remembered),
    };

    running = suite;
    return cmocka_run_group_tests_name(name, tests, give_suite, NULL);
}
