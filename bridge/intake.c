#include "bridge/intake.h"

#include <errno.h>
#include <stdlib.h>

#include "core/clock.h"
#include "core/config_value.h"

enum { SPENT_MAX = 64, SPENT_BYTES_MAX = 256 * 1024 };

struct intake {
    struct intake_options options;
    struct source_message *spent[SPENT_MAX];
    size_t spent_count;
    size_t spent_bytes;
    uint64_t failed; /* the first message of the stream that had no memory; 0: all had */
    struct log_limiter reject_limiter;
    struct log_limiter rate_limiter;
};

/* Refusing. */

static enum metric reject_metric(enum transform_result result)
{
    switch (result) {
    case TRANSFORM_NOT_OBJECT:
        return METRIC_REJECTED_NOT_OBJECT;
    case TRANSFORM_MISSING_COMPANY:
        return METRIC_REJECTED_MISSING_COMPANY;
    case TRANSFORM_BAD_COMPANY:
        return METRIC_REJECTED_BAD_COMPANY;
    case TRANSFORM_DUPLICATE_COMPANY:
        return METRIC_REJECTED_DUPLICATE_COMPANY;
    case TRANSFORM_TOO_LARGE:
        return METRIC_REJECTED_TOO_LARGE;
    case TRANSFORM_NO_EVENT_NAME:
        return METRIC_REJECTED_NO_EVENT_NAME;
    case TRANSFORM_NOT_JSON:
    case TRANSFORM_ACCEPTED:
        break;
    }
    return METRIC_REJECTED_NOT_JSON;
}

static void reject(struct intake *intake, const struct source_message *message, enum transform_result result)
{
    const char *dead_letter_subject = intake->options.dead_letter_subject;
    int64_t suppressed;
    size_t size;

    metrics_add(intake->options.metrics, reject_metric(result), 1);
    source_message_payload(message, &size);
    /* Never with the payload: it is not ours to show. */
    if (log_limiter_allow(&intake->reject_limiter, &suppressed))
        log_write(intake->options.log, LOG_LEVEL_WARN, "Event refused",
                  LOG_FIELDS(log_text("reason", transform_result_text(result)),
                             log_text("subject", source_message_subject(message)), log_number("bytes", (int64_t)size),
                             log_number("suppressed", suppressed)));
    if (*dead_letter_subject)
        metrics_add(intake->options.metrics,
                    source_forward(intake->options.source, dead_letter_subject, message) ? METRIC_DEAD_LETTERS
                                                                                         : METRIC_DEAD_LETTERS_FAILED,
                    1);
}

void intake_release(struct intake *intake)
{
    for (size_t i = 0; i < intake->spent_count; i++)
        source_message_free(intake->spent[i]);
    intake->spent_count = 0;
    intake->spent_bytes = 0;
}

/* Nobody needs the message any more. The library has a thread that frees them, and wakes it for each that comes alone. */
static void spend(struct intake *intake, struct source_message *message)
{
    size_t size;

    source_message_payload(message, &size);
    intake->spent[intake->spent_count++] = message;
    intake->spent_bytes += size;
    if (intake->spent_count == SPENT_MAX || intake->spent_bytes > SPENT_BYTES_MAX)
        intake_release(intake);
}

/* Of a stream, what has no memory now is read again later, and so is all behind it. Returns whether the item is of one. */
static bool leave_for_later(struct intake *intake, const struct source_item *item)
{
    if (item->sequence > 0 && (intake->failed == 0 || item->sequence < intake->failed))
        intake->failed = item->sequence;
    return item->sequence > 0;
}

/* Whether it is read again in any case. */
static bool is_behind_failed(const struct intake *intake, const struct source_item *item)
{
    return intake->failed > 0 && item->sequence >= intake->failed;
}

uint64_t intake_take_failed(struct intake *intake)
{
    uint64_t failed = intake->failed;

    intake->failed = 0;
    return failed;
}

/* Numbering. */

/* Hands on the frame, which goes behind the last one. It is given up; NULL: there was no memory for it. */
static int add_frame(struct intake *intake, struct company *company, struct frame *frame)
{
    int status = frame ? fanout_add(intake->options.fanout, company, frame) : -ENOMEM;

    frame_unref(frame);
    return status;
}

void intake_add_hole(struct intake *intake, struct company *company, enum gap_reason reason, uint64_t unix_ms)
{
    struct event_position head = company->numbered;
    struct event_position position = {.seq = head.seq, .ms = unix_ms};

    /* It has no number of its own, so it must have a time of its own, also behind the start ids given in this one. */
    if (head.seq == 0)
        position.ms++;
    if (position.ms <= head.ms)
        position.ms = head.ms + 1;
    company->hole_due = reason;
    if (add_frame(intake, company, gap_hole(reason, position)) == 0)
        company->hole_due = GAP_NONE;
}

/* Gives an event its number and hands it on, or refuses it: only with its number is its size known. */
static void number_event(struct intake *intake, struct company *company, const struct transformed *event,
                         const struct source_item *item, uint64_t mark)
{
    uint64_t now_ms = (uint64_t)(item->sequence > 0 ? item->stamp_ms : clock_unix_ms());
    struct event_position head;
    struct frame_event numbered = {
        .kind = FRAME_EVENT,
        .subject = event->subject,
        .event = event->event,
        .mark = mark,
        .received_ns = item->received_ns,
    };

    numbered.payload = source_message_payload(item->message, &numbered.payload_size);
    if (company->hole_due != GAP_NONE)
        intake_add_hole(intake, company, company->hole_due, now_ms);
    head = company->numbered;
    numbered.position = (struct event_position){.seq = head.seq + 1, .ms = now_ms > head.ms ? now_ms : head.ms};
    if (frame_encoded_size(&numbered) > intake->options.max_event_bytes) {
        reject(intake, item->message, TRANSFORM_TOO_LARGE);
        return;
    }
    if (company->since_ms == 0)
        company->since_ms = numbered.position.ms;
    if (company->hole_due == GAP_NONE && add_frame(intake, company, frame_new_event(&numbered)) == 0) {
        company->was_numbered = true;
        metrics_add(intake->options.metrics, METRIC_EVENTS_ACCEPTED, 1);
        return;
    }
    if (leave_for_later(intake, item))
        return;
    company->hole_due = GAP_SOURCE;
    metrics_add(intake->options.metrics, METRIC_DROPPED_MEMORY, 1);
}

/*
 * Whether the company's order has the message of a stream. One whose events came by core NATS until now knows no places: it has
 * what is not younger than its last event, and whether that is all, nobody can tell.
 */
static bool is_known(struct company *company, const struct source_item *item)
{
    bool came_by_core = company->numbered_source == 0 && company->numbered.seq > 0;

    if (!came_by_core)
        return item->sequence <= company->numbered_source;
    if (item->stamp_ms <= (int64_t)company->numbered.ms)
        return true;
    company->hole_due = GAP_SOURCE;
    return false;
}

static void number_from_stream(struct intake *intake, struct company *company, const struct transformed *event,
                               const struct source_item *item)
{
    if (is_known(company, item))
        metrics_add(intake->options.metrics, METRIC_EVENTS_DUPLICATE, 1);
    else if (!is_behind_failed(intake, item))
        number_event(intake, company, event, item, item->sequence);
    spend(intake, item->message);
}

/*
 * Numbers a message, which it frees; where other replicas are to be told, it is kept until the event is heard: should the
 * telling fail, the next owner numbers it.
 */
static void number_message(struct intake *intake, struct company *company, const struct transformed *event,
                           const struct source_item *item)
{
    struct shadow *shadow = intake->options.shadow;
    size_t size;
    const char *payload = source_message_payload(item->message, &size);
    uint64_t mark;

    if (item->sequence > 0) {
        number_from_stream(intake, company, event, item);
        return;
    }
    mark = shadow ? shadow_mark(source_message_subject(item->message), payload, size) : 0;
    /* Not if the owner before had numbered it, and its event was quicker than the message. */
    if (!shadow || !shadow_consume(shadow, mark, item->received_ns))
        number_event(intake, company, event, item, mark);
    else
        mark = 0;
    if (mark != 0 && fanout_is_replicated(intake->options.fanout))
        shadow_add(shadow, item);
    else
        spend(intake, item->message);
}

void intake_write_hole(struct intake *intake, struct company *company, enum gap_reason reason)
{
    if (heads_is_busy(company))
        (void)heads_park(intake->options.heads, company, &(struct parked){.hole = reason});
    else
        intake_add_hole(intake, company, reason, (uint64_t)clock_unix_ms());
}

void intake_unpark(struct intake *intake, struct company *company, const struct parked *parked)
{
    struct source_item item = {.message = parked->message,
                               .received_ns = parked->received_ns,
                               .sequence = parked->sequence,
                               .stamp_ms = parked->stamp_ms};

    if (parked->message)
        number_message(intake, company, &parked->event, &item);
    else
        intake_add_hole(intake, company, parked->hole, (uint64_t)clock_unix_ms());
}

/* Messages. */

/*
 * Whether the company may have the event, by its rates when the event came: not when it is numbered, or what waited while
 * this process was busy would count as a burst. Writes the holes that are due.
 */
static bool is_within_rate(struct intake *intake, struct company *company, size_t bytes, int64_t received_ns)
{
    struct publish_verdict verdict = publish_rate_take(&company->rate, bytes, received_ns);
    int64_t suppressed;

    if (verdict.hole)
        intake_write_hole(intake, company, GAP_RATE_LIMITED);
    if (!verdict.dropped)
        return true;
    metrics_add(intake->options.metrics, METRIC_DROPPED_RATE_LIMITED, 1);
    if (log_limiter_allow(&intake->rate_limiter, &suppressed))
        log_write(intake->options.log, LOG_LEVEL_WARN,
                  "Event dropped: its company publishes more than it may; clients are told",
                  LOG_FIELDS(log_text("companyId", company->name), log_number("bytes", (int64_t)bytes),
                             log_number("suppressed", suppressed)));
    return false;
}

static void park_message(struct intake *intake, struct company *company, const struct transformed *event,
                         const struct source_item *item)
{
    struct parked parked = {.message = item->message,
                            .received_ns = item->received_ns,
                            .sequence = item->sequence,
                            .stamp_ms = item->stamp_ms,
                            .event = *event};

    if (heads_park(intake->options.heads, company, &parked))
        return;
    if (!leave_for_later(intake, item))
        metrics_add(intake->options.metrics, METRIC_DROPPED_MEMORY, 1);
    spend(intake, item->message);
}

/* A stream may hold more than what is wanted of it. */
static bool is_wanted(const struct intake *intake, const struct source_item *item)
{
    const char *cursor = intake->options.subjects;
    const char *subject = source_message_subject(item->message);
    const char *pattern;
    size_t size;

    if (item->sequence == 0)
        return true;
    while (config_list_next(&cursor, &pattern, &size))
        if (config_pattern_matches(pattern, size, subject))
            return true;
    return false;
}

static void take_message(struct intake *intake, const struct source_item *item)
{
    struct transformed event;
    struct company *company;
    size_t size;
    const char *payload = source_message_payload(item->message, &size);
    enum transform_result result;

    if (is_behind_failed(intake, item)) {
        spend(intake, item->message);
        return;
    }
    if (!is_wanted(intake, item)) {
        spend(intake, item->message);
        return;
    }
    result = transform_message(intake->options.transform, source_message_subject(item->message), payload, size, &event);
    if (result != TRANSFORM_ACCEPTED) {
        reject(intake, item->message, result);
        spend(intake, item->message);
        return;
    }
    company = heads_get(intake->options.heads, event.company);
    if (!company) {
        if (!leave_for_later(intake, item))
            metrics_add(intake->options.metrics, METRIC_DROPPED_MEMORY, 1);
        spend(intake, item->message);
        return;
    }
    /* What is dropped above a rate would be no function of the stream. */
    if (item->sequence == 0 && !is_within_rate(intake, company, size, item->received_ns)) {
        spend(intake, item->message);
        return;
    }
    if (heads_is_busy(company))
        park_message(intake, company, &event, item);
    else
        number_message(intake, company, &event, item);
}

static void take_hole(struct company *company, void *context)
{
    intake_write_hole(context, company, GAP_SOURCE);
}

void intake_take_hole(struct intake *intake, int64_t dropped)
{
    log_write(intake->options.log, LOG_LEVEL_WARN, "Events may have been missed at the source: clients are told",
              LOG_FIELDS(log_number("dropped", dropped),
                         log_number("companies", (int64_t)companies_count(intake->options.companies))));
    companies_each(intake->options.companies, take_hole, intake);
    store_note_hole(intake->options.store, (uint64_t)clock_unix_ms());
}

void intake_take(struct intake *intake, const struct source_item *item)
{
    if (item->message)
        take_message(intake, item);
    else if (intake->failed == 0) /* else it is found again */
        intake_take_hole(intake, item->dropped);
}

static void tick_company(struct company *company, void *context)
{
    /* Whoever came after the hole that dropping began with was told of nothing yet. */
    if (publish_rate_settle(&company->rate, clock_monotonic_ns()))
        intake_write_hole(context, company, GAP_RATE_LIMITED);
}

void intake_tick(struct intake *intake)
{
    companies_each(intake->options.companies, tick_company, intake);
}

struct intake *intake_new(const struct intake_options *options)
{
    struct intake *intake = calloc(1, sizeof *intake);

    if (intake)
        intake->options = *options;
    return intake;
}

void intake_free(struct intake *intake)
{
    if (!intake)
        return;
    intake_release(intake);
    free(intake);
}
