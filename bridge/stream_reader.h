#ifndef SLUICE_BRIDGE_STREAM_READER_H
#define SLUICE_BRIDGE_STREAM_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/source.h"
#include "core/log.h"
#include "core/metrics.h"

/*
 * Reads a JetStream stream in its order, from a place on, into a lane. Nothing is acknowledged: whoever reads knows where it
 * was. A consumer of the server's memory gives what follows the last message, in batches that are asked for as long as the
 * lane has room; it is made anew, behind the last message that came, whenever one is missing: by its count, by silence, or
 * because NATS was away. A thread of its own makes the requests.
 *
 * A place is a number that grows along the stream, and on into a later stream of that name: the time at which the stream was
 * made, in microseconds, and the message's sequence in it. Where messages are missing (the stream was purged, trimmed
 * before they were read, or made anew) the lane holds a hole. METRIC_STREAM_CONNECTED says whether the stream is there, and
 * is read if it is to be.
 */
struct stream_reader;

struct stream_reader_options {
    const char *stream;
    bool create; /* make the stream, or change it, so that it is as follows */
    const char *subjects;
    int64_t max_age_seconds;
    int64_t max_bytes; /* 0: no limit */
    int64_t replicas;
    size_t max_pending_events;
    size_t max_pending_bytes;
    struct log *log;
    struct metrics *metrics;
};

/* Starts the thread, which waits for a connection and for stream_reader_start(). The strings must outlive it. */
struct stream_reader *stream_reader_new(const struct stream_reader_options *options);

/* Ends the thread and frees what was not taken; there is no connection any more. */
void stream_reader_free(struct stream_reader *reader);

/* Where to begin. */
struct stream_start {
    uint64_t place;  /* the last that is known; 0: none is */
    uint64_t base;   /* stream_reader_base() as it was with that place; 0: it was 0 */
    int64_t from_ms; /* without a place: Unix time of the first message */
};

/* Begins to read there, also in the middle of reading. What lies in the lane is dropped. Any thread. */
void stream_reader_start(struct stream_reader *reader, const struct stream_start *start);

/* Reads no more, and drops what lies in the lane. Any thread. */
void stream_reader_stop(struct stream_reader *reader);

/*
 * A stream that lost its end gives sequences once more; what places count from is then another number. 0: it is the time at
 * which the stream was made. To be saved with a place. Any thread.
 */
uint64_t stream_reader_base(struct stream_reader *reader);

/*
 * Whether all that was in the stream when reading began was taken. *ret_end: the place of the last of it; untouched if not.
 * Any thread.
 */
bool stream_reader_is_at_end(struct stream_reader *reader, uint64_t *ret_end);

/* The lane, as of source.h. */
int stream_reader_fd(const struct stream_reader *reader);
size_t stream_reader_take(struct stream_reader *reader, struct source_item *items, size_t max);
size_t stream_reader_pending(struct stream_reader *reader);

#endif
