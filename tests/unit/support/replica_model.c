#include "support/replica_model.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/buffer.h"
#include "core/clock.h"

const char *const model_company_names[MODEL_COMPANIES] = {"acme", "beta"};

void model_begin(struct replica_model *model)
{
    model->violation = NULL;
    model->intact = false;
    model->is_shown = getenv("REPLICA_SHOW") != NULL;
    for (int i = 0; i < MODEL_PUBLISHERS; i++)
        for (int j = 0; j < MODEL_COMPANIES; j++)
            model->published[i][j].count = 0;
    for (int i = 0; i < MODEL_COMPANIES; i++)
        model->seen_count[i] = 0;
}

void model_promise(struct replica_model *model)
{
    model->intact = true;
    model->intact_ms = (uint64_t)clock_unix_ms();
}

void model_violate(struct replica_model *model, const char *what, const char *format, ...)
{
    va_list arguments;

    if (model->violation)
        return;
    model->violation = what;
    va_start(arguments, format);
    vsnprintf(model->detail, sizeof model->detail, format, arguments);
    va_end(arguments);
    if (model->is_shown)
        print_message("  VIOLATION %s: %s\n", what, model->detail);
}

void model_publish(struct replica_model *model, int publisher, int company, bool again, char ret_payload[64])
{
    struct model_published *published = &model->published[publisher][company];
    int number = published->count > 0 ? published->numbers[published->count - 1] : 0;

    if (published->count == MODEL_PUBLISHED_MAX)
        abort();
    if (!again || published->count == 0)
        number++;
    published->numbers[published->count++] = number;
    snprintf(ret_payload, 64, "{\"companyId\":\"%s\",\"p\":%d,\"n\":%d}", model_company_names[company], publisher,
             number);
}

/* Views. */

void model_view_begin(struct model_view *view, struct event_position before)
{
    view->open = true;
    view->jumped = false;
    view->last = before;
    view->cursor = (struct event_position){0, 0};
    for (int i = 0; i < MODEL_PUBLISHERS; i++)
        view->places[i] = (struct model_place){.begun = view->model->published[i][view->company].count};
}

void model_view_cursor(struct model_view *view, const char *cursor)
{
    if (!event_id_parse(cursor, strlen(cursor), &view->cursor))
        abort();
}

static void see_gap(struct model_view *view, const char *why, struct event_position position)
{
    for (int i = 0; i < MODEL_PUBLISHERS; i++)
        view->places[i].gap = true;
    if (view->model->intact && position.ms > view->model->intact_ms)
        model_violate(view->model, "no gap where nothing is lost", "%s: %s at %" PRIu64 "-%" PRIu64, view->name, why,
                      position.seq, position.ms);
}

static void parse(const struct frame *frame, int *ret_publisher, int *ret_number)
{
    struct buffer payload = buffer_make(65536);
    const char *at;

    frame_append_payload(frame, &payload);
    buffer_append(&payload, "", 1);
    at = strstr(payload.data, "\"p\":");
    if (!at || sscanf(at, "\"p\":%d,\"n\":%d", ret_publisher, ret_number) != 2)
        abort();
    buffer_release(&payload);
}

/* One place is one event, for whoever sees it. */
static void check_seen(struct model_view *view, struct event_position position, int publisher, int number)
{
    struct replica_model *model = view->model;
    int count = model->seen_count[view->company];
    struct model_seen *seen = model->seen[view->company];

    for (int i = 0; i < count; i++) {
        if (event_position_compare(seen[i].position, position) != 0)
            continue;
        if (seen[i].publisher != publisher || seen[i].number != number)
            model_violate(model, "one place is one event", "%s: %" PRIu64 "-%" PRIu64 " is p%d n%d, and p%d n%d",
                          view->name, position.seq, position.ms, publisher, number, seen[i].publisher, seen[i].number);
        return;
    }
    if (count < 2 * MODEL_PUBLISHED_MAX)
        seen[model->seen_count[view->company]++] = (struct model_seen){position, publisher, number};
}

/* The last of the publisher's events that may come next. */
static int latest_next(const struct model_place *place, const struct model_published *published)
{
    if (place->gap)
        return published->count - 1;
    return place->known ? place->high + 1 : place->begun;
}

static void check_place(struct model_view *view, int publisher, int number, struct event_position position)
{
    const struct model_published *published = &view->model->published[publisher][view->company];
    struct model_place *place = &view->places[publisher];
    int from = place->known ? place->low + 1 : 0;
    int to = latest_next(place, published);
    int low = -1;
    int high = -1;

    for (int i = from; i <= to && i < published->count; i++)
        if (published->numbers[i] == number) {
            low = low < 0 ? i : low;
            high = i;
        }
    if (low < 0) {
        bool is_again = place->known && number <= published->numbers[place->high];

        model_violate(view->model, is_again ? "no event comes twice or out of order" : "an event is lost unsaid",
                      "%s: p%d n%d at %" PRIu64 "-%" PRIu64 ", not behind n%d", view->name, publisher, number,
                      position.seq, position.ms, place->known ? published->numbers[place->high] : 0);
        return;
    }
    *place = (struct model_place){.known = true, .low = low, .high = high};
}

void model_view_frame(struct model_view *view, const struct frame *frame)
{
    struct event_position position = frame_position(frame);
    int publisher;
    int number;

    if (event_position_compare(position, view->last) <= 0)
        model_violate(view->model, "places rise", "%s: %" PRIu64 "-%" PRIu64 " behind %" PRIu64 "-%" PRIu64, view->name,
                      position.seq, position.ms, view->last.seq, view->last.ms);
    /* A hole at the cursor itself is one gap too many. */
    if (event_position_compare(position, view->cursor) < (frame_kind(frame) == FRAME_HOLE ? 0 : 1))
        model_violate(view->model, "what comes live is behind the cursor",
                      "%s: %" PRIu64 "-%" PRIu64 " behind %" PRIu64 "-%" PRIu64, view->name, position.seq, position.ms,
                      view->cursor.seq, view->cursor.ms);
    if (frame_kind(frame) == FRAME_HOLE) {
        if (view->model->is_shown)
            print_message("  %s: hole at %" PRIu64 "-%" PRIu64 "\n", view->name, position.seq, position.ms);
        see_gap(view, "a hole", position);
    } else {
        parse(frame, &publisher, &number);
        if (view->model->is_shown)
            print_message("  %s: p%d n%d at %" PRIu64 "-%" PRIu64 "\n", view->name, publisher, number, position.seq,
                          position.ms);
        /* A numbering that starts anew may have lost the end of the one before: only intact ones must not. */
        if (position.seq != view->last.seq + 1) {
            view->jumped = true;
            see_gap(view, "numbers are missing", position);
        }
        check_seen(view, position, publisher, number);
        check_place(view, publisher, number, position);
    }
    view->last = position;
}

void model_view_end(struct model_view *view)
{
    for (int i = 0; i < MODEL_PUBLISHERS; i++) {
        const struct model_published *published = &view->model->published[i][view->company];
        const struct model_place *place = &view->places[i];

        if (published->count == 0 || (place->known && (place->gap || place->high == published->count - 1)))
            continue;
        model_violate(view->model, "everybody gets everything", "%s: p%d ends with n%d, not n%d", view->name, i,
                      place->known ? published->numbers[place->high] : 0, published->numbers[published->count - 1]);
    }
}
