#ifndef SLUICE_HTTP_CHANNEL_H
#define SLUICE_HTTP_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "core/ring.h"
#include "http/stream.h"

/*
 * A company as one worker sees it: the ring of its last frames, and the worker's streams of it. New frames are written to
 * all streams in a round; the hub has gathered those that follow each other closely. A round is done in turns of about a
 * millisecond, so that a company with many streams leaves the worker to others.
 */

struct channel {
    TAILQ_ENTRY(channel) in_schedule;
    bool is_scheduled;
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

TAILQ_HEAD(channel_list, channel);

/* The channels of one worker with a round due or under way, in the order of their turns. */
struct schedule {
    struct channel_list channels;
    uint64_t recent_events;
    size_t recent_bytes;
};

void schedule_init(struct schedule *schedule);

struct channel *channel_new(const char *company);
void channel_free(struct schedule *schedule, struct channel *channel);

/* The subscription ended: streams wait for the next snapshot. */
void channel_forget_ring(struct schedule *schedule, struct channel *channel);

/* Adds a stream at the end, or takes it out. Returns 0 or -ENOMEM. */
int channel_add(struct channel *channel, struct stream *stream);
void channel_remove(struct channel *channel, struct stream *stream);

/* A new frame, behind all others. Takes over the caller's reference. */
void channel_push(struct schedule *schedule, const struct stream_context *context, struct channel *channel,
                  struct frame *frame);

/*
 * Lets go the frames that are older than oldest_ms, but for those that a round still has to write. Blocked streams may be owed some of
 * them: they are told that they missed them.
 */
void channel_trim_old(const struct stream_context *context, struct channel *channel, int64_t oldest_ms);

/* Lets the older half of the frames go, but for those that a stream is still owed. */
void channel_halve(const struct stream_context *context, struct channel *channel);

/* Whether so many frames wait for a round that no stream should be given more before it. */
bool channel_is_saturated(const struct stream_context *context, const struct channel *channel);

/* Gives each channel in the schedule one turn. */
void schedule_run(struct schedule *schedule, struct stream_context *context);

/* Whether schedule_run() has something to do. */
bool schedule_is_due(const struct schedule *schedule);

#endif
