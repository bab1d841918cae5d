#include "core/config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* An environment: name, value, …, NULL. */
static const char *look_up(void *context, const char *name)
{
    const char *const *variables = context;

    for (; variables[0]; variables += 2)
        if (strcmp(variables[0], name) == 0)
            return variables[1];
    return NULL;
}

struct loaded {
    struct config config;
    struct buffer errors;
    int status;
};

/* flags: a list that ends with NULL. */
static struct loaded load(const char *const *flags, const char *const *variables)
{
    struct loaded loaded = {.errors = buffer_make(65536)};
    int count = 0;

    while (flags[count])
        count++;
    loaded.status = config_load(&loaded.config, count, (char **)(uintptr_t)flags, look_up, (void *)(uintptr_t)variables,
                                &loaded.errors);
    buffer_append(&loaded.errors, "", 1);
    return loaded;
}

static void release(struct loaded *loaded)
{
    config_release(&loaded->config);
    buffer_release(&loaded->errors);
}

#define FLAGS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define NO_FLAGS ((const char *const[]){NULL})
#define VARIABLES(...) ((const char *const[]){"AUTH_MODE", "none", __VA_ARGS__, NULL})
#define NO_VARIABLES ((const char *const[]){"AUTH_MODE", "none", NULL})

static void test_the_defaults_are_those_of_the_documentation(void **state)
{
    struct loaded loaded = load(NO_FLAGS, NO_VARIABLES);
    const struct config *config = &loaded.config;

    (void)state;
    assert_int_equal(loaded.status, 0);
    assert_string_equal(loaded.errors.data, "");
    assert_true(config->streaming_enabled);
    assert_int_equal(config->port, 3007);
    assert_string_equal(config->bind_address, "0.0.0.0");
    assert_string_equal(config->auth_mode, "none");
    assert_string_equal(config->cors_origins, "*");
    assert_string_equal(config->nats_url, "nats://localhost:4222");
    assert_string_equal(config->nats_subjects, "metrics.*,journey.*,q2q.*");
    assert_string_equal(config->dead_letter_subject, "");
    assert_string_equal(config->redis_url, "redis://localhost:6379");
    assert_int_equal(config->heartbeat_seconds, 30);
    assert_int_equal(config->idle_timeout_seconds, 900);
    assert_int_equal(config->buffer_events, 100);
    assert_int_equal(config->buffer_bytes, 1048576);
    assert_int_equal(config->replay_ttl_seconds, 86400);
    assert_int_equal(config->replay_max_events, 1000000);
    assert_int_equal(config->replay_max_bytes, 268435456);
    assert_int_equal(config->max_event_bytes, 262144);
    assert_int_equal(config->flush_window_ms, 8);
    assert_int_equal(config->drain_seconds, 10);
    assert_int_equal(config->request_head_seconds, 10);
    assert_string_equal(config->log_level, "info");
    release(&loaded);
}

static void test_a_flag_goes_before_the_environment(void **state)
{
    struct loaded loaded =
        load(FLAGS("--port-analytics", "1", "--heartbeat-seconds=7", "--log-level", "debug", "--log-level=warn"),
             VARIABLES("PORT_ANALYTICS", "2", "HEARTBEAT_SECONDS", "8", "BUFFER_EVENTS", "9"));

    (void)state;
    assert_int_equal(loaded.status, 0);
    assert_int_equal(loaded.config.port, 1);
    assert_int_equal(loaded.config.heartbeat_seconds, 7);
    assert_int_equal(loaded.config.buffer_events, 9);
    assert_string_equal(loaded.config.log_level, "warn");
    release(&loaded);
}

static void test_a_flags_value_may_hold_an_equals_sign(void **state)
{
    struct loaded loaded = load(FLAGS("--event-names=a.*=x", "--nats-subjects", "a.*"), NO_VARIABLES);

    (void)state;
    assert_int_equal(loaded.status, 0);
    assert_string_equal(loaded.config.event_names, "a.*=x");
    release(&loaded);
}

static void test_an_empty_variable_is_an_unset_one(void **state)
{
    struct loaded loaded =
        load(NO_FLAGS, VARIABLES("PORT_ANALYTICS", "", "NATS_URL", "", "LOG_LEVEL", "", "CORS_ORIGINS", ""));

    (void)state;
    assert_int_equal(loaded.status, 0);
    assert_int_equal(loaded.config.port, 3007);
    assert_string_equal(loaded.config.nats_url, "nats://localhost:4222");
    assert_string_equal(loaded.config.log_level, "info");
    assert_string_equal(loaded.config.cors_origins, "*");
    release(&loaded);
}

static void test_an_empty_redis_url_means_a_replay_in_memory(void **state)
{
    struct loaded loaded = load(NO_FLAGS, VARIABLES("REDIS_URL", ""));

    (void)state;
    assert_int_equal(loaded.status, 0);
    assert_string_equal(loaded.config.redis_url, "");
    release(&loaded);
    loaded = load(FLAGS("--redis-url="), VARIABLES("REDIS_URL", "redis://elsewhere"));
    assert_int_equal(loaded.status, 0);
    assert_string_equal(loaded.config.redis_url, "");
    release(&loaded);
}

static void test_an_open_bridge_is_a_decision(void **state)
{
    static const char *const values[] = {NULL, "", "None", "open"};

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct loaded loaded = load(NO_FLAGS, (const char *const[]){"AUTH_MODE", values[i], NULL});

        assert_int_equal(loaded.status, -EINVAL);
        assert_non_null(strstr(loaded.errors.data, "AUTH_MODE"));
        assert_non_null(strstr(loaded.errors.data, "none"));
        release(&loaded);
    }
}

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;

    for (const char *at = text; (at = strstr(at, part)); at += strlen(part))
        count++;
    return count;
}

static void test_every_bad_value_is_named_at_once(void **state)
{
    static const char *const names[] = {"STREAMING_ENABLED", "PORT_ANALYTICS", "BIND_ADDRESS",  "AUTH_MODE",
                                        "CORS_ORIGINS",      "NATS_URL",       "NATS_SUBJECTS", "EVENT_NAMES",
                                        "REDIS_URL",         "BUFFER_EVENTS",  "LOG_LEVEL",     "DEAD_LETTER_SUBJECT"};
    enum { COUNT = sizeof names / sizeof names[0] };
    const char *variables[2 * COUNT + 1] = {NULL};
    struct loaded loaded;

    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        variables[2 * i] = names[i];
        variables[2 * i + 1] = "* b@d";
    }
    loaded = load(FLAGS("--no-such-option", "--workers", "many", "stray"), variables);
    assert_int_equal(loaded.status, -EINVAL);
    for (size_t i = 0; i < COUNT; i++) {
        char start[64];

        snprintf(start, sizeof start, "%s: \"", names[i]);
        assert_int_equal(count_of(loaded.errors.data, start), 1);
    }
    assert_int_equal(count_of(loaded.errors.data, "WORKERS: \"many\""), 1);
    assert_int_equal(count_of(loaded.errors.data, "--no-such-option"), 1);
    assert_int_equal(count_of(loaded.errors.data, "stray"), 1);
    assert_int_equal(count_of(loaded.errors.data, "\n"), COUNT + 3);
    assert_int_equal(count_of(loaded.errors.data, "expected "), COUNT + 1);
    release(&loaded);
}

static void test_numbers_are_whole_and_within_their_range(void **state)
{
    static const char *const bad[] = {
        "-1",  "65536", "1.5", "1e3", "0x10", "+1", " 1", "1 ", "1 2", "--1", "1-", "port", "99999999999999999999",
        "1\n", "\t1"};
    static const char *const good[] = {"0", "65535", "8080"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct loaded loaded = load(NO_FLAGS, VARIABLES("PORT_ANALYTICS", bad[i]));

        if (loaded.status != -EINVAL)
            fail_msg("\"%s\" was accepted", bad[i]);
        assert_non_null(strstr(loaded.errors.data, "from 0 to 65535"));
        release(&loaded);
    }
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct loaded loaded = load(NO_FLAGS, VARIABLES("PORT_ANALYTICS", good[i]));

        assert_int_equal(loaded.status, 0);
        release(&loaded);
    }
}

static void test_truth_values_have_few_spellings(void **state)
{
    static const struct {
        const char *value;
        int expected; /* -1: refused */
    } cases[] = {{"true", 1}, {"1", 1}, {"false", 0}, {"0", 0}, {"TRUE", -1}, {"yes", -1}, {"2", -1}, {" true", -1}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct loaded loaded = load(NO_FLAGS, VARIABLES("STREAMING_ENABLED", cases[i].value));

        if (cases[i].expected < 0)
            assert_int_equal(loaded.status, -EINVAL);
        else
            assert_int_equal(loaded.config.streaming_enabled, cases[i].expected);
        release(&loaded);
    }
}

static void assert_not_told(const char *const *flags, const char *const *variables)
{
    struct loaded loaded = load(flags, variables);

    assert_int_equal(loaded.status, -EINVAL);
    if (strstr(loaded.errors.data, "secret") || strstr(loaded.errors.data, "SECRET"))
        fail_msg("told: %s", loaded.errors.data);
    release(&loaded);
}

static void test_passwords_are_never_told(void **state)
{
    (void)state;
    assert_not_told(NO_FLAGS, VARIABLES("NATS_URL", "http://u:secret@h"));
    assert_not_told(NO_FLAGS, VARIABLES("NATS_URL", "nats://u:secret@h,u:secret@i"));
    assert_not_told(NO_FLAGS, VARIABLES("NATS_URL", "nats://u:s@secret@h,http://i"));
    assert_not_told(NO_FLAGS, VARIABLES("REDIS_URL", "rediss://:secret@h:port"));
    assert_not_told(NO_FLAGS, VARIABLES("REDIS_URL", "rediss://u:p@secret@h:6379/2"));
    assert_not_told(NO_FLAGS, VARIABLES("REDIS_URL", "rediss://secret,secret@h:port"));
    assert_not_told(FLAGS("--redis-url=http://:secret@h"), NO_VARIABLES);
    assert_not_told(FLAGS("--redis-url", "http://:secret@h"), NO_VARIABLES);
    assert_not_told(FLAGS("--nats-ur=nats://:secret@h"), NO_VARIABLES);
    assert_not_told(FLAGS("--nats-passwort", "secret"), NO_VARIABLES);
}

/* The value of a flag that is misspelt, or of one that takes none, stands alone. */
static void test_the_password_of_a_stray_url_is_not_told_either(void **state)
{
    (void)state;
    assert_not_told(FLAGS("--redis_url", "redis://:secret@h"), NO_VARIABLES);
    assert_not_told(FLAGS("redis://:secret@h"), NO_VARIABLES);
}

static void test_a_bad_secret_is_hidden(void **state)
{
    struct loaded loaded = load(FLAGS("--jwt-secret", "hunter2"), NO_VARIABLES);

    (void)state;
    assert_int_equal(loaded.status, -EINVAL);
    assert_non_null(strstr(loaded.errors.data, "JWT_SECRET: \"(hidden)\""));
    assert_null(strstr(loaded.errors.data, "hunter2"));
    release(&loaded);
    loaded = load(FLAGS("--jwt_secret", "hunter2"), NO_VARIABLES);
    assert_int_equal(loaded.status, -EINVAL);
    assert_null(strstr(loaded.errors.data, "hunter2"));
    release(&loaded);
}

static void test_modes_need_their_keys(void **state)
{
    static const char secret[] = "0123456789abcdef0123456789abcdef";
    static const struct {
        const char *variables[7];
        const char *complaint; /* NULL: it is good */
    } cases[] = {
        {{"AUTH_MODE", "jwt", NULL}, "\"jwt\" needs a key"},
        {{"AUTH_MODE", "jwt,apikey", "API_KEYS_FILE", "/keys", NULL}, "\"jwt\" needs a key"},
        {{"AUTH_MODE", "jwt", "JWT_SECRET", secret, NULL}, NULL},
        {{"AUTH_MODE", "apikey", "REDIS_URL", "", NULL}, "\"apikey\" needs keys"},
        {{"AUTH_MODE", "apikey", NULL}, NULL},
        {{"AUTH_MODE", "apikey", "REDIS_URL", "", "API_KEYS_FILE", "/keys", NULL}, NULL},
        {{"AUTH_MODE", "apikey, jwt", "JWT_SECRET", secret, NULL}, NULL},
        {{"AUTH_MODE", "jwt,none", "JWT_SECRET", secret, NULL}, "expected none, jwt, apikey or jwt,apikey"},
        {{"AUTH_MODE", "none,", NULL}, "expected none"},
        {{"AUTH_MODE", "none", "AUTH_COOKIE", "session", NULL}, "not valid with AUTH_COOKIE"},
        {{"AUTH_MODE", "none", "AUTH_COOKIE", "session", "CORS_ORIGINS", "https://a.example", NULL}, NULL},
        {{"AUTH_MODE", "none", "AUTH_COOKIE", "a b", "CORS_ORIGINS", "https://a.example", NULL}, "a cookie's name"},
        {{"AUTH_MODE", "none", "ADMIN_KEY", "short", NULL}, "ADMIN_KEY: \"(hidden)\""},
        {{"AUTH_MODE", "none", "ADMIN_BIND_ADDRESS", "nowhere", NULL}, "an IPv4 or IPv6 address"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct loaded loaded = load(NO_FLAGS, cases[i].variables);

        assert_int_equal(loaded.status, cases[i].complaint ? -EINVAL : 0);
        if (cases[i].complaint && !strstr(loaded.errors.data, cases[i].complaint))
            fail_msg("case %zu: %s", i, loaded.errors.data);
        release(&loaded);
    }
}

static void test_keys_have_one_source(void **state)
{
    struct loaded loaded = load(NO_FLAGS, VARIABLES("JWT_SECRET_FILE", "/a", "JWT_JWKS_URL", "https://a.example/k"));

    (void)state;
    assert_int_equal(loaded.status, -EINVAL);
    assert_non_null(strstr(loaded.errors.data, "more than one is set"));
    release(&loaded);
}

static void test_values_for_tokens_are_checked(void **state)
{
    static const char *const bad[][2] = {
        {"JWT_JWKS_URL", "file:///etc/passwd"},
        {"JWT_JWKS_URL", "https://"},
        {"JWT_JWKS_URL", "ftp://h/"},
        {"JWT_JWKS_URL", "https://a b/"},
        {"JWT_ALGORITHMS", "none"},
        {"JWT_ALGORITHMS", "RS256,rs512"},
        {"JWT_ALGORITHMS", "RS256 ES256"},
        {"JWT_LEEWAY_SECONDS", "601"},
        {"JWT_REQUIRE_EXP", "maybe"},
        {"JWT_SECRET", "too short"},
    };
    struct loaded loaded;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        loaded = load(NO_FLAGS, VARIABLES(bad[i][0], bad[i][1]));
        if (loaded.status != -EINVAL)
            fail_msg("%s=%s was accepted", bad[i][0], bad[i][1]);
        release(&loaded);
    }
    loaded = load(NO_FLAGS, VARIABLES("JWT_JWKS_URL", "https://u:p@h.example:8443/k?x=1", "JWT_ALGORITHMS",
                                      "RS256, EdDSA", "JWT_ADMIN_CLAIM", "https://h/admin"));
    assert_int_equal(loaded.status, 0);
    release(&loaded);
}

static void test_a_flag_without_a_value_is_told(void **state)
{
    struct loaded loaded = load(FLAGS("--port-analytics"), NO_VARIABLES);

    (void)state;
    assert_int_equal(loaded.status, -EINVAL);
    assert_non_null(strstr(loaded.errors.data, "--port-analytics"));
    release(&loaded);
}

static void test_flags_are_spelt_in_full(void **state)
{
    static const char *const bad[] = {
        "--port", "--PORT-ANALYTICS=1", "--port_analytics=1", "-port-analytics=1", "--", "-", "", "port-analytics=1"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct loaded loaded = load(FLAGS(bad[i]), NO_VARIABLES);

        if (loaded.status != -EINVAL)
            fail_msg("\"%s\" was accepted", bad[i]);
        release(&loaded);
    }
}

static void test_dead_letters_never_come_back_as_events(void **state)
{
    static const char *const covered[] = {"metrics.dead", "journey.x", "q2q.y"};
    struct loaded loaded;

    (void)state;
    for (size_t i = 0; i < sizeof covered / sizeof covered[0]; i++) {
        loaded = load(NO_FLAGS, VARIABLES("DEAD_LETTER_SUBJECT", covered[i]));
        assert_int_equal(loaded.status, -EINVAL);
        assert_non_null(strstr(loaded.errors.data, "DEAD_LETTER_SUBJECT"));
        release(&loaded);
    }
    loaded = load(NO_FLAGS, VARIABLES("DEAD_LETTER_SUBJECT", "a.b.c", "NATS_SUBJECTS", "x,a.>"));
    assert_int_equal(loaded.status, -EINVAL);
    release(&loaded);
    loaded = load(NO_FLAGS, VARIABLES("DEAD_LETTER_SUBJECT", "dead.letters"));
    assert_int_equal(loaded.status, 0);
    assert_string_equal(loaded.config.dead_letter_subject, "dead.letters");
    release(&loaded);
}

/* Who may publish below `sluice.` revokes access: nothing there is an event, and nothing that others send goes there. */
static void test_subjects_of_our_own_are_refused(void **state)
{
    static const char *const covering[] = {
        ">", "*.control.revoke", "*.>", "sluice.>", "sluice.*.revoke", "metrics.*,sluice.control.revoke", "sluice"};
    static const char *const dead[] = {"sluice.control.revoke", "sluice.dead"};
    struct loaded loaded;

    (void)state;
    for (size_t i = 0; i < sizeof covering / sizeof covering[0]; i++) {
        loaded = load(NO_FLAGS, VARIABLES("NATS_SUBJECTS", covering[i]));
        assert_int_equal(loaded.status, -EINVAL);
        assert_non_null(strstr(loaded.errors.data, "NATS_SUBJECTS"));
        assert_non_null(strstr(loaded.errors.data, "below sluice. is Sluice's own"));
        release(&loaded);
    }
    for (size_t i = 0; i < sizeof dead / sizeof dead[0]; i++) {
        loaded = load(NO_FLAGS, VARIABLES("DEAD_LETTER_SUBJECT", dead[i]));
        assert_int_equal(loaded.status, -EINVAL);
        assert_non_null(strstr(loaded.errors.data, "not below sluice."));
        release(&loaded);
    }
    loaded = load(NO_FLAGS, VARIABLES("NATS_SUBJECTS", "sluiced.a", "DEAD_LETTER_SUBJECT", "sluices.dead"));
    assert_int_equal(loaded.status, 0);
    release(&loaded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_defaults_are_those_of_the_documentation),
        cmocka_unit_test(test_a_flag_goes_before_the_environment),
        cmocka_unit_test(test_a_flags_value_may_hold_an_equals_sign),
        cmocka_unit_test(test_an_empty_variable_is_an_unset_one),
        cmocka_unit_test(test_an_empty_redis_url_means_a_replay_in_memory),
        cmocka_unit_test(test_an_open_bridge_is_a_decision),
        cmocka_unit_test(test_every_bad_value_is_named_at_once),
        cmocka_unit_test(test_numbers_are_whole_and_within_their_range),
        cmocka_unit_test(test_truth_values_have_few_spellings),
        cmocka_unit_test(test_passwords_are_never_told),
        cmocka_unit_test(test_the_password_of_a_stray_url_is_not_told_either),
        cmocka_unit_test(test_a_bad_secret_is_hidden),
        cmocka_unit_test(test_modes_need_their_keys),
        cmocka_unit_test(test_keys_have_one_source),
        cmocka_unit_test(test_values_for_tokens_are_checked),
        cmocka_unit_test(test_a_flag_without_a_value_is_told),
        cmocka_unit_test(test_flags_are_spelt_in_full),
        cmocka_unit_test(test_dead_letters_never_come_back_as_events),
        cmocka_unit_test(test_subjects_of_our_own_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
