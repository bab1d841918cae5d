#ifndef SLUICE_BRIDGE_VOICE_H
#define SLUICE_BRIDGE_VOICE_H

#include <stddef.h>

#include "bridge/live.h"
#include "bridge/ownership.h"
#include "bridge/source.h"
#include "core/buffer.h"
#include "replay/store.h"

/*
 * How this replica speaks to the others: one message (live.h) after the other, on the subject that all of them hear.
 * Everything here belongs to the bridge's thread.
 */
struct voice;

struct voice_options {
    struct live_id id;
    const struct ownership *ownership; /* knows the epoch */
    const struct store *store;
    struct source *source;
    const char *live_subject; /* must outlive the voice */
};

/* NULL: no memory. */
struct voice *voice_new(const struct voice_options *options);
void voice_free(struct voice *voice);

/* A header with what all of ours say: who we are, the epoch and the store. */
struct live_header voice_header(const struct voice *voice, enum live_type type);

/* Begins a message in place of one that was not sent. Its body is appended to the buffer, which is the voice's. */
struct buffer *voice_begin(struct voice *voice, const struct live_header *header);

/* Sends what was begun. What does not leave, or did not fit the memory, is missed by all, and noticed: batches are counted. */
void voice_send(struct voice *voice);

/* Begins and sends a message without a body. */
void voice_say(struct voice *voice, const struct live_header *header);

/* How large a message NATS takes, as far as is known: as source_max_payload(). */
size_t voice_max_payload(const struct voice *voice);

#endif
