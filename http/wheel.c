#include "http/wheel.h"

#include <stddef.h>
#include <string.h>

#define TICK_NS ((int64_t)WHEEL_TICK_MS * 1000000)

void wheel_init(struct wheel *wheel, int64_t now_ns)
{
    memset(wheel, 0, sizeof *wheel);
    wheel->start_ns = now_ns;
}

static void push(struct wheel_timer **list, struct wheel_timer *timer)
{
    timer->next = *list;
    timer->link = list;
    if (timer->next)
        timer->next->link = &timer->next;
    *list = timer;
}

void wheel_set(struct wheel *wheel, struct wheel_timer *timer, int64_t due_ns)
{
    int64_t ticks = (due_ns - wheel->start_ns + TICK_NS - 1) / TICK_NS - wheel->tick;

    if (ticks < 1)
        ticks = 1;
    if (ticks >= WHEEL_SLOTS)
        ticks = WHEEL_SLOTS - 1;
    push(&wheel->slots[(wheel->tick + ticks) % WHEEL_SLOTS], timer);
}

void wheel_unset(struct wheel_timer *timer)
{
    if (!timer->link)
        return;
    *timer->link = timer->next;
    if (timer->next)
        timer->next->link = timer->link;
    timer->link = NULL;
}

/* When the slot so many ticks ahead is passed. */
static int64_t time_of_slot(const struct wheel *wheel, int64_t ticks)
{
    return wheel->start_ns + (wheel->tick + ticks) * TICK_NS;
}

int64_t wheel_deadline_ns(const struct wheel *wheel)
{
    int64_t ticks = 1;

    while (ticks < WHEEL_SLOTS - 1 && !wheel->slots[(wheel->tick + ticks) % WHEEL_SLOTS])
        ticks++;
    return time_of_slot(wheel, ticks);
}

static void run_slot(struct wheel *wheel, void (*due)(struct wheel_timer *timer, void *context), void *context)
{
    struct wheel_timer **slot = &wheel->slots[wheel->tick % WHEEL_SLOTS];
    struct wheel_timer *all = *slot;

    /* A list of its own: timers set meanwhile wait for the next time round. */
    *slot = NULL;
    if (all)
        all->link = &all;
    while (all) {
        struct wheel_timer *timer = all;

        wheel_unset(timer);
        due(timer, context);
    }
}

void wheel_run(struct wheel *wheel, int64_t now_ns, void (*due)(struct wheel_timer *timer, void *context),
               void *context)
{
    /* After a long stop (SIGSTOP, a suspended machine) each slot needs to be passed only once. */
    if (now_ns - time_of_slot(wheel, 1) > WHEEL_SLOTS * TICK_NS)
        wheel->start_ns = now_ns - (wheel->tick + WHEEL_SLOTS) * TICK_NS;
    while (time_of_slot(wheel, 1) <= now_ns) {
        wheel->tick++;
        run_slot(wheel, due, context);
    }
}
