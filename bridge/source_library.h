#ifndef SLUICE_BRIDGE_SOURCE_LIBRARY_H
#define SLUICE_BRIDGE_SOURCE_LIBRARY_H

#include <nats/nats.h>
#include <stdbool.h>
#include <stdint.h>

/* What the source asks of the NATS library as a whole. */

/* Starts its threads. Returns NATS_OK, or why it cannot be had. */
natsStatus source_library_open(void);

/* Ends it, when the last connection is gone. False: it does not end in time, and may go on. */
bool source_library_close(int timeout_ms);

/* How often the connection was made anew. `statistics` are the caller's, for one thread at a time. */
int64_t source_library_connects(natsConnection *connection, natsStatistics *statistics);

/* The last error of a connection. The library's words for it are not given: its threads may write them while they are read. */
natsStatus source_library_error(natsConnection *connection);

#endif
