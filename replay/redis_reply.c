#include "replay/redis_reply.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>

#include "core/event_id.h"

static uint64_t number_of_text(const char *text)
{
    /* strtoull() takes a minus too, and turns the number round. */
    return *text >= '0' && *text <= '9' ? strtoull(text, NULL, 10) : 0;
}

uint64_t redis_reply_number(const struct redisReply *reply)
{
    uint64_t number = 0;

    if (reply && reply->type == REDIS_REPLY_INTEGER)
        number = (uint64_t)reply->integer;
    else if (reply && reply->type == REDIS_REPLY_STRING)
        number = number_of_text(reply->str);
    return number <= EVENT_NUMBER_MAX ? number : 0;
}

const struct redisReply *redis_reply_element(const struct redisReply *reply, size_t index)
{
    return reply && reply->type == REDIS_REPLY_ARRAY && index < reply->elements ? reply->element[index] : NULL;
}
