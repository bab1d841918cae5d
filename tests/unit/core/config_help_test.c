/* What is said of all settings: --help, and the table of docs/configuration.md. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/config.h"

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;

    for (const char *at = text; (at = strstr(at, part)); at += strlen(part))
        count++;
    return count;
}

static const char *const every_option[] = {
    "STREAMING_ENABLED",
    "PORT_ANALYTICS",
    "BIND_ADDRESS",
    "CORS_ORIGINS",
    "MAX_CONNECTIONS",
    "OVERLOAD_ANSWER",
    "REQUEST_HEAD_SECONDS",
    "REQUEST_HEAD_BYTES",
    "URL_MAX_BYTES",
    "DRAIN_SECONDS",
    "DRAIN_SPREAD_SECONDS",
    "AUTH_MODE",
    "JWT_SECRET",
    "JWT_SECRET_FILE",
    "JWT_PUBLIC_KEY_FILE",
    "JWT_JWKS_FILE",
    "JWT_JWKS_URL",
    "JWT_ALGORITHMS",
    "JWT_ISSUER",
    "JWT_AUDIENCE",
    "JWT_LEEWAY_SECONDS",
    "JWT_REQUIRE_EXP",
    "JWT_COMPANY_CLAIM",
    "JWT_USER_CLAIM",
    "JWT_SESSION_CLAIM",
    "JWT_ADMIN_CLAIM",
    "JWT_ADMIN_VALUE",
    "API_KEYS_FILE",
    "TOKEN_CACHE_TOKENS",
    "AUTH_COOKIE",
    "ALLOW_QUERY_TOKEN",
    "TICKET_SECONDS",
    "TICKET_RESUME_SECONDS",
    "TICKET_SUCCESSOR_SECONDS",
    "ADMIN_KEY",
    "ADMIN_BIND_ADDRESS",
    "ADMIN_PORT",
    "STREAMING_DEFAULT",
    "TOKEN_WARNING_SECONDS",
    "NATS_URL",
    "NATS_USER",
    "NATS_PASSWORD",
    "NATS_TOKEN",
    "NATS_NKEY",
    "NATS_NKEY_SEED_FILE",
    "NATS_CREDS_FILE",
    "NATS_TLS_CA_FILE",
    "NATS_TLS_CERT_FILE",
    "NATS_TLS_KEY_FILE",
    "NATS_SUBJECTS",
    "NATS_STREAM",
    "NATS_STREAM_CREATE",
    "NATS_STREAM_MAX_AGE_SECONDS",
    "NATS_STREAM_MAX_BYTES",
    "NATS_STREAM_REPLICAS",
    "EVENT_NAMES",
    "DEAD_LETTER_SUBJECT",
    "MAX_EVENT_BYTES",
    "SOURCE_PENDING_EVENTS",
    "SOURCE_PENDING_BYTES",
    "REPLICA_GROUP",
    "REDIS_URL",
    "REDIS_PASSWORD",
    "REDIS_SENTINEL_PASSWORD",
    "REDIS_TLS_CA_FILE",
    "REDIS_TLS_CERT_FILE",
    "REDIS_TLS_KEY_FILE",
    "REPLAY_TTL_SECONDS",
    "REPLAY_MAX_EVENTS",
    "REPLAY_MAX_BYTES",
    "REPLAY_BACKLOG_BYTES",
    "REDIS_TIMEOUT_MS",
    "RECENT_EVENTS",
    "RECENT_BYTES",
    "HEARTBEAT_SECONDS",
    "IDLE_TIMEOUT_SECONDS",
    "MAX_STREAM_AGE_SECONDS",
    "DEAD_PEER_SECONDS",
    "RETRY_MS",
    "BUFFER_EVENTS",
    "BUFFER_BYTES",
    "OVERFLOW",
    "SOCKET_BUFFER_BYTES",
    "FLUSH_WINDOW_MS",
    "COMPRESSION",
    "COMPRESSION_MIN_BYTES",
    "WORKERS",
    "MAX_CONNECTIONS_PER_COMPANY",
    "MAX_CONNECTIONS_PER_USER",
    "MAX_CONNECTIONS_PER_KEY",
    "MAX_CONNECTIONS_PER_ADDRESS",
    "CONNECTION_RATE",
    "CONNECTION_RATE_PER_ADDRESS",
    "TICKET_RATE_PER_USER",
    "PUBLISH_EVENTS_PER_SECOND",
    "PUBLISH_BYTES_PER_SECOND",
    "TRUSTED_PROXIES",
    "LOG_LEVEL",
    "LOG_FORMAT",
};

static void test_help_and_documentation_hold_every_option(void **state)
{
    struct buffer help = buffer_make(65536);
    struct buffer markdown = buffer_make(65536);

    (void)state;
    config_write_help(&help);
    config_write_markdown(&markdown);
    assert_false(help.failed);
    assert_false(markdown.failed);
    buffer_append(&help, "", 1);
    buffer_append(&markdown, "", 1);
    for (size_t i = 0; i < sizeof every_option / sizeof every_option[0]; i++) {
        char flag[64];
        char entry[80];

        for (size_t k = 0; k <= strlen(every_option[i]); k++)
            flag[k] = every_option[i][k] == '_' ? '-' : every_option[i][k] ? (char)(every_option[i][k] | 0x20) : '\0';
        snprintf(entry, sizeof entry, "  --%s, %s\n", flag, every_option[i]);
        assert_int_equal(count_of(help.data, entry), 1);
        snprintf(entry, sizeof entry, "| `%s` | ", every_option[i]);
        assert_int_equal(count_of(markdown.data, entry), 1);
    }
    /* And nothing else: a new option must be added above. */
    assert_int_equal(count_of(markdown.data, "\n| `"), sizeof every_option / sizeof every_option[0]);
    buffer_release(&help);
    buffer_release(&markdown);
}

/* Each row has the cells of its heading. */
static void test_the_table_of_the_documentation_is_well_formed(void **state)
{
    struct buffer text = buffer_make(65536);
    char *line;
    char *rest;

    (void)state;
    config_write_markdown(&text);
    buffer_append(&text, "", 1);
    for (line = strtok_r(text.data, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        if (*line == '|')
            assert_int_equal(count_of(line, "|") - count_of(line, "\\|"), 5);
    buffer_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_help_and_documentation_hold_every_option),
        cmocka_unit_test(test_the_table_of_the_documentation_is_well_formed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
