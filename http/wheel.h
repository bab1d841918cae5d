#ifndef SLUICE_HTTP_WHEEL_H
#define SLUICE_HTTP_WHEEL_H

#include <stdint.h>

/*
 * Timers for many streams: a circle of slots, one passed every WHEEL_TICK_MS. A timer that is set further ahead than the
 * circle reaches is called early, with the same effect as being on time: its owner looks at the clock and sets it again.
 * One owner thread.
 */
enum { WHEEL_SLOTS = 512, WHEEL_TICK_MS = 100 };

struct wheel_timer {
    struct wheel_timer *next;
    struct wheel_timer **link; /* what points here; NULL: not set */
};

struct wheel {
    struct wheel_timer *slots[WHEEL_SLOTS];
    int64_t tick; /* ticks since wheel_init() */
    int64_t start_ns;
};

void wheel_init(struct wheel *wheel, int64_t now_ns);

/* Sets a timer that is not set. It is called at most a tick behind due_ns, or behind the next wheel_run() where that has passed. */
void wheel_set(struct wheel *wheel, struct wheel_timer *timer, int64_t due_ns);

/* Unsets a timer, if it is set. */
void wheel_unset(struct wheel_timer *timer);

/* When the next slot with a timer in it is passed; without any, that of the last one. */
int64_t wheel_deadline_ns(const struct wheel *wheel);

/* Passes the slots that are due. due is called with each timer in them, unset; it may unset any and free its own. */
void wheel_run(struct wheel *wheel, int64_t now_ns, void (*due)(struct wheel_timer *timer, void *context),
               void *context);

#endif
