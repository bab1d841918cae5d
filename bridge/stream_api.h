#ifndef SLUICE_BRIDGE_STREAM_API_H
#define SLUICE_BRIDGE_STREAM_API_H

#include <nats/nats.h>

#include "bridge/stream_position.h"

/* Requests to JetStream. Each waits for its answer, a few seconds at most. */

/* How a request ended: NATS_OK, or why not. */
struct stream_api_result {
    natsStatus status;
    jsErrCode code; /* what JetStream said; 0: nothing */
};

/* In words, for the log. */
const char *stream_api_reason(struct stream_api_result result);

natsStatus stream_api_open(natsConnection *connection, jsCtx **ret_js);

/*
 * The stream as it is. make: first it is made, or changed to be as the options say; one that cannot be changed is read as it is,
 * and the log says so.
 */
struct stream_api_result stream_api_look(jsCtx *js, const struct stream_reader_options *options, bool make,
                                         struct stream_extent *ret_extent);

/* Makes a consumer, that asks for no acknowledgements and is gone soon after its reader, at the position. */
struct stream_api_result stream_api_make_consumer(jsCtx *js, const char *stream, const char *name,
                                                  const struct stream_position *position, uint64_t *ret_pending);

/* Asks for the next messages: they come to the subject `inbox`, and signs of life while there are none. Waits for nothing. */
natsStatus stream_api_request(natsConnection *connection, const char *stream, const char *consumer, const char *inbox,
                              size_t count);

/* What a consumer says instead of giving a message. */
enum stream_api_status {
    STREAM_API_NO_STATUS,
    STREAM_API_ALIVE,   /* number: how many messages it has given */
    STREAM_API_EXPIRED, /* a request; number: how many of its messages do not come any more */
    STREAM_API_GONE,    /* detail: why, while the message lives */
};
enum stream_api_status stream_api_read_status(natsMsg *message, uint64_t *ret_number, const char **ret_detail);

/* Removes a consumer. Waits for nothing; an answer comes to `inbox`. */
void stream_api_remove_consumer(natsConnection *connection, const char *stream, const char *consumer,
                                const char *inbox);

/* Signs of life come that often. */
enum { STREAM_API_HEARTBEAT_MS = 500 };

#endif
