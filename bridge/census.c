#include "bridge/census.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/ownership.h"
#include "bridge/source.h"
#include "bridge/voice.h"
#include "core/clock.h"

#define MS INT64_C(1000000)

enum {
    WAIT_MS = 500,           /* for answers */
    PAUSE_MS = 200,          /* between the beginnings of two questions */
    PART_BYTES = 128 * 1024, /* of an answer: well below what NATS takes */
    REPLICAS_MAX = OWNERSHIP_PEERS_MAX + 1,
};

struct request {
    struct request *next;
    census_done done;
    void *context;
};

/* What is known of a replica's answer. */
struct answer {
    struct live_id id;
    bool is_whole;
    struct census_replica replica;
};

struct census {
    struct census_options options;
    struct request *running; /* the question under way is for these */
    struct request *waiting; /* the next one is */
    uint64_t question;
    int64_t end_ns;  /* of the question under way */
    int64_t next_ns; /* no question before */
    struct answer answers[REPLICAS_MAX];
    size_t answer_count;
};

/* Results. */

struct census_result *census_result_ref(struct census_result *result)
{
    /* Relaxed: the caller holds one already. */
    atomic_fetch_add_explicit(&result->references, 1, memory_order_relaxed);
    return result;
}

void census_result_unref(struct census_result *result)
{
    /* Acquire-release: every holder's reads happen before the memory goes. */
    if (!result || atomic_fetch_sub_explicit(&result->references, 1, memory_order_acq_rel) > 1)
        return;
    for (size_t i = 0; i < result->count; i++)
        free(result->replicas[i].counts);
    free(result->replicas);
    free(result);
}

static int compare_ids(const void *a, const void *b)
{
    const struct census_replica *left = a;
    const struct census_replica *right = b;

    return strcmp(left->id, right->id);
}

/* Takes the whole answers' counts over, behind our own. NULL: no memory. */
static struct census_result *result_new(struct census *census, struct census_replica *self)
{
    struct census_result *result = calloc(1, sizeof *result);

    if (!result)
        return NULL;
    result->replicas = calloc(census->answer_count + 1, sizeof *result->replicas);
    if (!result->replicas) {
        free(result);
        return NULL;
    }
    atomic_init(&result->references, 1);
    result->is_complete = true;
    result->replicas[result->count++] = *self;
    for (size_t i = 0; i < census->answer_count; i++) {
        struct answer *answer = &census->answers[i];

        result->is_complete &= answer->is_whole;
        if (!answer->is_whole)
            continue;
        answer->replica.is_owner = ownership_is_owned_by(census->options.ownership, answer->id);
        result->replicas[result->count++] = answer->replica;
        answer->replica.counts = NULL;
    }
    qsort(result->replicas + 1, result->count - 1, sizeof *result->replicas, compare_ids);
    return result;
}

/* Counting here. */

/* Enters a company, if there is room and memory. */
static int list_company(struct census_replica *replica, const char *company, int64_t connections)
{
    /* Grows at powers of two. */
    if ((replica->count & (replica->count - 1)) == 0) {
        size_t capacity = replica->count > 0 ? 2 * replica->count : 1;
        struct census_count *counts = realloc(replica->counts, capacity * sizeof *counts);

        if (!counts)
            return -ENOMEM;
        replica->counts = counts;
    }
    snprintf(replica->counts[replica->count].company, COMPANY_ID_SIZE, "%s", company);
    replica->counts[replica->count++].connections = connections;
    return 0;
}

static void visit(void *visitor, const char *company, int64_t connections)
{
    struct census_replica *replica = visitor;

    replica->connections += connections;
    replica->companies++;
    if (replica->count < LIVE_COMPANIES_MAX)
        (void)list_company(replica, company, connections);
}

/* The counts are the caller's. */
static struct census_replica count_here(const struct census *census)
{
    struct census_replica replica = {.is_self = true};

    live_id_format(census->options.id, replica.id);
    replica.is_owner = ownership_is_owned_by(census->options.ownership, census->options.id);
    if (census->options.streams.list)
        census->options.streams.list(census->options.streams.context, visit, &replica);
    return replica;
}

/* Answering others. */

/* Sends the counts from `offset` on, as many as go into a message. Returns how many have been sent then. */
static size_t send_part(struct census *census, const struct live_header *header, const struct census_replica *here,
                        size_t offset)
{
    struct live_counts counts = {.connections = (uint32_t)here->connections,
                                 .companies = (uint32_t)here->companies,
                                 .listed = (uint32_t)here->count,
                                 .offset = (uint32_t)offset};
    struct buffer *message = voice_begin(census->options.voice, header);

    live_begin_counts(message, &counts);
    for (; offset < here->count && message->size < PART_BYTES; offset++)
        live_put_count(message, here->counts[offset].company, (uint32_t)here->counts[offset].connections);
    voice_send(census->options.voice);
    return offset;
}

static void answer(struct census *census, const struct live_header *question)
{
    struct live_header header = voice_header(census->options.voice, LIVE_COUNTS);
    struct census_replica here = count_here(census);
    size_t sent = 0;

    header.about = question->from;
    header.batch = question->batch;
    do {
        sent = send_part(census, &header, &here, sent);
    } while (sent < here.count);
    free(here.counts);
}

/* Asking others. */

static void forget_answers(struct census *census)
{
    for (size_t i = 0; i < census->answer_count; i++)
        free(census->answers[i].replica.counts);
    census->answer_count = 0;
}

/* Who asks in a callback is one of the next. */
static void finish(struct census *census)
{
    struct request *request = census->running;
    struct census_replica self = count_here(census);
    struct census_result *result = result_new(census, &self);

    if (!result)
        free(self.counts);
    forget_answers(census);
    census->running = NULL;
    while (request) {
        struct request *next = request->next;

        request->done(request->context, result);
        free(request);
        request = next;
    }
    census_result_unref(result);
}

static void expect(struct census *census, struct live_id id)
{
    struct answer *answer = &census->answers[census->answer_count++];

    *answer = (struct answer){.id = id};
    live_id_format(id, answer->replica.id);
}

static void start(struct census *census, int64_t now_ns)
{
    struct live_id peers[OWNERSHIP_PEERS_MAX];
    size_t count = ownership_list_peers(census->options.ownership, peers, OWNERSHIP_PEERS_MAX);
    struct live_header header = voice_header(census->options.voice, LIVE_ASK);

    header.batch = ++census->question;
    census->running = census->waiting;
    census->waiting = NULL;
    for (size_t i = 0; i < count; i++)
        expect(census, peers[i]);
    census->next_ns = now_ns + PAUSE_MS * MS;
    if (count == 0 || !source_is_connected(census->options.source)) {
        finish(census);
        return;
    }
    census->end_ns = now_ns + WAIT_MS * MS;
    voice_say(census->options.voice, &header);
}

void census_ask(struct census *census, census_done done, void *context)
{
    struct request *request = malloc(sizeof *request);

    if (!request) {
        done(context, NULL);
        return;
    }
    *request = (struct request){.next = census->waiting, .done = done, .context = context};
    census->waiting = request;
    census_run(census, clock_monotonic_ns());
}

static bool is_over(const struct census *census, int64_t now_ns)
{
    if (now_ns >= census->end_ns)
        return true;
    for (size_t i = 0; i < census->answer_count; i++)
        if (!census->answers[i].is_whole)
            return false;
    return true;
}

void census_run(struct census *census, int64_t now_ns)
{
    if (census->running && is_over(census, now_ns))
        finish(census);
    if (census->waiting && !census->running && now_ns >= census->next_ns)
        start(census, now_ns);
}

int64_t census_deadline_ns(const struct census *census)
{
    if (census->running)
        return census->end_ns;
    return census->waiting ? census->next_ns : INT64_MAX;
}

/* Hearing. */

/* A replica that came behind the question is welcome, too. NULL: there are too many. */
static struct answer *find_answer(struct census *census, struct live_id id)
{
    for (size_t i = 0; i < census->answer_count; i++)
        if (live_id_equals(census->answers[i].id, id))
            return &census->answers[i];
    if (census->answer_count == REPLICAS_MAX)
        return NULL;
    expect(census, id);
    return &census->answers[census->answer_count - 1];
}

/* The parts come in order; behind one that was missed, the rest is of no use. */
static void take_part(struct answer *answer, const struct live_counts *counts, struct live_reader *reader)
{
    struct census_replica *replica = &answer->replica;
    char company[COMPANY_ID_SIZE];
    uint32_t connections;

    if (answer->is_whole || counts->offset != replica->count)
        return;
    replica->connections = counts->connections;
    replica->companies = counts->companies;
    while (live_read_count(reader, company, &connections) > 0)
        if (list_company(replica, company, connections) < 0)
            return;
    answer->is_whole = replica->count == counts->listed;
}

int census_hear(struct census *census, const struct live_header *header, struct live_reader *reader)
{
    struct live_counts counts;
    struct answer *found;

    if (header->type == LIVE_ASK) {
        answer(census, header);
        return 0;
    }
    if (live_read_counts(reader, &counts) < 0)
        return -EINVAL;
    if (!census->running || header->batch != census->question || !live_id_equals(header->about, census->options.id))
        return 0;
    found = find_answer(census, header->from);
    if (found)
        take_part(found, &counts, reader);
    census_run(census, clock_monotonic_ns());
    return 0;
}

/* Making. */

struct census *census_new(const struct census_options *options)
{
    struct census *census = calloc(1, sizeof *census);

    if (!census)
        return NULL;
    census->options = *options;
    return census;
}

static void drop_requests(struct request *request)
{
    while (request) {
        struct request *next = request->next;

        request->done(request->context, NULL);
        free(request);
        request = next;
    }
}

void census_free(struct census *census)
{
    if (!census)
        return;
    drop_requests(census->running);
    drop_requests(census->waiting);
    forget_answers(census);
    free(census);
}
