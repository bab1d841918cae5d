#include "replay/redis_request.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "replay/redis_command.h"
#include "replay/redis_count.h"
#include "replay/redis_member.h"
#include "replay/redis_reply.h"

/* The beginning of a script call: by its name, or whole where Redis does not know the name any more. */
static void command_add_named_script(struct redis_command *command, const struct redis_request *request,
                                     enum redis_script script)
{
    const char *text = redis_script_text(script);

    redis_command_add(command, request->sent_whole ? "EVAL" : "EVALSHA");
    if (request->sent_whole)
        redis_command_add_bytes(command, text, strlen(text));
    else
        redis_command_add(command, "%s", request->requests->scripts[script]);
}

/* The same for a script of one key that is always sent whole: it is not called often. */
static void command_add_script(struct redis_command *command, enum redis_script script)
{
    const char *text = redis_script_text(script);

    redis_command_add(command, "EVAL");
    redis_command_add_bytes(command, text, strlen(text));
    redis_command_add(command, "1");
}

int64_t redis_requests_cutoff_ms(const struct redis_requests *requests)
{
    return clock_unix_ms() - requests->limits.ttl_ms;
}

static struct redis_request *request_new(int kind, const char *name, void *context, size_t frame_count)
{
    struct redis_request *request = calloc(1, sizeof *request + frame_count * sizeof request->frames[0]);

    if (!request)
        abort();
    request->kind = kind;
    request->context = context;
    snprintf(request->name, sizeof request->name, "%s", name);
    return request;
}

static void request_free(struct redis_request *request)
{
    for (size_t i = 0; i < request->frame_count; i++)
        frame_unref(request->frames[i].frame);
    free(request);
}

struct redis_request *redis_request_claim(const struct store_claim *claim, store_claim_done done, void *context)
{
    struct redis_request *request = request_new(REDIS_CLAIM, claim->holder, context, 0);

    request->done.claim = done;
    request->epoch = claim->epoch;
    request->lease_ms = claim->lease_ms;
    return request;
}

/* Events by which an append trims what is too much, in between two with upkeep. */
enum { TRIM_EVENTS = 64 };

/* Whether nothing has to be done but adding the events, unless Redis knows better. */
static bool can_extend(const struct store_append *append)
{
    uint64_t first = frame_position(append->frames[0]).seq;
    uint64_t last = frame_position(append->frames[append->count - 1]).seq;

    for (size_t i = 0; i < append->count; i++)
        if (frame_kind(append->frames[i]) == FRAME_HOLE)
            return false;
    return !append->upkeep && (first - 1) / TRIM_EVENTS == last / TRIM_EVENTS;
}

struct redis_request *redis_request_append(const struct store_append *append, uint64_t epoch, store_append_done done,
                                           void *context)
{
    struct redis_request *request = request_new(REDIS_APPEND, append->company, context, append->count);

    request->done.append = done;
    request->epoch = epoch;
    request->since_ms = append->since_ms;
    request->has_sources = append->sources != NULL;
    request->extends = can_extend(append);
    request->frame_count = append->count;
    for (size_t i = 0; i < append->count; i++)
        request->frames[i].frame = frame_ref(append->frames[i]);
    for (size_t i = 0; append->sources && i < append->count; i++)
        request->frames[i].source = append->sources[i];
    return request;
}

struct redis_request *redis_request_load(const char *company, uint64_t epoch, store_head_done done, void *context)
{
    struct redis_request *request = request_new(REDIS_LOAD, company, context, 0);

    request->epoch = epoch;
    request->done.load = done;
    return request;
}

struct redis_request *redis_request_read(const struct store_read *read, store_page_done done, void *context)
{
    struct redis_request *request = request_new(REDIS_READ, read->company, context, 0);

    request->done.read = done;
    request->after = read->after;
    request->max_events = read->max_events;
    request->max_bytes = read->max_bytes;
    return request;
}

struct redis_request *redis_request_count(size_t max_companies, store_count_done done, void *context)
{
    struct redis_request *request = request_new(REDIS_COUNT, "", context, 0);

    request->done.count = done;
    request->max_events = max_companies;
    return request;
}

struct redis_request *redis_request_place(const char *stream, store_place_done done, void *context)
{
    struct redis_request *request = request_new(REDIS_PLACE, stream, context, 0);

    request->done.place = done;
    return request;
}

void redis_request_fail(struct redis_request *request, int status)
{
    switch (request->kind) {
    case REDIS_CLAIM:
        request->done.claim(request->context, status, NULL);
        break;
    case REDIS_APPEND:
        request->done.append(request->context, status);
        break;
    case REDIS_LOAD:
        request->done.load(request->context, status, NULL);
        break;
    case REDIS_READ:
        request->done.read(request->context, status, NULL);
        break;
    case REDIS_COUNT:
        request->done.count(request->context, status, NULL, 0);
        break;
    case REDIS_PLACE:
        request->done.place(request->context, status, 0);
        break;
    }
    request_free(request);
}

/* The fields that the scripts for heads and for pages return: seq, ms, subject, floor_seq, floor_ms, since, source. */
static struct store_head reply_head(const redisReply *reply)
{
    const redisReply *subject = redis_reply_element(reply, 2);
    struct store_head head = {
        .position = {.seq = redis_reply_number(redis_reply_element(reply, 0)),
                     .ms = redis_reply_number(redis_reply_element(reply, 1))},
        .floor = {.seq = redis_reply_number(redis_reply_element(reply, 3)),
                  .ms = redis_reply_number(redis_reply_element(reply, 4))},
        .since_ms = redis_reply_number(redis_reply_element(reply, 5)),
        .source = redis_reply_number(redis_reply_element(reply, 6)),
    };

    head.exists = head.position.ms > 0;
    if (subject && subject->type == REDIS_REPLY_STRING)
        event_id_subject(subject->str, subject->len, head.subject);
    return head;
}

static bool is_word(const redisReply *reply, const char *word)
{
    return reply && reply->type == REDIS_REPLY_STRING && strcmp(reply->str, word) == 0;
}

static void on_claim(struct redis_request *request, const redisReply *reply)
{
    const redisReply *word = redis_reply_element(reply, 0);
    struct store_lease lease = {
        .mine = is_word(word, "MINE"),
        .epoch = redis_reply_number(redis_reply_element(reply, 1)),
        .left_ms = (int64_t)redis_reply_number(redis_reply_element(reply, 2)),
    };

    if (lease.mine ? lease.epoch == 0 : !is_word(word, "HELD"))
        request->done.claim(request->context, -EAGAIN, NULL);
    else
        request->done.claim(request->context, 0, &lease);
}

static void on_append(struct redis_request *request, const redisReply *reply)
{
    bool fenced = is_word(redis_reply_element(reply, 0), "FENCED");

    request->done.append(request->context, fenced ? -EPERM : 0);
}

static void on_load(struct redis_request *request, const redisReply *reply)
{
    struct store_head head = reply_head(reply);

    request->done.load(request->context, 0, &head);
}

/* The oldest member's `<seq>|<subject>|` and its score. */
static void reply_oldest(const redisReply *text, const redisReply *score, struct store_page *page)
{
    const char *subject;

    if (!text || text->type != REDIS_REPLY_STRING || text->len <= REDIS_MEMBER_SEQ_DIGITS + 1)
        return;
    page->oldest.seq = redis_reply_number(text);
    page->oldest.ms = redis_reply_number(score);
    subject = text->str + REDIS_MEMBER_SEQ_DIGITS + 1;
    event_id_subject(subject, strcspn(subject, "|"), page->oldest_subject);
}

static void on_read(struct redis_request *request, const redisReply *reply)
{
    const redisReply *members = redis_reply_element(reply, 5);
    size_t count = members && members->type == REDIS_REPLY_ARRAY ? members->elements / 2 : 0;
    struct frame **frames = calloc(count + 1, sizeof *frames);
    struct store_page page = {
        .exact = redis_reply_number(redis_reply_element(reply, 0)) != 0,
        .last = redis_reply_number(redis_reply_element(reply, 1)) != 0,
        .head = reply_head(redis_reply_element(reply, 2)),
        .frames = frames,
    };

    if (!frames) {
        request->done.read(request->context, -ENOMEM, NULL);
        return;
    }
    reply_oldest(redis_reply_element(reply, 3), redis_reply_element(reply, 4), &page);
    for (size_t i = 0; i < count; i++) {
        const redisReply *member = members->element[2 * i];

        /* What is no member of ours is left out; the break in the numbers is then told as a gap. */
        if (member->type == REDIS_REPLY_STRING)
            frames[page.count] =
                redis_member_read(member->str, member->len, redis_reply_number(members->element[2 * i + 1]));
        if (frames[page.count])
            page.count++;
    }
    /* The next page would begin at the same place, and be the same: what lies behind it cannot be had. */
    if (count > 0 && page.count == 0)
        page.last = true;
    request->done.read(request->context, 0, &page);
    for (size_t i = 0; i < page.count; i++)
        frame_unref(frames[i]);
    free(frames);
}

/* Whether the request has to be sent in another way, and was prepared for that. */
static bool must_repeat(struct redis_request *request, const redisReply *reply)
{
    if (reply && reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "NOSCRIPT", 8) == 0 && !request->sent_whole) {
        request->sent_whole = true;
        return true;
    }
    if (reply && reply->type == REDIS_REPLY_INTEGER && reply->integer == 0 && request->extends) {
        request->extends = false;
        return true;
    }
    return false;
}

static void on_reply(void *context, const redisReply *reply)
{
    struct redis_request *request = context;
    struct redis_requests *requests = request->requests;

    if (must_repeat(request, reply)) {
        int status = redis_request_send(requests, request);

        if (status < 0)
            redis_request_fail(request, -EAGAIN);
        return;
    }
    if (!reply || reply->type == REDIS_REPLY_ERROR) {
        if (reply)
            requests->on_error(requests->context, reply->str,
                               request->kind == REDIS_APPEND || request->kind == REDIS_CLAIM);
        redis_request_fail(request, -EAGAIN);
        return;
    }
    switch (request->kind) {
    case REDIS_CLAIM:
        on_claim(request, reply);
        break;
    case REDIS_APPEND:
        on_append(request, reply);
        break;
    case REDIS_LOAD:
        on_load(request, reply);
        break;
    case REDIS_READ:
        on_read(request, reply);
        break;
    case REDIS_COUNT:
        redis_count_companies(requests, reply, request->done.count, request->context);
        break;
    case REDIS_PLACE:
        request->done.place(request->context, 0, redis_reply_number(reply));
        break;
    }
    request_free(request);
}

static void claim_command(struct redis_command *command, const struct redis_request *request)
{
    command_add_script(command, REDIS_SCRIPT_CLAIM);
    redis_command_add(command, "sluice:owner");
    redis_command_add(command, "%s", request->name);
    redis_command_add(command, "%" PRIu64, request->epoch);
    redis_command_add(command, "%" PRId64, request->lease_ms);
}

/* The places of the first and the last event that has one, as the script takes them. */
static void add_places(struct redis_command *command, const struct redis_request *request)
{
    uint64_t first = 0;
    uint64_t last = 0;

    for (size_t i = 0; i < request->frame_count; i++) {
        uint64_t place = request->frames[i].source;

        first = first > 0 ? first : place;
        last = place > 0 ? place : last;
    }
    if (last > 0)
        redis_command_add(command, "%" PRIu64 " %" PRIu64, first, last);
    else
        redis_command_add(command, "%s", "");
}

static void extend_command(struct redis_command *command, const struct redis_request *request)
{
    const struct frame *last = request->frames[request->frame_count - 1].frame;

    command_add_named_script(command, request, REDIS_SCRIPT_EXTEND);
    redis_command_add(command, "2");
    redis_command_add(command, "sluice:{%s}:log", request->name);
    redis_command_add(command, "sluice:{%s}:head", request->name);
    redis_command_add(command, "%" PRIu64, request->epoch);
    redis_command_add(command, "%" PRIu64, frame_position(last).seq);
    redis_command_add(command, "%s", frame_subject(last));
    redis_command_add(command, "%" PRId64, request->requests->limits.max_bytes);
    add_places(command, request);
    for (size_t i = 0; i < request->frame_count; i++) {
        redis_command_add(command, "%" PRIu64, frame_position(request->frames[i].frame).ms);
        redis_command_add_frame(command, request->frames[i].frame);
    }
}

static void append_command(struct redis_command *command, const struct redis_request *request)
{
    const struct redis_requests *requests = request->requests;

    command_add_named_script(command, request, REDIS_SCRIPT_APPEND);
    redis_command_add(command, "3");
    redis_command_add(command, "sluice:{%s}:log", request->name);
    redis_command_add(command, "sluice:{%s}:head", request->name);
    redis_command_add(command, "sluice:{%s}:holes", request->name);
    redis_command_add(command, "%" PRIu64, request->epoch);
    redis_command_add(command, "%" PRId64, redis_requests_cutoff_ms(requests));
    redis_command_add(command, "%" PRId64, requests->limits.ttl_ms + STORE_UPKEEP_MS);
    redis_command_add(command, "%" PRId64, requests->limits.max_events);
    redis_command_add(command, "%" PRId64, requests->limits.max_bytes);
    redis_command_add(command, "%" PRIu64, request->since_ms);
    redis_command_add(command, "%s", frame_subject(request->frames[request->frame_count - 1].frame));
    redis_command_add(command, request->has_sources ? "4" : "3");
    for (size_t i = 0; i < request->frame_count; i++) {
        const struct frame *frame = request->frames[i].frame;

        redis_command_add(command, "%" PRIu64, frame_position(frame).seq);
        redis_command_add(command, "%" PRIu64, frame_position(frame).ms);
        redis_command_add_frame(command, frame);
        if (request->has_sources)
            redis_command_add(command, "%" PRIu64, request->frames[i].source);
    }
}

static void load_command(struct redis_command *command, const struct redis_request *request)
{
    command_add_script(command, REDIS_SCRIPT_HEAD);
    redis_command_add(command, "sluice:{%s}:head", request->name);
    redis_command_add(command, "%" PRIu64, request->epoch);
}

static void read_command(struct redis_command *command, const struct redis_request *request)
{
    command_add_named_script(command, request, REDIS_SCRIPT_READ);
    redis_command_add(command, "2");
    redis_command_add(command, "sluice:{%s}:log", request->name);
    redis_command_add(command, "sluice:{%s}:head", request->name);
    redis_command_add(command, "%" PRIu64, request->after.ms);
    redis_command_add(command, "%" PRIu64, request->after.seq);
    redis_command_add(command, "%" PRId64, redis_requests_cutoff_ms(request->requests));
    redis_command_add(command, "%zu", request->max_events);
    redis_command_add(command, "%zu", request->max_bytes);
}

static void count_command(struct redis_command *command, const struct redis_request *request)
{
    redis_command_add(command, "ZREVRANGEBYSCORE");
    redis_command_add(command, "sluice:companies");
    redis_command_add(command, "+inf");
    redis_command_add(command, "%" PRId64, redis_requests_cutoff_ms(request->requests));
    redis_command_add(command, "LIMIT");
    redis_command_add(command, "0");
    redis_command_add(command, "%zu", request->max_events);
}

static void place_command(struct redis_command *command, const struct redis_request *request)
{
    redis_command_add(command, "HGET");
    redis_command_add(command, "sluice:source:%s", request->name);
    redis_command_add(command, "sequence");
}

int redis_request_send(struct redis_requests *requests, struct redis_request *request)
{
    struct redis_command command = redis_command_make();

    request->requests = requests;
    switch (request->kind) {
    case REDIS_CLAIM:
        claim_command(&command, request);
        break;
    case REDIS_APPEND:
        if (request->extends)
            extend_command(&command, request);
        else
            append_command(&command, request);
        break;
    case REDIS_LOAD:
        load_command(&command, request);
        break;
    case REDIS_READ:
        read_command(&command, request);
        break;
    case REDIS_COUNT:
        count_command(&command, request);
        break;
    case REDIS_PLACE:
        place_command(&command, request);
        break;
    }
    return redis_command_send(&command, requests->connection, on_reply, request);
}

static void on_ignored(void *context, const redisReply *reply)
{
    struct redis_requests *requests = context;

    if (reply && reply->type == REDIS_REPLY_ERROR)
        requests->on_error(requests->context, reply->str, true);
}

void redis_request_release(struct redis_requests *requests, const char *holder)
{
    struct redis_command command = redis_command_make();

    command_add_script(&command, REDIS_SCRIPT_RELEASE);
    redis_command_add(&command, "sluice:owner");
    redis_command_add(&command, "%s", holder);
    /* Without memory for it the lease runs out by itself. */
    (void)redis_command_send(&command, requests->connection, on_ignored, requests);
}

void redis_request_save_place(struct redis_requests *requests, const char *stream, uint64_t sequence, uint64_t epoch)
{
    struct redis_command command = redis_command_make();

    command_add_script(&command, REDIS_SCRIPT_PLACE);
    redis_command_add(&command, "sluice:source:%s", stream);
    redis_command_add(&command, "%" PRIu64, sequence);
    redis_command_add(&command, "%" PRIu64, epoch);
    /* Without memory for it the next one says more. */
    (void)redis_command_send(&command, requests->connection, on_ignored, requests);
}

void redis_request_list_company(struct redis_requests *requests, const char *company)
{
    struct redis_command add = redis_command_make();
    struct redis_command trim = redis_command_make();

    redis_command_add(&add, "ZADD");
    redis_command_add(&add, "sluice:companies");
    redis_command_add(&add, "%" PRId64, clock_unix_ms());
    redis_command_add(&add, "%s", company);
    redis_command_add(&trim, "ZREMRANGEBYSCORE");
    redis_command_add(&trim, "sluice:companies");
    redis_command_add(&trim, "-inf");
    redis_command_add(&trim, "(%" PRId64, redis_requests_cutoff_ms(requests));
    /* Without memory for it the company is missing from the counts until the next time. */
    (void)redis_command_send(&add, requests->connection, on_ignored, requests);
    (void)redis_command_send(&trim, requests->connection, on_ignored, requests);
}

void redis_request_note_hole(struct redis_requests *requests, uint64_t unix_ms)
{
    struct redis_command command = redis_command_make();

    command_add_script(&command, REDIS_SCRIPT_HOLE);
    redis_command_add(&command, "sluice:hole");
    redis_command_add(&command, "%" PRIu64, unix_ms);
    redis_command_add(&command, "%" PRId64, requests->limits.ttl_ms);
    (void)redis_command_send(&command, requests->connection, on_ignored, requests);
}
