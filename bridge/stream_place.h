#ifndef SLUICE_BRIDGE_STREAM_PLACE_H
#define SLUICE_BRIDGE_STREAM_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/company.h"
#include "bridge/fanout.h"
#include "bridge/stream_reader.h"
#include "core/log.h"
#include "replay/store.h"

/*
 * Where the owner of the intake reads its stream: begins at the place that the store has, and saves how far everything is
 * appended. Whatever is read again behind that place gets the same number, or is known already. Everything here belongs to
 * the bridge's thread. A place that is NULL is that of no stream: the functions do nothing.
 */
struct stream_place;

struct stream_place_options {
    struct store *store;
    struct stream_reader *reader;
    struct companies *companies;
    const char *stream;
    int64_t ttl_ms;  /* how far back to begin where no place was saved */
    int64_t from_ms; /* Unix time to begin at in any case, and then a saved place is left as it is; 0: none */
    struct log *log;
};

/* NULL: no memory. */
struct stream_place *stream_place_new(const struct stream_place_options *options);

/* The store must be gone: it may call back while it is freed. So must the fanout. */
void stream_place_free(struct stream_place *place);

/*
 * Up to where everything is numbered and heard, or refused: of this replica, while it reads; 0: not known. And what another one
 * that reads says of itself: that is where to begin, should it and the store go together.
 */
uint64_t stream_place_done(const struct stream_place *place);
void stream_place_hear_done(struct stream_place *place, uint64_t sequence);

/* Whether it was told where to begin: then all companies stay in memory, to be counted in the end. */
bool stream_place_is_refilling(const struct stream_place *place);

/* This replica reads from here on; or does not any more. fanout: what was numbered goes there. */
void stream_place_begin(struct stream_place *place, const struct fanout *fanout);
void stream_place_end(struct stream_place *place);

/* Reads no more; what was read is still to be saved. */
void stream_place_retire(struct stream_place *place);

/* The message of that place could not be taken, nor any behind it: all is read again from there on, a tick later. */
void stream_place_go_back(struct stream_place *place, uint64_t sequence);

/* The message of that place was taken: it is numbered, parked, refused or known. */
void stream_place_note(struct stream_place *place, uint64_t sequence);

/*
 * Whether all that was in the stream when reading began is numbered, and has entered its companies: from the turn on in which it
 * is found so.
 */
bool stream_place_has_caught_up(const struct stream_place *place);

/* Looks whether that is so; when it is to be looked at again at the latest. */
void stream_place_run(struct stream_place *place);
int64_t stream_place_deadline_ns(const struct stream_place *place);

/* Now and then: begins if the store could not say where, and saves. */
void stream_place_tick(struct stream_place *place);

/* Saves how far everything is appended. */
void stream_place_save(struct stream_place *place);

#endif
