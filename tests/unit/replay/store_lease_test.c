/* Who may append, in Redis: the lease of the intake, and the epoch that appends carry. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/clock.h"
#include "tests/unit/replay/redis_server.h"
#include "tests/unit/replay/redis_store.h"
#include "tests/unit/replay/store_client.h"

static struct redis_server server;
static struct metrics *metrics;
static const struct event_position beginning = {0, 0};

/* Two replicas on one Redis. */
static struct store *a;
static struct store *b;

static int set_up(void **state)
{
    (void)state;
    redis_server_tell(&server, REDIS_COMMAND("FLUSHALL"));
    a = redis_store_connect(&server, &redis_roomy, 10000, metrics);
    b = redis_store_connect(&server, &redis_roomy, 10000, metrics);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    store_free(a);
    store_free(b);
    return 0;
}

static void set_owner(const char *field, const char *value)
{
    redis_server_tell(&server, REDIS_COMMAND("HSET", "sluice:owner", field, value));
}

/* What a claim of a second leaves, in ms. */
static int64_t left_ms(struct store *store)
{
    struct store_lease lease = lease_claim(store, "somebody", 0);

    assert_false(lease.mine);
    return lease.left_ms;
}

/* Claims until it is granted, as one who waits for its end does. */
static struct store_lease lease_await(struct store *store, const char *holder)
{
    struct store_lease lease = lease_claim(store, holder, 0);

    while (!lease.mine)
        lease = lease_claim(store, holder, 0);
    return lease;
}

static struct store_lease claim_for(struct store *store, const char *holder, uint64_t epoch, int64_t lease_ms)
{
    struct store_claim claim = {.holder = holder, .epoch = epoch, .lease_ms = lease_ms};
    struct store_lease lease;

    assert_int_equal(lease_try_claim(store, &claim, &lease), 0);
    return lease;
}

static void a_free_lease_is_taken_with_an_epoch_of_the_clock(void **state)
{
    uint64_t before_us = (uint64_t)clock_unix_ms() * 1000;
    struct store_lease lease = lease_claim(a, "a", 0);

    (void)state;
    assert_true(lease.mine);
    assert_in_range(lease.epoch, before_us - 1000000, (uint64_t)clock_unix_ms() * 1000 + 1000000);
}

static void the_holder_renews_it_with_the_same_epoch(void **state)
{
    struct store_lease first = claim_for(a, "a", 0, 2000);
    struct store_lease again = claim_for(a, "a", first.epoch, 20000);

    (void)state;
    assert_true(again.mine);
    assert_int_equal(again.epoch, first.epoch);
    assert_in_range(left_ms(b), 10000, 20000);
    /* Also one that forgot its epoch, or has an older one. */
    assert_int_equal(claim_for(a, "a", 0, 1000).epoch, first.epoch);
    assert_int_equal(claim_for(a, "a", first.epoch - 1, 1000).epoch, first.epoch);
}

static void another_is_told_whose_it_is_and_for_how_long(void **state)
{
    struct store_lease lease = claim_for(a, "a", 0, 20000);
    struct store_lease other = claim_for(b, "b", lease.epoch + 5, 20000);

    (void)state;
    assert_false(other.mine);
    assert_int_equal(other.epoch, lease.epoch);
    assert_in_range(other.left_ms, 1, 20000);
    assert_true(lease_claim(a, "a", lease.epoch).mine);
}

static void a_lease_that_ran_out_goes_to_whoever_asks_first(void **state)
{
    struct store_lease lease = claim_for(a, "a", 0, 50);
    struct store_lease other = lease_await(b, "b");

    (void)state;
    assert_true(other.epoch > lease.epoch);
    assert_false(lease_claim(a, "a", lease.epoch).mine);
}

static void a_lease_that_nobody_took_meanwhile_goes_on(void **state)
{
    struct store_lease lease = claim_for(a, "a", 0, 1000);

    (void)state;
    set_owner("until", "1");
    assert_int_equal(lease_claim(a, "a", lease.epoch).epoch, lease.epoch);
}

static void a_lease_that_was_given_back_is_free_at_once(void **state)
{
    struct store_lease lease = claim_for(a, "a", 0, 20000);
    struct store_lease other;

    (void)state;
    /* By another it is not given back. */
    store_release(b, "b");
    assert_false(lease_claim(b, "b", 0).mine);
    store_release(a, "a");
    head_load(a, "acme");
    other = lease_claim(b, "b", 0);
    assert_true(other.mine);
    assert_true(other.epoch > lease.epoch);
}

static void the_owner_of_an_older_version_has_no_lease(void **state)
{
    char epoch[32];
    struct store_lease lease;

    (void)state;
    /* Greater than the clock's: also then it grows. */
    snprintf(epoch, sizeof epoch, "%lld", (long long)(clock_unix_ms() + 3600000) * 1000);
    set_owner("epoch", epoch);
    set_owner("holder", "a");
    lease = lease_claim(a, "a", 0);
    assert_true(lease.mine);
    assert_int_equal(lease.epoch, (uint64_t)strtoull(epoch, NULL, 10) + 1);
}

static void an_epoch_assumed_while_redis_was_away_is_taken_if_it_is_greater(void **state)
{
    struct store_lease lease = lease_claim(a, "a", 0);
    uint64_t assumed = lease.epoch + 3600000000;

    (void)state;
    /* By the holder. */
    assert_int_equal(lease_claim(a, "a", assumed).epoch, assumed);
    /* By the next one. */
    store_release(a, "a");
    head_load(a, "acme");
    assert_int_equal(lease_claim(b, "b", assumed + 7).epoch, assumed + 7);
    /* One that is not greater is replaced. */
    store_release(b, "b");
    head_load(b, "acme");
    assert_int_equal(lease_claim(a, "a", assumed + 7).epoch, assumed + 8);
}

static void epochs_grow_also_when_redis_lost_its_data(void **state)
{
    struct store_lease lease = lease_claim(a, "a", 0);

    (void)state;
    redis_server_tell(&server, REDIS_COMMAND("FLUSHALL"));
    /* The holder has it again. */
    assert_int_equal(lease_claim(a, "a", lease.epoch).epoch, lease.epoch);
    redis_server_tell(&server, REDIS_COMMAND("FLUSHALL"));
    /* Or another was sooner, who knows nothing of the past. */
    assert_true(lease_claim(b, "b", 0).epoch > lease.epoch);
    assert_false(lease_claim(a, "a", lease.epoch).mine);
}

static void a_clock_that_was_set_back_does_not_keep_it_from_all(void **state)
{
    char until[32];

    (void)state;
    claim_for(a, "a", 0, 1000);
    snprintf(until, sizeof until, "%lld", (long long)clock_unix_ms() + 3600000);
    set_owner("until", until);
    assert_in_range(left_ms(b), 1, 1000);
    /* Whoever lives renews it sooner. */
    assert_true(claim_for(a, "a", 0, 30000).mine);
    assert_in_range(left_ms(b), 15000, 30000);
}

static void an_owner_hash_of_nonsense_is_free(void **state)
{
    static const char *const texts[] = {"", "x", "-5", "nan", "inf", "1e300", "99999999999999999999"};

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct store_lease lease;

        redis_server_tell(&server, REDIS_COMMAND("FLUSHALL"));
        set_owner("epoch", texts[i]);
        set_owner("holder", texts[i]);
        set_owner("until", texts[i]);
        lease = lease_await(a, "a");
        assert_true(lease.epoch >= 1600000000000000 && lease.epoch <= EVENT_NUMBER_MAX);
    }
}

static void an_append_of_the_former_owner_is_refused(void **state)
{
    struct events events = events_of("acme");
    struct events others = events_of("other");

    (void)state;
    store_set_epoch(b, 2);
    assert_int_equal(events_try_append(a, &events, 0, 10), 0);
    assert_int_equal(events_try_append(b, &events, 10, 10), 0);
    assert_int_equal(events_try_append(a, &events, 20, 10), -EPERM);
    assert_int_equal(store_state(a), STORE_READY);
    assert_int_equal(read_all(b, "acme", beginning, 100, NULL), 20);
    /* Reading does no harm. */
    assert_int_equal(read_all(a, "acme", beginning, 100, NULL), 20);
    store_set_epoch(a, 3);
    assert_int_equal(events_try_append(a, &events, 20, 10), 0);
    assert_int_equal(events_try_append(b, &others, 0, 10), 0);
    assert_int_equal(events_try_append(b, &events, 30, 10), -EPERM);
}

static void it_is_refused_as_soon_as_the_next_owner_has_read_the_head(void **state)
{
    struct events events = events_of("acme");

    (void)state;
    store_set_epoch(a, 1);
    store_set_epoch(b, 2);
    assert_int_equal(events_try_append(a, &events, 0, 10), 0);
    head_load(b, "acme");
    assert_int_equal(events_try_append(a, &events, 10, 10), -EPERM);
    /* One that does not own reads, and so does one of before. */
    store_set_epoch(b, 0);
    head_load(b, "acme");
    store_set_epoch(b, 1);
    head_load(b, "acme");
    store_set_epoch(a, 2);
    assert_int_equal(events_try_append(a, &events, 10, 10), 0);
}

static void reading_a_company_without_events_leaves_nothing(void **state)
{
    char reply[32];

    (void)state;
    store_set_epoch(a, 1);
    assert_false(head_load(a, "acme").exists);
    redis_server_ask(&server, reply, sizeof reply, REDIS_COMMAND("EXISTS", "sluice:{acme}:head"));
    assert_string_equal(reply, ":0");
}

/* Redis has forgotten the script, and the owner has changed, before it is sent again. */
static void an_append_carries_the_epoch_of_its_making(void **state)
{
    struct events events = events_of("acme");
    struct answer answer;

    (void)state;
    store_set_epoch(b, 2);
    assert_int_equal(events_try_append(b, &events, 0, 10), 0);
    redis_server_tell(&server, REDIS_COMMAND("SCRIPT", "FLUSH"));
    events_start_append(a, &events, 10, 10, &answer);
    store_set_epoch(a, 3);
    store_wait(a, &answer);
    assert_int_equal(answer.status, -EPERM);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_free_lease_is_taken_with_an_epoch_of_the_clock),
        TEST(the_holder_renews_it_with_the_same_epoch),
        TEST(another_is_told_whose_it_is_and_for_how_long),
        TEST(a_lease_that_ran_out_goes_to_whoever_asks_first),
        TEST(a_lease_that_nobody_took_meanwhile_goes_on),
        TEST(a_lease_that_was_given_back_is_free_at_once),
        TEST(the_owner_of_an_older_version_has_no_lease),
        TEST(an_epoch_assumed_while_redis_was_away_is_taken_if_it_is_greater),
        TEST(epochs_grow_also_when_redis_lost_its_data),
        TEST(a_clock_that_was_set_back_does_not_keep_it_from_all),
        TEST(an_owner_hash_of_nonsense_is_free),
        TEST(an_append_of_the_former_owner_is_refused),
        TEST(it_is_refused_as_soon_as_the_next_owner_has_read_the_head),
        TEST(reading_a_company_without_events_leaves_nothing),
        TEST(an_append_carries_the_epoch_of_its_making),
    };
    int failed;

    metrics = metrics_new();
    redis_server_start(&server);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    redis_server_kill(&server);
    metrics_free(metrics);
    return failed;
}
