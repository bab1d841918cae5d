#ifndef SLUICE_BRIDGE_REPLICA_PARTS_H
#define SLUICE_BRIDGE_REPLICA_PARTS_H

#include "bridge/batches.h"
#include "bridge/census.h"
#include "bridge/doubt.h"
#include "bridge/echo.h"
#include "bridge/fanout.h"
#include "bridge/heads.h"
#include "bridge/intake.h"
#include "bridge/kin.h"
#include "bridge/live.h"
#include "bridge/mirror.h"
#include "bridge/ownership.h"
#include "bridge/replica.h"
#include "bridge/shadow.h"
#include "bridge/voice.h"

/*
 * What a replica is made of, for the two files that share it and nobody else: replica.c, which turns it, and replica_live.c,
 * which talks to the others.
 */
struct replica {
    struct replica_options options;
    struct live_id id;
    struct kin *kin;
    struct echo *echo;
    struct heads *heads;
    struct shadow *shadow;
    struct doubt *doubt;
    struct ownership *ownership;
    struct fanout *fanout;
    struct mirror *mirror;
    struct intake *intake;
    struct census *census;
    struct voice *voice;
    struct batches *batches;
    bool is_complete; /* nothing that the owner sent is missing here */
    bool is_unsure;   /* an owner was heard, but not what of our messages it had numbered */
    bool is_retired;
    int64_t retired_ns;
    bool owner_has_caught_up; /* it has numbered what was in the stream when it began to read */
    bool has_listened;        /* the hole in front of the first connection was dealt with */
    int64_t next_hello_ns;
    int64_t
        refused_ns;   /* of an owner: the first hello that it did not answer since the last one that it did; 0: none */
    int64_t asked_ns; /* when it was asked first for what is missing; 0: not yet */
    int64_t run_ns;   /* the last turn */
    int64_t late_ns;  /* what was received until then may have waited for this process, which had no turn for a while */
    int64_t owner_ns; /* when an owner that had seen everything was heard last */
    uint64_t hole_ms; /* the last for all companies that an owner told of; the store may know of it before us */
    int64_t taken_ns; /* when what was taken last from the source was received */
};

/* How long before its telling a message may have been received here, and later by the owner. */
#define REPLICA_MARGIN_NS INT64_C(250000000)

/* How long a message waits to be heard as an event, and a batch to be wanted by a new owner. */
#define REPLICA_SHADOW_NS INT64_C(5000000000)

/* Whether others know more, as far as we know. */
bool replica_is_in_doubt(const struct replica *replica);

/*
 * Something that the owner sent until then is missing, or may be: it is asked to repeat what the store does not have. What it
 * numbered had reached us before.
 */
void replica_miss(struct replica *replica, int64_t received_ns);

/* To be called before anything is taken: notes whether this process had no turn for a while. */
void replica_note_turn(struct replica *replica, int64_t now_ns);

/* Sends a header of the ownership's, with what it does not know. */
void replica_send_header(void *replica, struct live_header *header);

/* Tells the owner of a company whose clients may miss something. */
void replica_send_load(struct replica *replica, const struct company *company);

/* Asks the owner to repeat what is missing here. */
void replica_send_hello(struct replica *replica, int64_t now_ns);

#endif
