#include "tests/unit/replay/store_client.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"

enum { LEASE_MS = 1000 };

void store_pump(struct store *store)
{
    struct pollfd pollfd = {.fd = store_poll_fd(store, &pollfd.events)};
    int64_t deadline_ns = store_deadline_ns(store);
    int64_t left_ns = deadline_ns - clock_monotonic_ns();
    int timeout_ms = 1000;

    if (deadline_ns == 0 || left_ns <= 0)
        timeout_ms = 0;
    else if (deadline_ns != INT64_MAX && left_ns / 1000000 < 1000)
        timeout_ms = (int)(left_ns / 1000000) + 1;
    (void)poll(&pollfd, pollfd.fd >= 0, timeout_ms);
    store_run(store);
}

void store_wait(struct store *store, const struct answer *answer)
{
    assert_int_equal(answer->calls, 0);
    while (answer->calls == 0)
        store_pump(store);
    assert_int_equal(answer->calls, 1);
}

void store_wait_state(struct store *store, enum store_state state)
{
    while (store_state(store) != state)
        store_pump(store);
}

struct claimed {
    struct answer answer;
    struct store_lease lease;
};

static void on_claim(void *context, int status, const struct store_lease *lease)
{
    struct claimed *claimed = context;

    claimed->answer.calls++;
    claimed->answer.status = status;
    assert_int_equal(status == 0, lease != NULL);
    if (lease)
        claimed->lease = *lease;
}

int lease_try_claim(struct store *store, const struct store_claim *claim, struct store_lease *ret_lease)
{
    struct claimed claimed = {.answer = {0}};

    store_claim(store, claim, on_claim, &claimed);
    store_wait(store, &claimed.answer);
    *ret_lease = claimed.lease;
    return claimed.answer.status;
}

struct store_lease lease_claim(struct store *store, const char *holder, uint64_t epoch)
{
    struct store_claim claim = {.holder = holder, .epoch = epoch, .lease_ms = LEASE_MS};
    struct store_lease lease;

    assert_int_equal(lease_try_claim(store, &claim, &lease), 0);
    return lease;
}

static void on_claim_ignored(void *context, int status, const struct store_lease *lease)
{
    struct answer *answer = context;

    (void)lease;
    answer->calls++;
    answer->status = status;
}

void claim_start(struct store *store, struct answer *ret_answer)
{
    struct store_claim claim = {.holder = "test", .lease_ms = LEASE_MS};

    *ret_answer = (struct answer){0};
    store_claim(store, &claim, on_claim_ignored, ret_answer);
    assert_int_equal(ret_answer->calls, 0);
}

struct frame *events_frame(const struct events *events, size_t index)
{
    struct event_position place = {.ms = events->first.ms + index * events->ms_step, .seq = events->first.seq + index};
    size_t size = events->payload_size > 32 ? events->payload_size : 32;
    char *payload = malloc(size + 1);
    struct frame_event event = {
        .subject = "metrics.test", .event = "metric_updated", .payload = payload, .position = place};
    struct frame *frame;

    assert_non_null(payload);
    memset(payload, 'x', size);
    event.payload_size = (size_t)snprintf(payload, size, "{\"n\":%llu,\"x\":\"", (unsigned long long)place.seq);
    payload[event.payload_size] = 'x';
    if (events->payload_size > event.payload_size)
        event.payload_size = events->payload_size;
    frame = frame_new_event(&event);
    assert_non_null(frame);
    free(payload);
    return frame;
}

struct frame *hole_frame(struct event_position position)
{
    struct frame_event event = {
        .kind = FRAME_HOLE,
        .subject = "hole",
        .event = FRAME_GAP_EVENT,
        .payload = "{\"reason\":\"source\"}",
        .payload_size = 19,
        .position = position,
    };
    struct frame *frame = frame_new_event(&event);

    assert_non_null(frame);
    return frame;
}

static void on_append(void *context, int status)
{
    struct answer *answer = context;

    answer->calls++;
    answer->status = status;
}

void frames_start_append(struct store *store, const struct store_append *append, struct answer *ret_answer)
{
    *ret_answer = (struct answer){0};
    store_append(store, append, on_append, ret_answer);
    assert_int_equal(ret_answer->calls, 0);
}

void events_start_append(struct store *store, const struct events *events, size_t from, size_t count,
                         struct answer *ret_answer)
{
    struct frame *frames[STORE_APPEND_MAX];
    uint64_t sources[STORE_APPEND_MAX];
    struct store_append append = {.company = events->company,
                                  .frames = frames,
                                  .sources = events->first_source > 0 ? sources : NULL,
                                  .count = count,
                                  .since_ms = events->since_ms,
                                  .upkeep = from == 0};

    assert_true(count <= STORE_APPEND_MAX);
    for (size_t i = 0; i < count; i++) {
        frames[i] = events_frame(events, from + i);
        sources[i] = events->first_source + from + i;
    }
    frames_start_append(store, &append, ret_answer);
    for (size_t i = 0; i < count; i++)
        frame_unref(frames[i]);
}

void events_append(struct store *store, const struct events *events, size_t count)
{
    for (size_t from = 0; from < count; from += STORE_APPEND_MAX) {
        size_t part = count - from < STORE_APPEND_MAX ? count - from : STORE_APPEND_MAX;
        struct answer answer;

        events_start_append(store, events, from, part, &answer);
        store_wait(store, &answer);
        assert_int_equal(answer.status, 0);
    }
}

int frames_append(struct store *store, const char *company, struct frame **frames, size_t count)
{
    struct store_append append = {.company = company, .frames = frames, .count = count, .upkeep = true};
    struct answer answer;

    frames_start_append(store, &append, &answer);
    for (size_t i = 0; i < count; i++)
        frame_unref(frames[i]);
    store_wait(store, &answer);
    return answer.status;
}

struct placed {
    struct answer answer;
    uint64_t sequence;
};

static void on_place(void *context, int status, uint64_t sequence)
{
    struct placed *placed = context;

    placed->answer.calls++;
    placed->answer.status = status;
    placed->sequence = sequence;
}

uint64_t place_load(struct store *store, const char *stream)
{
    struct placed placed = {.answer = {0}};

    store_load_place(store, stream, on_place, &placed);
    store_wait(store, &placed.answer);
    assert_int_equal(placed.answer.status, 0);
    return placed.sequence;
}

static void on_place_ignored(void *context, int status, uint64_t sequence)
{
    struct answer *answer = context;

    assert_true(status == 0 || sequence == 0);
    answer->calls++;
    answer->status = status;
}

void place_start(struct store *store, const char *stream, struct answer *ret_answer)
{
    *ret_answer = (struct answer){0};
    store_load_place(store, stream, on_place_ignored, ret_answer);
    assert_int_equal(ret_answer->calls, 0);
}

static void on_page(void *context, int status, const struct store_page *page)
{
    struct page *kept = context;

    kept->answer.calls++;
    kept->answer.status = status;
    if (status < 0)
        return;
    kept->page = *page;
    assert_true(page->count <= sizeof kept->frames / sizeof kept->frames[0]);
    for (size_t i = 0; i < page->count; i++)
        kept->frames[i] = frame_ref(page->frames[i]);
    kept->page.frames = kept->frames;
}

void page_start(struct store *store, const struct store_read *read, struct page *ret_page)
{
    memset(ret_page, 0, sizeof *ret_page);
    store_read(store, read, on_page, ret_page);
    assert_int_equal(ret_page->answer.calls, 0);
}

void page_read(struct store *store, const char *company, struct event_position after, size_t max_events,
               size_t max_bytes, struct page *ret_page)
{
    struct store_read read = {.company = company, .after = after, .max_events = max_events, .max_bytes = max_bytes};

    page_start(store, &read, ret_page);
    store_wait(store, &ret_page->answer);
    assert_int_equal(ret_page->answer.status, 0);
}

void page_release(struct page *page)
{
    for (size_t i = 0; i < page->page.count; i++)
        frame_unref(page->frames[i]);
    page->page.count = 0;
}

static void on_head(void *context, int status, const struct store_head *head)
{
    struct loaded_head *loaded = context;

    loaded->answer.calls++;
    loaded->answer.status = status;
    if (status == 0)
        loaded->head = *head;
}

void head_start(struct store *store, const char *company, struct loaded_head *ret_head)
{
    memset(ret_head, 0, sizeof *ret_head);
    store_load(store, company, on_head, ret_head);
    assert_int_equal(ret_head->answer.calls, 0);
}

struct store_head head_load(struct store *store, const char *company)
{
    struct loaded_head loaded;

    head_start(store, company, &loaded);
    store_wait(store, &loaded.answer);
    assert_int_equal(loaded.answer.status, 0);
    return loaded.head;
}

struct counted {
    struct answer answer; /* first: count_start() waits for it alone */
    const char *company;
    int64_t events;
};

static void on_counts(void *context, int status, const struct store_count *counts, size_t count)
{
    struct counted *counted = context;

    counted->answer.calls++;
    counted->answer.status = status;
    for (size_t i = 0; i < count; i++)
        if (strcmp(counts[i].company, counted->company) == 0)
            counted->events = counts[i].events;
}

int64_t events_count(struct store *store, const char *company)
{
    struct counted counted = {.company = company, .events = -1};

    store_count_events(store, on_counts, &counted);
    store_wait(store, &counted.answer);
    assert_int_equal(counted.answer.status, 0);
    return counted.events;
}

static void on_counts_ignored(void *context, int status, const struct store_count *counts, size_t count)
{
    struct answer *answer = context;

    (void)counts;
    (void)count;
    answer->calls++;
    answer->status = status;
}

void count_start(struct store *store, struct answer *ret_answer)
{
    *ret_answer = (struct answer){0};
    store_count_events(store, on_counts_ignored, ret_answer);
    assert_int_equal(ret_answer->calls, 0);
}

size_t read_all(struct store *store, const char *company, struct event_position after, size_t page_size,
                struct event_position *ret_first)
{
    size_t total = 0;
    bool last = false;

    while (!last) {
        struct page page;

        page_read(store, company, after, page_size, 1 << 20, &page);
        last = page.page.last;
        assert_true(last || page.page.count > 0);
        for (size_t i = 0; i < page.page.count; i++) {
            struct event_position place = frame_position(page.frames[i]);

            assert_true(event_position_compare(place, after) > 0);
            after = place;
            if (total++ == 0 && ret_first)
                *ret_first = place;
        }
        page_release(&page);
    }
    return total;
}
