#include "core/event_filter.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/config_value.h"

/* One block of memory: the texts stand behind the array. */
struct event_filter {
    atomic_size_t references;
    size_t count;
    const char *patterns[];
};

bool event_filter_matches(const char *const *patterns, size_t count, const char *event)
{
    for (size_t i = 0; i < count; i++)
        if (config_pattern_matches(patterns[i], strlen(patterns[i]), event))
            return true;
    return count == 0;
}

struct event_filter *event_filter_new(const char *const *patterns, size_t count)
{
    size_t size = sizeof(struct event_filter) + count * sizeof(char *);
    struct event_filter *filter;
    char *text;

    for (size_t i = 0; i < count; i++)
        size += strlen(patterns[i]) + 1;
    filter = malloc(size);
    if (!filter)
        return NULL;
    atomic_init(&filter->references, 1);
    filter->count = count;
    text = (char *)&filter->patterns[count];
    for (size_t i = 0; i < count; i++) {
        size_t text_size = strlen(patterns[i]) + 1;

        filter->patterns[i] = memcpy(text, patterns[i], text_size);
        text += text_size;
    }
    return filter;
}

struct event_filter *event_filter_ref(struct event_filter *filter)
{
    /* Relaxed: whoever takes a reference has one already. */
    if (filter)
        atomic_fetch_add_explicit(&filter->references, 1, memory_order_relaxed);
    return filter;
}

void event_filter_unref(struct event_filter *filter)
{
    /* Release and acquire: what others read in the filter lies before it is freed. */
    if (filter && atomic_fetch_sub_explicit(&filter->references, 1, memory_order_acq_rel) == 1)
        free(filter);
}

bool event_filter_passes(const struct event_filter *filter, const char *event)
{
    return !filter || event_filter_matches(filter->patterns, filter->count, event);
}

size_t event_filter_count(const struct event_filter *filter)
{
    return filter ? filter->count : 0;
}

const char *event_filter_pattern(const struct event_filter *filter, size_t index)
{
    return filter->patterns[index];
}
