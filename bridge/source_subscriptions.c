#include "bridge/source_subscriptions.h"

#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/config_value.h"
#include "core/thread.h"

enum { COMPLETE_TIMEOUT_MS = 2000, SETTLE_MS = 20, DRAIN_LOOK_MS = 100 };

void source_subscriptions_init(struct source_subscriptions *subscriptions)
{
    memset(subscriptions, 0, sizeof *subscriptions);
    pthread_mutex_init(&subscriptions->lock, NULL);
    thread_cond_init(&subscriptions->changed);
}

void source_subscriptions_release(struct source_subscriptions *subscriptions)
{
    pthread_cond_destroy(&subscriptions->changed);
    pthread_mutex_destroy(&subscriptions->lock);
}

/* The library is done with a subscription: no callback of it runs any more. */
static void on_complete(void *context)
{
    struct source_subscriptions *subscriptions = context;

    pthread_mutex_lock(&subscriptions->lock);
    subscriptions->open--;
    pthread_cond_broadcast(&subscriptions->changed);
    pthread_mutex_unlock(&subscriptions->lock);
}

natsStatus source_subscriptions_add(struct source_subscriptions *subscriptions, natsConnection *connection,
                                    const char *subject, natsMsgHandler callback, void *context)
{
    natsSubscription *subscription = NULL;
    natsStatus status;

    if (subscriptions->count == SOURCE_SUBSCRIPTIONS_MAX)
        return NATS_INVALID_ARG;
    status = natsConnection_Subscribe(&subscription, connection, subject, callback, context);
    if (status == NATS_OK)
        subscriptions->list[subscriptions->count++] = subscription;
    /* No limit in the library: the callbacks only take over, and know where in the order they dropped. */
    if (status == NATS_OK)
        status = natsSubscription_SetPendingLimits(subscription, -1, -1);
    if (status == NATS_OK)
        status = natsSubscription_SetOnCompleteCB(subscription, on_complete, subscriptions);
    if (status == NATS_OK) {
        pthread_mutex_lock(&subscriptions->lock);
        subscriptions->open++;
        pthread_mutex_unlock(&subscriptions->lock);
    }
    return status;
}

static void on_control(natsConnection *connection, natsSubscription *subscription, natsMsg *message, void *context)
{
    const struct source_control *control = context;

    (void)connection;
    (void)subscription;
    control->callback(control->context, natsMsg_GetData(message), (size_t)natsMsg_GetDataLength(message));
    natsMsg_Destroy(message);
}

natsStatus source_subscriptions_add_control(struct source_subscriptions *subscriptions, natsConnection *connection,
                                            struct source_control *control)
{
    return source_subscriptions_add(subscriptions, connection, control->subject, on_control, control);
}

natsStatus source_subscriptions_add_list(struct source_subscriptions *subscriptions, natsConnection *connection,
                                         const char *subjects, natsMsgHandler callback, void *context)
{
    const char *item;
    size_t size;
    natsStatus status = NATS_OK;

    while (status == NATS_OK && config_list_next(&subjects, &item, &size)) {
        char *subject = strndup(item, size);

        if (!subject)
            return NATS_NO_MEMORY;
        status = source_subscriptions_add(subscriptions, connection, subject, callback, context);
        free(subject);
    }
    return status;
}

/* Waits until it is drained, as long as there is somebody to drain it from: the library would wait for its time to be over. */
static void wait_until_drained(natsSubscription *subscription, natsConnection *connection, int64_t until_ns)
{
    natsStatus status = NATS_TIMEOUT;

    while (status == NATS_TIMEOUT && clock_monotonic_ns() < until_ns &&
           natsConnection_Status(connection) == NATS_CONN_STATUS_CONNECTED)
        status = natsSubscription_WaitForDrainCompletion(subscription, DRAIN_LOOK_MS);
}

void source_subscriptions_drain(struct source_subscriptions *subscriptions, natsConnection *connection, int first,
                                int timeout_ms)
{
    int64_t until_ns = thread_deadline_ns(timeout_ms);

    if (natsConnection_Status(connection) != NATS_CONN_STATUS_CONNECTED)
        return;
    for (int i = first; i < subscriptions->count; i++)
        natsSubscription_DrainTimeout(subscriptions->list[i], timeout_ms);
    for (int i = first; i < subscriptions->count; i++)
        wait_until_drained(subscriptions->list[i], connection, until_ns);
}

/* What the library still has to do with the subscriptions of a closed connection would leak if it ended before. */
static void wait_until_complete(struct source_subscriptions *subscriptions)
{
    int64_t until_ns = thread_deadline_ns(COMPLETE_TIMEOUT_MS);

    pthread_mutex_lock(&subscriptions->lock);
    while (subscriptions->open > 0)
        if (!thread_wait_until(&subscriptions->changed, &subscriptions->lock, until_ns))
            break;
    pthread_mutex_unlock(&subscriptions->lock);
    /* It tells of the completion a moment before it frees its last control messages, and has no word for that moment. */
    nats_Sleep(SETTLE_MS);
}

void source_subscriptions_end(struct source_subscriptions *subscriptions)
{
    wait_until_complete(subscriptions);
    for (int i = 0; i < subscriptions->count; i++)
        natsSubscription_Destroy(subscriptions->list[i]);
    subscriptions->count = 0;
}
