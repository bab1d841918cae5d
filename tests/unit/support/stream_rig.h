#ifndef SLUICE_TESTS_STREAM_RIG_H
#define SLUICE_TESTS_STREAM_RIG_H

#include "support/worker_rig.h"

/* One worker, the bridge's parts and any number of sockets: for tests that say each step. */
enum { STREAM_RIG_SOCKETS = 64, LOTS_OF_ROOM = 10000000 };

struct stream_rig {
    struct metrics *metrics;
    struct registry *registry;
    struct hub_worker hub_worker;
    struct worker_rig *worker;
    struct bridge_rig bridge;
    struct fake_socket *sockets[STREAM_RIG_SOCKETS];
    size_t count;
};

struct stream_rig_options {
    int64_t buffer_events; /* 0: a hundred */
    int64_t buffer_bytes;  /* 0: a mebibyte */
    int64_t ring_events;   /* in the worker; 0: a thousand */
    int64_t ring_bytes;    /* the same; 0: a mebibyte */
    size_t recent_events;  /* in the hub; 0: a thousand */
    bool refill;           /* OVERFLOW=refill */
    int64_t drain_spread_seconds;
    int64_t max_stream_age_seconds;
    int64_t events_per_second; /* that a company may publish; 0: no limit */
};

void stream_rig_init(struct stream_rig *rig, const struct stream_rig_options *options);
void stream_rig_release(struct stream_rig *rig);

/* A client connects: the worker sees it in its next turn. requested: its last id; NULL: none. */
struct fake_socket *stream_rig_open(struct stream_rig *rig, const char *company, bool chunked, const char *requested,
                                    size_t capacity);

/* The same to acme with all the room it wants; it is ready, and has read what that brings. */
struct fake_socket *stream_rig_open_ready(struct stream_rig *rig, bool chunked);

/* Events with the numbers first..last arrive and are flushed to the worker's mailbox. */
void stream_rig_publish(struct stream_rig *rig, const char *company, int first, int last);

/* The same to acme, with all that follows from each before the next one. */
void stream_rig_publish_singly(struct stream_rig *rig, int first, int last);

/* The id of acme's event of that number, which the store has. */
void stream_rig_id_of(struct stream_rig *rig, int number, char id[EVENT_ID_SIZE]);

/* One turn of the worker, with what its sockets have to say. */
void stream_rig_turn(struct stream_rig *rig);

/* Everything answers, until nothing is left to do. */
void stream_rig_settle(struct stream_rig *rig);

/* The client reads all that waits. */
void stream_rig_read(struct fake_socket *socket);

/* Lets a client that was held up read until nothing more comes. */
void stream_rig_read_all(struct stream_rig *rig, struct fake_socket *socket);

/*
 * What the client has read, checked byte for byte by sse_reader and told in short: an event's number, `@seq` for a bare
 * id, `gap(reason,missed)`, `ready`, `lost`, `restored`, `beat`, `closing(reason)`, `end` (where a last chunk, or compression, tells of it); or `error: …`. Valid until the
 * next call.
 */
const char *stream_rig_story(const struct fake_socket *socket, bool chunked);

/* Lets it read all that waits, and fails the test unless that is its story then. */
void stream_rig_assert_story(struct fake_socket *socket, bool chunked, const char *expected);

#endif
