#include "replay/shared_watch.h"

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/clock.h"
#include "replay/redis_command.h"
#include "replay/shared_request.h"
#include "replay/shared_scripts.h"

#define NS_PER_MS INT64_C(1000000)

enum {
    LOOK_INTERVAL_MS = 500,
    /* Reading is paced, so that large and busy keys do not keep Redis busy: this much for each millisecond in between. */
    CHANGED_BYTES_PER_MS = 8 * 1024,
    UNCHANGED_BYTES_PER_MS = 1024,
    LISTS = 4,
    /* The last is not watched: its leases are renewed all the time, and it is small enough to be read with each look. */
    WATCHED = 3,
};

/* One of the keys, and what was last read of it. */
struct list {
    struct shared_watch *watch;
    const char *key;
    enum shared_script script;
    struct buffer content; /* as it was told: sizes and bytes, one behind the other */
    bool is_known;
    bool is_touched; /* to be read, as soon as its pace allows */
    bool is_reading;
    bool is_unreadable;
    struct redis_connection *connection; /* where it is watched; NULL: nowhere */
    int64_t read_ns;                     /* when it was read last */
};

/* One transaction, at the server that has some of the lists. */
struct look {
    struct shared_watch *watch;
    struct redis_connection *connection;
};

struct shared_watch {
    const struct shared_listener *listener;
    struct slots *slots;
    struct redis_connection *connection; /* while it looks */
    struct list lists[LISTS];
    int64_t next_look_ns;
    struct look looks[WATCHED];
    size_t looking; /* looks that wait for their answers */
};

static struct list list_make(struct shared_watch *watch, const char *key, enum shared_script script)
{
    return (struct list){
        .watch = watch, .key = key, .script = script, .content = buffer_make((size_t)4 * SHARED_CONTENT_MAX)};
}

struct shared_watch *shared_watch_new(const struct shared_listener *listener, struct slots *slots)
{
    struct shared_watch *watch = calloc(1, sizeof *watch);

    if (!watch)
        return NULL;
    watch->listener = listener;
    watch->slots = slots;
    watch->lists[0] = list_make(watch, "sluice:revoked", SHARED_SCRIPT_READ_REVOKED);
    watch->lists[1] = list_make(watch, "sluice:features", SHARED_SCRIPT_READ_HASH);
    watch->lists[2] = list_make(watch, "sluice:keys", SHARED_SCRIPT_READ_HASH);
    watch->lists[3] = list_make(watch, "sluice:replicas", SHARED_SCRIPT_READ_REPLICAS);
    return watch;
}

void shared_watch_free(struct shared_watch *watch)
{
    if (!watch)
        return;
    for (size_t i = 0; i < LISTS; i++)
        buffer_release(&watch->lists[i].content);
    free(watch);
}

void shared_watch_restart(struct shared_watch *watch)
{
    watch->looking = 0;
    watch->next_look_ns = 0;
    for (size_t i = 0; i < LISTS; i++) {
        watch->lists[i].is_touched = true;
        watch->lists[i].is_reading = false;
        watch->lists[i].read_ns = 0;
    }
}

void shared_watch_hurry(struct shared_watch *watch)
{
    watch->next_look_ns = 0;
}

int64_t shared_watch_deadline_ns(const struct shared_watch *watch)
{
    return watch->looking > 0 ? INT64_MAX : watch->next_look_ns;
}

static void tell(const struct list *list, const struct shared_field *fields, size_t count)
{
    const struct shared_listener *listener = list->watch->listener;

    if (list == &list->watch->lists[0])
        shared_tell_revoked(listener, fields, count);
    else if (list == &list->watch->lists[1] && listener->on_features)
        listener->on_features(listener->context, fields, count);
    else if (list == &list->watch->lists[2] && listener->on_keys)
        listener->on_keys(listener->context, fields, count);
    else if (list == &list->watch->lists[3])
        slots_take_replicas(list->watch->slots, fields, count);
}

/* What cannot be read keeps its last content, and is tried again at the pace of a large one. */
static void on_unreadable(struct list *list, const char *reason)
{
    const struct shared_listener *listener = list->watch->listener;

    if (!list->is_unreadable && listener->on_unreadable)
        listener->on_unreadable(listener->context, list->key, reason);
    list->is_unreadable = true;
}

/* The elements of a reply as they are compared: each with its size in front. */
static struct buffer reply_content(const redisReply *reply)
{
    struct buffer content = buffer_make((size_t)4 * SHARED_CONTENT_MAX);

    for (size_t i = 0; i < reply->elements; i++) {
        const redisReply *element = reply->element[i];
        size_t size = element->type == REDIS_REPLY_STRING ? element->len : 0;

        buffer_append(&content, &size, sizeof size);
        buffer_append(&content, element->str, size);
    }
    return content;
}

/* Its elements in pairs. A name with a NUL is left out: as a text it would be another name. */
static size_t reply_fields(const redisReply *reply, struct shared_field *fields)
{
    size_t count = 0;

    for (size_t i = 0; i + 1 < reply->elements; i += 2) {
        const redisReply *name = reply->element[i];
        const redisReply *value = reply->element[i + 1];

        if (name->type != REDIS_REPLY_STRING || value->type != REDIS_REPLY_STRING || strlen(name->str) != name->len)
            continue;
        fields[count++] = (struct shared_field){.name = name->str, .value = value->str, .value_size = value->len};
    }
    return count;
}

static bool content_equals(const struct buffer *a, const struct buffer *b)
{
    return a->size == b->size && (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

static void take_content(struct list *list, const redisReply *reply)
{
    struct buffer content = reply_content(reply);
    struct shared_field *fields;

    if (content.failed) {
        buffer_release(&content);
        on_unreadable(list, "larger than can be kept");
        return;
    }
    list->is_unreadable = false;
    if (list->is_known && content_equals(&content, &list->content)) {
        buffer_release(&content);
        return;
    }
    fields = calloc(reply->elements / 2 + 1, sizeof *fields);
    if (!fields)
        abort();
    buffer_release(&list->content);
    list->content = content;
    list->is_known = true;
    tell(list, fields, reply_fields(reply, fields));
    free(fields);
}

static void on_read(void *context, const redisReply *reply)
{
    struct list *list = context;

    if (!reply)
        return;
    list->is_reading = false;
    list->read_ns = clock_monotonic_ns();
    if (reply->type == REDIS_REPLY_ARRAY)
        take_content(list, reply);
    else
        on_unreadable(list, reply->type == REDIS_REPLY_ERROR ? reply->str : "an odd reply");
}

static void read_list(struct list *list)
{
    struct redis_command command = redis_command_make();

    shared_script_begin(&command, list->script, list->key, "");
    redis_command_add(&command, "%d", SHARED_FIELDS_MAX);
    redis_command_add(&command, "%d", SHARED_CONTENT_MAX);
    list->is_reading = redis_command_send(&command, list->watch->connection, on_read, list) == 0;
    /* A touch that comes behind this read shows at the next look, since the watch begins in front of it. */
    if (list->is_reading)
        list->is_touched = false;
}

static bool is_read_due(const struct list *list, int64_t now_ns)
{
    size_t size = list->is_unreadable ? SHARED_CONTENT_MAX : list->content.size;
    int64_t pause_ms = (int64_t)(size / (list->is_touched ? CHANGED_BYTES_PER_MS : UNCHANGED_BYTES_PER_MS));

    if (list->is_reading)
        return false;
    if (list->read_ns == 0)
        return true;
    return now_ns - list->read_ns >= pause_ms * NS_PER_MS;
}

static void read_due(struct shared_watch *watch, int64_t now_ns)
{
    for (size_t i = 0; i < LISTS; i++)
        if (is_read_due(&watch->lists[i], now_ns))
            read_list(&watch->lists[i]);
}

/*
 * The watches stand again, behind the transaction that ended the last ones. What was touched between the two is not told;
 * reading anyhow, now and then, makes up for it. What cannot be watched (by an old proxy, say) counts as touched.
 */
static void on_looked(void *context, const redisReply *reply)
{
    const struct look *look = context;
    struct shared_watch *watch = look->watch;
    int64_t now_ns = clock_monotonic_ns();
    bool is_untouched = reply && reply->type == REDIS_REPLY_ARRAY;

    if (watch->looking > 0)
        watch->looking--;
    watch->next_look_ns = now_ns + LOOK_INTERVAL_MS * NS_PER_MS;
    if (!reply)
        return;
    /* One that is being read may have been touched behind its reading. */
    for (size_t i = 0; i < WATCHED; i++)
        watch->lists[i].is_touched |= !is_untouched && watch->lists[i].connection == look->connection;
    if (watch->looking == 0)
        read_due(watch, now_ns);
}

/* A watch that does not stand tells nothing: its slot is another node's, or on its way to one. */
static void on_watched(void *context, const redisReply *reply)
{
    struct list *list = context;

    if (reply && reply->type == REDIS_REPLY_ERROR)
        list->is_touched = true;
}

static void on_ignored(void *context, const redisReply *reply)
{
    (void)context;
    (void)reply;
}

static int send_word(struct redis_connection *connection, const char *word, const char *argument, redis_reply_done done,
                     void *context)
{
    struct redis_command command = redis_command_make();

    redis_command_add(&command, "%s", word);
    if (argument)
        redis_command_add(&command, "%s", argument);
    return redis_command_send(&command, connection, done, context);
}

/* Asks each server that has one of the lists, once. */
static void look(struct shared_watch *watch)
{
    for (size_t i = 0; i < WATCHED; i++) {
        struct look *look = &watch->looks[i];
        bool is_asked = false;

        *look = (struct look){.watch = watch, .connection = watch->lists[i].connection};
        for (size_t before = 0; before < i; before++)
            is_asked |= watch->lists[before].connection == look->connection;
        if (is_asked || !look->connection)
            continue;
        /* Nothing of ours may stand between these two: it would become part of the transaction. */
        if (send_word(look->connection, "MULTI", NULL, on_ignored, NULL) == 0 &&
            send_word(look->connection, "EXEC", NULL, on_looked, look) == 0)
            watch->looking++;
    }
}

void shared_watch_run(struct shared_watch *watch, struct redis_connection *connection)
{
    int64_t now_ns = clock_monotonic_ns();

    if (watch->looking > 0 || now_ns < watch->next_look_ns)
        return;
    watch->connection = connection;
    watch->next_look_ns = now_ns + LOOK_INTERVAL_MS * NS_PER_MS;
    for (size_t i = 0; i < WATCHED; i++)
        watch->lists[i].connection = redis_connection_of_key(connection, watch->lists[i].key);
    look(watch);
    for (size_t i = 0; i < WATCHED; i++)
        if (!watch->lists[i].connection ||
            send_word(watch->lists[i].connection, "WATCH", watch->lists[i].key, on_watched, &watch->lists[i]) < 0)
            watch->lists[i].is_touched = true;
    /* Behind the new watches, with the same write: only what is too large for that waits for the answer. */
    read_due(watch, now_ns);
}
