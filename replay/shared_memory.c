#include "replay/shared_memory.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/table.h"

#define NS_PER_MS INT64_C(1000000)

enum {
    SWEEP_INTERVAL_MS = 1000,
    TICKETS_MAX = 100000, /* above it new ones are refused */
};

struct ticket {
    char *value;
    size_t size;
    char *holder;      /* NULL: its stream has ended, or it was not used */
    char *fingerprint; /* NULL: it was not used */
    int64_t resume_ms;
    int64_t expires_ns; /* INT64_MAX while it is held */
};

struct revocation {
    int64_t until_ms;
};

struct shared_memory {
    struct shared_backend base;
    struct shared_listener listener;
    struct table *tickets; /* by hash */
    struct table *revoked; /* by member */
    int64_t next_sweep_ns;
    bool told;            /* what is known at the start */
    bool revoked_changed; /* since it was told */
};

static struct shared_memory *memory_of(struct shared_backend *backend)
{
    return (struct shared_memory *)(void *)backend;
}

/* Memory that runs out ends the process; see shared.h. */
static void *kept(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

static void add(struct table *table, const char *key, void *object)
{
    if (table_add(table, key, object) < 0)
        abort();
}

static void ticket_free(struct ticket *ticket)
{
    free(ticket->value);
    free(ticket->holder);
    free(ticket->fingerprint);
    free(ticket);
}

static void replace(char **text, const char *with)
{
    char *copy = with ? kept(strdup(with)) : NULL;

    free(*text);
    *text = copy;
}

/* The ticket, unless its time is over. */
static struct ticket *find_ticket(struct shared_memory *memory, const char *hash)
{
    struct ticket *ticket = table_get(memory->tickets, hash);

    if (!ticket || ticket->expires_ns > clock_monotonic_ns())
        return ticket;
    table_remove(memory->tickets, hash);
    ticket_free(ticket);
    return NULL;
}

static int put_ticket(struct shared_memory *memory, const struct shared_request *request)
{
    struct ticket *ticket;

    if (find_ticket(memory, request->name))
        return -EEXIST;
    if (table_count(memory->tickets) >= TICKETS_MAX)
        return -EAGAIN;
    ticket = kept(calloc(1, sizeof *ticket));
    ticket->value = kept(malloc(request->value_size + 1));
    memcpy(ticket->value, request->value, request->value_size + 1);
    ticket->size = request->value_size;
    ticket->expires_ns = clock_monotonic_ns() + request->number * NS_PER_MS;
    add(memory->tickets, request->name, ticket);
    return 0;
}

/* Whether the request may have it: 0, -EPERM or -EALREADY. */
static int may_take(const struct ticket *ticket, const struct shared_request *request)
{
    if (!ticket->fingerprint || (ticket->holder && strcmp(ticket->holder, request->holder) == 0))
        return 0;
    if (strcmp(ticket->fingerprint, request->fingerprint) != 0)
        return -EPERM;
    return ticket->holder ? -EALREADY : 0;
}

static int take_ticket(struct shared_memory *memory, const struct shared_request *request, struct ticket **ret_ticket)
{
    struct ticket *ticket = find_ticket(memory, request->name);
    int status;

    if (!ticket)
        return -ENOENT;
    status = may_take(ticket, request);
    if (status < 0)
        return status;
    replace(&ticket->holder, request->holder);
    replace(&ticket->fingerprint, request->fingerprint);
    ticket->resume_ms = request->number;
    ticket->expires_ns = INT64_MAX;
    *ret_ticket = ticket;
    return 0;
}

static void release_ticket(struct shared_memory *memory, const struct shared_request *request)
{
    struct ticket *ticket = find_ticket(memory, request->name);

    if (!ticket || !ticket->holder || strcmp(ticket->holder, request->holder) != 0)
        return;
    replace(&ticket->holder, NULL);
    ticket->expires_ns = clock_monotonic_ns() + ticket->resume_ms * NS_PER_MS;
}

static int revoke(struct shared_memory *memory, const struct shared_request *request)
{
    struct revocation *revocation;
    char member[16 + SHARED_NAME_MAX];

    snprintf(member, sizeof member, "%s%s", shared_subject_prefix(request->subject), request->name);
    revocation = table_get(memory->revoked, member);
    if (revocation && revocation->until_ms >= request->number)
        return 0;
    if (!revocation) {
        if (table_count(memory->revoked) >= SHARED_FIELDS_MAX)
            return -EAGAIN;
        revocation = kept(malloc(sizeof *revocation));
        add(memory->revoked, member, revocation);
    }
    revocation->until_ms = request->number;
    memory->revoked_changed = true;
    return 0;
}

static void memory_perform(struct shared_backend *backend, struct shared_request *request)
{
    struct shared_memory *memory = memory_of(backend);
    struct ticket *ticket = NULL;
    int status = 0;

    switch (request->kind) {
    case SHARED_TICKET_PUT:
        status = put_ticket(memory, request);
        break;
    case SHARED_TICKET_TAKE:
        status = take_ticket(memory, request, &ticket);
        break;
    case SHARED_TICKET_RELEASE:
        release_ticket(memory, request);
        break;
    case SHARED_REVOKE:
        status = revoke(memory, request);
        break;
    case SHARED_SLOTS_ENTER:
    case SHARED_SLOTS_LEAVE:
        /* Nobody else counts. */
        break;
    }
    shared_request_finish(request, status, ticket ? ticket->value : NULL, ticket ? ticket->size : 0);
}

static int memory_poll_fd(const struct shared_backend *backend, short *ret_events)
{
    (void)backend;
    *ret_events = 0;
    return -1;
}

static int64_t memory_deadline_ns(const struct shared_backend *backend)
{
    return ((const struct shared_memory *)(const void *)backend)->next_sweep_ns;
}

static void sweep_ticket(const char *hash, void *object, void *context)
{
    struct shared_memory *memory = context;
    struct ticket *ticket = object;

    if (ticket->expires_ns > clock_monotonic_ns())
        return;
    table_remove(memory->tickets, hash);
    ticket_free(ticket);
}

static void sweep_revocation(const char *member, void *object, void *context)
{
    struct shared_memory *memory = context;
    struct revocation *revocation = object;

    if (revocation->until_ms > clock_unix_ms())
        return;
    table_remove(memory->revoked, member);
    free(revocation);
    memory->revoked_changed = true;
}

struct revoked_list {
    struct shared_field *pairs;
    char (*numbers)[24];
    size_t count;
};

static void list_revocation(const char *member, void *object, void *context)
{
    const struct revocation *revocation = object;
    struct revoked_list *list = context;
    size_t at = list->count++;

    snprintf(list->numbers[at], sizeof list->numbers[at], "%" PRId64, revocation->until_ms);
    list->pairs[at] = (struct shared_field){.name = member, .value = list->numbers[at]};
}

static void tell_revoked(struct shared_memory *memory)
{
    size_t count = table_count(memory->revoked);
    struct revoked_list list = {.pairs = kept(calloc(count + 1, sizeof *list.pairs)),
                                .numbers = kept(calloc(count + 1, sizeof *list.numbers))};

    table_each(memory->revoked, list_revocation, &list);
    memory->revoked_changed = false;
    shared_tell_revoked(&memory->listener, list.pairs, list.count);
    free(list.numbers);
    free(list.pairs);
}

/* Here nobody writes the hashes: they are known to be empty. */
static void tell_start(struct shared_memory *memory)
{
    const struct shared_listener *listener = &memory->listener;

    memory->told = true;
    memory->revoked_changed = true;
    if (listener->on_state)
        listener->on_state(listener->context, true, "kept in memory");
    if (listener->on_features)
        listener->on_features(listener->context, NULL, 0);
    if (listener->on_keys)
        listener->on_keys(listener->context, NULL, 0);
    if (listener->on_replicas)
        listener->on_replicas(listener->context, 1);
}

static void memory_run(struct shared_backend *backend)
{
    struct shared_memory *memory = memory_of(backend);

    if (!memory->told)
        tell_start(memory);
    if (clock_monotonic_ns() >= memory->next_sweep_ns) {
        memory->next_sweep_ns = clock_monotonic_ns() + SWEEP_INTERVAL_MS * NS_PER_MS;
        table_each(memory->tickets, sweep_ticket, memory);
        table_each(memory->revoked, sweep_revocation, memory);
    }
    if (memory->revoked_changed)
        tell_revoked(memory);
}

static void memory_stop(struct shared_backend *backend)
{
    (void)backend;
}

static void free_ticket(const char *hash, void *object, void *context)
{
    (void)hash;
    (void)context;
    ticket_free(object);
}

static void free_object(const char *key, void *object, void *context)
{
    (void)key;
    (void)context;
    free(object);
}

static void free_table(struct table *table, void (*visit)(const char *key, void *object, void *context))
{
    if (table)
        table_each(table, visit, NULL);
    table_free(table);
}

static void memory_free(struct shared_backend *backend)
{
    struct shared_memory *memory = memory_of(backend);

    free_table(memory->tickets, free_ticket);
    free_table(memory->revoked, free_object);
    free(memory);
}

struct shared_backend *shared_memory_new(const struct shared_options *options)
{
    struct shared_memory *memory = calloc(1, sizeof *memory);

    if (!memory)
        return NULL;
    memory->base = (struct shared_backend){.perform = memory_perform,
                                           .poll_fd = memory_poll_fd,
                                           .deadline_ns = memory_deadline_ns,
                                           .run = memory_run,
                                           .stop = memory_stop,
                                           .free = memory_free};
    memory->listener = options->listener;
    memory->tickets = table_new();
    memory->revoked = table_new();
    if (memory->tickets && memory->revoked)
        return &memory->base;
    memory_free(&memory->base);
    /* cppcheck-suppress memleak ; memory_free() frees it, by its first member */
    return NULL;
}
