#include "replay/redis_slot_map.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>

#include "replay/redis_reply.h"

enum { NOBODY = UINT16_MAX };

/* Returns the node's place, which is a new one if it was not there; < 0: there is no room. */
static int find_node(struct redis_slot_map *map, const struct redis_endpoint *node)
{
    for (size_t i = 0; i < map->count; i++)
        if (redis_endpoint_equals(&map->nodes[i], node))
            return (int)i;
    if (map->count == REDIS_NODES_MAX)
        return -EINVAL;
    map->nodes[map->count] = *node;
    return (int)map->count++;
}

/* `[host, port, ...]`; the host may be nil or empty. */
static int read_node(const redisReply *reply, const struct redis_endpoint *asked, struct redis_endpoint *ret_node)
{
    const redisReply *host = redis_reply_element(reply, 0);
    const redisReply *port = redis_reply_element(reply, 1);
    bool is_named = host && host->type == REDIS_REPLY_STRING && host->len > 0;
    char text[24];
    int size;

    if (!host || (host->type != REDIS_REPLY_STRING && host->type != REDIS_REPLY_NIL) || !port ||
        port->type != REDIS_REPLY_INTEGER)
        return -EINVAL;
    size = snprintf(text, sizeof text, "%lld", port->integer);
    return redis_endpoint_make(is_named ? host->str : asked->host, is_named ? host->len : strlen(asked->host), text,
                               (size_t)size, ret_node);
}

/* `[first, last, master, replicas...]` */
static int read_range(const redisReply *reply, const struct redis_endpoint *asked, struct redis_slot_map *map)
{
    const redisReply *first = redis_reply_element(reply, 0);
    const redisReply *last = redis_reply_element(reply, 1);
    struct redis_endpoint endpoint;
    int node;

    if (!first || first->type != REDIS_REPLY_INTEGER || !last || last->type != REDIS_REPLY_INTEGER ||
        first->integer < 0 || first->integer > last->integer || last->integer >= REDIS_SLOTS)
        return -EINVAL;
    if (read_node(redis_reply_element(reply, 2), asked, &endpoint) < 0)
        return -EINVAL;
    node = find_node(map, &endpoint);
    if (node < 0)
        return node;
    for (long long slot = first->integer; slot <= last->integer; slot++)
        map->slots[slot] = (uint16_t)node;
    return 0;
}

int redis_slot_map_read(const struct redisReply *reply, const struct redis_endpoint *asked,
                        struct redis_slot_map *ret_map)
{
    if (reply->type != REDIS_REPLY_ARRAY)
        return -EINVAL;
    ret_map->count = 0;
    memset(ret_map->slots, 0xff, sizeof ret_map->slots);
    for (size_t i = 0; i < reply->elements; i++) {
        int status = read_range(reply->element[i], asked, ret_map);

        if (status < 0)
            return status;
    }
    for (size_t slot = 0; slot < REDIS_SLOTS; slot++)
        if (ret_map->slots[slot] == NOBODY)
            return -ENOENT;
    return 0;
}
