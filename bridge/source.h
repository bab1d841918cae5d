#ifndef SLUICE_BRIDGE_SOURCE_H
#define SLUICE_BRIDGE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/source_message.h"
#include "core/log.h"
#include "core/metrics.h"

/*
 * The one user of NATS: subscriptions on one ordered path into an inbox. A thread of its own connects, and connects
 * anew for ever. Wherever messages may have been missed (while not connected, or dropped because the inbox was full) the
 * inbox holds a hole, in its place among the messages.
 */
struct config;
struct source;
struct stream_reader;

/* Where NATS is, and who we are there. At most one way to log in; texts are empty or NULL where there is nothing to say. */
struct source_identity {
    const char *url; /* servers, comma-separated; checked by config_check_nats_url() */
    const char *user;
    const char *password;
    const char *password_file; /* read again for each connection that is made; NULL: none */
    const char *token;
    const char *token_file; /* likewise */
    const char *nkey;
    const char *nkey_seed_file;
    const char *creds_file;
    const char *tls_ca_file;
    const char *tls_cert_file;
    const char *tls_key_file;
};

/* As the settings say; the texts stay theirs. */
struct source_identity source_identity_of(const struct config *config);

/*
 * Messages that are no events: never numbered, counted or in the inbox. The callback is called for each on the library's
 * delivery thread, in their order and between events, so it must not wait; also while source_free() runs, but not behind it.
 * What is published while there is no connection is missed.
 */
struct source_control {
    const char *subject;                                               /* NULL: none */
    void (*callback)(void *context, const char *payload, size_t size); /* the payload, without a NUL, during the call */
    void *context;
};

struct source_options {
    struct source_identity identity;
    const char *subjects; /* to subscribe to, comma-separated: none that covers our own (config_check_subjects()) */
    struct source_control control;
    const char *live_subject;     /* what replicas tell each other; NULL: none */
    struct stream_reader *stream; /* where events come from instead of the subjects; NULL: the subjects. The caller's */
    size_t max_pending_events;
    size_t max_pending_bytes;
    struct log *log;
    struct metrics *metrics;
};

struct source_item {
    struct source_message *message; /* NULL: a hole */
    int64_t received_ns;            /* clock_monotonic_ns() */
    int64_t dropped;                /* of a hole: messages known to be lost; 0: not known */
    uint64_t sequence;              /* of a message: its place in a stream (stream_reader.h); 0: it comes from none */
    int64_t stamp_ms;               /* and the Unix time at which it was entered there */
};

/* Starts to connect. NULL: no memory, descriptor or thread. The strings must outlive the source. */
struct source *source_new(const struct source_options *options);

/*
 * Stops taking events: what NATS had for us is in the inbox when this returns, at most timeout_ms later. What replicas tell each
 * other goes on, and no connection is made any more.
 */
void source_drain(struct source *source, int timeout_ms);

/*
 * Drops what is still in the inbox, and frees. A server that stalls in the middle of the TLS handshake holds the library for
 * ever: then what it holds is given up after a few seconds, since only the end of the process frees it.
 */
void source_free(struct source *source);

/*
 * Events, and what replicas tell each other, lie in a lane each. A hole in the live lane stands where a connection began. Events
 * of a stream are its reader's, and have holes of their own alone.
 */
enum source_lane { SOURCE_EVENTS, SOURCE_LIVE };
enum { SOURCE_LANES = 2 };

/* Readable while the lane holds items. */
int source_fd(const struct source *source, enum source_lane lane);

/* Takes up to `max` items, in order; the caller frees their messages. Returns how many. One thread. */
size_t source_take(struct source *source, enum source_lane lane, struct source_item *items, size_t max);

/*
 * Nobody takes events before until_ns (clock_monotonic_ns()): those that come meanwhile may be gathered, rather than wake a
 * thread each. What replicas tell each other waits too, for no longer than that. Any thread.
 */
void source_rest(struct source *source, int64_t until_ns);

/* Items in the lane. Any thread. */
size_t source_pending(struct source *source, enum source_lane lane);

/* Whether NATS is connected and has all our subscriptions. Any thread. */
bool source_is_connected(const struct source *source);

/* The largest message that the server takes; 0: not connected. Any thread. */
size_t source_max_payload(struct source *source);

/* Sends a message: it is with the kernel when this returns. False: not connected, or NATS refused it. Any thread. */
bool source_publish(struct source *source, const char *subject, const char *payload, size_t size);

/* Publishes a copy of the message to `subject`. False: not connected, or NATS refused it. Any thread. */
bool source_forward(struct source *source, const char *subject, const struct source_message *message);

#endif
