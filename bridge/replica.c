#include "bridge/replica.h"

#include <stdlib.h>
#include <sys/random.h>

#include "bridge/replica_parts.h"
#include "core/clock.h"

#define MS INT64_C(1000000)

enum {
    TURN_MS = 350,   /* between two turns at most, since signs of life are due; else this process was stopped */
    PAUSE_MS = 2000, /* whoever says nothing for longer may be taken for gone */
    KEPT_BYTES = 16 * 1024 * 1024,
};

/* Events. */

/*
 * Messages were missed here. An owner that was away lets another go on who was not; one that only was too slow, or that is
 * alone, writes it down.
 */
static void take_hole(struct replica *replica, const struct source_item *item)
{
    bool was_away = item->dropped == 0;

    replica->has_listened = true;
    if (ownership_is_owner(replica->ownership) &&
        !(was_away && (replica_has_heir(replica) || fanout_is_waiting(replica->fanout)))) {
        intake_take_hole(replica->intake, item->dropped);
        return;
    }
    doubt_note_hole(replica->doubt, item->received_ns);
    ownership_release(replica->ownership, "events may have been missed here");
}

void replica_take_event(struct replica *replica, const struct source_item *item)
{
    int64_t now_ns = clock_monotonic_ns();

    replica->taken_ns = item->received_ns;
    /* A hole in a stream has its place among what is numbered. */
    if (!item->message && !replica->options.place) {
        take_hole(replica, item);
    } else if (doubt_is_given_up(replica->doubt, item->received_ns)) {
        source_message_free(item->message);
    } else if (!replica->is_retired && ownership_may_number(replica->ownership, now_ns)) {
        intake_take(replica->intake, item);
        stream_place_note(replica->options.place, item->sequence);
    } else {
        shadow_add(replica->shadow, item);
    }
}

/* Roles. */

/* The owner before was asked for it, perhaps, and has not written it down. */
static void write_noted_hole(struct company *company, void *context)
{
    struct replica *replica = context;

    if (!company->loading && company->head.ms < store_noted_hole(replica->options.store))
        intake_write_hole(replica->intake, company, GAP_SOURCE);
}

static void began(void *context)
{
    struct replica *replica = context;
    int64_t now_ns = clock_monotonic_ns();
    int64_t answered_ns = replica->asked_ns + REPLICA_MARGIN_NS;

    /* An owner that was there, and was not heard, would have answered: what came later it has not numbered. */
    if (!replica->is_complete)
        doubt_give_up(replica->doubt,
                      replica->is_unsure || replica->asked_ns == 0 || answered_ns > now_ns ? now_ns : answered_ns);
    /* What the owner before had appended is in the store. It is read before places are compared with the store's. */
    mirror_fill(replica->mirror);
    appender_set_active(replica->options.appender, true);
    replica->is_complete = true;
    replica->is_unsure = false;
    fanout_flush(replica->fanout);
    companies_each(replica->options.companies, write_noted_hole, replica);
    doubt_number_all(replica->doubt, replica->intake, shadow_has_dropped(replica->shadow, replica->owner_ns));
    stream_place_begin(replica->options.place, replica->fanout);
}

static void return_company(struct company *company, void *context)
{
    struct replica *replica = context;

    company->numbered = company->head;
    heads_take_parked(replica->heads, company, doubt_return_parked, replica->doubt);
    doubt_end_return(replica->doubt);
}

static void ended(void *context)
{
    struct replica *replica = context;

    replica->hole_ms = store_noted_hole(replica->options.store);
    stream_place_end(replica->options.place);
    fanout_void(replica->fanout, doubt_return_frame, replica->doubt);
    doubt_end_return(replica->doubt);
    companies_each(replica->options.companies, return_company, replica);
    appender_set_active(replica->options.appender, false);
}

/* Companies. */

static void unpark(void *context, struct company *company, struct parked *parked)
{
    struct replica *replica = context;

    if (parked->frame)
        mirror_unpark(replica->mirror, company, parked);
    else if (ownership_may_number(replica->ownership, clock_monotonic_ns()))
        intake_unpark(replica->intake, company, parked);
    else
        doubt_return_parked(replica->doubt, parked);
    if (!ownership_is_owner(replica->ownership))
        doubt_end_return(replica->doubt);
}

static void loaded(void *context, struct company *company, uint64_t hole_ms)
{
    struct replica *replica = context;

    if (hole_ms > 0 && ownership_is_owner(replica->ownership)) {
        intake_add_hole(replica->intake, company, GAP_SOURCE, hole_ms);
    } else if (hole_ms > 0) {
        replica_send_load(replica, company);
    }
    if (!replica->is_complete && !ownership_is_owner(replica->ownership))
        company->suspect = true;
    else if (company->suspect)
        heads_fill(replica->heads, company);
}

/* Who numbers goes on with what there is. */
static bool is_patient(void *context)
{
    const struct replica *replica = context;

    return !ownership_is_owner(replica->ownership);
}

struct company *replica_company(struct replica *replica, const char *name)
{
    return heads_get(replica->heads, name);
}

void replica_refresh(struct replica *replica, struct company *company)
{
    bool may_miss = company->suspect || !source_is_connected(replica->options.source);

    if (may_miss && !ownership_is_owner(replica->ownership))
        heads_refresh(replica->heads, company);
}

void replica_release(struct replica *replica, struct company *company)
{
    heads_release(replica->heads, company);
}

/* The thread's turns. */

/* Before the place is saved, which would be in front of what is to be read again. */
static void read_again(struct replica *replica)
{
    uint64_t failed = intake_take_failed(replica->intake);

    if (failed == 0)
        return;
    metrics_add(replica->options.metrics, METRIC_STREAM_RESTARTS, 1);
    stream_place_go_back(replica->options.place, failed);
}

void replica_note_turn(struct replica *replica, int64_t now_ns)
{
    if (now_ns - replica->run_ns > TURN_MS * MS)
        replica->late_ns = now_ns + REPLICA_MARGIN_NS;
}

bool replica_may_take(const struct replica *replica)
{
    return heads_may_park(replica->heads) && !fanout_is_full(replica->fanout) &&
           !appender_is_behind(replica->options.appender);
}

void replica_run(struct replica *replica)
{
    struct source *source = replica->options.source;
    struct ownership_turn turn = {
        .now_ns = clock_monotonic_ns(),
        .connected = kin_may_join(replica->kin, clock_monotonic_ns()) && source_is_connected(source),
        .caught_up = source_pending(source, SOURCE_LIVE) == 0,
        .may_have_hole = replica_is_in_doubt(replica),
    };

    /* What was numbered is told before it is said to be, and not when another may have begun. */
    if (ownership_is_owner(replica->ownership))
        (void)ownership_may_number(replica->ownership, turn.now_ns);
    /* This process was stopped for a while, as an owner perhaps: one that took it for gone tells nobody what it numbers. */
    if (!ownership_is_owner(replica->ownership) && turn.now_ns - replica->run_ns > PAUSE_MS * MS) {
        replica_miss(replica, turn.now_ns);
        turn.may_have_hole = true;
    }
    replica_note_turn(replica, turn.now_ns);
    replica->run_ns = turn.now_ns;
    read_again(replica);
    if (!turn.connected)
        echo_note_away(replica->echo);
    fanout_flush(replica->fanout);
    ownership_run(replica->ownership, &turn);
    if (mirror_is_wanting(replica->mirror) && replica->is_complete && !ownership_is_owner(replica->ownership))
        replica_miss(replica, turn.now_ns);
    if (!replica->is_complete && turn.connected && turn.now_ns >= replica->next_hello_ns)
        replica_send_hello(replica, turn.now_ns);
    fanout_flush(replica->fanout);
    census_run(replica->census, turn.now_ns);
    stream_place_run(replica->options.place);
}

int64_t replica_deadline_ns(const struct replica *replica)
{
    int64_t deadline_ns = ownership_deadline_ns(replica->ownership);

    /* Numbered since the last turn, when a head was read. */
    if (fanout_is_due(replica->fanout))
        return 0;
    if (!replica->is_complete && source_is_connected(replica->options.source) && replica->next_hello_ns < deadline_ns)
        deadline_ns = replica->next_hello_ns;
    if (kin_deadline_ns(replica->kin) < deadline_ns)
        deadline_ns = kin_deadline_ns(replica->kin);
    if (census_deadline_ns(replica->census) < deadline_ns)
        deadline_ns = census_deadline_ns(replica->census);
    if (stream_place_deadline_ns(replica->options.place) < deadline_ns)
        deadline_ns = stream_place_deadline_ns(replica->options.place);
    return deadline_ns;
}

static void tick_company(struct company *company, void *context)
{
    struct replica *replica = context;

    if (replica->is_complete)
        heads_fill_again(replica->heads, company);
    heads_release(replica->heads, company);
}

void replica_tick(struct replica *replica)
{
    batches_expire(replica->batches, clock_monotonic_ns());
    if (ownership_is_owner(replica->ownership))
        intake_tick(replica->intake);
    intake_release(replica->intake);
    read_again(replica);
    stream_place_tick(replica->options.place);
    companies_each(replica->options.companies, tick_company, replica);
}

bool replica_is_open(const struct replica *replica)
{
    bool is_owner = ownership_is_owner(replica->ownership);

    return !replica->options.place || (is_owner ? stream_place_has_caught_up(replica->options.place)
                                                : replica->owner_has_caught_up && replica_has_begun(replica));
}

bool replica_has_peers(const struct replica *replica)
{
    return ownership_peers(replica->ownership) > 0;
}

bool replica_may_have_peers(const struct replica *replica)
{
    return ownership_may_have_peers(replica->ownership);
}

bool replica_has_heir(const struct replica *replica)
{
    return ownership_is_owner(replica->ownership) ? ownership_has_heir(replica->ownership) : replica_has_peers(replica);
}

void replica_retire(struct replica *replica)
{
    if (!replica->is_retired)
        replica->retired_ns = clock_monotonic_ns();
    replica->is_retired = true;
    stream_place_retire(replica->options.place);
}

bool replica_is_settled(const struct replica *replica)
{
    return !fanout_is_waiting(replica->fanout);
}

bool replica_has_begun(const struct replica *replica)
{
    return replica->has_listened && replica->is_complete && !replica_is_in_doubt(replica) &&
           ownership_has_owner(replica->ownership);
}

void replica_leave(struct replica *replica)
{
    read_again(replica);
    stream_place_save(replica->options.place);
    ownership_retire(replica->ownership);
}

void replica_count_streams(struct replica *replica, census_done done, void *context)
{
    census_ask(replica->census, done, context);
}

int64_t replica_waiting(const struct replica *replica)
{
    return heads_parked(replica->heads);
}

/* Making. */

static int make_parts(struct replica *replica)
{
    const struct replica_options *options = &replica->options;
    const struct config *config = options->config;

    replica->kin = kin_new(&(struct kin_options){
        .id = replica->id, .store = options->store, .log = options->log, .metrics = options->metrics});
    replica->echo = echo_new(options->live_subject, options->log, options->metrics);
    replica->batches = batches_new(REPLICA_SHADOW_NS, KEPT_BYTES);
    /* What a stream keeps for the next owner is not kept here. */
    replica->shadow = options->place
                          ? shadow_new(1, 0)
                          : shadow_new((size_t)config->source_pending_events, (size_t)config->source_pending_bytes);
    replica->heads = heads_new(&(struct heads_options){
        .store = options->store,
        .appender = options->appender,
        .hub = options->hub,
        .companies = options->companies,
        .max_parked = (size_t)config->source_pending_events,
        .max_parked_bytes = (size_t)config->source_pending_bytes,
        .place = options->place,
        .events_per_second = config->publish_events_per_second,
        .bytes_per_second = config->publish_bytes_per_second,
        .unpark = unpark,
        .loaded = loaded,
        .is_patient = is_patient,
        .context = replica,
    });
    replica->ownership = ownership_new(&(struct ownership_options){
        .id = replica->id,
        .store = options->store,
        .send = replica_send_header,
        .began = began,
        .ended = ended,
        .context = replica,
        .log = options->log,
        .metrics = options->metrics,
    });
    replica->doubt = doubt_new(options->place ? NULL : replica->shadow);
    if (!replica->kin || !replica->echo || !replica->batches || !replica->shadow || !replica->doubt ||
        !replica->heads || !replica->ownership)
        return -1;
    replica->voice = voice_new(&(struct voice_options){
        .id = replica->id,
        .ownership = replica->ownership,
        .store = options->store,
        .source = options->source,
        .live_subject = options->live_subject,
    });
    if (!replica->voice)
        return -1;
    replica->fanout = fanout_new(&(struct fanout_options){
        .store = options->store,
        .heads = replica->heads,
        .companies = options->companies,
        .shadow = replica->shadow,
        .ownership = replica->ownership,
        .voice = replica->voice,
    });
    replica->mirror = mirror_new(&(struct mirror_options){
        .heads = replica->heads,
        .companies = options->companies,
        .hub = options->hub,
        .shadow = replica->shadow,
        .log = options->log,
        .metrics = options->metrics,
    });
    replica->intake = intake_new(&(struct intake_options){
        .store = options->store,
        .heads = replica->heads,
        .fanout = replica->fanout,
        .shadow = replica->shadow,
        .source = options->source,
        .transform = options->transform,
        .companies = options->companies,
        .subjects = config->nats_subjects,
        .dead_letter_subject = config->dead_letter_subject,
        .max_event_bytes = (size_t)config->max_event_bytes,
        .log = options->log,
        .metrics = options->metrics,
    });
    replica->census = census_new(&(struct census_options){
        .id = replica->id,
        .ownership = replica->ownership,
        .source = options->source,
        .voice = replica->voice,
        .streams = options->streams,
    });
    return replica->fanout && replica->mirror && replica->intake && replica->census ? 0 : -1;
}

struct replica *replica_new(const struct replica_options *options)
{
    struct replica *replica = calloc(1, sizeof *replica);

    if (!replica)
        return NULL;
    replica->options = *options;
    replica->run_ns = clock_monotonic_ns();
    replica->has_listened = options->place != NULL;
    if (getrandom(&replica->id, sizeof replica->id, 0) != (ssize_t)sizeof replica->id || make_parts(replica) < 0) {
        replica_free(replica);
        return NULL;
    }
    if (ownership_is_alone(replica->ownership)) {
        replica->is_complete = true;
        appender_set_active(options->appender, true);
        stream_place_begin(options->place, replica->fanout);
    }
    return replica;
}

void replica_free(struct replica *replica)
{
    if (!replica)
        return;
    census_free(replica->census);
    batches_free(replica->batches);
    intake_free(replica->intake);
    mirror_free(replica->mirror);
    fanout_free(replica->fanout);
    voice_free(replica->voice);
    ownership_free(replica->ownership);
    heads_free(replica->heads);
    doubt_free(replica->doubt);
    shadow_free(replica->shadow);
    echo_free(replica->echo);
    kin_free(replica->kin);
    free(replica);
}
