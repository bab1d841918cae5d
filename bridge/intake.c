#include "bridge/intake.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"

/* A company without subscribers leaves the memory when its last event is older than this; the store knows it still. */
#define QUIET_MS (INT64_C(10) * 60 * 1000)

struct intake {
    struct intake_options options;
    size_t parked;
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

/* Numbering. */

/* Gives the frame its place behind the head, and hands it to the hub and to the store. */
static int add_frame(struct intake *intake, struct company *company, struct frame_event *event)
{
    struct frame *frame = frame_new_event(event);
    int status = frame ? appender_add(intake->options.appender, company, frame) : -ENOMEM;

    if (status == 0) {
        company->head = event->position;
        strcpy(company->subject, event->subject);
        hub_publish(intake->options.hub, company, frame);
    }
    frame_unref(frame);
    return status;
}

/* Writes down that the company's clients miss something behind its head, or may, at unix_ms. */
static void add_hole(struct intake *intake, struct company *company, enum gap_reason reason, uint64_t unix_ms)
{
    struct event_position head = company->head;
    struct gap gap = {.reason = reason, .missed = GAP_MISSED_UNKNOWN};
    char *data = gap_data(&gap);
    struct frame_event hole = {
        .kind = FRAME_HOLE,
        .subject = "hole",
        .event = FRAME_GAP_EVENT,
        .payload = data,
        .position = {.seq = head.seq, .ms = unix_ms},
    };

    /* It has no number of its own, so it must have a time of its own, also behind the start ids given in this one. */
    if (head.seq == 0)
        hole.position.ms++;
    if (hole.position.ms <= head.ms)
        hole.position.ms = head.ms + 1;
    company->hole_due = reason;
    if (!data)
        return;
    hole.payload_size = strlen(data);
    if (add_frame(intake, company, &hole) == 0) {
        company->hole_due = GAP_NONE;
        /* In front of the first event the store does not have it, so it is remembered here. */
        if (head.seq == 0)
            company->floor = hole.position;
    }
    free(data);
}

/* Numbers one message and hands its event on, or refuses it: only with its number is its size known. */
static void number_message(struct intake *intake, struct company *company, const struct transformed *event,
                           const struct source_message *message, int64_t received_ns)
{
    uint64_t now_ms = (uint64_t)clock_unix_ms();
    struct event_position head;
    struct frame_event numbered = {
        .kind = FRAME_EVENT,
        .subject = event->subject,
        .event = event->event,
        .received_ns = received_ns,
    };

    numbered.payload = source_message_payload(message, &numbered.payload_size);
    if (company->hole_due != GAP_NONE)
        add_hole(intake, company, company->hole_due, now_ms);
    head = company->head;
    numbered.position = (struct event_position){.seq = head.seq + 1, .ms = now_ms > head.ms ? now_ms : head.ms};
    if (frame_encoded_size(&numbered) > intake->options.max_event_bytes) {
        reject(intake, message, TRANSFORM_TOO_LARGE);
        return;
    }
    if (company->since_ms == 0)
        company->since_ms = numbered.position.ms;
    if (company->hole_due == GAP_NONE && add_frame(intake, company, &numbered) == 0) {
        metrics_add(intake->options.metrics, METRIC_EVENTS_ACCEPTED, 1);
        return;
    }
    company->hole_due = GAP_SOURCE;
    metrics_add(intake->options.metrics, METRIC_DROPPED_MEMORY, 1);
}

/* Parking: what arrives for a company whose head is not known yet. */

/* Returns false when there is no memory: then the item stays the caller's, and a hole goes before the next event. */
static bool park(struct intake *intake, struct company *company, const struct parked *item)
{
    struct parked *parked = malloc(sizeof *parked);

    if (!parked) {
        company->hole_due = item->message ? GAP_SOURCE : item->hole;
        return false;
    }
    *parked = *item;
    *company->parked_last = parked;
    company->parked_last = &parked->next;
    intake->parked++;
    return true;
}

static void park_message(struct intake *intake, struct company *company, struct source_message *message,
                         const struct transformed *event, int64_t received_ns)
{
    if (park(intake, company, &(struct parked){.message = message, .received_ns = received_ns, .event = *event}))
        return;
    metrics_add(intake->options.metrics, METRIC_DROPPED_MEMORY, 1);
    source_message_free(message);
}

/* Writes a hole down now, or in its place among the messages that wait. */
static void write_hole(struct intake *intake, struct company *company, enum gap_reason reason)
{
    if (company->loading)
        (void)park(intake, company, &(struct parked){.hole = reason});
    else
        add_hole(intake, company, reason, (uint64_t)clock_unix_ms());
}

static void unpark(struct intake *intake, struct company *company)
{
    struct parked *parked = company->parked;

    company->parked = NULL;
    company->parked_last = &company->parked;
    while (parked) {
        struct parked *next = parked->next;

        if (parked->message)
            number_message(intake, company, &parked->event, parked->message, parked->received_ns);
        else
            add_hole(intake, company, parked->hole, (uint64_t)clock_unix_ms());
        source_message_free(parked->message);
        free(parked);
        intake->parked--;
        parked = next;
    }
}

/* Heads. */

/* The company's numbering goes on from `head`; NULL: the store does not say, so it starts anew. */
static void adopt_head(struct intake *intake, struct company *company, const struct store_head *head)
{
    uint64_t noted_hole_ms = store_noted_hole(intake->options.store);
    struct ring *recent;

    /* Not known: whatever a client has from before now is for the store to judge, once it is back. */
    company->head = (struct event_position){.ms = (uint64_t)clock_unix_ms(), .seq = 0};
    if (head && head->exists) {
        company->head = head->position;
        company->since_ms = head->since_ms;
        company->floor = head->floor;
        strcpy(company->subject, head->subject);
    } else if (head) {
        company->head = (struct event_position){.ms = noted_hole_ms > 0 ? noted_hole_ms + 1 : 0, .seq = 0};
        company->floor = company->head;
    }
    recent = ring_new(company->head);
    if (!recent)
        abort(); /* without a ring the company could not say what it loses */
    ring_free(company->recent);
    company->recent = recent;
    company->loading = false;
    if (!head)
        appender_set_unsynced(intake->options.appender, company);
    hub_company_ready(intake->options.hub, company);
    if (head && head->exists && head->position.ms < noted_hole_ms)
        add_hole(intake, company, GAP_SOURCE, noted_hole_ms);
    unpark(intake, company);
}

static void on_head(void *context, int status, const struct store_head *head)
{
    struct company *company = context;

    adopt_head(company->intake, company, status < 0 ? NULL : head);
}

struct company *intake_company(struct intake *intake, const char *name)
{
    struct company *company = companies_get(intake->options.companies, name);

    if (company)
        return company;
    company = companies_add(intake->options.companies, name);
    if (!company)
        return NULL;
    company->intake = intake;
    company->appender = intake->options.appender;
    company->loading = true;
    company->rate = publish_rate_make(intake->options.events_per_second, intake->options.bytes_per_second);
    store_load(intake->options.store, name, on_head, company);
    return company;
}

void intake_release(struct intake *intake, struct company *company)
{
    bool quiet =
        company->head.seq == 0 || (!company->unsynced && (int64_t)company->head.ms < clock_unix_ms() - QUIET_MS);

    if (!quiet || company->loading || company->readings || company->subscriptions || !appender_is_done_with(company))
        return;
    /* Or a company could have its burst again and again. */
    if (!publish_rate_is_new(&company->rate, clock_monotonic_ns()))
        return;
    appender_forget(intake->options.appender, company);
    hub_forget(intake->options.hub, company);
    companies_remove(intake->options.companies, company);
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
        write_hole(intake, company, GAP_RATE_LIMITED);
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

static void take_message(struct intake *intake, struct source_message *message, int64_t received_ns)
{
    struct transformed event;
    struct company *company;
    size_t size;
    const char *payload = source_message_payload(message, &size);
    enum transform_result result =
        transform_message(intake->options.transform, source_message_subject(message), payload, size, &event);

    if (result != TRANSFORM_ACCEPTED) {
        reject(intake, message, result);
        source_message_free(message);
        return;
    }
    company = intake_company(intake, event.company);
    if (!company) {
        metrics_add(intake->options.metrics, METRIC_DROPPED_MEMORY, 1);
        source_message_free(message);
        return;
    }
    if (!is_within_rate(intake, company, size, received_ns)) {
        source_message_free(message);
        return;
    }
    if (company->loading) {
        park_message(intake, company, message, &event, received_ns);
        return;
    }
    number_message(intake, company, &event, message, received_ns);
    source_message_free(message);
}

static void take_hole(struct company *company, void *context)
{
    write_hole(context, company, GAP_SOURCE);
}

void intake_take(struct intake *intake, const struct source_item *item)
{
    if (item->message) {
        take_message(intake, item->message, item->received_ns);
        return;
    }
    log_write(intake->options.log, LOG_LEVEL_WARN, "Events may have been missed at the source: clients are told",
              LOG_FIELDS(log_number("dropped", item->dropped),
                         log_number("companies", (int64_t)companies_count(intake->options.companies))));
    companies_each(intake->options.companies, take_hole, intake);
    store_note_hole(intake->options.store, (uint64_t)clock_unix_ms());
}

bool intake_may_take(const struct intake *intake)
{
    return intake->parked < intake->options.max_parked;
}

int64_t intake_parked(const struct intake *intake)
{
    return (int64_t)intake->parked;
}

static void tick_company(struct company *company, void *context)
{
    /* Whoever came after the hole that dropping began with was told of nothing yet. */
    if (publish_rate_settle(&company->rate, clock_monotonic_ns()))
        write_hole(context, company, GAP_RATE_LIMITED);
    intake_release(context, company);
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

static void drop_parked(struct company *company, void *context)
{
    (void)context;
    while (company->parked) {
        struct parked *next = company->parked->next;

        source_message_free(company->parked->message);
        free(company->parked);
        company->parked = next;
    }
}

void intake_free(struct intake *intake)
{
    if (!intake)
        return;
    companies_each(intake->options.companies, drop_parked, NULL);
    free(intake);
}
