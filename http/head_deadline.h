#ifndef SLUICE_HTTP_HEAD_DEADLINE_H
#define SLUICE_HTTP_HEAD_DEADLINE_H

#include <stddef.h>
#include <stdint.h>

#include "core/metrics.h"

/*
 * A deadline for each whole request head, and for each answer until it is written. libmicrohttpd's own time-out is one of
 * inactivity: a byte now and then keeps half a request, or half an answer, for ever. A thread of its own shuts the sockets down
 * whose time is over; libmicrohttpd then closes them.
 */
struct head_deadline;
struct head_timer;

/*
 * Starts the thread. NULL: no memory or no thread. heads_max, at least 1: when more heads and answers are waited for, those that
 * have taken longest go, and have a second at least: such that take all of libmicrohttpd's places would keep everybody else out.
 */
struct head_deadline *head_deadline_new(int64_t seconds, size_t heads_max, struct metrics *metrics);

/* libmicrohttpd must have ended. */
void head_deadline_free(struct head_deadline *deadline);

/* A connection began on fd: its first head is expected. NULL: no memory, and it has no deadline. */
struct head_timer *head_deadline_begin(struct head_deadline *deadline, int fd);

/*
 * An answer is about to be written; or was, and the next head is expected. Both begin the time anew. The timer may be NULL.
 */
void head_deadline_arm(struct head_deadline *deadline, struct head_timer *timer);

/* The head is complete. From here the socket is not touched any more: it may be given away. */
void head_deadline_disarm(struct head_deadline *deadline, struct head_timer *timer);

/* The connection is about to be closed: frees the timer. */
void head_deadline_end(struct head_deadline *deadline, struct head_timer *timer);

#endif
