#include "bridge/peers.h"

#include <string.h>

#define GONE_NS INT64_C(3000000000)

void peers_note(struct peers *peers, const struct live_header *header, uint64_t epoch, int64_t received_ns)
{
    struct peer *peer = peers->list;
    struct peer *end = peer + peers->count;

    while (peer < end && !live_id_equals(peer->id, header->from))
        peer++;
    if (peer == end) {
        if (peers->count == PEERS_MAX)
            return;
        peers->count++;
        *peer = (struct peer){.id = header->from};
    }
    peer->heard_ns = received_ns;
    peer->epoch = header->epoch;
    peer->store_lost = header->store_lost;
    peer->has_hole = header->has_hole;
    if (header->type == LIVE_SALVAGED && header->epoch == epoch)
        peer->salvaged = true;
}

void peers_remove(struct peers *peers, struct live_id id)
{
    for (size_t i = peers->count; i > 0; i--)
        if (live_id_equals(peers->list[i - 1].id, id))
            peers->list[i - 1] = peers->list[--peers->count];
}

void peers_forget(struct peers *peers, int64_t now_ns)
{
    for (size_t i = peers->count; i > 0; i--)
        if (now_ns - peers->list[i - 1].heard_ns > GONE_NS)
            peers->list[i - 1] = peers->list[--peers->count];
}

bool peers_have_store(const struct peers *peers, bool complete)
{
    for (size_t i = 0; i < peers->count; i++)
        if (!peers->list[i].store_lost && !(complete && peers->list[i].has_hole))
            return true;
    return false;
}

bool peers_have_heir(const struct peers *peers, bool has_store)
{
    for (size_t i = 0; i < peers->count; i++)
        if (!peers->list[i].has_hole && (!peers->list[i].store_lost || !has_store))
            return true;
    return false;
}

bool peers_are_behind(const struct peers *peers, struct live_id id, uint64_t epoch)
{
    for (size_t i = 0; i < peers->count; i++) {
        const struct peer *peer = &peers->list[i];

        if (peer->epoch > epoch)
            return false;
        if (peer->epoch == epoch && memcmp(&peer->id, &id, sizeof id) < 0)
            return false;
    }
    return true;
}

void peers_begin_salvage(struct peers *peers)
{
    for (size_t i = 0; i < peers->count; i++)
        peers->list[i].salvaged = false;
}

bool peers_have_salvaged(const struct peers *peers)
{
    for (size_t i = 0; i < peers->count; i++)
        if (!peers->list[i].salvaged)
            return false;
    return true;
}
