#include "auth/revocation_keeper.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"

struct errand {
    struct errand *next;
    struct revocation_keeper *keeper;
    struct shared *shared;
    enum shared_subject subject;
    int64_t until_ms;
    char value[];
};

struct revocation_keeper {
    struct log *log;
    struct metrics *metrics;
    /* Guards the list of those that wait for Redis. */
    pthread_mutex_t lock;
    struct errand *waiting;
    size_t count;
};

struct revocation_keeper *revocation_keeper_new(struct log *log, struct metrics *metrics)
{
    struct revocation_keeper *keeper = calloc(1, sizeof *keeper);

    if (!keeper)
        return NULL;
    keeper->log = log;
    keeper->metrics = metrics;
    pthread_mutex_init(&keeper->lock, NULL);
    return keeper;
}

void revocation_keeper_free(struct revocation_keeper *keeper)
{
    if (!keeper)
        return;
    while (keeper->waiting) {
        struct errand *errand = keeper->waiting;

        keeper->waiting = errand->next;
        free(errand);
    }
    pthread_mutex_destroy(&keeper->lock);
    free(keeper);
}

static void lose(struct errand *errand, int status)
{
    struct revocation_keeper *keeper = errand->keeper;

    metrics_add(keeper->metrics, METRIC_REVOCATION_ERRORS, 1);
    log_write(keeper->log, LOG_LEVEL_ERROR, "A revocation could not be kept for other replicas",
              LOG_FIELDS(log_text("error", strerror(-status))));
    free(errand);
}

static void wait_for_redis(struct errand *errand)
{
    struct revocation_keeper *keeper = errand->keeper;
    bool has_room;

    pthread_mutex_lock(&keeper->lock);
    has_room = keeper->count < REVOCATION_KEEPER_MAX;
    if (has_room) {
        errand->next = keeper->waiting;
        keeper->waiting = errand;
        keeper->count++;
    }
    pthread_mutex_unlock(&keeper->lock);
    if (!has_room)
        lose(errand, -ENOSPC);
}

static struct errand *take_waiting(struct revocation_keeper *keeper)
{
    struct errand *errand;

    pthread_mutex_lock(&keeper->lock);
    errand = keeper->waiting;
    if (errand) {
        keeper->waiting = errand->next;
        keeper->count--;
    }
    pthread_mutex_unlock(&keeper->lock);
    return errand;
}

static int send(struct errand *errand);

static void on_done(void *context, int status)
{
    struct errand *errand = context;
    struct revocation_keeper *keeper = errand->keeper;
    struct errand *next;

    if (status == -EAGAIN) {
        wait_for_redis(errand);
        return;
    }
    if (status < 0 && status != -ECANCELED) {
        lose(errand, status);
        return;
    }
    free(errand);
    /* Redis takes them: whatever waits for another reason than an outage has its turn too. */
    next = status == 0 ? take_waiting(keeper) : NULL;
    if (next)
        (void)send(next);
}

/* Returns 0; or -EBUSY: it waits, and so must the others. What is over, or too late, is freed. */
static int send(struct errand *errand)
{
    int status = -ECANCELED;

    if (errand->until_ms > clock_unix_ms())
        status = shared_revoke(errand->shared, errand->subject, errand->value, errand->until_ms, on_done, errand);
    if (status == 0)
        return 0;
    if (status == -EBUSY)
        wait_for_redis(errand);
    else if (status == -ECANCELED)
        free(errand);
    else
        lose(errand, status);
    return status == -EBUSY ? -EBUSY : 0;
}

int revocation_keeper_keep(struct revocation_keeper *keeper, struct shared *shared,
                           const struct shared_revocation *revocation)
{
    size_t size = strlen(revocation->value) + 1;
    struct errand *errand = calloc(1, sizeof *errand + size);

    if (!errand)
        return -ENOMEM;
    errand->keeper = keeper;
    errand->shared = shared;
    errand->subject = revocation->subject;
    errand->until_ms = revocation->until_ms;
    memcpy(errand->value, revocation->value, size);
    (void)send(errand);
    return 0;
}

void revocation_keeper_retry(struct revocation_keeper *keeper)
{
    /* Those only that wait now: what fails at once would otherwise go round and round. */
    for (size_t left = revocation_keeper_waiting(keeper); left > 0; left--) {
        struct errand *errand = take_waiting(keeper);

        if (!errand || send(errand) < 0)
            return;
    }
}

size_t revocation_keeper_waiting(struct revocation_keeper *keeper)
{
    size_t count;

    pthread_mutex_lock(&keeper->lock);
    count = keeper->count;
    pthread_mutex_unlock(&keeper->lock);
    return count;
}
