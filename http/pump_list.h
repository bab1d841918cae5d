#ifndef SLUICE_HTTP_PUMP_LIST_H
#define SLUICE_HTTP_PUMP_LIST_H

#include <stdbool.h>
#include <sys/queue.h>

struct stream;

/*
 * Streams that are to be begun or written to, in the order in which that became so. A worker takes them for a millisecond at a
 * time: when thousands of clients come back at once, other companies' events go out in between. One owner thread.
 */
TAILQ_HEAD(pump_list, stream);

void pump_list_init(struct pump_list *list);

/* Adds the stream at the end, unless it is in the list. */
void pump_list_add(struct pump_list *list, struct stream *stream);

/* Takes the stream out, if it is in the list. */
void pump_list_remove(struct pump_list *list, struct stream *stream);

/* Takes the first one out; NULL: there is none. */
struct stream *pump_list_take(struct pump_list *list);

/* Whether pump_list_take() has one. */
bool pump_list_is_due(const struct pump_list *list);

#endif
