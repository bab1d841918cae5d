#include "replay/shared.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/thread.h"
#include "replay/shared_memory.h"
#include "replay/shared_redis.h"
#include "replay/shared_request.h"

#define NS_PER_MS INT64_C(1000000)

enum { DEFAULT_LEASE_MS = 15000 };

struct shared {
    struct mailbox *mailbox;
    struct shared_backend *backend;
    int64_t timeout_ns;
    pthread_t thread;
    bool started;
    /* Guards the next two, and that no request enters the mailbox behind a stop. */
    pthread_mutex_t lock;
    size_t waiting;
    bool stopping;
    /* Requests that wait for their answers; the thread's own. */
    struct shared_request *first;
    struct shared_request *last;
};

static void unlink_request(struct shared *shared, struct shared_request *request)
{
    if (request->previous)
        request->previous->next = request->next;
    else
        shared->first = request->next;
    if (request->next)
        request->next->previous = request->previous;
    else
        shared->last = request->previous;
}

static void link_request(struct shared *shared, struct shared_request *request)
{
    request->next = NULL;
    request->previous = shared->last;
    if (shared->last)
        shared->last->next = request;
    else
        shared->first = request;
    shared->last = request;
}

/* Takes the request out of those that wait and calls back; its backend may still hold it. */
static void answer(struct shared_request *request, int status, const char *value, size_t value_size)
{
    struct shared *shared = request->shared;

    unlink_request(shared, request);
    request->answered = true;
    pthread_mutex_lock(&shared->lock);
    shared->waiting--;
    pthread_mutex_unlock(&shared->lock);
    if (request->ticket_done)
        request->ticket_done(request->context, status, status == 0 ? value : NULL, status == 0 ? value_size : 0);
    else if (request->done)
        request->done(request->context, status);
}

void shared_request_finish(struct shared_request *request, int status, const char *value, size_t value_size)
{
    if (!request->answered)
        answer(request, status, value, value_size);
    free(request);
}

static bool is_stopping(struct shared *shared)
{
    bool stopping;

    pthread_mutex_lock(&shared->lock);
    stopping = shared->stopping;
    pthread_mutex_unlock(&shared->lock);
    return stopping;
}

/* Sleeps until there is something to do. */
static void wait_for_work(struct shared *shared)
{
    struct pollfd fds[2] = {{.fd = mailbox_fd(shared->mailbox), .events = POLLIN}};
    int64_t deadline_ns = shared->backend->deadline_ns(shared->backend);
    int64_t wait_ms = -1;

    fds[1].fd = shared->backend->poll_fd(shared->backend, &fds[1].events);
    if (shared->first && shared->first->deadline_ns < deadline_ns)
        deadline_ns = shared->first->deadline_ns;
    /* What came quietly while the last answers were on their way. */
    if (!shared->first && mailbox_size(shared->mailbox) > 0)
        deadline_ns = 0;
    if (deadline_ns != INT64_MAX) {
        int64_t left_ns = deadline_ns - clock_monotonic_ns();

        wait_ms = left_ns <= 0 ? 0 : left_ns / NS_PER_MS + 1;
    }
    (void)poll(fds, 2, wait_ms > INT_MAX ? INT_MAX : (int)wait_ms);
}

static void take_requests(struct shared *shared)
{
    struct message *message = mailbox_take(shared->mailbox);

    while (message) {
        struct message *next = message->next;
        struct shared_request *request = (struct shared_request *)(void *)message;

        link_request(shared, request);
        shared->backend->perform(shared->backend, request);
        message = next;
    }
}

static void expire_requests(struct shared *shared)
{
    int64_t now_ns = clock_monotonic_ns();

    while (shared->first && shared->first->deadline_ns <= now_ns)
        answer(shared->first, -EAGAIN, NULL, 0);
}

static void *run(void *context)
{
    struct shared *shared = context;
    bool stopping;

    do {
        wait_for_work(shared);
        /* Looked at before the mailbox is: nothing enters it behind a stop, so the last turn takes everything. */
        stopping = is_stopping(shared);
        take_requests(shared);
        shared->backend->run(shared->backend);
        expire_requests(shared);
    } while (!stopping);
    while (shared->first)
        answer(shared->first, -ECANCELED, NULL, 0);
    shared->backend->stop(shared->backend);
    shared->backend->free(shared->backend);
    shared->backend = NULL;
    return NULL;
}

static struct shared_backend *backend_new(const struct shared_options *options)
{
    struct shared_options filled = *options;

    if (filled.lease_ms <= 0)
        filled.lease_ms = DEFAULT_LEASE_MS;
    return filled.redis.url && *filled.redis.url ? shared_redis_new(&filled) : shared_memory_new(&filled);
}

struct shared *shared_new(const struct shared_options *options)
{
    struct shared *shared = calloc(1, sizeof *shared);

    if (!shared)
        return NULL;
    pthread_mutex_init(&shared->lock, NULL);
    shared->timeout_ns = options->redis.timeout_ms * NS_PER_MS;
    /* Requests are counted here, while they wait in the mailbox and behind it. */
    shared->mailbox = mailbox_new(SIZE_MAX);
    shared->backend = backend_new(options);
    if (!shared->mailbox || !shared->backend)
        goto fail;
    if (thread_start(&shared->thread, "shared", run, shared) < 0)
        goto fail;
    shared->started = true;
    return shared;

fail:
    shared_free(shared);
    return NULL;
}

void shared_stop(struct shared *shared)
{
    if (!shared || !shared->started)
        return;
    pthread_mutex_lock(&shared->lock);
    shared->stopping = true;
    pthread_mutex_unlock(&shared->lock);
    mailbox_wake(shared->mailbox);
    pthread_join(shared->thread, NULL);
    shared->started = false;
}

void shared_free(struct shared *shared)
{
    if (!shared)
        return;
    shared_stop(shared);
    if (shared->backend)
        shared->backend->free(shared->backend);
    mailbox_free(shared->mailbox);
    pthread_mutex_destroy(&shared->lock);
    free(shared);
}

static void release_request(struct message *message)
{
    free(message);
}

/* What a request is made of; texts that are NULL are not there. */
struct texts {
    const char *name;
    const char *holder;
    const char *fingerprint;
    const char *value;
    size_t value_size;
};

static bool is_name(const char *text)
{
    size_t size = text ? strnlen(text, SHARED_NAME_MAX + 1) : 0;

    return size > 0 && size <= SHARED_NAME_MAX;
}

/* Copies size bytes and a NUL behind what was copied before. */
static char *copy(char **at, const char *bytes, size_t size)
{
    char *start = *at;

    if (size > 0)
        memcpy(start, bytes, size);
    start[size] = '\0';
    *at += size + 1;
    return start;
}

static struct shared_request *request_new(struct shared *shared, enum shared_kind kind, const struct texts *texts)
{
    size_t name_size = strlen(texts->name);
    size_t holder_size = texts->holder ? strlen(texts->holder) : 0;
    size_t fingerprint_size = texts->fingerprint ? strlen(texts->fingerprint) : 0;
    size_t size = name_size + holder_size + fingerprint_size + texts->value_size + 4;
    struct shared_request *request = calloc(1, sizeof *request + size);
    char *at;

    if (!request)
        abort();
    at = (char *)(request + 1);
    request->message.release = release_request;
    request->shared = shared;
    request->kind = kind;
    request->name = copy(&at, texts->name, name_size);
    request->holder = copy(&at, texts->holder, holder_size);
    request->fingerprint = copy(&at, texts->fingerprint, fingerprint_size);
    request->value = copy(&at, texts->value, texts->value_size);
    request->value_size = texts->value_size;
    return request;
}

/*
 * Requests that come while others wait for Redis go out together once it has answered: under load that is one wake-up, one
 * send and one receive for many. The thread looks into the mailbox each time it has answered or given up, and before it
 * sleeps without an answer to wait for.
 */
static void enqueue(struct shared *shared, struct shared_request *request)
{
    if (shared->waiting++ > 0)
        mailbox_put_quietly(shared->mailbox, &request->message);
    else
        mailbox_put_always(shared->mailbox, &request->message);
}

static int submit(struct shared *shared, struct shared_request *request)
{
    /* What gives something back is as many as what took it; refused, it would be held for ever. */
    bool bounded = request->kind != SHARED_TICKET_RELEASE && request->kind != SHARED_SLOTS_LEAVE;
    int status = 0;

    pthread_mutex_lock(&shared->lock);
    if (shared->stopping)
        status = -ECANCELED;
    else if (bounded && shared->waiting >= SHARED_WAITING_MAX)
        status = -EBUSY;
    if (status == 0) {
        request->deadline_ns = clock_monotonic_ns() + shared->timeout_ns;
        enqueue(shared, request);
    }
    pthread_mutex_unlock(&shared->lock);
    if (status < 0)
        free(request);
    return status;
}

int shared_ticket_put(struct shared *shared, const char *ticket_hash, const char *value, size_t size, int64_t ttl_ms,
                      shared_done done, void *context)
{
    struct texts texts = {.name = ticket_hash, .value = value, .value_size = size};
    struct shared_request *request;

    if (!is_name(ticket_hash) || size > SHARED_VALUE_MAX || ttl_ms <= 0 || ttl_ms > SHARED_NUMBER_MAX)
        return -EINVAL;
    request = request_new(shared, SHARED_TICKET_PUT, &texts);
    request->number = ttl_ms;
    request->done = done;
    request->context = context;
    return submit(shared, request);
}

int shared_ticket_take(struct shared *shared, const struct shared_take *take, shared_ticket_done done, void *context)
{
    struct texts texts = {.name = take->ticket_hash, .holder = take->holder, .fingerprint = take->fingerprint};
    struct shared_request *request;

    if (!is_name(take->ticket_hash) || !is_name(take->holder) || !is_name(take->fingerprint) || take->resume_ms < 0 ||
        take->resume_ms > SHARED_NUMBER_MAX)
        return -EINVAL;
    request = request_new(shared, SHARED_TICKET_TAKE, &texts);
    request->number = take->resume_ms;
    request->ticket_done = done;
    request->context = context;
    return submit(shared, request);
}

int shared_ticket_release(struct shared *shared, const char *ticket_hash, const char *holder, shared_done done,
                          void *context)
{
    struct texts texts = {.name = ticket_hash, .holder = holder};
    struct shared_request *request;

    if (!is_name(ticket_hash) || !is_name(holder))
        return -EINVAL;
    request = request_new(shared, SHARED_TICKET_RELEASE, &texts);
    request->done = done;
    request->context = context;
    return submit(shared, request);
}

int shared_slots_enter(struct shared *shared, const char *name, int64_t rank, int64_t max, shared_done done,
                       void *context)
{
    struct texts texts = {.name = name};
    struct shared_request *request;

    if (!is_name(name) || rank < 0 || rank > SHARED_NUMBER_MAX || max < 0 || max > SHARED_NUMBER_MAX)
        return -EINVAL;
    request = request_new(shared, SHARED_SLOTS_ENTER, &texts);
    request->rank = rank;
    request->number = max;
    request->done = done;
    request->context = context;
    return submit(shared, request);
}

int shared_slots_leave(struct shared *shared, const char *name)
{
    struct texts texts = {.name = name};

    if (!is_name(name))
        return -EINVAL;
    return submit(shared, request_new(shared, SHARED_SLOTS_LEAVE, &texts));
}

int shared_revoke(struct shared *shared, enum shared_subject subject, const char *value, int64_t until_ms,
                  shared_done done, void *context)
{
    struct texts texts = {.name = value};
    struct shared_request *request;

    if (!is_name(value) || until_ms < 0 || until_ms > SHARED_NUMBER_MAX)
        return -EINVAL;
    request = request_new(shared, SHARED_REVOKE, &texts);
    request->subject = subject;
    request->number = until_ms;
    request->done = done;
    request->context = context;
    return submit(shared, request);
}
