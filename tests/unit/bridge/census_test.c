#include "bridge/census.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bridge/ownership.h"
#include "bridge/voice.h"
#include "core/clock.h"
#include "support/fake_clock.h"
#include "support/fake_source.h"
#include "support/fake_store.h"

enum { REPLICAS = 3, MAIL_MAX = 64 };

struct world;

/* A replica as far as a census is concerned. */
struct replica {
    struct world *world;
    struct fake_store *store;
    struct ownership *ownership;
    struct source *source;
    struct voice *voice;
    struct census *census;
    struct live_id id;
    int companies; /* company-1 has one stream, company-2 two … */
    bool is_connected;
};

/* What was published and not heard yet. */
struct world {
    struct metrics *metrics;
    struct replica replicas[REPLICAS];
    struct buffer mail[MAIL_MAX];
    size_t mail_count;
    size_t asked;
    size_t parts;
};

static bool publish(void *context, const char *subject, const char *payload, size_t size)
{
    const struct replica *replica = context;
    struct world *world = replica->world;
    struct live_reader reader;
    struct live_header header;

    assert_string_equal(subject, "sluice.live.blue");
    assert_int_equal(live_read_header(&reader, payload, size, &header), 0);
    world->asked += header.type == LIVE_ASK;
    world->parts += header.type == LIVE_COUNTS;
    assert_true(world->mail_count < MAIL_MAX);
    world->mail[world->mail_count] = buffer_make(1024 * 1024);
    buffer_append(&world->mail[world->mail_count++], payload, size);
    return true;
}

static bool is_connected(void *context)
{
    return ((const struct replica *)context)->is_connected;
}

static void ignore_header(void *context, struct live_header *header)
{
    (void)context;
    (void)header;
}

static void ignore(void *context)
{
    (void)context;
}

static void list(void *context, census_visit visit, void *visitor)
{
    const struct replica *replica = context;
    char name[32];

    for (int i = 1; i <= replica->companies; i++) {
        snprintf(name, sizeof name, "company-%d", i);
        visit(visitor, name, i);
    }
}

static void replica_init(struct world *world, int index)
{
    struct replica *replica = &world->replicas[index];

    replica->world = world;
    replica->is_connected = true;
    replica->companies = index;
    memset(replica->id.bytes, 0x10 * (index + 1), sizeof replica->id.bytes);
    replica->store = fake_store_new(STORE_READY);
    replica->source = fake_source_new(
        &(struct fake_source_options){.publish = publish, .is_connected = is_connected, .context = replica});
    replica->ownership = ownership_new(&(struct ownership_options){.id = replica->id,
                                                                   .store = fake_store_base(replica->store),
                                                                   .send = ignore_header,
                                                                   .began = ignore,
                                                                   .ended = ignore,
                                                                   .metrics = world->metrics});
    replica->voice = voice_new(&(struct voice_options){.id = replica->id,
                                                       .ownership = replica->ownership,
                                                       .store = fake_store_base(replica->store),
                                                       .source = replica->source,
                                                       .live_subject = "sluice.live.blue"});
    replica->census = census_new(&(struct census_options){.id = replica->id,
                                                          .ownership = replica->ownership,
                                                          .source = replica->source,
                                                          .voice = replica->voice,
                                                          .streams = {.list = list, .context = replica}});
    assert_non_null(replica->ownership);
    assert_non_null(replica->voice);
    assert_non_null(replica->census);
}

/* replica has heard `peer`. */
static void meet(struct replica *replica, const struct replica *peer, enum live_type type)
{
    struct live_header header = {.type = type, .from = peer->id, .epoch = 1};

    (void)ownership_hear(replica->ownership, &header, clock_monotonic_ns());
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);

    assert_non_null(world);
    world->metrics = metrics_new();
    for (int i = 0; i < REPLICAS; i++)
        replica_init(world, i);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    for (size_t i = 0; i < world->mail_count; i++)
        buffer_release(&world->mail[i]);
    for (int i = 0; i < REPLICAS; i++) {
        store_free(fake_store_base(world->replicas[i].store));
        census_free(world->replicas[i].census);
        voice_free(world->replicas[i].voice);
        ownership_free(world->replicas[i].ownership);
        fake_source_free(world->replicas[i].source);
    }
    metrics_free(world->metrics);
    free(world);
    return 0;
}

/* All have heard all; the second one owns. */
static void meet_all(struct world *world)
{
    for (int i = 0; i < REPLICAS; i++)
        for (int k = 0; k < REPLICAS; k++)
            if (i != k)
                meet(&world->replicas[i], &world->replicas[k], k == 1 ? LIVE_OWNER : LIVE_PEER);
}

/* The first message is heard by all but its sender and those below. */
static void deliver(struct world *world, int first_hearer)
{
    struct buffer message = world->mail[0];
    struct live_reader reader;
    struct live_header header;

    world->mail_count--;
    memmove(&world->mail[0], &world->mail[1], world->mail_count * sizeof world->mail[0]);
    for (int i = first_hearer; i < REPLICAS; i++) {
        assert_int_equal(live_read_header(&reader, message.data, message.size, &header), 0);
        if (!live_id_equals(header.from, world->replicas[i].id))
            assert_int_equal(census_hear(world->replicas[i].census, &header, &reader), 0);
    }
    buffer_release(&message);
}

static void deliver_all(struct world *world)
{
    while (world->mail_count > 0)
        deliver(world, 0);
}

/* What an asker got. */
struct got {
    int calls;
    struct census_result *result;
};

static void take(void *context, struct census_result *result)
{
    struct got *got = context;

    got->calls++;
    census_result_unref(got->result);
    got->result = result ? census_result_ref(result) : NULL;
}

static void assert_replica(const struct census_result *result, size_t index, const struct replica *replica)
{
    const struct census_replica *found = &result->replicas[index];
    int n = replica->companies;

    assert_true(index < result->count);
    assert_true(strncmp(found->id, "101010", 6) == 0 || strncmp(found->id, "202020", 6) == 0 ||
                strncmp(found->id, "303030", 6) == 0);
    assert_int_equal(found->id[0] - '1', replica - replica->world->replicas);
    assert_int_equal(found->connections, (int64_t)n * (n + 1) / 2);
    assert_int_equal(found->companies, n);
    assert_int_equal(found->count, n < LIVE_COMPANIES_MAX ? n : LIVE_COMPANIES_MAX);
    for (size_t i = 0; i < found->count; i++)
        assert_int_equal(found->counts[i].connections, i + 1);
}

static void test_alone_it_is_answered_at_once(void **state)
{
    struct world *world = *state;
    struct census *census = world->replicas[1].census;
    struct got got = {0};

    world->replicas[1].companies = 5;
    census_ask(census, take, &got);
    assert_int_equal(got.calls, 1);
    /* Not as often as somebody likes: each answer is a look through everything. */
    census_ask(census, take, &got);
    census_ask(census, take, &got);
    assert_int_equal(got.calls, 1);
    assert_int_equal(census_deadline_ns(census) - clock_monotonic_ns(), 200 * 1000000);
    fake_clock_advance_ms(200);
    census_run(census, clock_monotonic_ns());
    assert_int_equal(got.calls, 3);
    assert_true(got.result->is_complete);
    assert_int_equal(got.result->count, 1);
    assert_true(got.result->replicas[0].is_self);
    assert_false(got.result->replicas[0].is_owner);
    assert_replica(got.result, 0, &world->replicas[1]);
    assert_int_equal(world->asked, 0);
    census_result_unref(got.result);
}

static void test_all_are_asked_and_counted(void **state)
{
    struct world *world = *state;
    struct got got = {0};

    meet_all(world);
    census_ask(world->replicas[0].census, take, &got);
    assert_int_equal(got.calls, 0);
    deliver_all(world);
    assert_int_equal(got.calls, 1);
    assert_int_equal(world->asked, 1);
    assert_int_equal(world->parts, 2);
    assert_true(got.result->is_complete);
    assert_int_equal(got.result->count, 3);
    for (int i = 0; i < REPLICAS; i++) {
        assert_replica(got.result, (size_t)i, &world->replicas[i]);
        assert_int_equal(got.result->replicas[i].is_self, i == 0);
        assert_int_equal(got.result->replicas[i].is_owner, i == 1);
    }
    census_result_unref(got.result);
}

static void test_who_does_not_answer_is_not_waited_for_long(void **state)
{
    struct world *world = *state;
    struct got got = {0};
    struct census *census = world->replicas[0].census;

    meet_all(world);
    world->replicas[1].companies = 0;
    census_ask(census, take, &got);
    deliver(world, 0);
    deliver(world, 0);
    buffer_release(&world->mail[--world->mail_count]);
    fake_clock_advance_ms(499);
    census_run(census, clock_monotonic_ns());
    assert_int_equal(got.calls, 0);
    assert_int_equal(census_deadline_ns(census) - clock_monotonic_ns(), 1000000);
    fake_clock_advance_ms(1);
    census_run(census, clock_monotonic_ns());
    assert_int_equal(got.calls, 1);
    assert_false(got.result->is_complete);
    assert_int_equal(got.result->count, 2);
    assert_replica(got.result, 0, &world->replicas[0]);
    assert_replica(got.result, 1, &world->replicas[1]);
    assert_true(census_deadline_ns(census) == INT64_MAX);
    census_result_unref(got.result);
}

static void test_an_answer_to_an_earlier_question_is_none(void **state)
{
    struct world *world = *state;
    struct got got = {0};
    struct census *census = world->replicas[0].census;
    struct buffer late;

    meet_all(world);
    census_ask(census, take, &got);
    deliver(world, 0);
    late = world->mail[1];
    world->mail_count = 1;
    deliver_all(world);
    fake_clock_advance_ms(500);
    census_run(census, clock_monotonic_ns());
    assert_int_equal(got.calls, 1);
    census_ask(census, take, &got);
    world->mail[world->mail_count++] = late;
    world->replicas[2].companies = 7;
    /* The question, then the late answer, then the others. */
    deliver(world, 0);
    deliver(world, 0);
    assert_int_equal(got.calls, 1);
    deliver_all(world);
    assert_int_equal(got.calls, 2);
    assert_true(got.result->is_complete);
    assert_replica(got.result, 2, &world->replicas[2]);
    census_result_unref(got.result);
}

static void test_one_question_serves_all_who_asked_before_it(void **state)
{
    struct world *world = *state;
    struct got first = {0};
    struct got others = {0};
    struct census *census = world->replicas[0].census;

    meet_all(world);
    census_ask(census, take, &first);
    for (int i = 0; i < 50; i++)
        census_ask(census, take, &others);
    deliver_all(world);
    assert_int_equal(first.calls, 1);
    assert_int_equal(others.calls, 0);
    /* They are the next, but not at once. */
    assert_int_equal(census_deadline_ns(census) - clock_monotonic_ns(), 200 * 1000000);
    fake_clock_advance_ms(199);
    census_run(census, clock_monotonic_ns());
    assert_int_equal(world->asked, 1);
    fake_clock_advance_ms(1);
    census_run(census, clock_monotonic_ns());
    assert_int_equal(world->asked, 2);
    deliver_all(world);
    assert_int_equal(others.calls, 50);
    assert_true(others.result->is_complete);
    assert_int_equal(world->asked, 2);
    census_result_unref(first.result);
    census_result_unref(others.result);
}

static void test_two_may_ask_at_the_same_time(void **state)
{
    struct world *world = *state;
    struct got got[REPLICAS] = {{0}};

    meet_all(world);
    for (int i = 0; i < REPLICAS; i++)
        census_ask(world->replicas[i].census, take, &got[i]);
    deliver_all(world);
    for (int i = 0; i < REPLICAS; i++) {
        assert_int_equal(got[i].calls, 1);
        assert_true(got[i].result->is_complete);
        assert_int_equal(got[i].result->count, 3);
        assert_replica(got[i].result, 0, &world->replicas[i]);
        census_result_unref(got[i].result);
    }
}

static void test_many_companies_come_in_parts_and_very_many_are_cut(void **state)
{
    struct world *world = *state;
    struct got got = {0};

    meet_all(world);
    world->replicas[1].companies = LIVE_COMPANIES_MAX;
    world->replicas[2].companies = LIVE_COMPANIES_MAX + 1;
    census_ask(world->replicas[0].census, take, &got);
    deliver_all(world);
    assert_true(world->parts > 2 && world->parts < 10);
    assert_int_equal(got.calls, 1);
    assert_true(got.result->is_complete);
    for (int i = 0; i < REPLICAS; i++)
        assert_replica(got.result, (size_t)i, &world->replicas[i]);
    census_result_unref(got.result);
}

static void test_an_answer_with_a_part_missing_is_none(void **state)
{
    struct world *world = *state;
    struct got got = {0};
    struct census *census = world->replicas[0].census;

    meet(&world->replicas[0], &world->replicas[1], LIVE_PEER);
    world->replicas[1].companies = LIVE_COMPANIES_MAX;
    census_ask(census, take, &got);
    deliver(world, 0);
    assert_true(world->parts > 2);
    for (size_t i = 0; i < world->mail_count; i++) {
        /* The third replica, which came behind the question, says that it has none. */
        struct live_reader reader;
        struct live_header header;

        assert_int_equal(live_read_header(&reader, world->mail[i].data, world->mail[i].size, &header), 0);
        if (i != 1 || !live_id_equals(header.from, world->replicas[1].id))
            assert_int_equal(census_hear(census, &header, &reader), 0);
    }
    assert_int_equal(got.calls, 0);
    fake_clock_advance_ms(500);
    census_run(census, clock_monotonic_ns());
    assert_int_equal(got.calls, 1);
    assert_false(got.result->is_complete);
    assert_int_equal(got.result->count, 2);
    assert_replica(got.result, 1, &world->replicas[2]);
    census_result_unref(got.result);
}

static void test_without_nats_nobody_is_asked(void **state)
{
    struct world *world = *state;
    struct got got = {0};

    meet_all(world);
    world->replicas[0].is_connected = false;
    census_ask(world->replicas[0].census, take, &got);
    assert_int_equal(got.calls, 1);
    assert_int_equal(world->asked, 0);
    assert_false(got.result->is_complete);
    assert_int_equal(got.result->count, 1);
    census_result_unref(got.result);
}

static void test_a_bad_answer_is_refused(void **state)
{
    struct world *world = *state;
    struct live_header header = {.type = LIVE_COUNTS, .from = world->replicas[1].id, .about = world->replicas[0].id};
    struct buffer message = buffer_make(1000);
    struct live_reader reader;

    live_begin(&message, &header);
    live_begin_counts(&message, &(struct live_counts){.connections = 1, .companies = 2});
    assert_int_equal(live_read_header(&reader, message.data, message.size, &header), 0);
    assert_int_equal(census_hear(world->replicas[0].census, &header, &reader), -EINVAL);
    buffer_release(&message);
}

static void test_who_asked_is_told_of_the_end(void **state)
{
    struct world *world = *state;
    struct got got = {0};

    meet_all(world);
    census_ask(world->replicas[0].census, take, &got);
    census_ask(world->replicas[0].census, take, &got);
    census_free(world->replicas[0].census);
    world->replicas[0].census = NULL;
    assert_int_equal(got.calls, 2);
    assert_null(got.result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_alone_it_is_answered_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_all_are_asked_and_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_who_does_not_answer_is_not_waited_for_long, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_answer_to_an_earlier_question_is_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_one_question_serves_all_who_asked_before_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_two_may_ask_at_the_same_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many_companies_come_in_parts_and_very_many_are_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_answer_with_a_part_missing_is_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_without_nats_nobody_is_asked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_bad_answer_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_who_asked_is_told_of_the_end, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
