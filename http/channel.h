#ifndef SLUICE_HTTP_CHANNEL_H
#define SLUICE_HTTP_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/ring.h"
#include "http/stream.h"

/*
 * A company as one worker sees it: the ring of its last frames, and the worker's streams of it. New frames are written to
 * all streams in a round. The first frame after a quiet moment starts a round at once; then the channel's window is open
 * for a few milliseconds, in which frames gather for the next round. A round is done in turns of about a millisecond, so
 * that a company with many streams leaves the worker to others.
 */
enum channel_state {
    CHANNEL_IDLE,   /* all is written, and no window is open */
    CHANNEL_WINDOW, /* frames gather until window_end_ns */
    CHANNEL_DUE,    /* a round is due or under way */
};

struct channel {
    struct channel *next; /* in the schedule's list, by state */
    struct channel **link;
    enum channel_state state;
    int64_t window_end_ns;
    char company[129];
    char head_id[EVENT_ID_SIZE]; /* for when the ring is empty */
    struct ring *ring;           /* NULL until the snapshot */
    struct stream **streams;
    size_t count;
    size_t capacity;
    size_t turn;        /* the stream that is next in the round */
    uint64_t round_end; /* the end of the ring when the round began */
    uint64_t flushed;   /* every stream that could take them has the slots below */
    int64_t recipients; /* of this round */
    bool unsubscribing; /* the last stream left, and the hub was told */
    int64_t empty_ns;   /* since when there is no stream */
};

/* The channels of one worker that have something to do, in the order of their turns. */
struct schedule {
    struct channel *due;
    struct channel **due_last;
    struct channel *window;
    struct channel **window_last;
    int64_t flush_window_ns;
    uint64_t recent_events;
    size_t recent_bytes;
};

void schedule_init(struct schedule *schedule);

struct channel *channel_new(const char *company);
void channel_free(struct schedule *schedule, struct channel *channel);

/* Adds a stream at the end, or takes it out. Returns 0 or -ENOMEM. */
int channel_add(struct channel *channel, struct stream *stream);
void channel_remove(struct channel *channel, struct stream *stream);

/* A new frame, behind all others. Takes over the caller's reference. */
void channel_push(struct schedule *schedule, const struct stream_context *context, struct channel *channel,
                  struct frame *frame);

/* Lets go the frames that are older than oldest_ms, but for those that a stream is still owed. */
void channel_trim_old(const struct stream_context *context, struct channel *channel, int64_t oldest_ms);

/* Whether so many frames wait for a round that no stream should be given more before it. */
bool channel_is_saturated(const struct stream_context *context, const struct channel *channel);

/* Gives each channel that is due its turn, and opens and closes windows. */
void schedule_run(struct schedule *schedule, struct stream_context *context);

/* When schedule_run() has something to do: 0 for at once, INT64_MAX for never. */
int64_t schedule_deadline_ns(const struct schedule *schedule);

#endif
