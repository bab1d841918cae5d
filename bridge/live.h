#ifndef SLUICE_BRIDGE_LIVE_H
#define SLUICE_BRIDGE_LIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/transform.h"
#include "core/buffer.h"
#include "core/event_id.h"
#include "core/frame.h"

/*
 * What replicas tell each other over NATS, on one subject for each REPLICA_GROUP, LIVE_SUBJECT.<group>: a message is a header and, by its type, a body. Numbers are
 * big-endian. Pure: no clock, no NATS. Whoever can publish on the subject is trusted, but nothing that comes may harm.
 */
#define LIVE_SUBJECT "sluice.live"

enum { LIVE_ID_SIZE = 16, LIVE_ID_TEXT_SIZE = 2 * LIVE_ID_SIZE + 1, LIVE_VERSION = 1, LIVE_SUBJECT_SIZE = 128 };

/* The subject of a group, which config_check_group() takes. */
void live_subject(const char *group, char ret_subject[LIVE_SUBJECT_SIZE]);

/* A replica's own random name. */
struct live_id {
    unsigned char bytes[LIVE_ID_SIZE];
};

enum live_type {
    LIVE_OWNER = 1, /* "I number the events": several times a second, and when that begins */
    LIVE_PEER,      /* "I am here, and do not": likewise */
    LIVE_HELLO, /* a replica came, or missed something: the owner repeats what is not stored, then says LIVE_WELCOME */
    LIVE_WELCOME,  /* the answer to `about` */
    LIVE_FRAMES,   /* numbered events, in sections by company */
    LIVE_SALVAGE,  /* the same, from a replica that heard them, to the new owner that may not have */
    LIVE_SALVAGED, /* "that is all I had", to the new owner */
    LIVE_RELEASE,  /* "I own no longer": a clean stop, or NATS was away */
    LIVE_LOAD,     /* a follower to the owner: look at this company, whose clients may miss events. Body: its name */
    LIVE_ASK,      /* how many streams are open at each of you? */
    LIVE_COUNTS,   /* an answer, or a part of it, to `about`: open streams by company */
    LIVE_GONE,     /* "nobody need count on me any more": a clean stop */
};

struct live_header {
    enum live_type type;
    struct live_id from;
    struct live_id about; /* WELCOME: the one that is welcome; COUNTS: the one that asked; others: zeros */
    uint64_t epoch;       /* of the sender's owner, as it knows */
    uint64_t batch;       /* FRAMES: the number of this batch of the epoch, 1 for the first, 0 for one that is repeated;
                              OWNER, WELCOME, RELEASE: of the last batch sent; SALVAGE: as it was in the batch;
                              HELLO, PEER: of the last batch heard; ASK, COUNTS: the number of the question */
    uint64_t former_epoch; /* OWNER that has just begun: the epoch heard before, and its last batch; else 0 */
    uint64_t former_batch;
    uint64_t sent_ns;   /* the sender's own clock, for itself alone */
    uint64_t stored_ms; /* OWNER: frames with a smaller ms are in the store, or given up */
    uint64_t hole_ms;   /* OWNER, FRAMES: store_noted_hole() */
    uint64_t place;     /* OWNER: stream_place_done() */
    uint32_t lag_ms;    /* OWNER: age of the oldest message whose event it has not told yet; of a stream: 0 once it has
                           numbered what was in it before */
    bool store_lost;    /* the sender has no store now */
    bool has_hole;      /* it missed messages, and has not heard since that an owner did not */
    uint64_t store;     /* store_id() of the sender: kin.h */
};

/*
 * Writing. What does not fit the buffer shows in its `failed`, once, at the end. A LIVE_LOAD is a header and a company;
 * LIVE_FRAMES and LIVE_SALVAGE are a header and any number of sections; LIVE_COUNTS is a header, what the message is a part
 * of, and any number of counts; the others are a header alone.
 */

/* Begins a message in the buffer, which is emptied. */
void live_begin(struct buffer *message, const struct live_header *header);

/* Body of LIVE_LOAD. */
void live_put_company(struct buffer *message, const char *company);

/*
 * A company's consecutive frames, in LIVE_FRAMES and LIVE_SALVAGE: each comes behind the one before, the first behind
 * `before`; a receiver whose head is exactly there has missed nothing.
 */
struct live_section {
    char company[COMPANY_ID_SIZE];
    struct event_position before;
    uint64_t since_ms; /* as in struct store_head */
    size_t count;      /* of the frames that are put next */
};
void live_begin_section(struct buffer *message, const struct live_section *section);

/* One of the section's frames: an event or a hole. */
void live_put_frame(struct buffer *message, const struct frame *frame);

/* Bytes that live_put_frame() adds. */
size_t live_frame_size(const struct frame *frame);

/*
 * A part of the answer to LIVE_ASK: what is open in all, and how many companies the parts list together, of which so many
 * stand in earlier parts. One without a company is the only part.
 */
enum { LIVE_COMPANIES_MAX = 10000 };
struct live_counts {
    uint32_t connections;
    uint32_t companies; /* with open streams, also of those not listed */
    uint32_t listed;    /* LIVE_COMPANIES_MAX at most */
    uint32_t offset;
};
void live_begin_counts(struct buffer *message, const struct live_counts *counts);

/* One more company of the part. */
void live_put_count(struct buffer *message, const char *company, uint32_t connections);

/*
 * Reading. A message that is not whole, of another version, or with bytes left over is -EINVAL, and so is a section with
 * any such frame: names, numbers and order are all checked before its first frame is given. Outputs are untouched on
 * failure. The message must outlive the reader; a copied reader reads on its own.
 */
struct live_reader {
    const char *at;
    const char *section_end;
    const char *end;
};

/* Starts the reader at the message's body. */
int live_read_header(struct live_reader *reader, const char *message, size_t size, struct live_header *ret_header);
int live_read_company(struct live_reader *reader, char ret_company[COMPANY_ID_SIZE]);

/* Checks the whole part, so that live_read_count() need not be afraid. */
int live_read_counts(struct live_reader *reader, struct live_counts *ret_counts);

/* 1: the next company of the part; 0: there is none; -EINVAL. */
int live_read_count(struct live_reader *reader, char ret_company[COMPANY_ID_SIZE], uint32_t *ret_connections);

/* 1: a section, whose frames come next (those of the one before that were not read are passed over); 0: none; -EINVAL. */
int live_read_section(struct live_reader *reader, struct live_section *ret_section);

/* The section's next frame, new, with one reference. Returns 0, -EINVAL (also behind the last one) or -ENOMEM. */
int live_read_frame(struct live_reader *reader, int64_t received_ns, struct frame **ret_frame);

/* Copies all in front of the reader: the body of a LIVE_FRAMES message under another header is what salvaging sends. */
void live_put_body(struct buffer *message, const struct live_reader *body);

bool live_id_equals(struct live_id a, struct live_id b);

/* As hexadecimal digits, for people and for Redis. */
void live_id_format(struct live_id id, char ret_text[LIVE_ID_TEXT_SIZE]);

#endif
