#ifndef SLUICE_CORE_THREAD_H
#define SLUICE_CORE_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Starts a thread under a name of at most 15 characters, with all signals blocked: the main thread alone takes them.
 * Returns 0 or -errno.
 */
int thread_start(pthread_t *ret_thread, const char *name, void *(*run)(void *), void *context);

/*
 * Whether the calling thread, and those that it starts, take the processor from others when they wake up (as all do), or wait
 * until it is free: for threads of a library that only tidy up. A system that refuses the change keeps what it does.
 */
void thread_set_eager(bool eager);

/* Makes a condition variable for thread_wait_until(). */
void thread_cond_init(pthread_cond_t *ret_cond);

/* Waits, with the lock held, for a signal or for a time of clock_monotonic_ns(). False: the time has come. */
bool thread_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t until_ns);

/* The time of clock_monotonic_ns() that is so far off, for the two functions here that wait until one. */
int64_t thread_deadline_ns(int timeout_ms);

/* Sleeps until then; not at all where that is past. */
void thread_sleep_until(int64_t until_ns);

#endif
