#include "core/config_options.h"

#include "core/config_auth.h"
#include "core/config_value.h"
#include "core/rate.h"

/* Its versions differ on the braces of these macros. */
/* clang-format off */
#define BOOL(name, field, fallback, help)                                                            \
    {                                                                                                \
        NULL, name, OPTION_BOOL, offsetof(struct config, field), fallback, 0, 0, NULL, NULL, help, 0 \
    }
#define NUMBER(name, field, fallback, min, max, help)                                                      \
    {                                                                                                      \
        NULL, name, OPTION_NUMBER, offsetof(struct config, field), fallback, min, max, NULL, NULL, help, 0 \
    }
#define TEXT(name, field, fallback, check, help)                                                      \
    {                                                                                                 \
        NULL, name, OPTION_TEXT, offsetof(struct config, field), fallback, 0, 0, NULL, check, help, 0 \
    }
#define REQUIRED(name, field, check, help)                                                        \
    {                                                                                             \
        NULL, name, OPTION_TEXT, offsetof(struct config, field), NULL, 0, 0, NULL, check, help, 0 \
    }
#define SECRET(name, field, check, help)                                                        \
    {                                                                                           \
        NULL, name, OPTION_SECRET, offsetof(struct config, field), "", 0, 0, NULL, check, help, \
            offsetof(struct config, field##_file)                                               \
    }
#define HIDDEN(name, field, check, help)                                                          \
    {                                                                                             \
        NULL, name, OPTION_HIDDEN, offsetof(struct config, field), "", 0, 0, NULL, check, help, 0 \
    }
#define CHOICE(name, field, fallback, choices, help)                                                      \
    {                                                                                                     \
        NULL, name, OPTION_CHOICE, offsetof(struct config, field), fallback, 0, 0, choices, NULL, help, 0 \
    }
#define GROUP(title)                                                 \
    {                                                                \
        title, NULL, OPTION_TEXT, 0, NULL, 0, 0, NULL, NULL, NULL, 0 \
    }
/* clang-format on */

#define KIB INT64_C(1024)
#define MIB (INT64_C(1024) * 1024)
#define GIB (INT64_C(1024) * 1024 * 1024)

const struct option config_options[] = {
    GROUP("HTTP"),
    BOOL("STREAMING_ENABLED", streaming_enabled, "true",
         "false answers streams with 503; health, stats and the intake of events go on"),
    NUMBER("PORT_ANALYTICS", port, "3007", 0, 65535, "port to listen on; 0 takes a free one and logs it"),
    TEXT("BIND_ADDRESS", bind_address, "0.0.0.0", config_check_address, "address to listen on; :: for IPv6 and IPv4"),
    TEXT(
        "CORS_ORIGINS", cors_origins, "*", config_check_origins,
        "origins whose pages may read streams; https://*.example.com stands for all hosts below; * for all; empty counts "
        "as unset"),
    NUMBER("MAX_CONNECTIONS", max_connections, "0", 0, 1000000,
           "open streams at most; 0: as many as the descriptor limit allows"),
    CHOICE(
        "OVERLOAD_ANSWER", overload_answer, "error", "error,retry",
        "at a limit: error answers 503 or 429 (browsers then give up for good), retry answers 200 with a long retry: and "
        "closes"),
    NUMBER("REQUEST_HEAD_SECONDS", request_head_seconds, "10", 1, 3600,
           "time a client has to send its whole request head, and to take an answer that is no stream"),
    NUMBER("REQUEST_HEAD_BYTES", request_head_bytes, "32768", 4096, 1048576,
           "memory for one request's head; a larger one is answered with 431"),
    NUMBER("URL_MAX_BYTES", url_max_bytes, "8192", 256, 1048576, "longest URL, query included; beyond it: 414"),
    NUMBER("DRAIN_SECONDS", drain_seconds, "10", 0, 3600, "time for an orderly end after SIGTERM or SIGINT"),
    NUMBER(
        "DRAIN_SPREAD_SECONDS", drain_spread_seconds, "5", 0, 3600,
        "time over which clients are told to come back after a shutdown, each at another moment, RETRY_MS at the soonest; "
        "tickets must outlast it (TICKET_RESUME_SECONDS)"),
    GROUP("Authentication"),
    REQUIRED("AUTH_MODE", auth_mode, config_check_auth_mode,
             "who may stream: holders of a token (jwt), of an API key (apikey), of either (jwt,apikey), or everybody "
             "every company (none); there is no default, so that an open bridge is a decision"),
    HIDDEN(
        "JWT_SECRET", jwt_secret, config_check_secret,
        "secret of HS256, HS384 and HS512 tokens, at least 32 bytes; rather use a file, which no list of processes shows"),
    TEXT("JWT_SECRET_FILE", jwt_secret_file, "", NULL, "file with that secret; read again when it changes"),
    TEXT("JWT_PUBLIC_KEY_FILE", jwt_public_key_file, "", NULL,
         "PEM file with the public key or certificate of the tokens' issuer; read again when it changes"),
    TEXT("JWT_JWKS_FILE", jwt_jwks_file, "", NULL, "file with a JSON Web Key Set; read again when it changes"),
    TEXT("JWT_JWKS_URL", jwt_jwks_url, "", config_check_http_url,
         "URL of a JSON Web Key Set, fetched again as its answers ask for; prefer https"),
    TEXT("JWT_ALGORITHMS", jwt_algorithms, "", config_check_algorithms,
         "signature algorithms that are accepted; empty: those that fit the keys"),
    TEXT("JWT_ISSUER", jwt_issuer, "", NULL, "iss that a token must have; empty: any"),
    TEXT("JWT_AUDIENCE", jwt_audience, "", NULL, "aud that a token must have, or have among others; empty: any"),
    NUMBER("JWT_LEEWAY_SECONDS", jwt_leeway_seconds, "30", 0, 600,
           "how far clocks may differ when exp, nbf and iat are looked at"),
    BOOL("JWT_REQUIRE_EXP", jwt_require_exp, "true", "whether a token without exp is refused"),
    TEXT("JWT_COMPANY_CLAIM", jwt_company_claim, "companyId", config_check_claim,
         "claim with the company, or a list of them; dots lead into objects: org.id"),
    TEXT("JWT_USER_CLAIM", jwt_user_claim, "sub", config_check_claim, "claim with the user, likewise"),
    TEXT("JWT_SESSION_CLAIM", jwt_session_claim, "sid", config_check_claim, "claim with the session, likewise"),
    TEXT("JWT_ADMIN_CLAIM", jwt_admin_claim, "", config_check_claim,
         "claim that makes an administrator, who may stream every company; empty: there are none"),
    TEXT("JWT_ADMIN_VALUE", jwt_admin_value, "true", NULL,
         "what that claim must be, or hold as one of a list, for an administrator"),
    TEXT("API_KEYS_FILE", api_keys_file, "", NULL,
         "file of API keys, one JSON object a line, read again when it changes; empty: the Redis hash sluice:keys"),
    NUMBER("TOKEN_CACHE_TOKENS", token_cache_tokens, "10000", 1, 10000000,
           "verified tokens that are remembered, by their hash, so that they need not be verified again"),
    TEXT("AUTH_COOKIE", auth_cookie, "", config_check_cookie,
         "cookie that may hold the token; the pages that CORS_ORIGINS names may then use it; empty: none"),
    BOOL("ALLOW_QUERY_TOKEN", allow_query_token, "false",
         "whether ?access_token= is taken: URLs end up in the logs of proxies and in histories; prefer tickets"),
    NUMBER("TICKET_SECONDS", ticket_seconds, "30", 1, 3600, "time in which a ticket has to be used"),
    NUMBER("TICKET_RESUME_SECONDS", ticket_resume_seconds, "60", 0, 86400,
           "time after its stream has ended in which a ticket reopens it, for the same address and User-Agent"),
    NUMBER("TICKET_SUCCESSOR_SECONDS", ticket_successor_seconds, "3600", 1, 86400,
           "time in which the ticket that stream.ready brings has to be used"),
    SECRET("ADMIN_KEY", admin_key, config_check_admin_key,
           "key of at least 32 characters that opens /metrics and all of /stream/stats"),
    TEXT("ADMIN_BIND_ADDRESS", admin_bind_address, "", config_check_admin_address,
         "second address to listen on, for /metrics, stats and health alone, without credentials; empty: none"),
    NUMBER("ADMIN_PORT", admin_port, "3008", 0, 65535, "port there; 0 takes a free one and logs it"),
    BOOL("STREAMING_DEFAULT", streaming_default, "true",
         "whether companies that the Redis hash sluice:features does not name may stream"),
    NUMBER("TOKEN_WARNING_SECONDS", token_warning_seconds, "60", 0, 86400,
           "time before a token expires at which its stream is told with stream.expiring"),
    GROUP("Events"),
    TEXT("NATS_URL", nats_url, "nats://localhost:4222", config_check_nats_url,
         "NATS servers, comma-separated; tls:// for TLS; user:password@ or token@ in front of the host"),
    TEXT("NATS_USER", nats_user, "", NULL, "user to log in to NATS with, instead of one in NATS_URL"),
    SECRET("NATS_PASSWORD", nats_password, NULL, "the password of NATS_USER"),
    SECRET("NATS_TOKEN", nats_token, NULL, "token to log in to NATS with"),
    TEXT("NATS_NKEY", nats_nkey, "", config_check_nkey, "public nkey (U...) to log in to NATS with"),
    TEXT("NATS_NKEY_SEED_FILE", nats_nkey_seed_file, "", NULL, "file with the seed (SU...) of NATS_NKEY"),
    TEXT("NATS_CREDS_FILE", nats_creds_file, "", NULL, "credentials file (JWT and seed) to log in to NATS with"),
    TEXT("NATS_TLS_CA_FILE", nats_tls_ca_file, "", NULL,
         "certificates (PEM) of those who may vouch for NATS; empty: those that the system trusts"),
    TEXT("NATS_TLS_CERT_FILE", nats_tls_cert_file, "", NULL, "our own certificate chain (PEM) towards NATS"),
    TEXT("NATS_TLS_KEY_FILE", nats_tls_key_file, "", NULL, "the private key (PEM) of NATS_TLS_CERT_FILE"),
    TEXT("NATS_SUBJECTS", nats_subjects, "metrics.*,journey.*,q2q.*", config_check_subjects,
         "subjects to subscribe to; of a stream, those whose messages are events"),
    TEXT(
        "NATS_STREAM", nats_stream, "", config_check_stream,
        "JetStream stream to read events from, so that none published while Sluice is away is missed; empty: core NATS"),
    BOOL("NATS_STREAM_CREATE", nats_stream_create, "false",
         "whether the stream is made, or changed, to hold NATS_SUBJECTS by the following settings"),
    NUMBER("NATS_STREAM_MAX_AGE_SECONDS", nats_stream_max_age_seconds, "0", 0, INT64_C(10) * 366 * INT64_C(86400),
           "age up to which the stream keeps messages; 0: as long as REPLAY_TTL_SECONDS, at least a day"),
    NUMBER("NATS_STREAM_MAX_BYTES", nats_stream_max_bytes, "0", 0, MIB *GIB,
           "bytes that the stream keeps; 0: no limit"),
    NUMBER("NATS_STREAM_REPLICAS", nats_stream_replicas, "1", 1, 5, "servers that hold the stream"),
    TEXT("EVENT_NAMES", event_names,
         "metrics.sroi*=sroi_updated,metrics.*=metric_updated,journey.*=journey_flag_updated,q2q.*=vis_updated",
         config_check_event_names, "event name by subject pattern, the first match wins; * matches within one token"),
    TEXT("DEAD_LETTER_SUBJECT", dead_letter_subject, "", config_check_subject,
         "subject that refused messages are published to; empty: none"),
    NUMBER("MAX_EVENT_BYTES", max_event_bytes, "262144", 1024, 16 * MIB, "largest event, once encoded"),
    NUMBER("SOURCE_PENDING_EVENTS", source_pending_events, "65536", 16, 10000000,
           "messages from NATS that may wait for processing; beyond it they are dropped and told as a gap"),
    NUMBER("SOURCE_PENDING_BYTES", source_pending_bytes, "67108864", 64 * KIB, 16 * GIB,
           "bytes of messages from NATS that may wait for processing"),
    TEXT("REPLICA_GROUP", replica_group, "default", config_check_group,
         "name of this deployment: replicas of one name hear each other, on a NATS subject below sluice.live; another "
         "deployment on the same NATS server needs another name"),
    GROUP("Replay"),
    TEXT("REDIS_URL", redis_url, "redis://localhost:6379", config_check_redis_url,
         "replay store; rediss:// for TLS, unix:///path for a socket, redis+sentinel://host,host/master for the master "
         "that Sentinels name, redis+cluster://host,host for a cluster; set but empty: replay in memory, gone with the "
         "process"),
    SECRET("REDIS_PASSWORD", redis_password, NULL, "password for Redis, instead of one in REDIS_URL"),
    SECRET("REDIS_SENTINEL_PASSWORD", redis_sentinel_password, NULL,
           "password for the Sentinels themselves; REDIS_URL and REDIS_PASSWORD have that of the servers behind them"),
    TEXT("REDIS_TLS_CA_FILE", redis_tls_ca_file, "", NULL,
         "certificates (PEM) of those who may vouch for Redis; empty: those that the system trusts"),
    TEXT("REDIS_TLS_CERT_FILE", redis_tls_cert_file, "", NULL, "our own certificate chain (PEM) towards Redis"),
    TEXT("REDIS_TLS_KEY_FILE", redis_tls_key_file, "", NULL, "the private key (PEM) of REDIS_TLS_CERT_FILE"),
    NUMBER("REPLAY_TTL_SECONDS", replay_ttl_seconds, "86400", 1, INT64_C(30) * 86400,
           "age up to which events can be replayed"),
    NUMBER("REPLAY_MAX_EVENTS", replay_max_events, "1000000", 1, 1000000000, "events kept per company at most"),
    NUMBER("REPLAY_MAX_BYTES", replay_max_bytes, "268435456", 64 * KIB, 1024 * GIB,
           "bytes of events kept per company at most"),
    NUMBER("REPLAY_BACKLOG_BYTES", replay_backlog_bytes, "67108864", 64 * KIB, 64 * GIB,
           "bytes of events kept in memory while Redis is away; beyond it the oldest are lost to the replay"),
    NUMBER("REDIS_TIMEOUT_MS", redis_timeout_ms, "2000", 50, 60000,
           "time Redis has to connect and to answer before it counts as lost"),
    NUMBER("RECENT_EVENTS", recent_events, "1024", 16, 1000000,
           "newest events per company kept in memory to serve reconnects without Redis"),
    NUMBER("RECENT_BYTES", recent_bytes, "67108864", 64 * KIB, 64 * GIB,
           "bytes of all newest events kept in memory, over all companies"),
    GROUP("Streams"),
    NUMBER("HEARTBEAT_SECONDS", heartbeat_seconds, "30", 1, 3600, "time between two :heartbeat comments, jittered"),
    NUMBER("IDLE_TIMEOUT_SECONDS", idle_timeout_seconds, "900", 1, 86400,
           "time after which a client that acknowledges nothing of what was sent is closed"),
    NUMBER(
        "MAX_STREAM_AGE_SECONDS", max_stream_age_seconds, "0", 0, INT64_C(30) * 86400,
        "age at which a stream is ended so that its client comes back, to a replica that is new; each stream gets up to a "
        "fifth more or less; 0: none"),
    NUMBER("DEAD_PEER_SECONDS", dead_peer_seconds, "60", 1, 3600,
           "time after which a client's host that answers nothing at all is given up (TCP_USER_TIMEOUT)"),
    NUMBER("RETRY_MS", retry_ms, "2000", 100, 3600000,
           "reconnection time told to clients; each gets another value up to twice that"),
    NUMBER("BUFFER_EVENTS", buffer_events, "100", 2, 100000,
           "events that may wait for a client whose socket is full; beyond it OVERFLOW says what happens"),
    NUMBER("BUFFER_BYTES", buffer_bytes, "1048576", 4 * KIB, GIB, "bytes that may wait for a client likewise"),
    CHOICE(
        "OVERFLOW", overflow, "gap", "gap,refill",
        "what a client gets that fell behind: gap tells it what was dropped; refill catches it up from the replay, at "
        "its own speed, and tells only what is gone there too"),
    NUMBER("SOCKET_BUFFER_BYTES", socket_buffer_bytes, "131072", 4 * KIB, 64 * MIB,
           "send buffer of a client's socket in the kernel"),
    NUMBER("FLUSH_WINDOW_MS", flush_window_ms, "8", 0, 1000,
           "time in which events that follow another are gathered into one write; 0: none"),
    CHOICE("COMPRESSION", compression, "gzip", "off,gzip",
           "gzip: streams are compressed for clients whose Accept-Encoding takes it, once for all that get the same"),
    NUMBER("COMPRESSION_MIN_BYTES", compression_min_bytes, "512", 0, MIB,
           "least text of one write that is compressed; less goes into the compressed stream as it is, at no cost"),
    NUMBER("WORKERS", workers, "0", 0, 256, "threads that write to streams; 0: one for each core"),
    GROUP("Limits"),
    NUMBER("MAX_CONNECTIONS_PER_COMPANY", max_connections_per_company, "10000", 0, 1000000,
           "open streams of one company at most; 0: no limit"),
    NUMBER("MAX_CONNECTIONS_PER_USER", max_connections_per_user, "5", 0, 1000000,
           "open streams of one user of a company at most; 0: no limit"),
    NUMBER("MAX_CONNECTIONS_PER_KEY", max_connections_per_key, "5", 0, 1000000,
           "open streams of one API key at most, unless the key says otherwise (maxConnections); 0: no limit"),
    NUMBER("MAX_CONNECTIONS_PER_ADDRESS", max_connections_per_address, "0", 0, 1000000,
           "open streams from one client address (IPv6: one /64) at most; 0: no limit"),
    NUMBER("CONNECTION_RATE", connection_rate, "0", 0, 1000000,
           "new streams and tickets a second; what two seconds bring may come at once; 0: no limit"),
    NUMBER("CONNECTION_RATE_PER_ADDRESS", connection_rate_per_address, "0", 0, 1000000,
           "new streams and tickets a second from one client address (IPv6: one /64), likewise; 0: no limit"),
    NUMBER("TICKET_RATE_PER_USER", ticket_rate_per_user, "5", 0, 1000000,
           "tickets a second for one user or API key; what two seconds bring may come at once; 0: no limit"),
    NUMBER("PUBLISH_EVENTS_PER_SECOND", publish_events_per_second, "0", 0, RATE_MAX,
           "events a second of one company; what two seconds bring may come at once; 0: no limit"),
    NUMBER("PUBLISH_BYTES_PER_SECOND", publish_bytes_per_second, "0", 0, RATE_MAX,
           "bytes of events a second of one company, likewise; 0: no limit"),
    TEXT("TRUSTED_PROXIES", trusted_proxies, "", config_check_prefixes,
         "proxies whose Forwarded or X-Forwarded-For is believed, such as 10.0.0.0/8,::1; empty: none"),
    GROUP("Log"),
    CHOICE("LOG_LEVEL", log_level, "info", "debug,info,warn,error", "least level that is written"),
    CHOICE("LOG_FORMAT", log_format, "auto", "auto,json,text", "auto: text on a terminal, otherwise JSON"),
};

const size_t config_option_count = sizeof config_options / sizeof config_options[0];
_Static_assert(sizeof config_options / sizeof config_options[0] <= CONFIG_OPTIONS_MAX,
               "CONFIG_OPTIONS_MAX is too small");
