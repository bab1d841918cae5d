#ifndef SLUICE_CORE_EVENT_FILTER_H
#define SLUICE_CORE_EVENT_FILTER_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Which events a client may have: patterns of SSE event names, with `*` for any characters within one of a name's
 * dot-separated tokens. A filter never changes and is reference-counted; any thread may hold references and ask.
 */
struct event_filter;

/* Whether the name matches one of the patterns; true where there is no pattern: what is not limited has all events. */
bool event_filter_matches(const char *const *patterns, size_t count, const char *event);

/* A new filter with copies of the patterns, and one reference for the caller. No pattern: all events. NULL: no memory. */
struct event_filter *event_filter_new(const char *const *patterns, size_t count);

/* One reference more; NULL stays NULL. */
struct event_filter *event_filter_ref(struct event_filter *filter);

/* Gives a reference back; NULL is fine. */
void event_filter_unref(struct event_filter *filter);

/* Whether events of that name pass. NULL: all do. */
bool event_filter_passes(const struct event_filter *filter, const char *event);

/* The patterns, as they were given, for as long as the filter is there. index: below the count. */
size_t event_filter_count(const struct event_filter *filter);
const char *event_filter_pattern(const struct event_filter *filter, size_t index);

#endif
