#ifndef SLUICE_HTTP_STREAM_H
#define SLUICE_HTTP_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "auth/pass.h"
#include "bridge/bridge.h"
#include "core/event_filter.h"
#include "core/event_id.h"
#include "core/frame.h"
#include "core/gzip.h"
#include "core/log.h"
#include "core/metrics.h"
#include "http/pieces.h"
#include "http/pump_list.h"
#include "http/registry.h"
#include "http/stream_end.h"
#include "http/wheel.h"

/*
 * One client's open SSE response. A stream belongs to its worker's thread, which alone writes to its socket and reads the
 * socket's events. It is a cursor into its company's ring, and what its own client must be told besides.
 *
 * Its life: WAITING for the company's snapshot; then, with a Last-Event-ID that is not in the ring, HISTORY page by page;
 * then in the RING until it ends. stream_pump() writes whatever is due, in the order of docs/protocol.md.
 */
struct channel;

enum {
    BATCH_FRAMES = 128,
    FLAT_FRAMES = 4, /* from so many on, one piece is cheaper to write to several streams than each frame for itself */
    FLAT_BYTES = 65536,
    GZIP_BATCH_BYTES = 65536, /* of text: a stream whose socket is full in the middle keeps what is left of that */
};

/* Frames that go out in one write, made once for all streams at the same place. */
struct batch {
    const struct channel *channel;
    uint64_t from;
    uint64_t to;
    bool chunked;
    bool gzip;
    bool full; /* takes no more frames */
    int count;
    int events; /* those that are no holes or gaps */
    size_t bytes;
    int64_t deliveries; /* streams that got all of it and are not in the metrics yet */
    struct frame *frames[BATCH_FRAMES];
    struct iovec iov[BATCH_FRAMES];
    char *flat;              /* room for FLAT_BYTES; NULL: the frames are never put side by side */
    size_t flat_size;        /* the bytes of all frames are there, too; 0: they are not */
    struct gzip_piece piece; /* of all the frames, once a compressed stream was to get them */
};

/* What the streams of one worker share. */
struct stream_context {
    struct bridge *bridge;
    struct registry *registry;
    struct log *log;
    struct metrics *metrics;
    unsigned worker;
    int epoll_fd;
    int64_t heartbeat_ms;
    int64_t idle_timeout_ms;
    int64_t dead_peer_ms;
    int64_t token_warning_ms;
    int64_t replay_ttl_ms;
    int64_t retry_ms;
    int64_t drain_spread_ms;
    int64_t max_age_ms; /* 0: none */
    uint64_t buffer_events;
    size_t buffer_bytes;
    bool refill; /* streams that fall behind go on from their place in the history, and lose nothing */
    int socket_buffer_bytes;
    int64_t now_ns; /* at the last wake-up */
    unsigned random;
    bool replay_ok;
    bool draining;
    struct wheel wheel;
    struct frame *heartbeat;
    struct pieces *pieces;  /* NULL: no stream is compressed */
    struct batch live;      /* the live frames of one channel, kept between its streams */
    struct batch live_gzip; /* the same, for those of its streams that are compressed */
    struct batch scratch;
    struct pump_list pumps; /* who is to be pumped, or started */
    struct stream *closed;  /* to be freed once no event of the present round can name them */
};

enum stream_phase { STREAM_WAITING, STREAM_HISTORY, STREAM_RING };

/* What the client said about where it was. */
enum stream_cursor { STREAM_CURSOR_NONE, STREAM_CURSOR_ID, STREAM_CURSOR_SINCE, STREAM_CURSOR_MALFORMED };

/* A request that passed the front door: what a worker makes a stream of. */
struct stream_request {
    int fd; /* the socket, with the request read and nothing written */
    bool chunked;
    bool gzip;
    struct gzip_sum gzip_sum; /* of the text in the head */
    enum stream_cursor cursor;
    struct event_position
        position; /* of STREAM_CURSOR_ID; of STREAM_CURSOR_SINCE: behind it are all events from then on */
    char requested[EVENT_ID_SIZE]; /* the id as it came, cut */
    char company[129];
    char connection_id[24];
    struct pass *pass;           /* NULL: nobody was asked for one (tests) */
    struct event_filter *filter; /* a reference; NULL: all events */
    int64_t expires_ms;          /* Unix time at which the stream must end; 0: never */
    struct frame *head;          /* the response head and the retry block; the stream's from here */
};

/* A read of history under way; outlives its stream when that is closed meanwhile. */
struct stream_reading {
    struct stream *stream; /* NULL: closed */
};

struct stream {
    struct wheel_timer timer; /* first: a timer is its stream */
    TAILQ_ENTRY(stream) in_pump_list;
    struct channel *channel;
    size_t index; /* in the channel's streams */
    int fd;       /* -1: closed */
    enum stream_phase phase;
    enum stream_cursor requested_cursor;
    bool chunked;
    bool gzip;
    bool is_to_pump;       /* in the list of pumps */
    bool blocked;          /* the socket took no more at the last write; EPOLLOUT will tell */
    bool broken;           /* the last write failed for good */
    bool ready;            /* stream.ready was sent */
    bool complete;         /* no gap was told */
    bool knows_store_lost; /* the client was told that the store is lost */
    bool heartbeat_due;
    bool expiring_due;  /* the client is to be told that its token will expire */
    bool expiring_told; /* or needs not be */
    bool closing;       /* to be ended once all before it is written */
    bool ending;        /* stream.closing is being written; nothing follows */
    bool missed_unknown;
    bool patient; /* TCP_USER_TIMEOUT was raised for a client that is there but does not read */
    enum stream_end end;

    uint64_t cursor;            /* RING: the next slot */
    struct event_position last; /* HISTORY: the place behind which to go on; RING: the same, set when blocked */
    struct frame *partial;      /* begun, or to be written first */
    size_t partial_offset;
    struct frame *gap;     /* to be told next */
    struct frame *claimed; /* the frame behind a gap: written next, so that no second gap can come between them */
    struct stream_reading *reading;
    struct hub_page *page;
    size_t page_next;
    int64_t missed;              /* events dropped that the client was not told of yet */
    struct pass *pass;           /* NULL: none */
    struct event_filter *filter; /* what the client may have; NULL: all events */
    struct ring *backlog;        /* of a filtered stream: due before its cursor; NULL: nothing (stream_filter.h) */
    int64_t expires_ms;          /* 0: never */

    int64_t opened_ns;
    int64_t heartbeat_at_ns;
    int64_t too_old_at_ns; /* INT64_MAX: never */
    int64_t acked_ns;      /* when the client last acknowledged something, or had nothing to */
    uint64_t acked_bytes;
    uint64_t sent_bytes;
    int64_t replayed;
    int64_t events;
    int64_t dropped;
    char connection_id[24];
    char requested[EVENT_ID_SIZE];
    struct gzip_sum gzip_sum; /* of all that was begun to be written */
};

/* A new stream of that channel, which takes over the request's socket, head, identity and filter. NULL: no memory, and all are released. */
struct stream *stream_new(struct stream_context *context, struct channel *channel, struct stream_request *request);

/* The channel has its ring: begins the replay, or goes live. */
void stream_start(struct stream_context *context, struct stream *stream);

/* The answer to a read of history; the stream owns it from here, and is to be pumped. */
void stream_take_page(struct stream_context *context, struct stream *stream, struct hub_page *page);

/* Writes what is due until nothing is, or the socket is full. May close the stream. */
void stream_pump(struct stream_context *context, struct stream *stream);

/* Ends the stream in an orderly way: what is in the ring, then stream.closing. */
void stream_begin_end(struct stream_context *context, struct stream *stream, enum stream_end end);

/* Closes at once. The stream is freed by stream_free_closed(). */
void stream_close(struct stream_context *context, struct stream *stream, enum stream_end end);
void stream_free_closed(struct stream_context *context);

/* The same for a stream whose last write failed. */
void stream_close_broken(struct stream_context *context, struct stream *stream);

#endif
