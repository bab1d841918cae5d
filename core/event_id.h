#ifndef SLUICE_CORE_EVENT_ID_H
#define SLUICE_CORE_EVENT_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A place in one company's order. ms never decreases, seq is dense (1, 2, 3 …) as long as the company's numbering goes
 * on; where the numbering starts anew, ms still orders. seq 0 is the place before the first event.
 */
struct event_position {
    uint64_t ms;
    uint64_t seq;
};

/* The largest number that an id may hold: what Lua and JavaScript numbers carry exactly, 2^53 - 1. */
#define EVENT_NUMBER_MAX UINT64_C(9007199254740991)

enum {
    EVENT_ID_MAX = 128,     /* bytes of an id; longer ones are not well-formed */
    EVENT_SUBJECT_MAX = 64, /* bytes of the subject inside an id */
    EVENT_ID_SIZE = EVENT_ID_MAX + 1,
};

/* Negative, 0 or positive as a comes before, is, or comes after b. */
int event_position_compare(struct event_position a, struct event_position b);

/* Writes the form of a subject that ids hold: other characters than A-Za-z0-9._- become _, 64 bytes at most. */
void event_id_subject(const char *subject, size_t size, char ret_text[EVENT_SUBJECT_MAX + 1]);

/* Writes `<subject>-<seq>-<ms>`; subject as event_id_subject() gives it. Returns the length. */
size_t event_id_format(const char *subject, struct event_position position, char ret_text[EVENT_ID_SIZE]);

/* Whether text is a well-formed id; if so, the place it names goes to ret_position. */
bool event_id_parse(const char *text, size_t size, struct event_position *ret_position);

/* Whether a well-formed id is that of the place in front of the first event, where no event needs to be held. */
bool event_id_is_start(const char *id);

#endif
