#include "bridge/lane.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bridge/inbox.h"

struct lane {
    struct inbox *inbox;
    size_t max_items;
    size_t max_bytes;
    int fd;        /* an eventfd */
    bool wake_due; /* there are messages of which it does not tell yet */
};

struct lane *lane_new(size_t max_items, size_t max_bytes)
{
    struct lane *lane = calloc(1, sizeof *lane);

    if (!lane)
        return NULL;
    lane->max_items = max_items;
    lane->max_bytes = max_bytes;
    lane->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    lane->inbox = inbox_new();
    if (lane->fd >= 0 && lane->inbox)
        return lane;
    lane_free(lane);
    return NULL;
}

void lane_free(struct lane *lane)
{
    struct source_item item;

    if (!lane)
        return;
    while (lane->inbox && inbox_take(lane->inbox, &item))
        source_message_free(item.message);
    inbox_free(lane->inbox);
    if (lane->fd >= 0)
        close(lane->fd);
    free(lane);
}

static void wake(struct lane *lane)
{
    uint64_t one = 1;
    ssize_t written = write(lane->fd, &one, sizeof one);

    (void)written; /* it fails only when the counter is full, and then the taker is awake */
}

static bool add(struct lane *lane, const struct source_item *item, size_t bytes)
{
    bool was_empty = inbox_count(lane->inbox) == 0;

    if (inbox_add(lane->inbox, item, bytes) < 0)
        return false;
    lane->wake_due |= was_empty;
    return true;
}

static bool take_wake(struct lane *lane)
{
    bool is_due = lane->wake_due;

    lane->wake_due = false;
    return is_due;
}

bool lane_add(struct lane *lane, const struct source_item *item, size_t bytes)
{
    if (inbox_count(lane->inbox) >= lane->max_items || inbox_bytes(lane->inbox) + bytes > lane->max_bytes)
        return false;
    return add(lane, item, bytes);
}

void lane_unlock(struct lane *lane, pthread_mutex_t *lock)
{
    bool is_due = take_wake(lane);

    pthread_mutex_unlock(lock);
    if (is_due)
        wake(lane);
}

void lane_add_hole(struct lane *lane, int64_t now_ns, int64_t dropped)
{
    struct source_item *last = inbox_last(lane->inbox);

    if (last && !last->message)
        last->dropped += dropped;
    else if (add(lane, &(struct source_item){.received_ns = now_ns, .dropped = dropped}, 0) && take_wake(lane))
        wake(lane);
}

size_t lane_take(struct lane *lane, struct source_item *items, size_t max)
{
    uint64_t count;
    size_t taken = 0;
    ssize_t read_bytes;

    while (taken < max && inbox_take(lane->inbox, &items[taken]))
        taken++;
    /* Items that stay keep the descriptor readable. */
    if (inbox_count(lane->inbox) == 0) {
        read_bytes = read(lane->fd, &count, sizeof count);
        (void)read_bytes;
    }
    return taken;
}

int lane_fd(const struct lane *lane)
{
    return lane->fd;
}

size_t lane_count(const struct lane *lane)
{
    return inbox_count(lane->inbox);
}

bool lane_has_room(const struct lane *lane, size_t items)
{
    return inbox_count(lane->inbox) + items <= lane->max_items && inbox_bytes(lane->inbox) <= lane->max_bytes / 2;
}
