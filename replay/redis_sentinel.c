#include "replay/redis_sentinel.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <string.h>

#include "replay/redis_reply.h"

void redis_sentinel_ask(const char *master, struct redis_command *command)
{
    redis_command_add(command, "SENTINEL");
    redis_command_add(command, "get-master-addr-by-name");
    redis_command_add(command, "%s", master);
}

int redis_sentinel_answer(const struct redisReply *reply, struct redis_endpoint *ret_master)
{
    const redisReply *host = redis_reply_element(reply, 0);
    const redisReply *port = redis_reply_element(reply, 1);

    if (!host || host->type != REDIS_REPLY_STRING || !port || port->type != REDIS_REPLY_STRING)
        return -ENOENT;
    return redis_endpoint_make(host->str, host->len, port->str, port->len, ret_master) < 0 ? -ENOENT : 0;
}
