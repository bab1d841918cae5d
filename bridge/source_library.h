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

/*
 * Whether a connection is said to be there, and nobody reads what NATS sends. A reader of libnats 3.4.1 that had no memory closes its
 * socket and is gone, and all else looks as before; a flush that cannot write counts as answered.
 */
bool source_library_is_unread(natsConnection *connection);

/* The last error of a connection. The library's words for it are not given: its threads may write them while they are read. */
natsStatus source_library_error(natsConnection *connection);

/* The library's words for an error of that status, on the thread where it was reported; NULL: there are none. Valid there until the next. */
const char *source_library_words(natsStatus status);

#endif
