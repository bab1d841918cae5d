#include "core/thread.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <time.h>

#define NS_PER_S INT64_C(1000000000)

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

bool thread_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t until_ns)
{
    struct timespec until = {.tv_sec = (time_t)(until_ns / NS_PER_S), .tv_nsec = (long)(until_ns % NS_PER_S)};

    return pthread_cond_timedwait(cond, lock, &until) != ETIMEDOUT;
}
