#include "support/seam_model.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/buffer.h"

const char *const seam_company_names[SEAM_COMPANIES] = {"acme", "beta"};

void seam_violate(struct seam_model *model, const char *what, const char *format, ...)
{
    va_list arguments;

    if (model->violation)
        return;
    model->violation = what;
    va_start(arguments, format);
    vsnprintf(model->detail, sizeof model->detail, format, arguments);
    va_end(arguments);
}

/* The truth. */

/* Set while a schedule runs: hub_publish() has no other way to it. */
static struct seam_model *current;

void __real_hub_publish(struct hub *hub, struct company *company, struct frame *frame);
void __wrap_hub_publish(struct hub *hub, struct company *company, struct frame *frame);

static int company_index(const char *name)
{
    return strcmp(name, seam_company_names[0]) == 0 ? 0 : 1;
}

static int payload_number(const char *payload)
{
    const char *number = strstr(payload, "\"n\":");

    return number ? atoi(number + 4) : -1;
}

static void note_truth(struct seam_model *model, int company, const struct frame *frame)
{
    struct seam_truth *entry = &model->truth[company][model->truth_count[company]];
    struct buffer payload = buffer_make(65536);

    if (model->truth_count[company] == SEAM_TRUTH_MAX)
        abort();
    frame_append_payload(frame, &payload);
    buffer_append(&payload, "", 1);
    entry->is_hole = frame_kind(frame) == FRAME_HOLE;
    entry->position = frame_position(frame);
    entry->number = entry->is_hole ? -1 : payload_number(payload.data);
    snprintf(entry->event, sizeof entry->event, "%s", frame_event_name(frame));
    frame_id(frame, entry->id);
    buffer_release(&payload);
    /* In front of the first event holes may share a place: a company that has none is forgotten at once. */
    if (model->truth_count[company] > 0 && entry[-1].position.seq > 0 &&
        event_position_compare(entry[-1].position, entry->position) >= 0)
        seam_violate(model, "positions increase", "%s after %s", entry->id, entry[-1].id);
    model->truth_count[company]++;
}

void __wrap_hub_publish(struct hub *hub, struct company *company, struct frame *frame)
{
    if (current)
        note_truth(current, company_index(company->name), frame);
    __real_hub_publish(hub, company, frame);
}

int seam_truth_up_to(const struct seam_model *model, int company, struct event_position position)
{
    int count = 0;

    while (count < model->truth_count[company] &&
           event_position_compare(model->truth[company][count].position, position) <= 0)
        count++;
    return count;
}

void seam_model_begin(struct seam_model *model)
{
    memset(model, 0, offsetof(struct seam_model, truth));
    model->is_shown = getenv("SEAM_SHOW") != NULL;
    current = model;
}

void seam_model_end(void)
{
    current = NULL;
}

void seam_model_doubt(struct seam_model *model)
{
    for (int i = 0; i < SEAM_COMPANIES; i++)
        model->forgetful[i] = true;
}

/* What clients see. */

void seam_view_init(struct seam_view *view, struct seam_model *model, int number, int company)
{
    view->model = model;
    view->number = number;
    view->company = company;
    view->filter = NULL;
    view->last_id[0] = '\0';
    view->at = -1;
}

void seam_view_open(struct seam_view *view, int opened_at)
{
    view->opened_at = opened_at;
    view->ready = false;
    view->was_ready = false;
    view->incomplete = false;
    view->replayed = 0;
    view->store_state = 0;
    view->gap_count = 0;
    view->ended = false;
    if (!view->last_id[0])
        view->at = -1;
}

static void describe_gaps(const struct seam_view *view, char *text, size_t size)
{
    size_t at = 0;

    text[0] = '\0';
    for (int i = 0; i < view->gap_count && at < size; i++)
        at += (size_t)snprintf(text + at, size - at, " %s:%" PRId64, view->gaps[i].reason, view->gaps[i].missed);
}

/* Whether a gap may be told though nothing is known to be missing: nobody can know, and it says so. */
static bool may_be_unsure(const struct seam_view *view)
{
    for (int i = 0; i < view->gap_count; i++)
        if (view->gaps[i].missed != -1)
            return false;
    return view->model->forgetful[view->company] || view->model->hole_ms > 0;
}

static const char *inexact(const char *reason)
{
    if (strcmp(reason, "slow_consumer") == 0)
        return "`missed` of a slow consumer's gap is exact where it is a number";
    if (strcmp(reason, "expired") == 0)
        return "`missed` of an expired id's gap is exact where it is a number";
    return "`missed` is exact where it is a number";
}

/* Whether the entry is one that the client may have. Holes are for everybody. */
static bool is_for(const struct seam_view *view, const struct seam_truth *entry)
{
    return entry->is_hole || !view->filter || strcmp(entry->event, view->filter) == 0;
}

/* What gaps say in sum. */
struct told {
    int64_t slow;  /* by slow_consumer: of the client's events */
    int64_t other; /* by others, that is by the bridge: of all events */
    bool unknown;
};

static struct told sum_gaps(const struct seam_view *view)
{
    struct told told = {0};

    for (int i = 0; i < view->gap_count; i++) {
        const struct seam_gap *gap = &view->gaps[i];

        if (gap->missed == -1)
            told.unknown = true;
        else if (strcmp(gap->reason, "slow_consumer") == 0)
            told.slow += gap->missed;
        else
            told.other += gap->missed;
    }
    return told;
}

bool seam_view_lacks(const struct seam_view *view)
{
    const struct seam_truth *truth = view->model->truth[view->company];
    struct told told = sum_gaps(view);
    int64_t lacking = 0;
    bool holes = false;

    if (view->at < 0)
        return true;
    for (int i = view->at; i < view->model->truth_count[view->company]; i++) {
        lacking += !truth[i].is_hole && is_for(view, &truth[i]);
        holes |= truth[i].is_hole;
    }
    /* What it was told of last, behind which nothing came that it may have: any gap tells of a hole, too. */
    return (lacking > told.slow + told.other && !told.unknown) || (holes && view->gap_count == 0);
}

static bool is_stored(struct fake_store *store, const char *company, struct event_position position)
{
    for (size_t i = 0; i < fake_store_count(store, company); i++)
        if (event_position_compare(fake_store_at(store, company, i), position) == 0)
            return true;
    return false;
}

/* Nothing that can still be had is passed over, and nobody is too slow. */
static void check_refill(struct seam_view *view, int from, int to)
{
    const char *company = seam_company_names[view->company];

    if (!view->model->store)
        return;
    for (int i = 0; i < view->gap_count; i++)
        if (strcmp(view->gaps[i].reason, "slow_consumer") == 0)
            seam_violate(view->model, "nobody is too slow to be caught up", "%s", company);
    for (int i = from; i < to && !view->model->is_unreadable; i++) {
        const struct seam_truth *entry = &view->model->truth[view->company][i];

        if (is_for(view, entry) && is_stored(view->model->store, company, entry->position))
            seam_violate(view->model, "what the store has is sent", "%s is passed over", entry->id);
    }
}

/* The entries `from` to `to` were passed without being sent: the gaps must say so, and only then. */
static void check_gaps(struct seam_view *view, int from, int to, const char *next)
{
    const struct seam_truth *truth = view->model->truth[view->company];
    struct told told = sum_gaps(view);
    int64_t missing = 0; /* of the client's events */
    int64_t passed = 0;  /* of all */
    bool holes = false;
    char gaps[256];

    for (int i = from; i < to; i++) {
        missing += !truth[i].is_hole && is_for(view, &truth[i]);
        passed += !truth[i].is_hole;
        holes |= truth[i].is_hole;
    }
    check_refill(view, from, to);
    describe_gaps(view, gaps, sizeof gaps);
    if (view->gap_count == 0 && missing > 0)
        seam_violate(view->model, "an event is lost unsaid", "before %s: %" PRId64 " missing", next, missing);
    else if (view->gap_count == 0 && holes && !view->model->data_lost)
        seam_violate(view->model, "a hole is lost unsaid", "before %s", next);
    else if (view->gap_count > 0 && (told.other > 0 ? passed : missing) == 0 && !holes && !may_be_unsure(view))
        seam_violate(view->model, "a gap is told where nothing is missing", "before %s:%s", next, gaps);
    else if (view->gap_count > 0 && (told.slow > missing || told.slow + told.other > passed ||
                                     (!told.unknown && told.slow + told.other < missing)))
        seam_violate(view->model, inexact(view->gaps[0].reason), "before %s: %" PRId64 " missing, told:%s", next,
                     missing, gaps);
    view->gap_count = 0;
}

static void move_to(struct seam_view *view, int to, bool is_own, const char *id)
{
    if (view->at < 0 && !is_own) {
        /* Live only: wherever it begins, it is told its place. */
        if (to < view->opened_at)
            seam_violate(view->model, "no id means live only", "%s was there before", id);
        view->gap_count = 0;
    } else if (view->at < 0) {
        if (to - 1 < view->opened_at && strncmp(id, "hole-0-", 7) != 0)
            seam_violate(view->model, "no id means live only", "%s was there before", id);
        view->gap_count = 0;
    } else if (to < view->at || (is_own && to == view->at)) {
        seam_violate(view->model, "exactly once and in order", "%s is sent again", id);
    } else {
        check_gaps(view, view->at, is_own ? to - 1 : to, id);
    }
    view->at = to;
    strcpy(view->last_id, id);
}

static void see_event(struct seam_view *view, const struct sse_block *block)
{
    struct seam_model *model = view->model;
    const struct seam_truth *truth = model->truth[view->company];
    int number = payload_number(block->data);
    char mark[64];

    snprintf(mark, sizeof mark, "\"companyId\":\"%s\"", seam_company_names[view->company]);
    if (!strstr(block->data, mark)) {
        seam_violate(model, "never an event of another company", "%s", block->data);
        return;
    }
    for (int i = 0; i < model->truth_count[view->company]; i++) {
        if (truth[i].number != number)
            continue;
        if (strcmp(truth[i].id, block->id) != 0 || strcmp(block->event, truth[i].event) != 0)
            seam_violate(model, "an event keeps its id and name", "%s is %s", block->id, truth[i].id);
        if (!is_for(view, &truth[i]))
            seam_violate(model, "a client gets only the events that it may have", "%s", block->event);
        view->replayed += !view->ready;
        move_to(view, i + 1, true, block->id);
        return;
    }
    seam_violate(model, "an event that never was", "%s", block->data);
}

/* Whether there are only holes from there on to where the client came. */
static bool only_holes_since(const struct seam_view *view, int from)
{
    const struct seam_truth *truth = view->model->truth[view->company];

    while (from < view->opened_at && truth[from].is_hole)
        from++;
    return from >= view->opened_at;
}

static void see_bare_id(struct seam_view *view, const char *id)
{
    struct seam_model *model = view->model;
    struct event_position position;
    bool is_hole = strncmp(id, "hole-", 5) == 0 && !view->was_ready;
    bool is_start = strncmp(id, "start-0-", 8) == 0;
    int to;

    if (!event_id_parse(id, strlen(id), &position)) {
        seam_violate(model, "ids are well-formed", "%s", id);
        return;
    }
    to = seam_truth_up_to(model, view->company, position);
    /*
     * A store that lost all of a company knows of no event that was there before. And whether it has noted a hole is not always known:
     * a `start` id then stands in front of it, and who comes back with that is told of a gap too many.
     */
    if (is_start && to < view->opened_at && (model->data_lost || only_holes_since(view, to)))
        to = view->opened_at;
    if (!is_start && (to == 0 || strcmp(model->truth[view->company][to - 1].id, id) != 0))
        seam_violate(model, "an id that never was", "%s", id);
    if (is_hole && view->gap_count > 0 && strcmp(view->gaps[view->gap_count - 1].reason, "source") == 0)
        view->gap_count--;
    else if (is_hole)
        seam_violate(model, "a hole is a gap with an id behind it", "%s", id);
    if (view->was_ready && strcmp(view->ready_head, id) != 0)
        seam_violate(model, "the id behind stream.ready is its head", "%s, not %s", id, view->ready_head);
    move_to(view, to, is_hole, id);
}

static const char *member_text(const char *data, const char *name, char *value, size_t size)
{
    char key[32];
    const char *at;

    snprintf(key, sizeof key, "\"%s\":", name);
    at = strstr(data, key);
    if (!at)
        return NULL;
    at += strlen(key);
    at += *at == '"';
    snprintf(value, size, "%.*s", (int)strcspn(at, "\",}"), at);
    return value;
}

static void see_gap(struct seam_view *view, const char *data)
{
    struct seam_gap *gap = &view->gaps[view->gap_count];
    char missed[32] = "";

    if (view->gap_count == SEAM_GAPS_MAX || !member_text(data, "reason", gap->reason, sizeof gap->reason) ||
        !member_text(data, "missed", missed, sizeof missed)) {
        seam_violate(view->model, "gaps are well-formed", "%s", data);
        return;
    }
    gap->missed = strcmp(missed, "null") == 0 ? -1 : atoll(missed);
    view->gap_count++;
    view->incomplete |= !view->ready;
}

static void see_ready(struct seam_view *view, const char *data)
{
    char value[EVENT_ID_SIZE] = "";

    if (view->ready)
        seam_violate(view->model, "stream.ready comes once", "%s", data);
    if (!member_text(data, "replayed", value, sizeof value) || atoll(value) != view->replayed)
        seam_violate(view->model, "stream.ready counts the replay", "%s, not %" PRId64, value, view->replayed);
    if (!member_text(data, "complete", value, sizeof value) || (strcmp(value, "true") == 0) == view->incomplete)
        seam_violate(view->model, "stream.ready says whether the replay is complete", "%s", value);
    if (!member_text(data, "head", view->ready_head, sizeof view->ready_head))
        seam_violate(view->model, "stream.ready says the head", "%s", data);
    view->ready = true;
}

static void see_store(struct seam_view *view, const char *data)
{
    int state = strstr(data, "\"lost\"") != NULL;

    if (!view->ready || state == view->store_state)
        seam_violate(view->model, "stream.store is told once, behind stream.ready", "%s", data);
    view->store_state = state;
}

void seam_view_block(const struct sse_block *block, void *context)
{
    struct seam_view *view = context;
    bool was_ready = false;

    if (view->model->is_shown)
        print_message("  client %d: %s %s %s\n", view->number, block->event, block->id, block->data);

    if (block->has_event && strcmp(block->event, "stream.gap") == 0) {
        see_gap(view, block->data);
    } else if (block->has_event && strcmp(block->event, "stream.ready") == 0) {
        see_ready(view, block->data);
        was_ready = true;
    } else if (block->has_event && strcmp(block->event, "stream.store") == 0) {
        see_store(view, block->data);
    } else if (block->has_event && strcmp(block->event, "stream.closing") == 0) {
        view->ended = true;
    } else if (block->has_event) {
        see_event(view, block);
    } else if (block->has_id) {
        see_bare_id(view, block->id);
    }
    view->was_ready = was_ready;
}
