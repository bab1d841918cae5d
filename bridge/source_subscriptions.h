#ifndef SLUICE_BRIDGE_SOURCE_SUBSCRIPTIONS_H
#define SLUICE_BRIDGE_SOURCE_SUBSCRIPTIONS_H

#include <nats/nats.h>
#include <pthread.h>

#include "bridge/source.h"

/*
 * The subscriptions of one connection at a time, from their making to the moment at which the library is done with the last of
 * them. A value that must not move and must outlive the library's use of it; one thread calls the functions below.
 */
enum { SOURCE_SUBSCRIPTIONS_MAX = 66 }; /* as many as NATS_SUBJECTS may name, and two of our own */

struct source_subscriptions {
    natsSubscription *list[SOURCE_SUBSCRIPTIONS_MAX];
    int count;
    /* Guards what follows, between that thread and the library's. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int open; /* whose last callback has not returned yet */
};

void source_subscriptions_init(struct source_subscriptions *subscriptions);
void source_subscriptions_release(struct source_subscriptions *subscriptions);

/*
 * Subscribes to one subject. The callback owns its messages, and is called on the library's delivery thread, in the order of the
 * wire over all subjects.
 */
natsStatus source_subscriptions_add(struct source_subscriptions *subscriptions, natsConnection *connection,
                                    const char *subject, natsMsgHandler callback, void *context);

/* The same for messages that are no events: they are the callback's during the call alone. */
natsStatus source_subscriptions_add_control(struct source_subscriptions *subscriptions, natsConnection *connection,
                                            struct source_control *control);

/* The same for each subject of a comma-separated list. */
natsStatus source_subscriptions_add_list(struct source_subscriptions *subscriptions, natsConnection *connection,
                                         const char *subjects, natsMsgHandler callback, void *context);

/*
 * Ends the `first`th and all that were added behind it: what the server had sent for them has been given to their callbacks when
 * this returns, at most timeout_ms later. The others go on. Without a connection there is nothing to wait for.
 */
void source_subscriptions_drain(struct source_subscriptions *subscriptions, natsConnection *connection, int first,
                                int timeout_ms);

/*
 * Waits until no callback runs any more, and frees them all: others may be added then, of another connection. This one must be
 * closed, and not yet destroyed.
 */
void source_subscriptions_end(struct source_subscriptions *subscriptions);

#endif
