#include "bridge/shadow.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/source_message.h"

enum { BUCKETS_MAX = 1 << 20 };

/* A message that waits for its event, or an event (without a message) that waits for its message. */
struct entry {
    struct entry *older; /* in its queue */
    struct entry *newer;
    struct entry *next_mark; /* in its bucket, which holds the oldest entry of each mark */
    struct entry *next_equal;
    struct entry *last_equal; /* of the entry in the bucket: the newest of its mark */
    uint64_t mark;
    bool is_bounded; /* an event: its message was received before it, if it is one of ours */
    struct source_item item;
    size_t size_bytes; /* of the payload */
};

/* In the order of their receipt. */
struct queue {
    struct entry *oldest;
    struct entry *newest;
    size_t count;
};

/* Entries of one mark are all messages or all events, since one of each strike each other out. */
struct shadow {
    struct queue messages;
    struct queue events;
    size_t size_bytes; /* of all messages */
    size_t max_messages;
    size_t max_bytes;
    bool has_dropped;
    int64_t dropped_ns; /* the last time */
    size_t bucket_mask;
    struct entry **buckets;
};

/* Marks. */

static uint64_t mix(uint64_t hash, uint64_t word)
{
    const uint64_t multiplier = UINT64_C(0xc6a4a7935bd1e995);

    word *= multiplier;
    word ^= word >> 47;
    return (hash ^ word * multiplier) * multiplier;
}

/* Takes eight bytes at a time, which are the same number on every replica, and the rest filled up with zeros. */
static uint64_t mix_bytes(uint64_t hash, const char *bytes, size_t size)
{
    uint64_t word;

    for (; size >= sizeof word; bytes += sizeof word, size -= sizeof word) {
        memcpy(&word, bytes, sizeof word);
        hash = mix(hash, le64toh(word));
    }
    word = 0;
    for (size_t i = 0; i < size; i++)
        word |= (uint64_t)(unsigned char)bytes[i] << (8 * i);
    return mix(hash, word);
}

/*
 * The steps of MurmurHash64A: every message of the source is hashed, so speed counts; the sizes keep apart what the zeros do
 * not. Two messages with one mark may be taken for each other: at a takeover one of them may then be lost, or numbered
 * twice. By chance that does not happen; who makes it happen must be allowed to publish, and mostly harms himself.
 */
uint64_t shadow_mark(const char *subject, const char *payload, size_t size)
{
    size_t subject_size = strlen(subject);
    uint64_t hash = mix(mix(0, subject_size), size);

    hash = mix_bytes(hash, subject, subject_size);
    hash = mix_bytes(hash, payload, size);
    /* The last bytes have not reached the low bits yet, by which buckets are chosen. */
    hash = mix(hash ^ hash >> 47, 0);
    hash ^= hash >> 47;
    /* Never 0, and greater than any place in a stream, which is what other frames have there. */
    return hash | UINT64_C(1) << 63;
}

/* Entries. */

/* Where the oldest entry of that mark stands, or would: at the end of its bucket. */
static struct entry **find(const struct shadow *shadow, uint64_t mark)
{
    struct entry **at = &shadow->buckets[mark & shadow->bucket_mask];

    while (*at && (*at)->mark != mark)
        at = &(*at)->next_mark;
    return at;
}

static bool is_message(const struct entry *entry)
{
    return entry->item.message != NULL;
}

/* Puts an entry among those of its mark, in the order of their receipt. */
static void link_equal(struct shadow *shadow, struct entry *entry)
{
    struct entry **at = find(shadow, entry->mark);
    struct entry *first = *at;
    struct entry *before = first;

    if (!first || first->item.received_ns > entry->item.received_ns) {
        entry->next_equal = first;
        entry->last_equal = first ? first->last_equal : entry;
        entry->next_mark = first ? first->next_mark : NULL;
        *at = entry;
        return;
    }
    if (first->last_equal->item.received_ns <= entry->item.received_ns)
        before = first->last_equal;
    while (before->next_equal && before->next_equal->item.received_ns <= entry->item.received_ns)
        before = before->next_equal;
    entry->next_equal = before->next_equal;
    before->next_equal = entry;
    if (!entry->next_equal)
        first->last_equal = entry;
}

/* Puts an entry into its queue, in the order of their receipt: only what comes back from elsewhere is not the newest. */
static void link_queue(struct queue *queue, struct entry *entry)
{
    struct entry *older = queue->newest;

    while (older && older->item.received_ns > entry->item.received_ns)
        older = older->older;
    entry->older = older;
    entry->newer = older ? older->newer : queue->oldest;
    if (entry->older)
        entry->older->newer = entry;
    else
        queue->oldest = entry;
    if (entry->newer)
        entry->newer->older = entry;
    else
        queue->newest = entry;
    queue->count++;
}

/* Adds a new entry, behind all others of its kind that were not received later. Returns false when there is no memory. */
static bool append(struct shadow *shadow, const struct entry *content)
{
    struct entry *entry = malloc(sizeof *entry);

    if (!entry)
        return false;
    *entry = *content;
    shadow->size_bytes += entry->size_bytes;
    link_equal(shadow, entry);
    link_queue(is_message(entry) ? &shadow->messages : &shadow->events, entry);
    return true;
}

/* Takes an entry that is the oldest of its mark out of its queue. Its message, if it is one, is the caller's. */
static struct source_item take_out(struct shadow *shadow, struct queue *queue, struct entry *entry)
{
    struct entry **at = find(shadow, entry->mark);
    struct source_item item = entry->item;

    if (entry->next_equal) {
        entry->next_equal->next_mark = entry->next_mark;
        entry->next_equal->last_equal = entry->last_equal;
        *at = entry->next_equal;
    } else {
        *at = entry->next_mark;
    }
    if (entry == queue->oldest)
        queue->oldest = entry->newer;
    else
        entry->older->newer = entry->newer;
    if (entry == queue->newest)
        queue->newest = entry->older;
    else
        entry->newer->older = entry->older;
    queue->count--;
    shadow->size_bytes -= entry->size_bytes;
    free(entry);
    return item;
}

/* The oldest of a queue is the oldest of its mark, too. */
static void drop_oldest(struct shadow *shadow, struct queue *queue)
{
    source_message_free(take_out(shadow, queue, queue->oldest).message);
}

static void expire(struct shadow *shadow, struct queue *queue, int64_t before_ns)
{
    while (queue->oldest && queue->oldest->item.received_ns < before_ns)
        drop_oldest(shadow, queue);
}

static void note_dropped(struct shadow *shadow, int64_t now_ns)
{
    shadow->has_dropped = true;
    shadow->dropped_ns = now_ns;
}

/* The module. */

/* As many buckets as there may be messages, about, and all at once: the pages that are not touched take no memory. */
struct shadow *shadow_new(size_t max_messages, size_t max_bytes)
{
    struct shadow *shadow = calloc(1, sizeof *shadow);
    size_t buckets = 1;

    if (!shadow)
        return NULL;
    while (buckets < max_messages && buckets < BUCKETS_MAX)
        buckets *= 2;
    shadow->max_messages = max_messages;
    shadow->max_bytes = max_bytes;
    shadow->bucket_mask = buckets - 1;
    shadow->buckets = calloc(buckets, sizeof *shadow->buckets);
    if (!shadow->buckets) {
        free(shadow);
        return NULL;
    }
    return shadow;
}

void shadow_free(struct shadow *shadow)
{
    if (!shadow)
        return;
    while (shadow->messages.oldest)
        drop_oldest(shadow, &shadow->messages);
    while (shadow->events.oldest)
        drop_oldest(shadow, &shadow->events);
    free(shadow->buckets);
    free(shadow);
}

bool shadow_consume(struct shadow *shadow, uint64_t mark, int64_t received_ns)
{
    struct entry *same;

    while ((same = *find(shadow, mark)) && !is_message(same)) {
        bool is_another = same->is_bounded && received_ns > same->item.received_ns;

        take_out(shadow, &shadow->events, same);
        if (!is_another)
            return true;
    }
    return false;
}

void shadow_add(struct shadow *shadow, const struct source_item *item)
{
    size_t size;
    const char *payload = source_message_payload(item->message, &size);
    uint64_t mark = shadow_mark(source_message_subject(item->message), payload, size);

    if (shadow_consume(shadow, mark, item->received_ns)) {
        source_message_free(item->message);
        return;
    }
    if (size > shadow->max_bytes || !append(shadow, &(struct entry){.mark = mark, .item = *item, .size_bytes = size})) {
        source_message_free(item->message);
        note_dropped(shadow, item->received_ns);
    }
    while (shadow->messages.count > shadow->max_messages || shadow->size_bytes > shadow->max_bytes) {
        drop_oldest(shadow, &shadow->messages);
        note_dropped(shadow, item->received_ns);
    }
}

/* An event that is forgotten, by the limit or for want of memory, leaves a message to be numbered twice at a takeover. */
static void strike(struct shadow *shadow, const struct entry *event)
{
    struct entry *same = *find(shadow, event->mark);

    if (event->mark == 0)
        return;
    if (same && is_message(same)) {
        source_message_free(take_out(shadow, &shadow->messages, same).message);
        return;
    }
    append(shadow, event);
    while (shadow->events.count > shadow->max_messages)
        drop_oldest(shadow, &shadow->events);
}

void shadow_strike(struct shadow *shadow, uint64_t mark, int64_t now_ns)
{
    strike(shadow, &(struct entry){.mark = mark, .item.received_ns = now_ns});
}

void shadow_strike_received(struct shadow *shadow, uint64_t mark, int64_t now_ns)
{
    strike(shadow, &(struct entry){.mark = mark, .is_bounded = true, .item.received_ns = now_ns});
}

void shadow_expire(struct shadow *shadow, int64_t before_ns)
{
    expire(shadow, &shadow->messages, before_ns);
    expire(shadow, &shadow->events, before_ns);
}

bool shadow_take(struct shadow *shadow, struct source_item *ret_item)
{
    if (!shadow->messages.oldest)
        return false;
    *ret_item = take_out(shadow, &shadow->messages, shadow->messages.oldest);
    return true;
}

bool shadow_has_dropped(const struct shadow *shadow, int64_t since_ns)
{
    return shadow->has_dropped && shadow->dropped_ns >= since_ns;
}

int64_t shadow_oldest_ns(const struct shadow *shadow)
{
    return shadow->messages.oldest ? shadow->messages.oldest->item.received_ns : INT64_MAX;
}

size_t shadow_count(const struct shadow *shadow)
{
    return shadow->messages.count;
}
