#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "replay/redis_redirect.h"
#include "replay/redis_sentinel.h"
#include "replay/redis_slot_map.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/resp.h"

static const struct redis_endpoint asked = {.host = "h", .port = "1"};

/* What can be dialed. */
static void check_endpoint(const struct redis_endpoint *endpoint)
{
    MUST(*endpoint->host && strnlen(endpoint->host, sizeof endpoint->host) < sizeof endpoint->host);
    MUST(*endpoint->port && strnlen(endpoint->port, sizeof endpoint->port) < sizeof endpoint->port);
    MUST(strspn(endpoint->port, "0123456789") == strlen(endpoint->port));
    MUST(strtol(endpoint->port, NULL, 10) > 0 && strtol(endpoint->port, NULL, 10) <= 65535);
    MUST(!*endpoint->path && !strpbrk(endpoint->host, " \t\r\n/@?"));
}

static void check_map(const struct redisReply *reply)
{
    static struct redis_slot_map map;

    if (redis_slot_map_read(reply, &asked, &map) < 0)
        return;
    MUST(map.count > 0 && map.count <= REDIS_NODES_MAX);
    for (size_t slot = 0; slot < REDIS_SLOTS; slot++)
        MUST(map.slots[slot] < map.count);
    for (size_t i = 0; i < map.count; i++)
        check_endpoint(&map.nodes[i]);
}

static void check_redirect(const char *text)
{
    struct redis_redirect redirect = redis_redirect_read(text, &asked);

    MUST(redirect.slot < REDIS_SLOTS);
    if (redirect.kind == REDIS_MOVED || redirect.kind == REDIS_ASK)
        check_endpoint(&redirect.node);
}

/* The input: a reply. Whatever it says, what is taken from it is a slot that there is and a server that can be dialed. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct redis_endpoint master;
    redisReader *reader;
    void *object = NULL;

    if (size > RESP_MAX_BYTES || resp_promises_much(data, size))
        return 0;
    reader = redisReaderCreate();
    MUST(reader != NULL);
    if (redisReaderFeed(reader, (const char *)data, size) == REDIS_OK &&
        redisReaderGetReply(reader, &object) == REDIS_OK && object) {
        const redisReply *reply = object;

        if (redis_sentinel_answer(reply, &master) == 0)
            check_endpoint(&master);
        check_map(reply);
        if (reply->type == REDIS_REPLY_ERROR)
            check_redirect(reply->str);
        freeReplyObject(object);
    }
    redisReaderFree(reader);
    return 0;
}
