#ifndef SLUICE_BRIDGE_STREAM_ACK_H
#define SLUICE_BRIDGE_STREAM_ACK_H

#include <stddef.h>
#include <stdint.h>

/*
 * What JetStream says of a message, in the subject on which it would be acknowledged:
 * `$JS.ACK.<stream>.<consumer>.<deliveries>.<sequence>.<consumer sequence>.<nanoseconds>.<pending>`, newer servers with domain
 * and account in front of the stream and more behind. Pure.
 */
struct stream_ack {
    const char *consumer; /* in the subject; not ended */
    size_t consumer_size;
    uint64_t sequence;          /* in the stream */
    uint64_t consumer_sequence; /* 1 for the first that the consumer gave, without a break */
    int64_t stamp_ns;           /* Unix time */
    uint64_t pending;           /* messages behind it */
};

/* Returns 0 or -EINVAL. */
int stream_ack_parse(const char *subject, struct stream_ack *ret_ack);

#endif
