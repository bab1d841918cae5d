#include "http/head_deadline.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "core/clock.h"
#include "core/thread.h"

#define NS_PER_S INT64_C(1000000000)
#define CHECK_INTERVAL_NS (NS_PER_S / 4)
#define GRACE_NS NS_PER_S

struct head_timer {
    TAILQ_ENTRY(head_timer) in_list;
    bool is_armed;
    int64_t deadline_ns;
    int fd;
};

TAILQ_HEAD(head_timers, head_timer);

struct head_deadline {
    int64_t limit_ns;
    struct metrics *metrics;
    pthread_t thread;
    /* Guards the list: a socket in it is open, since its connection leaves the list first. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct head_timers timers; /* in the order of their deadlines, which all lie equally far ahead */
    size_t armed;
    size_t armed_max;
    bool idle; /* the thread sleeps until it is told of a timer; else it looks by itself every CHECK_INTERVAL_NS */
    bool stopping;
};

static void unlink_timer(struct head_deadline *deadline, struct head_timer *timer)
{
    if (!timer->is_armed)
        return;
    TAILQ_REMOVE(&deadline->timers, timer, in_list);
    timer->is_armed = false;
    deadline->armed--;
}

static void shut_down(struct head_deadline *deadline, struct head_timer *timer)
{
    unlink_timer(deadline, timer);
    shutdown(timer->fd, SHUT_RDWR);
    metrics_add(deadline->metrics, METRIC_ERROR_HEAD_TIMEOUT, 1);
}

/* Whoever comes with many others has time for its head, however many those are. */
static bool is_over(const struct head_deadline *deadline, const struct head_timer *timer)
{
    int64_t left_ns = timer->deadline_ns - clock_monotonic_ns();

    return left_ns <= 0 || (deadline->armed > deadline->armed_max && left_ns <= deadline->limit_ns - GRACE_NS);
}

static void shut_down_late(struct head_deadline *deadline)
{
    struct head_timer *timer;

    while ((timer = TAILQ_FIRST(&deadline->timers)) && is_over(deadline, timer))
        shut_down(deadline, timer);
}

static void *run(void *context)
{
    struct head_deadline *deadline = context;

    pthread_mutex_lock(&deadline->lock);
    while (!deadline->stopping) {
        int64_t until_ns = clock_monotonic_ns() + CHECK_INTERVAL_NS;

        shut_down_late(deadline);
        deadline->idle = TAILQ_EMPTY(&deadline->timers);
        if (deadline->idle)
            pthread_cond_wait(&deadline->changed, &deadline->lock);
        else
            (void)thread_wait_until(&deadline->changed, &deadline->lock, until_ns);
    }
    pthread_mutex_unlock(&deadline->lock);
    return NULL;
}

struct head_deadline *head_deadline_new(int64_t seconds, size_t heads_max, struct metrics *metrics)
{
    struct head_deadline *deadline = calloc(1, sizeof *deadline);

    if (!deadline)
        return NULL;
    deadline->limit_ns = seconds * NS_PER_S;
    deadline->armed_max = heads_max;
    deadline->metrics = metrics;
    TAILQ_INIT(&deadline->timers);
    pthread_mutex_init(&deadline->lock, NULL);
    thread_cond_init(&deadline->changed);
    if (thread_start(&deadline->thread, "head-deadline", run, deadline) < 0) {
        free(deadline);
        return NULL;
    }
    return deadline;
}

void head_deadline_free(struct head_deadline *deadline)
{
    if (!deadline)
        return;
    pthread_mutex_lock(&deadline->lock);
    deadline->stopping = true;
    pthread_cond_signal(&deadline->changed);
    pthread_mutex_unlock(&deadline->lock);
    pthread_join(deadline->thread, NULL);
    pthread_cond_destroy(&deadline->changed);
    pthread_mutex_destroy(&deadline->lock);
    free(deadline);
}

struct head_timer *head_deadline_begin(struct head_deadline *deadline, int fd)
{
    struct head_timer *timer = calloc(1, sizeof *timer);

    if (!timer)
        return NULL;
    timer->fd = fd;
    head_deadline_arm(deadline, timer);
    return timer;
}

void head_deadline_arm(struct head_deadline *deadline, struct head_timer *timer)
{
    if (!timer)
        return;
    pthread_mutex_lock(&deadline->lock);
    unlink_timer(deadline, timer);
    timer->deadline_ns = clock_monotonic_ns() + deadline->limit_ns;
    TAILQ_INSERT_TAIL(&deadline->timers, timer, in_list);
    timer->is_armed = true;
    deadline->armed++;
    if (deadline->armed > deadline->armed_max)
        shut_down_late(deadline);
    /* Once: many connections come and go in the time that the thread takes to wake. */
    if (deadline->idle)
        pthread_cond_signal(&deadline->changed);
    deadline->idle = false;
    pthread_mutex_unlock(&deadline->lock);
}

void head_deadline_disarm(struct head_deadline *deadline, struct head_timer *timer)
{
    if (!timer)
        return;
    pthread_mutex_lock(&deadline->lock);
    unlink_timer(deadline, timer);
    pthread_mutex_unlock(&deadline->lock);
}

void head_deadline_end(struct head_deadline *deadline, struct head_timer *timer)
{
    if (!timer)
        return;
    head_deadline_disarm(deadline, timer);
    free(timer);
}
