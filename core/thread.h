#ifndef SLUICE_CORE_THREAD_H
#define SLUICE_CORE_THREAD_H

#include <pthread.h>

/*
 * Starts a thread under a name of at most 15 characters, with all signals blocked: the main thread alone takes them.
 * Returns 0 or -errno.
 */
int thread_start(pthread_t *ret_thread, const char *name, void *(*run)(void *), void *context);

#endif
