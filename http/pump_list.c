#include "http/pump_list.h"

#include <stddef.h>

#include "http/stream.h"

void pump_list_init(struct pump_list *list)
{
    list->first = NULL;
    list->last = &list->first;
}

void pump_list_add(struct pump_list *list, struct stream *stream)
{
    if (stream->pump_link)
        return;
    stream->pump_next = NULL;
    stream->pump_link = list->last;
    *list->last = stream;
    list->last = &stream->pump_next;
}

void pump_list_remove(struct pump_list *list, struct stream *stream)
{
    if (!stream->pump_link)
        return;
    *stream->pump_link = stream->pump_next;
    if (stream->pump_next)
        stream->pump_next->pump_link = stream->pump_link;
    else
        list->last = stream->pump_link;
    stream->pump_link = NULL;
}

struct stream *pump_list_take(struct pump_list *list)
{
    struct stream *stream = list->first;

    if (stream)
        pump_list_remove(list, stream);
    return stream;
}
