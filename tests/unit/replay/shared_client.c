#include "tests/unit/replay/shared_client.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum { PATIENCE_SECONDS = 30 };

static const char *const subjects[] = {"company", "user", "key", "token"};

static void on_revoked(void *context, const struct shared_revocation *revocations, size_t count)
{
    struct replica *replica = context;
    size_t used = 0;

    pthread_mutex_lock(&replica->lock);
    replica->revoked_calls++;
    replica->revoked[0] = '\0';
    for (size_t i = 0; i < count && used < sizeof replica->revoked; i++)
        used += (size_t)snprintf(replica->revoked + used, sizeof replica->revoked - used, "%s|%s=%" PRId64 "\n",
                                 subjects[revocations[i].subject], revocations[i].value, revocations[i].until_ms);
    pthread_cond_broadcast(&replica->changed);
    pthread_mutex_unlock(&replica->lock);
}

static void write_fields(char *text, size_t size, const struct shared_field *fields, size_t count)
{
    size_t used = 0;

    text[0] = '\0';
    for (size_t i = 0; i < count && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s=%s/%zu\n", fields[i].name, fields[i].value,
                                 fields[i].value_size);
}

static void on_features(void *context, const struct shared_field *fields, size_t count)
{
    struct replica *replica = context;

    pthread_mutex_lock(&replica->lock);
    replica->features_calls++;
    write_fields(replica->features, sizeof replica->features, fields, count);
    pthread_cond_broadcast(&replica->changed);
    pthread_mutex_unlock(&replica->lock);
}

static void on_keys(void *context, const struct shared_field *fields, size_t count)
{
    struct replica *replica = context;

    pthread_mutex_lock(&replica->lock);
    replica->keys_calls++;
    replica->keys_count = count;
    write_fields(replica->keys, sizeof replica->keys, fields, count);
    pthread_cond_broadcast(&replica->changed);
    pthread_mutex_unlock(&replica->lock);
}

static void on_state(void *context, bool connected, const char *reason)
{
    struct replica *replica = context;

    (void)reason;
    pthread_mutex_lock(&replica->lock);
    replica->connected = connected;
    replica->downs += !connected;
    pthread_cond_broadcast(&replica->changed);
    pthread_mutex_unlock(&replica->lock);
}

static void on_unreadable(void *context, const char *key, const char *reason)
{
    struct replica *replica = context;

    pthread_mutex_lock(&replica->lock);
    replica->unreadable_calls++;
    snprintf(replica->unreadable, sizeof replica->unreadable, "%s: %s", key, reason);
    pthread_cond_broadcast(&replica->changed);
    pthread_mutex_unlock(&replica->lock);
}

static void on_replicas(void *context, size_t count)
{
    struct replica *replica = context;

    pthread_mutex_lock(&replica->lock);
    replica->replicas = count;
    pthread_cond_broadcast(&replica->changed);
    pthread_mutex_unlock(&replica->lock);
}

static int64_t count_held(void *context, const char *name)
{
    struct replica *replica = context;
    int64_t count = 0;

    pthread_mutex_lock(&replica->lock);
    for (size_t i = 0; i < replica->held_count; i++)
        if (strcmp(replica->held[i].name, name) == 0)
            count = replica->held[i].count;
    pthread_mutex_unlock(&replica->lock);
    return count;
}

static void each_held(void *context, void (*visit)(void *visitor, const char *name), void *visitor)
{
    struct replica *replica = context;

    pthread_mutex_lock(&replica->lock);
    for (size_t i = 0; i < replica->held_count; i++)
        if (replica->held[i].count > 0)
            visit(visitor, replica->held[i].name);
    pthread_mutex_unlock(&replica->lock);
}

static bool is_connected(struct replica *replica)
{
    return replica->connected;
}

struct replica *replica_new(const struct replica_options *options)
{
    static int made;
    struct replica *replica = calloc(1, sizeof *replica);
    char name[SHARED_REPLICA_MAX + 1];
    struct shared_options shared = {
        .redis = {.url = options->url, .timeout_ms = abs(options->timeout_ms)},
        .lease_ms = options->lease_ms,
        .replica = name,
        .counts = {.context = replica, .count = count_held, .each_name = each_held},
        .listener = {.context = replica,
                     .on_revoked = on_revoked,
                     .on_features = on_features,
                     .on_keys = on_keys,
                     .on_state = on_state,
                     .on_unreadable = on_unreadable,
                     .on_replicas = on_replicas},
    };

    assert_non_null(replica);
    snprintf(name, sizeof name, "replica%d", made++);
    pthread_mutex_init(&replica->lock, NULL);
    pthread_cond_init(&replica->changed, NULL);
    replica->shared = shared_new(&shared);
    assert_non_null(replica->shared);
    if (options->timeout_ms > 0)
        replica_wait(replica, is_connected);
    return replica;
}

void replica_free(struct replica *replica)
{
    shared_free(replica->shared);
    pthread_cond_destroy(&replica->changed);
    pthread_mutex_destroy(&replica->lock);
    free(replica);
}

/* Waits for a change; the lock is held. */
static void wait_for_change(struct replica *replica, const struct timespec *until, const char *what)
{
    if (pthread_cond_timedwait(&replica->changed, &replica->lock, until) != ETIMEDOUT)
        return;
    pthread_mutex_unlock(&replica->lock);
    fail_msg("waited in vain for %s", what);
}

static struct timespec patience(void)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_SECONDS;
    return until;
}

void replica_wait(struct replica *replica, bool (*condition)(struct replica *replica))
{
    struct timespec until = patience();

    pthread_mutex_lock(&replica->lock);
    while (!condition(replica))
        wait_for_change(replica, &until, "a state");
    pthread_mutex_unlock(&replica->lock);
}

void replica_wait_text(struct replica *replica, const char *list, const char *text)
{
    struct timespec until = patience();

    pthread_mutex_lock(&replica->lock);
    while (strcmp(list, text) != 0)
        wait_for_change(replica, &until, text);
    pthread_mutex_unlock(&replica->lock);
}

struct answer answer_of(struct replica *replica)
{
    return (struct answer){.replica = replica, .caller = pthread_self()};
}

void on_ticket(void *context, int status, const char *value, size_t size)
{
    struct answer *answer = context;

    pthread_mutex_lock(&answer->replica->lock);
    answer->calls++;
    answer->status = status;
    answer->size = size;
    answer->on_caller = pthread_equal(answer->caller, pthread_self()) != 0;
    if (value)
        memcpy(answer->value, value, size + 1);
    pthread_cond_broadcast(&answer->replica->changed);
    pthread_mutex_unlock(&answer->replica->lock);
}

void on_answer(void *context, int status)
{
    on_ticket(context, status, NULL, 0);
}

int answer_wait(struct answer *answer)
{
    struct timespec until = patience();
    int status;

    pthread_mutex_lock(&answer->replica->lock);
    while (answer->calls == 0)
        wait_for_change(answer->replica, &until, "an answer");
    assert_int_equal(answer->calls, 1);
    assert_false(answer->on_caller);
    status = answer->status;
    pthread_mutex_unlock(&answer->replica->lock);
    return status;
}

int ticket_put(struct replica *replica, const char *hash, const char *value, int64_t ttl_ms)
{
    struct answer answer = answer_of(replica);

    assert_int_equal(shared_ticket_put(replica->shared, hash, value, strlen(value), ttl_ms, on_answer, &answer), 0);
    return answer_wait(&answer);
}

int ticket_take(struct replica *replica, const char *hash, const char *holder, const char *fingerprint,
                int64_t resume_ms)
{
    struct answer answer = answer_of(replica);
    struct shared_take take = {
        .ticket_hash = hash, .holder = holder, .fingerprint = fingerprint, .resume_ms = resume_ms};

    assert_int_equal(shared_ticket_take(replica->shared, &take, on_ticket, &answer), 0);
    return answer_wait(&answer);
}

void ticket_take_until(struct replica *replica, const char *hash, const char *holder, const char *fingerprint,
                       int status)
{
    struct timespec until = patience();
    struct timespec now;

    while (ticket_take(replica, hash, holder, fingerprint, 60000) != status) {
        struct timespec pause = {.tv_nsec = 5000000};

        clock_gettime(CLOCK_REALTIME, &now);
        assert_true(now.tv_sec < until.tv_sec);
        nanosleep(&pause, NULL);
    }
}

int ticket_release(struct replica *replica, const char *hash, const char *holder)
{
    struct answer answer = answer_of(replica);

    assert_int_equal(shared_ticket_release(replica->shared, hash, holder, on_answer, &answer), 0);
    return answer_wait(&answer);
}

int revoke(struct replica *replica, enum shared_subject subject, const char *value, int64_t until_ms)
{
    struct answer answer = answer_of(replica);

    assert_int_equal(shared_revoke(replica->shared, subject, value, until_ms, on_answer, &answer), 0);
    return answer_wait(&answer);
}

/* The lock is held. */
static struct held *find_held(struct replica *replica, const char *name)
{
    for (size_t i = 0; i < replica->held_count; i++)
        if (strcmp(replica->held[i].name, name) == 0)
            return &replica->held[i];
    assert_true(replica->held_count < HELD_MAX);
    strcpy(replica->held[replica->held_count].name, name);
    return &replica->held[replica->held_count++];
}

static int64_t hold_more(struct replica *replica, const char *name, int64_t more)
{
    struct held *held;
    int64_t count;

    pthread_mutex_lock(&replica->lock);
    held = find_held(replica, name);
    held->count += more;
    count = held->count;
    pthread_mutex_unlock(&replica->lock);
    return count;
}

void hold(struct replica *replica, const char *name, int64_t count)
{
    (void)hold_more(replica, name, count - hold_more(replica, name, 0));
}

int slots_enter(struct replica *replica, const char *name, int64_t max)
{
    struct answer answer = answer_of(replica);
    int64_t rank = hold_more(replica, name, 1);
    int status;

    assert_int_equal(shared_slots_enter(replica->shared, name, rank, max, on_answer, &answer), 0);
    status = answer_wait(&answer);
    if (status == -EDQUOT)
        slots_leave(replica, name);
    return status;
}

void slots_leave(struct replica *replica, const char *name)
{
    assert_true(hold_more(replica, name, -1) >= 0);
    assert_int_equal(shared_slots_leave(replica->shared, name), 0);
}

void slots_enter_until(struct replica *replica, const char *name, int64_t max, int status)
{
    struct timespec until = patience();

    for (;;) {
        int given = slots_enter(replica, name, max);
        struct timespec pause = {.tv_nsec = 5000000};
        struct timespec now;

        if (given == status)
            return;
        if (given != -EDQUOT)
            slots_leave(replica, name);
        clock_gettime(CLOCK_REALTIME, &now);
        if (now.tv_sec >= until.tv_sec)
            fail_msg("%s: waited in vain for %d", name, status);
        nanosleep(&pause, NULL);
    }
}

void replica_wait_replicas(struct replica *replica, size_t count)
{
    struct timespec until = patience();

    pthread_mutex_lock(&replica->lock);
    while (replica->replicas != count)
        wait_for_change(replica, &until, "replicas");
    pthread_mutex_unlock(&replica->lock);
}
