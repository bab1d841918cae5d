#include "replay/redis_id.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <sys/random.h>

#include "core/clock.h"
#include "core/event_id.h"
#include "replay/redis_command.h"
#include "replay/redis_reply.h"

uint64_t redis_id_new(void)
{
    uint64_t id;

    if (getrandom(&id, sizeof id, 0) != (ssize_t)sizeof id)
        id = (uint64_t)clock_monotonic_ns();
    /* What redis_reply_number() reads back. */
    return id % EVENT_NUMBER_MAX + 1;
}

int redis_id_ask(struct redis_connection *connection, uint64_t offered, redis_reply_done done, void *context)
{
    struct redis_command command = redis_command_make();

    redis_command_add(&command, "SET");
    redis_command_add(&command, "sluice:id");
    redis_command_add(&command, "%" PRIu64, offered);
    redis_command_add(&command, "NX");
    redis_command_add(&command, "GET");
    return redis_command_send(&command, connection, done, context);
}

uint64_t redis_id_of(const struct redisReply *reply, uint64_t offered)
{
    /* There was none: ours is taken. */
    if (reply && reply->type == REDIS_REPLY_NIL)
        return offered;
    return redis_reply_number(reply);
}
