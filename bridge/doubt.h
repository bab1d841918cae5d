#ifndef SLUICE_BRIDGE_DOUBT_H
#define SLUICE_BRIDGE_DOUBT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/company.h"
#include "bridge/intake.h"
#include "bridge/shadow.h"

/*
 * What is missing among the messages that wait in the shadow: holes at the source, each in its place, and messages that were
 * given up since they may have been numbered unheard. Nothing of that is a loss as long as an owner lives that knows all; it
 * is when this replica becomes the owner. Times are those of receipts. One thread.
 */
struct doubt;

/* shadow: NULL where events come from a stream, of which nothing is ever missing here. NULL: no memory. */
struct doubt *doubt_new(struct shadow *shadow);
void doubt_free(struct doubt *doubt);

/* Messages were missed between the one received then and the next one. */
void doubt_note_hole(struct doubt *doubt, int64_t received_ns);

/* Messages received up to then may have been numbered, unheard: they are given up here, for others to know. */
void doubt_give_up(struct doubt *doubt, int64_t received_ns);

/* Whether a message received then is given up: it was still on its way here. */
bool doubt_is_given_up(const struct doubt *doubt, int64_t received_ns);

/* An owner has told the events of all that was received up to then. */
void doubt_hear_told(struct doubt *doubt, int64_t told_ns);

/* Whether something is missing of which no owner has told. */
bool doubt_exists(const struct doubt *doubt);

/*
 * Becoming the owner: gives all messages to the intake, and the holes in their places. lacks_first: something is missing in
 * front of the first. Nothing is missing from here on.
 */
void doubt_number_all(struct doubt *doubt, struct intake *intake, bool lacks_first);

/*
 * The owner no more: takes back what was to be numbered, in order. Of a frame that nobody has heard the message is in the
 * shadow already; a hole stands in front of the message that follows, or of what comes from here on.
 */
void doubt_return_frame(void *doubt, const struct frame *frame);
void doubt_return_parked(void *doubt, const struct parked *parked);
void doubt_end_return(struct doubt *doubt);

#endif
