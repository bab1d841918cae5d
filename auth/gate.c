#include "auth/gate_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "auth/random_text.h"
#include "auth/revocation_message.h"
#include "core/clock.h"
#include "core/thread.h"

enum { RETRY_SECONDS = 5 };

/* Refusing. */

int gate_refuse_for_now(struct refusal *ret_refusal, const char *message)
{
    return refusal_set_for_now(ret_refusal, "unavailable", message, RETRY_SECONDS);
}

int gate_refuse_limit(struct refusal *ret_refusal, enum limit limit, int64_t retry_after_seconds)
{
    static const char *const reasons[] = {
        [LIMIT_COMPANY] = "company_limit",   [LIMIT_USER] = "user_limit", [LIMIT_KEY] = "key_limit",
        [LIMIT_ADDRESS] = "address_limit",   [LIMIT_RATE] = "rate",       [LIMIT_ADDRESS_RATE] = "address_rate",
        [LIMIT_TICKET_RATE] = "ticket_rate",
    };

    (void)refusal_set(ret_refusal, 429, reasons[limit], limits_message(limit));
    ret_refusal->metric = limits_metric(limit);
    ret_refusal->retry_after_seconds = retry_after_seconds;
    return -EACCES;
}

/* Who may stream. */

enum verdict gate_judge(struct gate *gate, const struct identity *identity)
{
    if (!auth_keeps(gate->auth, identity))
        return VERDICT_REVOKED;
    return verdicts_of(gate->verdicts, identity, clock_unix_ms());
}

static int refuse_revoked(struct refusal *ret_refusal)
{
    return refusal_set(ret_refusal, 401, "revoked", "These credentials were revoked");
}

int gate_check(struct gate *gate, const struct identity *identity, struct refusal *ret_refusal)
{
    switch (gate_judge(gate, identity)) {
    case VERDICT_REVOKED:
        return refuse_revoked(ret_refusal);
    case VERDICT_DISABLED:
        return refusal_set(ret_refusal, 403, "disabled", "Streaming is disabled for this company");
    case VERDICT_GOOD:
        break;
    }
    return 0;
}

int gate_admit(struct gate *gate, const struct address *address, struct refusal *ret_refusal)
{
    enum limit limit;
    int64_t wait_seconds;
    int status = limits_admit(gate->limits, address, clock_monotonic_ns(), &limit, &wait_seconds);

    if (status == 0)
        return 0;
    if (status == -EBUSY)
        return gate_refuse_limit(ret_refusal, limit, wait_seconds);
    return gate_refuse_for_now(ret_refusal, "The server is out of memory; try again later");
}

int gate_identify(struct gate *gate, const struct auth_request *request, struct identity **ret_identity,
                  struct refusal *ret_refusal)
{
    if (auth_identify(gate->auth, request, ret_identity, ret_refusal) < 0)
        return -EACCES;
    return gate_check(gate, *ret_identity, ret_refusal);
}

int gate_find_scope(struct gate *gate, const struct auth_request *request, struct auth_scope *ret_scope,
                    struct refusal *ret_refusal)
{
    struct identity *identity;
    int status = auth_find_scope(gate->auth, request, ret_scope, &identity, ret_refusal);

    /* A company whose streams are switched off may well look at its numbers. */
    if (status == 0 && identity && gate_judge(gate, identity) == VERDICT_REVOKED)
        status = refuse_revoked(ret_refusal);
    identity_unref(identity);
    return status;
}

/* Revocations, and what the replicas share. */

static void tell_changed(struct gate *gate)
{
    if (gate->changed)
        gate->changed(gate->context);
}

static void report_failure(struct gate *gate, const char *message, int status)
{
    metrics_add(gate->metrics, METRIC_REVOCATION_ERRORS, 1);
    log_write(gate->log, LOG_LEVEL_ERROR, message, LOG_FIELDS(log_text("error", strerror(-status))));
}

static const char *subject_name(enum shared_subject subject)
{
    static const char *const names[] = {
        [SHARED_COMPANY] = "companyId", [SHARED_USER] = "userId", [SHARED_KEY] = "keyId", [SHARED_TOKEN] = "tokenId"};

    return names[subject];
}

void gate_revoke(struct gate *gate, const struct shared_revocation *revocation)
{
    int status = verdicts_add_revoked(gate->verdicts, revocation, clock_unix_ms());

    if (status < 0)
        report_failure(gate, "A revocation could not be noted", status);
    status = revocation_keeper_keep(gate->keeper, gate->shared, revocation);
    if (status < 0)
        report_failure(gate, "A revocation could not be kept for other replicas", status);
    metrics_add(gate->metrics, METRIC_REVOCATIONS, 1);
    log_write(gate->log, LOG_LEVEL_INFO, "Revoked",
              LOG_FIELDS(log_text("subject", subject_name(revocation->subject)), log_text("value", revocation->value),
                         log_number("untilMs", revocation->until_ms)));
    tell_changed(gate);
}

void gate_take_control(struct gate *gate, const char *payload, size_t size)
{
    struct revocation_message message;
    const char *problem = "out of memory";
    int64_t suppressed;

    if (revocation_message_parse(payload, size, clock_unix_ms(), &message, &problem) == 0) {
        gate_revoke(gate, &(struct shared_revocation){
                              .subject = message.subject, .value = message.value, .until_ms = message.until_ms});
        return;
    }
    metrics_add(gate->metrics, METRIC_REVOCATION_ERRORS, 1);
    if (log_limiter_allow(&gate->refusals, &suppressed))
        log_write(gate->log, LOG_LEVEL_ERROR, "A revocation was refused",
                  LOG_FIELDS(log_text("problem", problem), log_number("suppressed", suppressed)));
}

static void note_heard(struct gate *gate, bool *heard)
{
    pthread_mutex_lock(&gate->lock);
    *heard = true;
    pthread_cond_broadcast(&gate->heard);
    pthread_mutex_unlock(&gate->lock);
    tell_changed(gate);
}

static void on_revoked(void *context, const struct shared_revocation *revocations, size_t count)
{
    struct gate *gate = context;
    int status = verdicts_set_revoked(gate->verdicts, revocations, count);

    if (status < 0)
        report_failure(gate, "The revocations could not be taken over: the earlier ones stay", status);
    note_heard(gate, &gate->heard_revoked);
}

static void on_features(void *context, const struct shared_field *fields, size_t count)
{
    struct gate *gate = context;
    int status = verdicts_set_features(gate->verdicts, fields, count);

    if (status < 0)
        report_failure(gate, "The flags of companies could not be taken over: the earlier ones stay", status);
    note_heard(gate, &gate->heard_features);
}

static void on_keys(void *context, const struct shared_field *fields, size_t count)
{
    struct gate *gate = context;
    struct api_key_line *lines = calloc(count + 1, sizeof *lines);

    if (!lines) {
        report_failure(gate, "The API keys could not be taken over: the earlier ones stay", -ENOMEM);
        return;
    }
    for (size_t i = 0; i < count; i++)
        lines[i] = (struct api_key_line){
            .label = fields[i].name, .number = i + 1, .text = fields[i].value, .size = fields[i].value_size};
    auth_take_keys(gate->auth, lines, count);
    free(lines);
}

static void on_state(void *context, bool connected, const char *reason)
{
    const struct gate *gate = context;

    metrics_set(gate->metrics, METRIC_SHARED_CONNECTED, connected);
    if (connected)
        revocation_keeper_retry(gate->keeper);
    if (!connected)
        log_write(gate->log, LOG_LEVEL_WARN,
                  "Redis is away for tickets and revocations: limits count this replica alone",
                  LOG_FIELDS(log_text("reason", reason)));
    else if (gate->has_redis)
        log_write(gate->log, LOG_LEVEL_INFO, "Redis is there for tickets, revocations and limits", NULL);
}

/* Passes that were given or given back before are in the counts by now; see limits.h. */
static void on_replicas(void *context, size_t count)
{
    struct gate *gate = context;

    atomic_store(&gate->has_others, count != 1);
    if (count == 0)
        return;
    if (gate->has_redis)
        log_write(gate->log, LOG_LEVEL_INFO, "Streams of users and keys are counted over the replicas there are",
                  LOG_FIELDS(log_number("replicas", (int64_t)count)));
    note_heard(gate, &gate->heard_replicas);
}

static int64_t count_streams(void *context, const char *name)
{
    const struct gate *gate = context;

    return limits_count(gate->limits, name);
}

static void each_counted(void *context, void (*visit)(void *visitor, const char *name), void *visitor)
{
    const struct gate *gate = context;

    limits_each_name(gate->limits, visit, visitor);
}

static void on_unreadable(void *context, const char *key, const char *reason)
{
    struct gate *gate = context;

    metrics_add(gate->metrics, METRIC_REVOCATION_ERRORS, 1);
    log_write(gate->log, LOG_LEVEL_ERROR, "A key of Redis cannot be read: what was known of it stays",
              LOG_FIELDS(log_text("key", key), log_text("reason", reason)));
}

/* Making. */

static struct shared *make_shared(struct gate *gate)
{
    unsigned char bytes[REPLICA_BYTES];

    if (random_bytes(bytes, sizeof bytes) < 0)
        return NULL;
    hex_format(bytes, sizeof bytes, gate->replica);
    return shared_new(&(struct shared_options){
        .redis = redis_access_of(gate->config),
        .replica = gate->replica,
        .counts = {.context = gate, .count = count_streams, .each_name = each_counted},
        .listener = {.context = gate,
                     .on_revoked = on_revoked,
                     .on_features = on_features,
                     .on_keys = on_keys,
                     .on_state = on_state,
                     .on_unreadable = on_unreadable,
                     .on_replicas = on_replicas},
    });
}

struct gate *gate_new(const struct gate_options *options)
{
    struct gate *gate = calloc(1, sizeof *gate);

    if (!gate)
        return NULL;
    gate->config = options->config;
    gate->auth = options->auth;
    gate->log = options->log;
    gate->metrics = options->metrics;
    gate->changed = options->changed;
    gate->context = options->context;
    gate->has_redis = *options->config->redis_url != '\0';
    atomic_init(&gate->has_others, gate->has_redis);
    pthread_mutex_init(&gate->lock, NULL);
    thread_cond_init(&gate->heard);
    gate->limits = limits_new(gate->config);
    gate->verdicts = verdicts_new(&(struct verdicts_options){
        .streaming_default = gate->config->streaming_default, .log = gate->log, .metrics = gate->metrics});
    gate->keeper = revocation_keeper_new(gate->log, gate->metrics);
    if (gate->limits && gate->verdicts && gate->keeper)
        gate->shared = make_shared(gate);
    if (gate->shared)
        return gate;
    gate_free(gate);
    return NULL;
}

void gate_await_start(struct gate *gate, int timeout_ms)
{
    int64_t until_ns = clock_monotonic_ns() + (int64_t)timeout_ms * 1000000;
    bool in_time = true;

    pthread_mutex_lock(&gate->lock);
    while (gate->has_redis && !(gate->heard_revoked && gate->heard_features && gate->heard_replicas) && in_time)
        in_time = thread_wait_until(&gate->heard, &gate->lock, until_ns);
    pthread_mutex_unlock(&gate->lock);
}

void gate_stop(struct gate *gate)
{
    if (gate && gate->shared)
        shared_stop(gate->shared);
}

void gate_free(struct gate *gate)
{
    if (!gate)
        return;
    if (gate->shared)
        shared_free(gate->shared);
    revocation_keeper_free(gate->keeper);
    verdicts_free(gate->verdicts);
    limits_free(gate->limits);
    pthread_cond_destroy(&gate->heard);
    pthread_mutex_destroy(&gate->lock);
    free(gate);
}
