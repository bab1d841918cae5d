#ifndef SLUICE_BRIDGE_ECHO_H
#define SLUICE_BRIDGE_ECHO_H

#include "core/log.h"
#include "core/metrics.h"

/*
 * Whether this replica hears itself: NATS gives what it says back to it, too. If it does not, neither do the others hear it, or
 * it them, since its user in NATS lacks a permission. Counted by what was said and not by time, so that a process that was
 * stopped is not taken for deaf. Everything here belongs to the bridge's thread.
 */
struct echo;

/* live_subject must outlive it. NULL: no memory. */
struct echo *echo_new(const char *live_subject, struct log *log, struct metrics *metrics);
void echo_free(struct echo *echo);

/* A sign of life was sent over a connection that stands; or none can be sent. */
void echo_note_said(struct echo *echo);
void echo_note_away(struct echo *echo);

/* Something that this replica said was heard here. */
void echo_note_heard(struct echo *echo);

#endif
