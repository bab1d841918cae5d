#ifndef SLUICE_BRIDGE_STREAM_LINK_H
#define SLUICE_BRIDGE_STREAM_LINK_H

#include <nats/nats.h>

#include "bridge/source_subscriptions.h"
#include "bridge/stream_reader.h"

/* What the source's thread tells the reader of a stream of its connection to NATS. */

/* A connection is there. The reader adds a subscription of its own to the list. */
natsStatus stream_link_attach(struct stream_reader *reader, natsConnection *connection,
                              struct source_subscriptions *subscriptions);

/* The connection was lost, and is there again: its requests are gone. Any thread. */
void stream_link_renew(struct stream_reader *reader);

/* The connection is closed: waits until the reader's thread has let go of it. */
void stream_link_detach(struct stream_reader *reader);

#endif
