#include "bridge/mirror.h"

#include <errno.h>
#include <stdlib.h>

#include "core/clock.h"

struct mirror {
    struct mirror_options options;
    bool is_wanting;
    struct log_limiter break_limiter;
};

/* A frame on its way into a company. */
struct heard {
    struct frame *frame;
    struct event_position before;
    uint64_t since_ms;
    int64_t received_ns;
};

static bool park(struct mirror *mirror, struct company *company, const struct heard *heard)
{
    struct parked parked = {.frame = frame_ref(heard->frame),
                            .before = heard->before,
                            .since_ms = heard->since_ms,
                            .received_ns = heard->received_ns};

    if (heads_park(mirror->options.heads, company, &parked))
        return true;
    frame_unref(heard->frame);
    return false;
}

static void push(struct mirror *mirror, struct company *company, const struct heard *heard)
{
    /* What may have been missing is not, or was told. */
    company->hole_due = GAP_NONE;
    if (heads_push(mirror->options.heads, company, heard->frame, heard->since_ms) == 0)
        return;
    /* The next one shows that it is missing, and it is fetched then. */
    metrics_add(mirror->options.metrics, METRIC_DROPPED_MEMORY, 1);
}

static void report_break(struct mirror *mirror, const struct company *company, const char *message)
{
    int64_t suppressed;

    metrics_add(mirror->options.metrics, METRIC_REPLICA_BREAKS, 1);
    if (log_limiter_allow(&mirror->break_limiter, &suppressed))
        log_write(mirror->options.log, LOG_LEVEL_ERROR, message,
                  LOG_FIELDS(log_text("companyId", company->name), log_number("suppressed", suppressed)));
}

/* Whether exactly that place is in memory, or older than what is. */
static bool is_held(const struct company *company, struct event_position position)
{
    bool exact;

    if (event_position_compare(position, ring_before(company->recent, ring_begin(company->recent))) <= 0)
        return true;
    (void)ring_find(company->recent, position, &exact);
    return exact;
}

/*
 * Clients here have events that the owner knows nothing of: an owner before it told only us. Its order is the one that counts:
 * the streams end, and come back to it with a gap.
 */
static void diverge(struct mirror *mirror, struct company *company, const struct heard *heard)
{
    report_break(mirror, company, "The owner's events are others than those heard before: streams start anew");
    heads_rebase(mirror->options.heads, company, heard->before);
    hub_reset(mirror->options.hub, company);
    push(mirror, company, heard);
}

/* Fetches what is missing in front of the frame; it waits for that. */
static void miss(struct mirror *mirror, struct company *company, const struct heard *heard)
{
    company->filling = true;
    company->suspect = true;
    /* Asked for once: the owner has repeated all that it could, and the rest comes by the store. */
    mirror->is_wanting |= company->unfilled_ns == 0;
    (void)park(mirror, company, heard);
}

/* Tells the company's clients that something in front of the frame is missing. */
static void tell_hole(struct mirror *mirror, struct company *company, const struct heard *heard)
{
    if (heads_push_hole(mirror->options.heads, company, heard->before) < 0)
        abort(); /* a gap not told would be a loss unsaid */
}

/* Goes on with the frame, and tells that something in front of it is missing. */
static void skip(struct mirror *mirror, struct company *company, const struct heard *heard)
{
    report_break(mirror, company,
                 "Events of the owner were missed, and the store does not have them: clients are told");
    tell_hole(mirror, company, heard);
    push(mirror, company, heard);
}

/*
 * Whether there is an event or a hole in front of the frame, and behind the head of a company of which nothing was known: the owner, which
 * knows no more, may have begun it later than this replica, and nothing is between.
 */
static bool is_behind_another(const struct mirror *mirror, const struct company *company, const struct heard *heard)
{
    return event_position_compare(company->head, heard->before) < 0 &&
           (heard->before.seq > 0 || heads_is_before_hole(mirror->options.heads, company));
}

/*
 * The order of a company of which nothing was known begins with this frame. Who was told that it begins now, and is not behind
 * the frame, comes back; and whoever came before what is in front of the frame misses it.
 */
static void begin_blank(struct mirror *mirror, struct company *company, const struct heard *heard)
{
    bool is_told = company->subscriptions && event_position_compare(frame_position(heard->frame), company->head) <= 0;

    if (company->subscriptions && is_behind_another(mirror, company, heard)) {
        tell_hole(mirror, company, heard);
        return;
    }
    heads_rebase(mirror->options.heads, company, heard->before);
    if (is_told)
        hub_reset(mirror->options.hub, company);
}

static void take_frame(struct mirror *mirror, struct company *company, const struct heard *heard)
{
    struct event_position position = frame_position(heard->frame);

    if (heads_is_busy(company)) {
        (void)park(mirror, company, heard);
        return;
    }
    if (company->blank)
        begin_blank(mirror, company, heard);
    if (event_position_compare(position, company->head) <= 0) {
        if (!is_held(company, position))
            diverge(mirror, company, heard);
    } else if (event_position_compare(heard->before, company->head) == 0) {
        push(mirror, company, heard);
    } else if (event_position_compare(heard->before, company->head) < 0) {
        diverge(mirror, company, heard);
    } else if (company->deferring) {
        (void)park(mirror, company, heard);
    } else if (company->settled) {
        skip(mirror, company, heard);
    } else {
        miss(mirror, company, heard);
    }
}

void mirror_unpark(struct mirror *mirror, struct company *company, const struct parked *parked)
{
    struct heard heard = {.frame = parked->frame,
                          .before = parked->before,
                          .since_ms = parked->since_ms,
                          .received_ns = parked->received_ns};

    take_frame(mirror, company, &heard);
    frame_unref(parked->frame);
}

static void strike(struct mirror *mirror, const struct heard *heard, enum mirror_marks marks)
{
    if (marks == MIRROR_FIRST)
        shadow_strike(mirror->options.shadow, frame_mark(heard->frame), heard->received_ns);
    else if (marks == MIRROR_DOUBTED)
        shadow_strike_received(mirror->options.shadow, frame_mark(heard->frame), heard->received_ns);
}

static int take_section(struct mirror *mirror, const struct live_section *section, struct live_reader *reader,
                        int64_t received_ns, enum mirror_marks marks)
{
    struct company *company = heads_get_blank(mirror->options.heads, section->company);
    struct heard heard = {.before = section->before, .since_ms = section->since_ms, .received_ns = received_ns};

    if (!company)
        return -ENOMEM;
    /* One that is new here may have gone on since. */
    company->suspect |= mirror->is_wanting;
    for (size_t i = 0; i < section->count; i++) {
        int status = live_read_frame(reader, received_ns, &heard.frame);

        if (status < 0)
            return status;
        strike(mirror, &heard, marks);
        take_frame(mirror, company, &heard);
        heard.before = frame_position(heard.frame);
        frame_unref(heard.frame);
    }
    return 0;
}

int mirror_take(struct mirror *mirror, struct live_reader *reader, int64_t received_ns, enum mirror_marks marks)
{
    struct live_section section;
    int status;

    while ((status = live_read_section(reader, &section)) == 1) {
        status = take_section(mirror, &section, reader, received_ns, marks);
        if (status < 0)
            return status;
    }
    return status;
}

static void suspect_one(struct company *company, void *context)
{
    (void)context;
    company->suspect = true;
}

void mirror_suspect(struct mirror *mirror)
{
    companies_each(mirror->options.companies, suspect_one, NULL);
    mirror->is_wanting = true;
}

bool mirror_is_wanting(const struct mirror *mirror)
{
    return mirror->is_wanting;
}

static void fill_one(struct company *company, void *context)
{
    struct mirror *mirror = context;

    /* What is being read of a company may be older than this: it is filled once it was read. */
    if (company->loading)
        company->suspect = true;
    else if (company->suspect)
        heads_fill(mirror->options.heads, company);
}

void mirror_fill(struct mirror *mirror)
{
    mirror->is_wanting = false;
    companies_each(mirror->options.companies, fill_one, mirror);
}

struct mirror *mirror_new(const struct mirror_options *options)
{
    struct mirror *mirror = calloc(1, sizeof *mirror);

    if (mirror)
        mirror->options = *options;
    return mirror;
}

void mirror_free(struct mirror *mirror)
{
    free(mirror);
}
