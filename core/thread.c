#include "core/thread.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <time.h>

#include "core/clock.h"

#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)

int thread_start(pthread_t *ret_thread, const char *name, void *(*run)(void *), void *context)
{
    sigset_t all;
    sigset_t before;
    int error;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(ret_thread, NULL, run, context);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error)
        return -error;
    pthread_setname_np(*ret_thread, name);
    return 0;
}

void thread_set_eager(bool eager)
{
    (void)pthread_setschedparam(pthread_self(), eager ? SCHED_OTHER : SCHED_BATCH, &(struct sched_param){0});
}

void thread_cond_init(pthread_cond_t *ret_cond)
{
    pthread_condattr_t monotonic;

    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(ret_cond, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

static struct timespec timespec_of(int64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
}

bool thread_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t until_ns)
{
    struct timespec until = timespec_of(until_ns);

    return pthread_cond_timedwait(cond, lock, &until) != ETIMEDOUT;
}

int64_t thread_deadline_ns(int timeout_ms)
{
    return clock_monotonic_ns() + timeout_ms * NS_PER_MS;
}

void thread_sleep_until(int64_t until_ns)
{
    struct timespec until = timespec_of(until_ns);

    if (until_ns > clock_monotonic_ns())
        (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}
