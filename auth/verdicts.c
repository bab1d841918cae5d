#include "auth/verdicts.h"

#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/config_value.h"
#include "core/table.h"

enum { KEY_SIZE = 2 + SHARED_NAME_MAX + 1, SWEEP_MS = 1000 };

struct verdicts {
    struct verdicts_options options;
    /* Guards the tables: read for each stream that opens, written when something changes. */
    pthread_rwlock_t lock;
    struct table *revoked;  /* as the replicas share it: `<subject>:<value>` → the Unix time until which */
    struct table *added;    /* likewise, by verdicts_add_revoked() */
    int64_t swept_ms;       /* when what is over was last taken out of it */
    struct table *features; /* company → one of flags[] */
};

static const bool flags[] = {false, true};

/* Revocations. */

static void free_object(const char *key, void *object, void *context)
{
    (void)key;
    (void)context;
    free(object);
}

static void free_revoked(struct table *revoked)
{
    if (revoked)
        table_each(revoked, free_object, NULL);
    table_free(revoked);
}

static void format_key(enum shared_subject subject, const char *value, char ret_key[KEY_SIZE])
{
    snprintf(ret_key, KEY_SIZE, "%d:%s", (int)subject, value);
}

/* Enters a revocation that lasts longer than the one that is there. */
static int put_revoked(struct table *table, const struct shared_revocation *revocation)
{
    char key[KEY_SIZE];
    int64_t *until;

    format_key(revocation->subject, revocation->value, key);
    until = table_get(table, key);
    if (until) {
        if (*until < revocation->until_ms)
            *until = revocation->until_ms;
        return 0;
    }
    until = malloc(sizeof *until);
    if (!until)
        return -ENOMEM;
    *until = revocation->until_ms;
    if (table_add(table, key, until) == 0)
        return 0;
    free(until);
    return -ENOMEM;
}

int verdicts_set_revoked(struct verdicts *verdicts, const struct shared_revocation *revocations, size_t count)
{
    struct table *revoked = table_new();
    struct table *before = revoked;
    int status = revoked ? 0 : -ENOMEM;

    for (size_t i = 0; i < count && status == 0; i++)
        status = put_revoked(revoked, &revocations[i]);
    if (status == 0) {
        pthread_rwlock_wrlock(&verdicts->lock);
        before = verdicts->revoked;
        verdicts->revoked = revoked;
        pthread_rwlock_unlock(&verdicts->lock);
    }
    free_revoked(before);
    return status;
}

struct sweep {
    struct table *table;
    int64_t now_ms;
};

static void sweep_one(const char *key, void *object, void *context)
{
    const struct sweep *sweep = context;

    if (*(int64_t *)object > sweep->now_ms)
        return;
    table_remove(sweep->table, key);
    free(object);
}

/* Takes out what is over; not for each of many that come at once, for it looks at all of them. */
static void sweep(struct verdicts *verdicts, int64_t now_ms)
{
    if (llabs(now_ms - verdicts->swept_ms) < SWEEP_MS)
        return;
    verdicts->swept_ms = now_ms;
    table_each(verdicts->added, sweep_one, &(struct sweep){.table = verdicts->added, .now_ms = now_ms});
}

int verdicts_add_revoked(struct verdicts *verdicts, const struct shared_revocation *revocation, int64_t now_ms)
{
    int status = -ENOSPC;

    pthread_rwlock_wrlock(&verdicts->lock);
    sweep(verdicts, now_ms);
    if (table_count(verdicts->added) < SHARED_FIELDS_MAX)
        status = put_revoked(verdicts->added, revocation);
    pthread_rwlock_unlock(&verdicts->lock);
    return status;
}

/* Features. */

/* The value of a flag: 0 or 1; -1 when it is none. */
static int read_flag(const char *text, size_t size)
{
    static const struct {
        const char *text;
        int value;
    } words[] = {{"true", 1}, {"false", 0}, {"1", 1}, {"0", 0}, {"t", 1}, {"f", 0}, {"on", 1}, {"off", 0}};
    int value = -1;
    json_t *object;
    json_t *member;

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strlen(words[i].text) == size && memcmp(words[i].text, text, size) == 0)
            return words[i].value;
    object = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    member = json_object_get(object, "streaming");
    if (json_is_boolean(member))
        value = json_is_true(member);
    json_decref(object);
    return value;
}

static int put_feature(struct verdicts *verdicts, struct table *features, const struct shared_field *field)
{
    int flag = read_flag(field->value, field->value_size);

    if (flag >= 0 && config_is_company_id(field->name, strlen(field->name)))
        return table_add(features, field->name, (void *)(uintptr_t)&flags[flag]);
    metrics_add(verdicts->options.metrics, METRIC_FEATURES_ERRORS, 1);
    log_write(verdicts->options.log, LOG_LEVEL_WARN,
              "A field of sluice:features is not understood; expected a company and true or false",
              LOG_FIELDS(log_text("field", field->name)));
    return 0;
}

int verdicts_set_features(struct verdicts *verdicts, const struct shared_field *fields, size_t count)
{
    struct table *features = table_new();
    struct table *before = features;
    int status = features ? 0 : -ENOMEM;

    for (size_t i = 0; i < count && status == 0; i++)
        status = put_feature(verdicts, features, &fields[i]);
    if (status == 0) {
        pthread_rwlock_wrlock(&verdicts->lock);
        before = verdicts->features;
        verdicts->features = features;
        pthread_rwlock_unlock(&verdicts->lock);
    }
    table_free(before);
    return status;
}

/* Asking, with the lock held. */

static bool stands(const struct table *table, const char *key, int64_t now_ms)
{
    const int64_t *until = table_get(table, key);

    return until && *until > now_ms;
}

static bool is_revoked(const struct verdicts *verdicts, enum shared_subject subject, const char *value, int64_t now_ms)
{
    char key[KEY_SIZE];

    format_key(subject, value, key);
    return stands(verdicts->revoked, key, now_ms) || stands(verdicts->added, key, now_ms);
}

static bool is_user_revoked(const struct verdicts *verdicts, const char *company, const char *user, int64_t now_ms)
{
    char value[SHARED_NAME_MAX + 1];

    return identity_user_name(company, user, value, sizeof value) && is_revoked(verdicts, SHARED_USER, value, now_ms);
}

static bool is_anything_revoked(const struct verdicts *verdicts, const struct identity *identity, int64_t now_ms)
{
    if (table_count(verdicts->revoked) + table_count(verdicts->added) == 0)
        return false;
    if (is_revoked(verdicts, SHARED_COMPANY, identity->company, now_ms))
        return true;
    if (*identity->user && (is_user_revoked(verdicts, "", identity->user, now_ms) ||
                            is_user_revoked(verdicts, identity->company, identity->user, now_ms)))
        return true;
    if (*identity->key_id && is_revoked(verdicts, SHARED_KEY, identity->key_id, now_ms))
        return true;
    return *identity->token_id && is_revoked(verdicts, SHARED_TOKEN, identity->token_id, now_ms);
}

static enum verdict find(const struct verdicts *verdicts, const struct identity *identity, int64_t now_ms)
{
    const bool *flag = table_get(verdicts->features, identity->company);

    /* First, since who was revoked need not know what else holds. */
    if (is_anything_revoked(verdicts, identity, now_ms))
        return VERDICT_REVOKED;
    return (flag ? *flag : verdicts->options.streaming_default) ? VERDICT_GOOD : VERDICT_DISABLED;
}

enum verdict verdicts_of(struct verdicts *verdicts, const struct identity *identity, int64_t now_ms)
{
    enum verdict verdict;

    pthread_rwlock_rdlock(&verdicts->lock);
    verdict = find(verdicts, identity, now_ms);
    pthread_rwlock_unlock(&verdicts->lock);
    return verdict;
}

/* Making. */

struct verdicts *verdicts_new(const struct verdicts_options *options)
{
    struct verdicts *verdicts = calloc(1, sizeof *verdicts);

    if (!verdicts)
        return NULL;
    verdicts->options = *options;
    pthread_rwlock_init(&verdicts->lock, NULL);
    verdicts->revoked = table_new();
    verdicts->added = table_new();
    verdicts->features = table_new();
    if (verdicts->revoked && verdicts->added && verdicts->features)
        return verdicts;
    verdicts_free(verdicts);
    return NULL;
}

void verdicts_free(struct verdicts *verdicts)
{
    if (!verdicts)
        return;
    free_revoked(verdicts->revoked);
    free_revoked(verdicts->added);
    table_free(verdicts->features);
    pthread_rwlock_destroy(&verdicts->lock);
    free(verdicts);
}
