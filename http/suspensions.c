#include "http/suspensions.h"

#include <pthread.h>
#include <stdlib.h>

struct suspensions {
    /* Guards what follows. */
    pthread_mutex_t lock;
    pthread_cond_t ended;
    size_t count;
    bool closed;
};

struct suspensions *suspensions_new(void)
{
    struct suspensions *suspensions = calloc(1, sizeof *suspensions);

    if (!suspensions)
        return NULL;
    pthread_mutex_init(&suspensions->lock, NULL);
    pthread_cond_init(&suspensions->ended, NULL);
    return suspensions;
}

void suspensions_free(struct suspensions *suspensions)
{
    if (!suspensions)
        return;
    pthread_cond_destroy(&suspensions->ended);
    pthread_mutex_destroy(&suspensions->lock);
    free(suspensions);
}

bool suspensions_begin(struct suspensions *suspensions, struct MHD_Connection *connection)
{
    bool begins;

    pthread_mutex_lock(&suspensions->lock);
    begins = !suspensions->closed;
    if (begins)
        suspensions->count++;
    pthread_mutex_unlock(&suspensions->lock);
    if (begins)
        MHD_suspend_connection(connection);
    return begins;
}

void suspensions_end(struct suspensions *suspensions, struct MHD_Connection *connection)
{
    /* Within the lock: whoever waits for the count may end libmicrohttpd next. */
    pthread_mutex_lock(&suspensions->lock);
    MHD_resume_connection(connection);
    suspensions->count--;
    pthread_cond_broadcast(&suspensions->ended);
    pthread_mutex_unlock(&suspensions->lock);
}

void suspensions_close(struct suspensions *suspensions)
{
    pthread_mutex_lock(&suspensions->lock);
    suspensions->closed = true;
    while (suspensions->count > 0)
        pthread_cond_wait(&suspensions->ended, &suspensions->lock);
    pthread_mutex_unlock(&suspensions->lock);
}
