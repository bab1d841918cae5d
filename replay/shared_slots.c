#include "replay/shared_slots.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "replay/shared_scripts.h"

#define NS_PER_MS INT64_C(1000000)
/* Names of all streams there can be, two for each. */
#define NAMES_MAX_BYTES ((size_t)1024 * 1024 * 1024)

enum {
    TELL_INTERVAL_MS = 60 * 60 * 1000,
    KEEP_MS = 2 * TELL_INTERVAL_MS, /* what nobody tells again is garbage */
    OTHERS_MAX = 100,               /* as many as a command has room for */
    ID_SIZE = SHARED_REPLICA_MAX + 12,
};

struct slots {
    const struct shared_listener *listener;
    struct shared_counts counts;
    int64_t lease_ms;
    char replica[SHARED_REPLICA_MAX + 1];
    unsigned taken;   /* how many ids there were */
    char id[ID_SIZE]; /* of now: the replica, a dot, and its number */
    char last_id[ID_SIZE];
    enum { UNKNOWN, ALONE, AMONG_OTHERS } company;
    size_t told; /* how many replicas the listener was told of */
    char others[OTHERS_MAX][ID_SIZE];
    size_t other_count;
    int64_t renew_ns;    /* when the lease is due */
    int64_t tell_ns;     /* when all counts are */
    struct buffer names; /* whose counts are being told, each with its NUL */
    size_t told_bytes;   /* of the names, those in front */
};

/* Goes on under an id that stands nowhere yet. */
static void take_id(struct slots *slots)
{
    strcpy(slots->last_id, slots->id);
    snprintf(slots->id, sizeof slots->id, "%s.%u", slots->replica, ++slots->taken);
    slots->renew_ns = 0;
}

struct slots *slots_new(const struct shared_options *options, const struct shared_listener *listener)
{
    struct slots *slots;

    if (!options->replica || !*options->replica || strlen(options->replica) > SHARED_REPLICA_MAX)
        return NULL;
    slots = calloc(1, sizeof *slots);
    if (!slots)
        return NULL;
    slots->listener = listener;
    slots->counts = options->counts;
    slots->lease_ms = options->lease_ms;
    slots->names = buffer_make(NAMES_MAX_BYTES);
    strcpy(slots->replica, options->replica);
    take_id(slots);
    return slots;
}

void slots_free(struct slots *slots)
{
    if (!slots)
        return;
    buffer_release(&slots->names);
    free(slots);
}

static void forget_names(struct slots *slots)
{
    buffer_release(&slots->names);
    slots->told_bytes = 0;
}

static void tell_replicas(struct slots *slots, size_t count)
{
    const struct shared_listener *listener = slots->listener;

    if (count == slots->told)
        return;
    slots->told = count;
    if (listener->on_replicas)
        listener->on_replicas(listener->context, count);
}

void slots_connect(struct slots *slots)
{
    take_id(slots);
}

void slots_disconnect(struct slots *slots)
{
    slots->company = UNKNOWN;
    forget_names(slots);
    tell_replicas(slots, 0);
}

/* Also under an earlier id, which a Redis that hung may have entered again. */
static bool is_own(const struct slots *slots, const char *id)
{
    size_t size = strlen(slots->replica);

    return strncmp(id, slots->replica, size) == 0 && id[size] == '.';
}

static void become_alone(struct slots *slots)
{
    if (slots->company != ALONE)
        take_id(slots);
    slots->company = ALONE;
    forget_names(slots);
    tell_replicas(slots, 1);
}

/*
 * The listener knows before the names are gone through: a stream that opens or ends and does not tell because it knows of no
 * other replica is one that the counts already show.
 */
static void become_one_of_many(struct slots *slots)
{
    if (slots->company != AMONG_OTHERS)
        slots->tell_ns = 0;
    slots->company = AMONG_OTHERS;
    tell_replicas(slots, slots->other_count > 0 ? slots->other_count + 1 : 0);
}

void slots_take_replicas(struct slots *slots, const struct shared_field *ids, size_t count)
{
    bool is_there = false;

    slots->other_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(ids[i].name, slots->id) == 0)
            is_there = true;
        else if (!is_own(slots, ids[i].name) && strlen(ids[i].name) < ID_SIZE && slots->other_count < OTHERS_MAX)
            strcpy(slots->others[slots->other_count++], ids[i].name);
    }
    /* Its lease was over, or Redis lost it, and then perhaps the counts too. */
    if (!is_there) {
        slots->renew_ns = 0;
        slots->tell_ns = 0;
    }
    /* One that others do not see cannot know that it is alone. */
    if (is_there && slots->other_count == 0)
        become_alone(slots);
    else
        become_one_of_many(slots);
}

bool slots_are_alone(const struct slots *slots)
{
    return slots->company == ALONE;
}

static int64_t count_of(const struct slots *slots, const char *name)
{
    return slots->counts.count(slots->counts.context, name);
}

void slots_write_enter(const struct slots *slots, struct redis_command *command, const struct shared_request *request)
{
    int64_t count = count_of(slots, request->name);

    shared_script_begin(command, SHARED_SCRIPT_SLOTS_ENTER, "sluice:slots:", request->name);
    redis_command_add(command, "%s", slots->id);
    redis_command_add(command, "%" PRId64, count);
    /* Those that came behind this one and wait like it must not take its place; nor do those that left since it came. */
    redis_command_add(command, "%" PRId64, request->rank < count ? request->rank : count);
    redis_command_add(command, "%" PRId64, request->number);
    redis_command_add(command, "%d", KEEP_MS);
    for (size_t i = 0; i < slots->other_count; i++)
        redis_command_add(command, "%s", slots->others[i]);
}

void slots_write_count(const struct slots *slots, struct redis_command *command, const char *name)
{
    shared_script_begin(command, SHARED_SCRIPT_SLOTS_COUNT, "sluice:slots:", name);
    redis_command_add(command, "%s", slots->id);
    redis_command_add(command, "%" PRId64, count_of(slots, name));
    redis_command_add(command, "%d", KEEP_MS);
}

static void write_lease(struct slots *slots, struct redis_command *command)
{
    slots->renew_ns = clock_monotonic_ns() + slots->lease_ms / SHARED_RENEWALS_PER_LEASE * NS_PER_MS;
    shared_script_begin(command, SHARED_SCRIPT_REPLICA, "sluice:replicas", "");
    redis_command_add(command, "%s", slots->id);
    redis_command_add(command, "%s", slots->last_id);
    redis_command_add(command, "%" PRId64, slots->lease_ms);
}

static void add_name(void *context, const char *name)
{
    buffer_append(context, name, strlen(name) + 1);
}

/* The names are copied at once, for the counts stand still meanwhile, and told little by little. */
static void gather_names(struct slots *slots)
{
    forget_names(slots);
    slots->tell_ns = clock_monotonic_ns() + TELL_INTERVAL_MS * NS_PER_MS;
    slots->counts.each_name(slots->counts.context, add_name, &slots->names);
    if (slots->names.failed)
        slots_doubt(slots);
}

static void write_next_count(struct slots *slots, struct redis_command *command)
{
    const char *name = slots->names.data + slots->told_bytes;

    slots->told_bytes += strlen(name) + 1;
    slots_write_count(slots, command, name);
    if (slots->told_bytes == slots->names.size)
        forget_names(slots);
}

bool slots_write_next(struct slots *slots, struct redis_command *command)
{
    int64_t now_ns = clock_monotonic_ns();

    if (slots->renew_ns <= now_ns) {
        write_lease(slots, command);
        return true;
    }
    if (slots->company == AMONG_OTHERS && slots->tell_ns <= now_ns)
        gather_names(slots);
    if (slots->names.size == 0)
        return false;
    write_next_count(slots, command);
    return true;
}

int64_t slots_deadline_ns(const struct slots *slots)
{
    if (slots->names.size > 0)
        return 0;
    if (slots->company == AMONG_OTHERS && slots->tell_ns < slots->renew_ns)
        return slots->tell_ns;
    return slots->renew_ns;
}

void slots_doubt(struct slots *slots)
{
    int64_t then_ns = clock_monotonic_ns() + slots->lease_ms * NS_PER_MS;

    if (then_ns < slots->tell_ns)
        slots->tell_ns = then_ns;
}

void slots_write_end(const struct slots *slots, struct redis_command *command)
{
    redis_command_add(command, "ZREM");
    redis_command_add(command, "sluice:replicas");
    redis_command_add(command, "%s", slots->id);
}
