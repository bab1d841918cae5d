#include "core/ring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A trivial model: every place and size ever pushed, and where the ring begins. */
enum { MODEL_MAX = 60000 };
struct model {
    struct event_position before; /* of slot 0 */
    struct event_position places[MODEL_MAX];
    size_t sizes[MODEL_MAX];
    uint64_t begin;
    uint64_t end;
};

static struct frame *frame_at(struct event_position place, size_t payload_size)
{
    static const char payload[200] = {'x'};
    struct frame_event event = {
        .subject = "s", .event = "e", .payload = payload, .payload_size = payload_size, .position = place};
    struct frame *frame = frame_new_event(&event);

    assert_non_null(frame);
    return frame;
}

static struct event_position model_before(const struct model *model, uint64_t slot)
{
    return slot == 0 ? model->before : model->places[slot - 1];
}

static void push(struct ring *ring, struct model *model, struct event_position place, size_t payload_size)
{
    struct frame *frame = frame_at(place, payload_size);

    assert_int_equal(ring_push(ring, frame), 0);
    assert_true(model->end < MODEL_MAX);
    model->places[model->end] = place;
    model->sizes[model->end++] = frame_memory_size(frame);
    frame_unref(frame);
}

static void assert_find(const struct ring *ring, const struct model *model, struct event_position place)
{
    uint64_t expected = model->begin;
    bool exact = false;
    uint64_t found = ring_find(ring, place, &exact);

    while (expected < model->end && event_position_compare(model->places[expected], place) <= 0)
        expected++;
    assert_int_equal(found, expected);
    assert_int_equal(exact, event_position_compare(model_before(model, expected), place) == 0);
}

static void assert_bytes(const struct ring *ring, const struct model *model, uint64_t from, uint64_t to)
{
    size_t expected = 0;

    for (uint64_t slot = from; slot < to; slot++)
        expected += model->sizes[slot];
    assert_int_equal(ring_bytes(ring, from, to), expected);
}

static uint64_t between(uint64_t from, uint64_t to)
{
    return from + (uint64_t)random() % (to - from + 1);
}

static void assert_alike(const struct ring *ring, const struct model *model)
{
    uint64_t from;
    struct event_position place;

    assert_int_equal(ring_begin(ring), model->begin);
    assert_int_equal(ring_end(ring), model->end);
    assert_int_equal(event_position_compare(ring_before(ring, model->end), model_before(model, model->end)), 0);
    from = between(model->begin, model->end);
    assert_int_equal(event_position_compare(ring_before(ring, from), model_before(model, from)), 0);
    assert_int_equal(event_position_compare(ring_before(ring, model->begin), model_before(model, model->begin)), 0);
    if (from < model->end) {
        place = frame_position(ring_frame(ring, from));
        assert_int_equal(event_position_compare(place, model->places[from]), 0);
    }
    assert_bytes(ring, model, from, between(from, model->end));
    assert_bytes(ring, model, model->begin, from);
    assert_find(ring, model, model_before(model, from));
    place.ms = between(0, model_before(model, model->end).ms + 2);
    place.seq = between(0, 4);
    assert_find(ring, model, place);
}

static struct event_position next_place(struct event_position place)
{
    if (random() % 4 == 0)
        return (struct event_position){.ms = place.ms + 1 + (uint64_t)random() % 3, .seq = (uint64_t)random() % 3};
    return (struct event_position){.ms = place.ms, .seq = place.seq + 1 + (uint64_t)random() % 2};
}

static void test_it_acts_as_a_trivial_model_does_under_random_use(void **state)
{
    static const unsigned seed = 20240607;
    static struct model model;
    struct ring *ring;

    (void)state;
    print_message("seed %u\n", seed);
    srandom(seed);
    model.before = (struct event_position){.ms = 5, .seq = 1};
    ring = ring_new(model.before);
    assert_non_null(ring);
    assert_alike(ring, &model);
    while (model.end < 20000) {
        long action = random() % 100;
        uint64_t begin = model.begin;

        for (long i = action < 3 ? 300 : action < 60 ? 1 : 0; i > 0; i--)
            push(ring, &model, next_place(model_before(&model, model.end)), (size_t)random() % 200);
        if (action >= 97)
            begin = between(model.begin, model.end);
        else if (action >= 60)
            begin = model.begin < model.end ? model.begin + 1 : model.begin;
        ring_trim(ring, begin);
        model.begin = begin;
        assert_alike(ring, &model);
    }
    ring_free(ring);
}

static void test_an_empty_ring_begins_behind_the_place_it_was_made_with(void **state)
{
    struct event_position before = {.ms = 9, .seq = 3};
    struct ring *ring = ring_new(before);
    bool exact;

    (void)state;
    assert_int_equal(ring_begin(ring), ring_end(ring));
    assert_int_equal(event_position_compare(ring_before(ring, 0), before), 0);
    assert_int_equal(ring_find(ring, before, &exact), 0);
    assert_true(exact);
    assert_int_equal(ring_find(ring, (struct event_position){.ms = 8, .seq = 3}, &exact), 0);
    assert_false(exact);
    assert_int_equal(ring_bytes(ring, 0, 0), 0);
    ring_trim(ring, 0);
    ring_free(ring);
    ring_free(NULL);
}

static void test_slots_and_the_head_stay_when_all_frames_leave(void **state)
{
    struct ring *ring = ring_new((struct event_position){0, 0});
    struct event_position place = {.ms = 4, .seq = 4};
    struct frame *frame = frame_at(place, 1);
    bool exact;

    (void)state;
    assert_int_equal(ring_push(ring, frame), 0);
    ring_trim(ring, 1);
    assert_int_equal(ring_begin(ring), 1);
    assert_int_equal(ring_end(ring), 1);
    assert_int_equal(event_position_compare(ring_before(ring, 1), place), 0);
    assert_int_equal(ring_find(ring, place, &exact), 1);
    assert_true(exact);
    frame_unref(frame);
    ring_free(ring);
}

/* The ring's own reference keeps the frame; the sanitizer sees when it does not. */
static void test_the_ring_holds_a_reference_of_its_own(void **state)
{
    struct ring *ring = ring_new((struct event_position){0, 0});
    struct frame *frame = frame_at((struct event_position){.ms = 1, .seq = 1}, 1);
    struct frame *kept = frame_ref(frame);

    (void)state;
    assert_int_equal(ring_push(ring, frame), 0);
    frame_unref(frame);
    assert_string_equal(frame_subject(ring_frame(ring, 0)), "s");
    ring_trim(ring, 1);
    assert_string_equal(frame_subject(kept), "s");
    frame_unref(kept);
    ring_free(ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_acts_as_a_trivial_model_does_under_random_use),
        cmocka_unit_test(test_an_empty_ring_begins_behind_the_place_it_was_made_with),
        cmocka_unit_test(test_slots_and_the_head_stay_when_all_frames_leave),
        cmocka_unit_test(test_the_ring_holds_a_reference_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
