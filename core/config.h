#ifndef SLUICE_CORE_CONFIG_H
#define SLUICE_CORE_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buffer.h"

/*
 * The settings of one process, from one table (config.c) that gives name, type, range, default and help text of each.
 * --help, the validation and docs/configuration.md all come from it. Read-only once loaded: any thread may read.
 */
struct config {
    bool streaming_enabled;
    int64_t port;
    char *bind_address;
    char *cors_origins;
    int64_t max_connections;
    char *overload_answer;
    int64_t request_head_seconds;
    int64_t request_head_bytes;
    int64_t url_max_bytes;
    int64_t drain_seconds;
    int64_t drain_spread_seconds;

    char *auth_mode;
    char *jwt_secret;
    char *jwt_secret_file;
    char *jwt_public_key_file;
    char *jwt_jwks_file;
    char *jwt_jwks_url;
    char *jwt_algorithms;
    char *jwt_issuer;
    char *jwt_audience;
    int64_t jwt_leeway_seconds;
    bool jwt_require_exp;
    char *jwt_company_claim;
    char *jwt_user_claim;
    char *jwt_session_claim;
    char *jwt_admin_claim;
    char *jwt_admin_value;
    int64_t token_cache_tokens;
    char *auth_cookie;
    bool allow_query_token;
    int64_t ticket_seconds;
    int64_t ticket_resume_seconds;
    int64_t ticket_successor_seconds;
    int64_t ticket_rate_per_user;
    char *admin_key;
    char *admin_key_file; /* NULL: it came from none */
    char *admin_bind_address;
    int64_t admin_port;
    bool streaming_default;
    int64_t token_warning_seconds;

    char *nats_url;
    char *nats_user;
    char *nats_password;
    char *nats_password_file; /* NULL: it came from none */
    char *nats_token;
    char *nats_token_file; /* NULL: it came from none */
    char *nats_nkey;
    char *nats_nkey_seed_file;
    char *nats_creds_file;
    char *nats_tls_ca_file;
    char *nats_tls_cert_file;
    char *nats_tls_key_file;
    char *nats_subjects;
    char *replica_group;
    char *nats_stream;
    bool nats_stream_create;
    int64_t nats_stream_max_age_seconds;
    int64_t nats_stream_max_bytes;
    int64_t nats_stream_replicas;
    char *event_names;
    char *dead_letter_subject;
    int64_t max_event_bytes;
    int64_t source_pending_events;
    int64_t source_pending_bytes;

    char *redis_url;
    char *redis_password;
    char *redis_password_file; /* NULL: it came from none */
    char *redis_sentinel_password;
    char *redis_sentinel_password_file; /* NULL: it came from none */
    char *redis_tls_ca_file;
    char *redis_tls_cert_file;
    char *redis_tls_key_file;
    int64_t replay_ttl_seconds;
    int64_t replay_max_events;
    int64_t replay_max_bytes;
    int64_t replay_backlog_bytes;
    int64_t redis_timeout_ms;
    int64_t recent_events;
    int64_t recent_bytes;

    int64_t heartbeat_seconds;
    int64_t idle_timeout_seconds;
    int64_t max_stream_age_seconds;
    int64_t dead_peer_seconds;
    int64_t retry_ms;
    int64_t buffer_events;
    int64_t buffer_bytes;
    char *overflow;
    int64_t socket_buffer_bytes;
    int64_t flush_window_ms;
    char *compression;
    int64_t compression_min_bytes;
    int64_t workers;

    int64_t max_connections_per_company;
    int64_t max_connections_per_user;
    int64_t max_connections_per_key;
    int64_t max_connections_per_address;
    int64_t connection_rate;
    int64_t connection_rate_per_address;
    int64_t publish_events_per_second;
    int64_t publish_bytes_per_second;
    char *trusted_proxies;
    char *api_keys_file;

    char *log_level;
    char *log_format;
};

/* Looks a variable up: getenv() in the program, a table in tests. */
typedef const char *(*config_lookup)(void *context, const char *name);

/*
 * Fills config from the flags (`--name value` or `--name=value`, argv[0] not included), then the environment, then the
 * defaults. An empty variable counts as unset, REDIS_URL apart. Appends one line to `errors` for each bad value, naming
 * the variable, the value (without passwords and secrets) and what was expected. A secret may stand in a file that
 * NAME_FILE names. Returns 0, -EINVAL with errors, or -ENOMEM.
 * config_release() is due in every case.
 */
int config_load(struct config *config, int argc, char **argv, config_lookup lookup, void *context,
                struct buffer *errors);
void config_release(struct config *config);

/* Appends the options part of --help, or the table of docs/configuration.md. */
void config_write_help(struct buffer *text);
void config_write_markdown(struct buffer *text);

#endif
