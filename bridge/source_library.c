#include "bridge/source_library.h"

#include <stdlib.h>

#include "core/thread.h"

/*
 * One of the threads that the library starts here frees messages, each as soon as it is given up: it would take the processor
 * from whoever gives them up.
 */
natsStatus source_library_open(void)
{
    natsStatus status;

    thread_set_eager(false);
    status = nats_Open(0); /* 0: its locks must not spin on two cores */
    thread_set_eager(true);
    return status;
}

bool source_library_close(int timeout_ms)
{
    return nats_CloseAndWait(timeout_ms) == NATS_OK;
}

int64_t source_library_connects(natsConnection *connection, natsStatistics *statistics)
{
    uint64_t connects = 0;

    if (natsConnection_GetStats(connection, statistics) == NATS_OK)
        natsStatistics_GetCounts(statistics, NULL, NULL, NULL, NULL, &connects);
    return (int64_t)connects;
}

bool source_library_is_unread(natsConnection *connection)
{
    char *ip = NULL;
    int port;
    bool is_unread = natsConnection_Status(connection) == NATS_CONN_STATUS_CONNECTED &&
                     natsConnection_GetLocalIPAndPort(connection, &ip, &port) == NATS_CONNECTION_DISCONNECTED;

    free(ip);
    return is_unread;
}

natsStatus source_library_error(natsConnection *connection)
{
    const char *words = NULL;

    return natsConnection_GetLastError(connection, &words);
}

const char *source_library_words(natsStatus status)
{
    natsStatus last = NATS_OK;
    const char *words = nats_GetLastError(&last);

    return last == status ? words : NULL;
}
