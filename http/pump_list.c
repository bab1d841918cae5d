#include "http/pump_list.h"

#include "http/stream.h"

void pump_list_init(struct pump_list *list)
{
    TAILQ_INIT(list);
}

void pump_list_add(struct pump_list *list, struct stream *stream)
{
    if (stream->is_to_pump)
        return;
    TAILQ_INSERT_TAIL(list, stream, in_pump_list);
    stream->is_to_pump = true;
}

void pump_list_remove(struct pump_list *list, struct stream *stream)
{
    if (!stream->is_to_pump)
        return;
    TAILQ_REMOVE(list, stream, in_pump_list);
    stream->is_to_pump = false;
}

struct stream *pump_list_take(struct pump_list *list)
{
    struct stream *stream = TAILQ_FIRST(list);

    if (stream)
        pump_list_remove(list, stream);
    return stream;
}

bool pump_list_is_due(const struct pump_list *list)
{
    return !TAILQ_EMPTY(list);
}
