#include "auth/verdicts.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NOW INT64_C(1000000)

static struct metrics *metrics;

static struct verdicts *make(bool streaming_default)
{
    struct verdicts *verdicts =
        verdicts_new(&(struct verdicts_options){.streaming_default = streaming_default, .metrics = metrics});

    assert_non_null(verdicts);
    return verdicts;
}

static struct identity identity_of(const char *company, const char *user, const char *key, const char *token)
{
    return (struct identity){
        .company = company, .user = user, .session = "", .key_id = key, .token_id = token, .expires_ms = 0};
}

static enum verdict ask(struct verdicts *verdicts, const struct identity *identity, int64_t now_ms)
{
    return verdicts_of(verdicts, identity, now_ms);
}

static void test_nobody_is_revoked_at_first(void **state)
{
    struct verdicts *verdicts = make(true);
    struct identity identity = identity_of("acme", "u1", "k1", "t1");

    (void)state;
    assert_int_equal(ask(verdicts, &identity, NOW), VERDICT_GOOD);
    verdicts_free(verdicts);
}

static void test_each_subject_is_revoked_until_its_time(void **state)
{
    static const struct shared_revocation cases[] = {
        {SHARED_COMPANY, "acme", NOW + 10}, {SHARED_USER, "acme|u1", NOW + 10}, {SHARED_USER, "|u1", NOW + 10},
        {SHARED_KEY, "k1", NOW + 10},       {SHARED_TOKEN, "t1", NOW + 10},
    };
    struct identity named = identity_of("acme", "u1", "k1", "t1");
    /* Each text belongs to another subject here, or to a name that only begins alike. */
    struct identity other = identity_of("acme2", "acme", "t1", "k1");
    struct identity nameless = identity_of("acme2", "", "", "");

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct verdicts *verdicts = make(true);

        assert_int_equal(verdicts_set_revoked(verdicts, &cases[i], 1), 0);
        assert_int_equal(ask(verdicts, &named, NOW + 9), VERDICT_REVOKED);
        assert_int_equal(ask(verdicts, &named, NOW + 10), VERDICT_GOOD);
        assert_int_equal(ask(verdicts, &other, NOW), VERDICT_GOOD);
        assert_int_equal(ask(verdicts, &nameless, NOW), VERDICT_GOOD);
        verdicts_free(verdicts);
    }
}

static void test_a_user_of_one_company_is_not_one_of_another(void **state)
{
    struct verdicts *verdicts = make(true);
    struct identity here = identity_of("acme", "u1", "", "");
    struct identity there = identity_of("globex", "u1", "", "");
    struct identity lookalike = identity_of("globex", "acme|u1", "", "");

    (void)state;
    assert_int_equal(verdicts_set_revoked(verdicts, &(struct shared_revocation){SHARED_USER, "acme|u1", NOW + 1}, 1),
                     0);
    assert_int_equal(ask(verdicts, &here, NOW), VERDICT_REVOKED);
    assert_int_equal(ask(verdicts, &there, NOW), VERDICT_GOOD);
    assert_int_equal(ask(verdicts, &lookalike, NOW), VERDICT_GOOD);
    verdicts_free(verdicts);
}

/* A revocation heard of by NATS must hold while Redis is away, and when an older list of Redis arrives after it. */
static void test_what_was_added_stays_beside_the_shared_list(void **state)
{
    struct verdicts *verdicts = make(true);
    struct identity identity = identity_of("acme", "u1", "", "");

    (void)state;
    assert_int_equal(verdicts_add_revoked(verdicts, &(struct shared_revocation){SHARED_COMPANY, "acme", NOW + 10}, NOW),
                     0);
    assert_int_equal(verdicts_add_revoked(verdicts, &(struct shared_revocation){SHARED_COMPANY, "acme", NOW + 5}, NOW),
                     0);
    assert_int_equal(verdicts_set_revoked(verdicts, NULL, 0), 0);
    assert_int_equal(ask(verdicts, &identity, NOW + 9), VERDICT_REVOKED);
    assert_int_equal(ask(verdicts, &identity, NOW + 10), VERDICT_GOOD);
    verdicts_free(verdicts);
}

static int add_user(struct verdicts *verdicts, int number, int64_t now_ms)
{
    char user[32];

    snprintf(user, sizeof user, "|u%d", number);
    return verdicts_add_revoked(verdicts, &(struct shared_revocation){SHARED_USER, user, now_ms + 5000}, now_ms);
}

/* So many at once must not take time that grows with their square: each of them would hold up every new stream. */
static void test_as_many_as_may_be_are_added_and_what_is_over_makes_room(void **state)
{
    struct verdicts *verdicts = make(true);
    struct identity last = identity_of("acme", "u99999", "", "");

    (void)state;
    for (int i = 0; i < SHARED_FIELDS_MAX; i++)
        assert_int_equal(add_user(verdicts, i, NOW), 0);
    assert_int_equal(add_user(verdicts, SHARED_FIELDS_MAX, NOW), -ENOSPC);
    assert_int_equal(ask(verdicts, &last, NOW + 4999), VERDICT_REVOKED);
    assert_int_equal(ask(verdicts, &last, NOW + 5000), VERDICT_GOOD);
    assert_int_equal(add_user(verdicts, SHARED_FIELDS_MAX, NOW + 5000), 0);
    verdicts_free(verdicts);
}

static void test_a_new_list_replaces_the_old_one(void **state)
{
    struct verdicts *verdicts = make(true);
    struct identity identity = identity_of("acme", "", "", "");

    (void)state;
    assert_int_equal(verdicts_set_revoked(verdicts, &(struct shared_revocation){SHARED_COMPANY, "acme", NOW + 9}, 1),
                     0);
    assert_int_equal(verdicts_set_revoked(verdicts, &(struct shared_revocation){SHARED_COMPANY, "b", NOW + 9}, 1), 0);
    assert_int_equal(ask(verdicts, &identity, NOW), VERDICT_GOOD);
    verdicts_free(verdicts);
}

static struct shared_field field(const char *name, const char *value)
{
    return (struct shared_field){.name = name, .value = value, .value_size = strlen(value)};
}

static void test_flags_switch_companies(void **state)
{
    static const struct {
        const char *value;
        int expected; /* of streaming; -1: as the default has it */
    } cases[] = {
        {"true", 1},
        {"false", 0},
        {"1", 1},
        {"0", 0},
        {"t", 1},
        {"f", 0},
        {"on", 1},
        {"off", 0},
        {"{\"streaming\":true}", 1},
        {"{\"streaming\":false,\"other\":1}", 0},
        {"", -1},
        {"False", -1},
        {"yes", -1},
        {"{}", -1},
        {"{\"streaming\":0}", -1},
        {"{\"streaming\":false,\"streaming\":true}", -1},
        {"{\"streaming\":false", -1},
        {"[false]", -1},
    };
    struct identity identity = identity_of("acme", "", "", "");
    struct identity other = identity_of("acme2", "", "", "");

    (void)state;
    for (size_t i = 0; i < 2 * sizeof cases / sizeof cases[0]; i++) {
        bool by_default = i % 2 == 0;
        int expected = cases[i / 2].expected;
        struct verdicts *verdicts = make(by_default);
        struct shared_field flag = field("acme", cases[i / 2].value);
        int64_t errors = metrics_get(metrics, METRIC_FEATURES_ERRORS);

        assert_int_equal(verdicts_set_features(verdicts, &flag, 1), 0);
        assert_int_equal(metrics_get(metrics, METRIC_FEATURES_ERRORS) - errors, expected < 0);
        if (expected < 0)
            expected = by_default;
        assert_int_equal(ask(verdicts, &identity, NOW), expected ? VERDICT_GOOD : VERDICT_DISABLED);
        assert_int_equal(ask(verdicts, &other, NOW), by_default ? VERDICT_GOOD : VERDICT_DISABLED);
        verdicts_free(verdicts);
    }
}

static void test_a_field_that_is_no_company_is_counted(void **state)
{
    struct verdicts *verdicts = make(true);
    struct shared_field fields[] = {field("not a company", "false"), field("acme", "false")};
    struct identity identity = identity_of("acme", "", "", "");
    int64_t errors = metrics_get(metrics, METRIC_FEATURES_ERRORS);

    (void)state;
    assert_int_equal(verdicts_set_features(verdicts, fields, 2), 0);
    assert_int_equal(metrics_get(metrics, METRIC_FEATURES_ERRORS) - errors, 1);
    assert_int_equal(ask(verdicts, &identity, NOW), VERDICT_DISABLED);
    verdicts_free(verdicts);
}

static void test_a_long_user_fits_or_is_told(void **state)
{
    char user[IDENTITY_TEXT_SIZE];
    char name[SHARED_NAME_MAX + 1];
    char small[8];

    (void)state;
    memset(user, 'u', sizeof user - 1);
    user[sizeof user - 1] = '\0';
    assert_true(identity_user_name("acme", user, name, sizeof name));
    assert_false(identity_user_name("acme", user, small, sizeof small));
}

static int set_up(void **state)
{
    (void)state;
    metrics = metrics_new();
    return metrics ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    metrics_free(metrics);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody_is_revoked_at_first),
        cmocka_unit_test(test_each_subject_is_revoked_until_its_time),
        cmocka_unit_test(test_a_user_of_one_company_is_not_one_of_another),
        cmocka_unit_test(test_what_was_added_stays_beside_the_shared_list),
        cmocka_unit_test(test_as_many_as_may_be_are_added_and_what_is_over_makes_room),
        cmocka_unit_test(test_a_new_list_replaces_the_old_one),
        cmocka_unit_test(test_flags_switch_companies),
        cmocka_unit_test(test_a_field_that_is_no_company_is_counted),
        cmocka_unit_test(test_a_long_user_fits_or_is_told),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
