#include "replay/redis_reply.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>

uint64_t redis_reply_number(const struct redisReply *reply)
{
    if (!reply)
        return 0;
    if (reply->type == REDIS_REPLY_INTEGER)
        return (uint64_t)reply->integer;
    return reply->type == REDIS_REPLY_STRING ? strtoull(reply->str, NULL, 10) : 0;
}

const struct redisReply *redis_reply_element(const struct redisReply *reply, size_t index)
{
    return reply && reply->type == REDIS_REPLY_ARRAY && index < reply->elements ? reply->element[index] : NULL;
}
