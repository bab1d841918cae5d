#include "core/config.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/config_identity.h"
#include "core/config_secret.h"
#include "core/config_value.h"
#include "core/rate.h"

enum option_type {
    OPTION_BOOL,
    OPTION_NUMBER,
    OPTION_TEXT,
    OPTION_CHOICE,
    OPTION_SECRET, /* a text that is never shown; NAME_FILE names a file that holds it */
    OPTION_HIDDEN, /* likewise never shown, but with an option of its own for a file, which is read again */
};

struct option {
    const char *group; /* begins a new group in the help */
    const char *name;
    enum option_type type;
    size_t offset;
    const char *fallback; /* the default; NULL: the option is required */
    int64_t min;
    int64_t max;
    const char *choices; /* of OPTION_CHOICE: a list */
    const char *(*check)(const char *value);
    const char *help;
};

/* Its versions differ on the braces of these macros. */
/* clang-format off */
#define BOOL(name, field, fallback, help)                                                         \
    {                                                                                             \
        NULL, name, OPTION_BOOL, offsetof(struct config, field), fallback, 0, 0, NULL, NULL, help \
    }
#define NUMBER(name, field, fallback, min, max, help)                                                   \
    {                                                                                                   \
        NULL, name, OPTION_NUMBER, offsetof(struct config, field), fallback, min, max, NULL, NULL, help \
    }
#define TEXT(name, field, fallback, check, help)                                                   \
    {                                                                                              \
        NULL, name, OPTION_TEXT, offsetof(struct config, field), fallback, 0, 0, NULL, check, help \
    }
#define SECRET(name, field, help)                                                             \
    {                                                                                         \
        NULL, name, OPTION_SECRET, offsetof(struct config, field), "", 0, 0, NULL, NULL, help \
    }
#define HIDDEN(name, field, check, help)                                                       \
    {                                                                                          \
        NULL, name, OPTION_HIDDEN, offsetof(struct config, field), "", 0, 0, NULL, check, help \
    }
#define CHOICE(name, field, fallback, choices, help)                                                   \
    {                                                                                                  \
        NULL, name, OPTION_CHOICE, offsetof(struct config, field), fallback, 0, 0, choices, NULL, help \
    }
#define GROUP(title)                                              \
    {                                                             \
        title, NULL, OPTION_TEXT, 0, NULL, 0, 0, NULL, NULL, NULL \
    }
/* clang-format on */

#define KIB INT64_C(1024)
#define MIB (INT64_C(1024) * 1024)
#define GIB (INT64_C(1024) * 1024 * 1024)

static const struct option options[] = {
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
    CHOICE("OVERLOAD_ANSWER", overload_answer, "error", "error,retry",
           "at the limit: error answers 503 (browsers then give up for good), retry answers 200 with a long retry: and "
           "closes"),
    NUMBER("REQUEST_HEAD_SECONDS", request_head_seconds, "10", 1, 3600,
           "time a client has to send its whole request head"),
    NUMBER("DRAIN_SECONDS", drain_seconds, "10", 0, 3600, "time for an orderly end after SIGTERM or SIGINT"),
    GROUP("Authentication"),
    CHOICE("AUTH_MODE", auth_mode, NULL, "none",
           "who may stream: none lets everybody stream every company; there is no default, so that an open bridge is a "
           "decision"),
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
    NUMBER("TOKEN_WARNING_SECONDS", token_warning_seconds, "60", 0, 86400,
           "time before a token expires at which its stream is told with stream.expiring"),
    GROUP("Events"),
    TEXT("NATS_URL", nats_url, "nats://localhost:4222", config_check_nats_url,
         "NATS servers, comma-separated; tls:// for TLS; user:password@ or token@ in front of the host"),
    TEXT("NATS_USER", nats_user, "", NULL, "user to log in to NATS with, instead of one in NATS_URL"),
    SECRET("NATS_PASSWORD", nats_password, "the password of NATS_USER"),
    SECRET("NATS_TOKEN", nats_token, "token to log in to NATS with"),
    TEXT("NATS_NKEY", nats_nkey, "", config_check_nkey, "public nkey (U...) to log in to NATS with"),
    TEXT("NATS_NKEY_SEED_FILE", nats_nkey_seed_file, "", NULL, "file with the seed (SU...) of NATS_NKEY"),
    TEXT("NATS_CREDS_FILE", nats_creds_file, "", NULL, "credentials file (JWT and seed) to log in to NATS with"),
    TEXT("NATS_TLS_CA_FILE", nats_tls_ca_file, "", NULL,
         "certificates (PEM) of those who may vouch for NATS; empty: those that the system trusts"),
    TEXT("NATS_TLS_CERT_FILE", nats_tls_cert_file, "", NULL, "our own certificate chain (PEM) towards NATS"),
    TEXT("NATS_TLS_KEY_FILE", nats_tls_key_file, "", NULL, "the private key (PEM) of NATS_TLS_CERT_FILE"),
    TEXT("NATS_SUBJECTS", nats_subjects, "metrics.*,journey.*,q2q.*", config_check_subjects,
         "subjects to subscribe to"),
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
    GROUP("Replay"),
    TEXT("REDIS_URL", redis_url, "redis://localhost:6379", config_check_redis_url,
         "replay store; rediss:// for TLS, unix:///path for a socket; set but empty: replay in memory, gone with the "
         "process"),
    SECRET("REDIS_PASSWORD", redis_password, "password for Redis, instead of one in REDIS_URL"),
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
    NUMBER("DEAD_PEER_SECONDS", dead_peer_seconds, "60", 1, 3600,
           "time after which a client's host that answers nothing at all is given up (TCP_USER_TIMEOUT)"),
    NUMBER("RETRY_MS", retry_ms, "2000", 100, 3600000,
           "reconnection time told to clients; each gets another value up to twice that"),
    NUMBER(
        "BUFFER_EVENTS", buffer_events, "100", 2, 100000,
        "events that may wait for a client whose socket is full; beyond it the oldest are dropped and told as a gap"),
    NUMBER("BUFFER_BYTES", buffer_bytes, "1048576", 4 * KIB, GIB, "bytes that may wait for a client likewise"),
    NUMBER("SOCKET_BUFFER_BYTES", socket_buffer_bytes, "131072", 4 * KIB, 64 * MIB,
           "send buffer of a client's socket in the kernel"),
    NUMBER("FLUSH_WINDOW_MS", flush_window_ms, "5", 0, 1000,
           "time in which events that follow another are gathered into one write; 0: none"),
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
           "new streams a second; what two seconds bring may come at once; 0: no limit"),
    NUMBER("CONNECTION_RATE_PER_ADDRESS", connection_rate_per_address, "0", 0, 1000000,
           "new streams a second from one client address (IPv6: one /64), likewise; 0: no limit"),
    NUMBER("PUBLISH_EVENTS_PER_SECOND", publish_events_per_second, "0", 0, RATE_MAX,
           "events a second of one company; what two seconds bring may come at once; 0: no limit"),
    NUMBER("PUBLISH_BYTES_PER_SECOND", publish_bytes_per_second, "0", 0, RATE_MAX,
           "bytes of events a second of one company, likewise; 0: no limit"),
    TEXT("TRUSTED_PROXIES", trusted_proxies, "", config_check_prefixes,
         "proxies whose Forwarded or X-Forwarded-For is believed, such as 10.0.0.0/8,::1; empty: none"),
    TEXT("API_KEYS_FILE", api_keys_file, "", NULL,
         "file of API keys, one JSON object a line, read again when it changes; empty: no API keys"),
    GROUP("Log"),
    CHOICE("LOG_LEVEL", log_level, "info", "debug,info,warn,error", "least level that is written"),
    CHOICE("LOG_FORMAT", log_format, "auto", "auto,json,text", "auto: text on a terminal, otherwise JSON"),
};
enum { OPTION_COUNT = sizeof options / sizeof options[0] };

enum { FLAG_MAX = 64 };

static bool is_secret(const struct option *option)
{
    return option->type == OPTION_SECRET || option->type == OPTION_HIDDEN;
}

/* PORT_ANALYTICS → port-analytics */
static void flag_name(const char *name, char ret_flag[FLAG_MAX])
{
    size_t i = 0;

    for (; i < FLAG_MAX - 1 && name[i]; i++)
        ret_flag[i] = name[i] == '_' ? '-' : (char)(name[i] | 0x20);
    ret_flag[i] = '\0';
}

/* What the flags say of an option: its value, or the file that holds it. */
struct given {
    const char *value;
    const char *file;
};

/* The place for what a flag says; NULL: it is none. */
static const char **find_flag(const char *flag, size_t size, struct given given[])
{
    static const char suffix[] = "-file";
    char name[FLAG_MAX + sizeof suffix];

    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (!options[i].name)
            continue;
        flag_name(options[i].name, name);
        if (strlen(name) == size && memcmp(name, flag, size) == 0)
            return &given[i].value;
        if (options[i].type != OPTION_SECRET)
            continue;
        strcat(name, suffix);
        if (strlen(name) == size && memcmp(name, flag, size) == 0)
            return &given[i].file;
    }
    return NULL;
}

/* Of a URL among them the password is not shown. */
static void complain_unknown(struct buffer *errors, const char *argument)
{
    char shown[256];

    config_redact(argument, shown, sizeof shown);
    buffer_printf(errors, "%.*s: unknown option; --help lists them all\n", (int)strcspn(shown, "="), shown);
}

/* Reads the flags into given[], by option; complains about those that are none. */
static void read_flags(int argc, char **argv, struct given given[], struct buffer *errors)
{
    for (int i = 0; i < argc; i++) {
        const char *flag = argv[i] + 2;
        size_t size = strcspn(argv[i], "=") - 2;
        const char **place = strncmp(argv[i], "--", 2) == 0 ? find_flag(flag, size, given) : NULL;

        if (!place) {
            complain_unknown(errors, argv[i]);
            /* What follows a misspelt flag is its value, and may be a secret. */
            if (!strchr(argv[i], '=') && i + 1 < argc && strncmp(argv[i + 1], "--", 2) != 0)
                i++;
            continue;
        }
        if (flag[size] == '=')
            *place = flag + size + 1;
        else if (i + 1 < argc)
            *place = argv[++i];
        else
            buffer_printf(errors, "%s: a value is missing behind it\n", argv[i]);
    }
}

static void complain(struct buffer *errors, const struct option *option, const char *value, const char *expected)
{
    char shown[256] = "(hidden)";

    if (!is_secret(option))
        config_redact(value, shown, sizeof shown);
    buffer_printf(errors, "%s: \"%s\" is not valid; expected %s\n", option->name, shown, expected);
}

static void set_bool(const struct option *option, const char *value, bool *field, struct buffer *errors)
{
    if (strcmp(value, "true") == 0 || strcmp(value, "1") == 0)
        *field = true;
    else if (strcmp(value, "false") == 0 || strcmp(value, "0") == 0)
        *field = false;
    else
        complain(errors, option, value, "true or false");
}

static void set_number(const struct option *option, const char *value, int64_t *field, struct buffer *errors)
{
    char expected[96];
    char *end;
    long long number;

    errno = 0;
    number = strtoll(value, &end, 10);
    if (errno == 0 && end != value && *end == '\0' && number >= option->min && number <= option->max &&
        strspn(value, "-0123456789") == strlen(value)) {
        *field = number;
        return;
    }
    snprintf(expected, sizeof expected, "a whole number from %" PRId64 " to %" PRId64, option->min, option->max);
    complain(errors, option, value, expected);
}

static bool is_choice(const struct option *option, const char *value)
{
    const char *cursor = option->choices;
    const char *item;
    size_t size;

    while (config_list_next(&cursor, &item, &size))
        if (strlen(value) == size && memcmp(value, item, size) == 0)
            return true;
    return false;
}

static int set_text(const struct option *option, const char *value, char **field, struct buffer *errors)
{
    const char *expected = NULL;
    char one_of[128];

    if (option->type == OPTION_CHOICE && !is_choice(option, value)) {
        snprintf(one_of, sizeof one_of, strchr(option->choices, ',') ? "one of %s" : "%s", option->choices);
        expected = one_of;
    } else if (option->check) {
        expected = option->check(value);
    }
    if (expected)
        complain(errors, option, value, expected);
    *field = strdup(value);
    return *field ? 0 : -ENOMEM;
}

static int set_option(struct config *config, const struct option *option, const char *value, struct buffer *errors)
{
    char *field = (char *)config + option->offset;

    switch (option->type) {
    case OPTION_BOOL:
        set_bool(option, value, (bool *)field, errors);
        return 0;
    case OPTION_NUMBER:
        set_number(option, value, (int64_t *)(void *)field, errors);
        return 0;
    case OPTION_TEXT:
    case OPTION_CHOICE:
    case OPTION_SECRET:
    case OPTION_HIDDEN:
        return set_text(option, value, (char **)(void *)field, errors);
    }
    return 0;
}

/* The flag's value, else the variable's, else the default; NULL when a required option has none. */
static const char *option_value(const struct option *option, const char *flag, config_lookup lookup, void *context)
{
    const char *value = flag ? flag : lookup(context, option->name);
    bool may_be_empty = strcmp(option->name, "REDIS_URL") == 0;

    if (value && (*value || may_be_empty))
        return value;
    return option->fallback;
}

/*
 * Reads the secret that NAME_FILE names, by flag or variable. NULL with 0: there is none, or it was complained about. The
 * text is the caller's.
 */
static int read_secret(const struct option *option, const struct given *given, config_lookup lookup, void *context,
                       struct buffer *errors, char **ret_text)
{
    char name[FLAG_MAX + 8];
    const char *value = given->value;
    const char *path = given->file;
    int status;

    *ret_text = NULL;
    snprintf(name, sizeof name, "%s_FILE", option->name);
    /* A flag of either kind wins over both variables. */
    if (!value && !path) {
        value = lookup(context, option->name);
        path = lookup(context, name);
    }
    if (!path || !*path)
        return 0;
    if (value && *value) {
        buffer_printf(errors, "%s: is given, and %s too; expected one of them\n", option->name, name);
        return 0;
    }
    status = config_secret_read(path, ret_text);
    if (status < 0 && status != -ENOMEM)
        buffer_printf(errors, "%s: cannot read %s: %s\n", name, path, config_secret_error(status));
    return status == -ENOMEM ? status : 0;
}

static void check_dead_letters(const struct config *config, struct buffer *errors)
{
    const char *cursor = config->nats_subjects;
    const char *item;
    size_t size;

    if (!*config->dead_letter_subject)
        return;
    while (config_list_next(&cursor, &item, &size))
        if (config_pattern_matches(item, size, config->dead_letter_subject))
            buffer_printf(errors,
                          "DEAD_LETTER_SUBJECT: \"%s\" is not valid; expected a subject that NATS_SUBJECTS does not "
                          "cover, or refused messages would come back for ever\n",
                          config->dead_letter_subject);
}

/* With two sources it would be unclear which of them a token is verified with. */
static void check_key_sources(const struct config *config, struct buffer *errors)
{
    const char *const sources[] = {config->jwt_secret, config->jwt_secret_file, config->jwt_public_key_file,
                                   config->jwt_jwks_file, config->jwt_jwks_url};
    int count = 0;

    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++)
        count += *sources[i] != '\0';
    if (count > 1)
        buffer_append_text(errors,
                           "JWT_SECRET, JWT_SECRET_FILE, JWT_PUBLIC_KEY_FILE, JWT_JWKS_FILE, JWT_JWKS_URL: more "
                           "than one is set; expected one\n");
}

/* What no single value shows. */
static void check_together(const struct config *config, struct buffer *errors)
{
    check_dead_letters(config, errors);
    check_key_sources(config, errors);
    config_identity_check(config, errors);
}

static int load_option(struct config *config, const struct option *option, const struct given *given,
                       config_lookup lookup, void *context, struct buffer *errors)
{
    char *secret = NULL;
    const char *value;
    int status = 0;

    if (option->type == OPTION_SECRET)
        status = read_secret(option, given, lookup, context, errors, &secret);
    if (status < 0)
        return status;
    value = secret ? secret : option_value(option, given->value, lookup, context);
    if (value)
        status = set_option(config, option, value, errors);
    else
        buffer_printf(errors, "%s: is required; expected one of: %s (%s)\n", option->name, option->choices,
                      option->help);
    config_secret_free(secret);
    return status;
}

int config_load(struct config *config, int argc, char **argv, config_lookup lookup, void *context,
                struct buffer *errors)
{
    struct given given[OPTION_COUNT] = {{NULL, NULL}};

    memset(config, 0, sizeof *config);
    read_flags(argc, argv, given, errors);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        int status = options[i].name ? load_option(config, &options[i], &given[i], lookup, context, errors) : 0;

        if (status < 0)
            return status;
    }
    if (errors->size == 0)
        check_together(config, errors);
    return errors->size > 0 || errors->failed ? -EINVAL : 0;
}

void config_release(struct config *config)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        char **text = (char **)(void *)((char *)config + options[i].offset);

        if (!options[i].name)
            continue;
        if (is_secret(&options[i]))
            config_secret_free(*text);
        else if (options[i].type == OPTION_TEXT || options[i].type == OPTION_CHOICE)
            free(*text);
    }
    memset(config, 0, sizeof *config);
}

static void write_range(struct buffer *text, const struct option *option)
{
    if (option->type == OPTION_BOOL)
        buffer_append_text(text, "true, false");
    else if (option->type == OPTION_CHOICE)
        buffer_append_text(text, option->choices);
    else if (option->type == OPTION_NUMBER)
        buffer_printf(text, "%" PRId64 " to %" PRId64, option->min, option->max);
    else if (option->type == OPTION_HIDDEN)
        buffer_append_text(text, "secret");
    else if (option->type == OPTION_SECRET)
        buffer_printf(text, "secret; or in a file that %s_FILE names", option->name);
    else
        buffer_append_text(text, "text");
}

void config_write_help(struct buffer *text)
{
    char flag[FLAG_MAX];

    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option *option = &options[i];

        if (option->group) {
            buffer_printf(text, "\n%s:\n", option->group);
            continue;
        }
        flag_name(option->name, flag);
        buffer_printf(text, "  --%s, %s\n      %s\n      (", flag, option->name, option->help);
        write_range(text, option);
        if (!option->fallback)
            buffer_append_text(text, "; required)\n");
        else
            buffer_printf(text, "; default %s)\n", *option->fallback ? option->fallback : "empty");
    }
}

/* A | would end a table cell. */
static void append_cell(struct buffer *text, const char *cell)
{
    for (; *cell; cell++)
        buffer_append_text(text, *cell == '|' ? "\\|" : (const char[]){*cell, '\0'});
}

void config_write_markdown(struct buffer *text)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option *option = &options[i];

        if (option->group) {
            buffer_printf(text, "\n## %s\n\n| variable | default | values | meaning |\n| --- | --- | --- | --- |\n",
                          option->group);
            continue;
        }
        buffer_printf(text, "| `%s` | ", option->name);
        if (!option->fallback)
            buffer_append_text(text, "required");
        else if (*option->fallback)
            buffer_printf(text, "`%s`", option->fallback);
        else
            buffer_append_text(text, "empty");
        buffer_append_text(text, " | ");
        write_range(text, option);
        buffer_append_text(text, " | ");
        append_cell(text, option->help);
        buffer_append_text(text, " |\n");
    }
}
