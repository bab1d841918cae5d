#include "bridge/fanout.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"

enum {
    BATCH_FRAMES = 512,
    BATCH_BYTES = 256 * 1024, /* of one message, but at least one frame */
    WAITING_FRAMES = 16384,
    WAITING_BYTES = 64 * 1024 * 1024,
};

/* More than what stands in front of a section's frames. */
#define SECTION_BYTES ((size_t)256)

/* A frame that was numbered and not heard yet. */
struct numbered {
    struct numbered *next;
    struct company *company;
    struct frame *frame;
    struct event_position before;
    uint64_t batch; /* 0: not sent yet */
    bool is_untold; /* NATS did not take it: it counts as heard in its turn */
};

struct fanout {
    struct fanout_options options;
    bool is_replicated;
    bool was_silent; /* something was added that nobody was told of */
    /* In order: those sent, and behind them those that are not. */
    struct numbered *first;
    struct numbered **last;
    struct numbered *first_unsent;
    size_t count;
    size_t bytes;
};

/* Alone. */

static int add_here(struct fanout *fanout, struct company *company, struct frame *frame)
{
    return heads_push(fanout->options.heads, company, frame, company->since_ms);
}

/* With others. */

static int add_for_all(struct fanout *fanout, struct company *company, struct frame *frame)
{
    struct numbered *numbered = malloc(sizeof *numbered);

    if (!numbered)
        return -ENOMEM;
    *numbered = (struct numbered){.company = company, .frame = frame_ref(frame), .before = company->numbered};
    *fanout->last = numbered;
    fanout->last = &numbered->next;
    if (!fanout->first_unsent)
        fanout->first_unsent = numbered;
    fanout->count++;
    fanout->bytes += frame_memory_size(frame);
    company->numbered = frame_position(frame);
    if (company_source_of(frame) > company->numbered_source)
        company->numbered_source = company_source_of(frame);
    return 0;
}

int fanout_add(struct fanout *fanout, struct company *company, struct frame *frame)
{
    if (fanout->is_replicated)
        return add_for_all(fanout, company, frame);
    fanout->was_silent = true;
    return add_here(fanout, company, frame);
}

static struct buffer *begin_message(const struct fanout *fanout, uint64_t batch)
{
    struct live_header header = voice_header(fanout->options.voice, LIVE_FRAMES);

    header.batch = batch;
    header.hole_ms = store_noted_hole(fanout->options.store);
    header.sent_ns = (uint64_t)clock_monotonic_ns();
    return voice_begin(fanout->options.voice, &header);
}

/* How large a message may be, as far as we know. */
static size_t max_message(const struct fanout *fanout)
{
    size_t max = voice_max_payload(fanout->options.voice);

    if (max == 0 || max > BATCH_BYTES)
        return BATCH_BYTES;
    return max > 4 * SECTION_BYTES ? max : 4 * SECTION_BYTES;
}

/* How many of the frames from here on are one company's and go into one section. */
static size_t section_length(const struct numbered *numbered, size_t max_frames, size_t max_bytes)
{
    size_t count = 0;
    size_t bytes = 0;

    for (const struct numbered *at = numbered; at && at->company == numbered->company; at = at->next) {
        bytes += live_frame_size(at->frame);
        if (count > 0 && (count == max_frames || bytes > max_bytes))
            break;
        count++;
    }
    return count;
}

/* Puts a section that begins with this frame into the message. Returns the frame behind it. */
static struct numbered *put_section(struct buffer *message, struct numbered *numbered, size_t max_frames,
                                    size_t max_bytes)
{
    struct live_section section = {.before = numbered->before,
                                   .since_ms = numbered->company->since_ms,
                                   .count = section_length(numbered, max_frames, max_bytes)};

    strcpy(section.company, numbered->company->name);
    live_begin_section(message, &section);
    for (size_t i = 0; i < section.count; i++) {
        live_put_frame(message, numbered->frame);
        numbered = numbered->next;
    }
    return numbered;
}

/* What a section may still take of the message. */
static size_t room_for_section(const struct buffer *message, size_t max_bytes)
{
    size_t used = message->size + SECTION_BYTES;

    return used < max_bytes ? max_bytes - used : 0;
}

/*
 * Nobody can be told of a frame that is larger than NATS takes: it came with less around it. It goes on here behind all that is on its
 * way, the others notice that a batch is missing, and have it from the store, where it has to be by then.
 */
static bool is_unsendable(const struct fanout *fanout, const struct buffer *message)
{
    size_t max = voice_max_payload(fanout->options.voice);

    return message->failed || (max > 0 && message->size > max);
}

static void send_batch(struct fanout *fanout)
{
    uint64_t batch = ownership_next_batch(fanout->options.ownership);
    struct buffer *message = begin_message(fanout, batch);
    size_t max_bytes = max_message(fanout);
    struct numbered *first = fanout->first_unsent;
    size_t left = BATCH_FRAMES;

    while (fanout->first_unsent && left > 0) {
        struct numbered *numbered = fanout->first_unsent;
        size_t room = room_for_section(message, max_bytes);

        if (left < BATCH_FRAMES && live_frame_size(numbered->frame) > room)
            break;
        fanout->first_unsent = put_section(message, numbered, left, room);
        for (; numbered != fanout->first_unsent; numbered = numbered->next) {
            numbered->batch = batch;
            left--;
        }
    }
    if (is_unsendable(fanout, message)) {
        for (; first != fanout->first_unsent; first = first->next)
            first->is_untold = true;
        fanout_hear(fanout, 0);
    } else {
        voice_send(fanout->options.voice);
    }
}

void fanout_flush(struct fanout *fanout)
{
    struct ownership *ownership = fanout->options.ownership;

    if (!ownership)
        return;
    while (fanout->first_unsent)
        send_batch(fanout);
    /* A replica that was thought to be gone and is not notices by the count that it missed something. */
    if (fanout->was_silent)
        ownership_set_heard_batch(ownership, ownership_next_batch(ownership));
    fanout->was_silent = false;
    fanout->is_replicated = ownership_may_have_peers(ownership);
    /* What was sent while others might have been there need not come back: perhaps this one is not allowed to hear itself. */
    if (!fanout->is_replicated)
        fanout_hear(fanout, ownership_last_batch(ownership));
}

bool fanout_is_replicated(const struct fanout *fanout)
{
    return fanout->is_replicated;
}

bool fanout_is_due(const struct fanout *fanout)
{
    return fanout->first_unsent != NULL;
}

bool fanout_is_full(const struct fanout *fanout)
{
    return fanout->count > WAITING_FRAMES || fanout->bytes > WAITING_BYTES;
}

bool fanout_is_waiting(const struct fanout *fanout)
{
    return fanout->count > 0;
}

uint64_t fanout_oldest_mark(const struct fanout *fanout)
{
    uint64_t mark = 0;

    for (const struct numbered *at = fanout->first; at && mark == 0; at = at->next)
        mark = company_source_of(at->frame);
    return mark;
}

/* Takes the first frame out of those that wait. */
static struct numbered take_first(struct fanout *fanout)
{
    struct numbered first = *fanout->first;

    free(fanout->first);
    fanout->first = first.next;
    fanout->count--;
    fanout->bytes -= frame_memory_size(first.frame);
    if (!fanout->first)
        fanout->last = &fanout->first;
    return first;
}

static bool is_heard(const struct numbered *numbered, uint64_t batch)
{
    return numbered->batch > 0 && (numbered->batch <= batch || numbered->is_untold);
}

void fanout_hear(struct fanout *fanout, uint64_t batch)
{
    while (fanout->first && is_heard(fanout->first, batch)) {
        struct numbered numbered = take_first(fanout);

        shadow_strike(fanout->options.shadow, frame_mark(numbered.frame), clock_monotonic_ns());
        if (add_here(fanout, numbered.company, numbered.frame) < 0)
            abort(); /* the others have it: here it would be missing, and the numbers behind it */
        if (numbered.is_untold) {
            numbered.company->unsent = ring_end(numbered.company->recent);
            appender_hurry(numbered.company);
        }
        frame_unref(numbered.frame);
    }
}

void fanout_void(struct fanout *fanout, void (*visit)(void *context, const struct frame *frame), void *context)
{
    while (fanout->first) {
        struct numbered numbered = take_first(fanout);

        numbered.company->numbered = numbered.company->head;
        numbered.company->numbered_source = numbered.company->source;
        visit(context, numbered.frame);
        frame_unref(numbered.frame);
    }
    fanout->first_unsent = NULL;
}

/* Repeating. */

static void repeat_company(struct company *company, void *context)
{
    struct fanout *fanout = context;
    size_t max_bytes = max_message(fanout) - 2 * SECTION_BYTES;
    uint64_t end = ring_end(company->recent);
    uint64_t slot = company->stored;

    while (slot < end) {
        struct buffer *message = begin_message(fanout, 0);
        struct live_section section = {.before = ring_before(company->recent, slot), .since_ms = company->since_ms};
        size_t bytes = 0;

        while (slot + section.count < end && section.count < BATCH_FRAMES) {
            bytes += live_frame_size(ring_frame(company->recent, slot + section.count));
            if (section.count > 0 && bytes > max_bytes)
                break;
            section.count++;
        }
        strcpy(section.company, company->name);
        live_begin_section(message, &section);
        for (size_t i = 0; i < section.count; i++)
            live_put_frame(message, ring_frame(company->recent, slot + i));
        voice_send(fanout->options.voice);
        slot += section.count;
    }
}

/* What was sent and not heard yet stands in no company. */
static void repeat_sent(struct fanout *fanout)
{
    struct numbered *numbered = fanout->first;

    while (numbered != fanout->first_unsent) {
        struct buffer *message = begin_message(fanout, 0);

        numbered = put_section(message, numbered, BATCH_FRAMES, room_for_section(message, max_message(fanout)));
        voice_send(fanout->options.voice);
    }
}

void fanout_repeat(struct fanout *fanout)
{
    companies_each(fanout->options.companies, repeat_company, fanout);
    repeat_sent(fanout);
}

static void find_unsent(struct company *company, void *context)
{
    bool *found = context;

    *found |= company->unsent > company->stored;
}

bool fanout_needs_store(const struct fanout *fanout)
{
    bool found = false;

    companies_each(fanout->options.companies, find_unsent, &found);
    for (const struct numbered *at = fanout->first; at && !found; at = at->next)
        found = at->is_untold;
    return found;
}

uint64_t fanout_first_ms(const struct fanout *fanout)
{
    uint64_t first_ms = UINT64_MAX;

    for (const struct numbered *at = fanout->first; at; at = at->next)
        if (frame_position(at->frame).ms < first_ms)
            first_ms = frame_position(at->frame).ms;
    return first_ms;
}

int64_t fanout_oldest_ns(const struct fanout *fanout)
{
    int64_t oldest_ns = INT64_MAX;

    /* Holes have not been received. */
    for (const struct numbered *at = fanout->first; at && oldest_ns == INT64_MAX; at = at->next)
        if (frame_received_ns(at->frame) > 0)
            oldest_ns = frame_received_ns(at->frame);
    return oldest_ns;
}

/* Making. */

struct fanout *fanout_new(const struct fanout_options *options)
{
    struct fanout *fanout = calloc(1, sizeof *fanout);

    if (!fanout)
        return NULL;
    fanout->options = *options;
    fanout->last = &fanout->first;
    return fanout;
}

static void ignore_frame(void *context, const struct frame *frame)
{
    (void)context;
    (void)frame;
}

void fanout_free(struct fanout *fanout)
{
    if (!fanout)
        return;
    fanout_void(fanout, ignore_frame, NULL);
    free(fanout);
}
