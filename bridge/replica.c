#include "bridge/replica.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "bridge/batches.h"
#include "bridge/doubt.h"
#include "bridge/fanout.h"
#include "bridge/heads.h"
#include "bridge/intake.h"
#include "bridge/kin.h"
#include "bridge/live.h"
#include "bridge/mirror.h"
#include "bridge/ownership.h"
#include "bridge/shadow.h"
#include "core/clock.h"

#define MS INT64_C(1000000)

enum {
    SHADOW_MS = 5000, /* how long a message waits to be heard as an event, and a batch to be wanted by a new owner */
    HELLO_MS = 500,   /* between two */
    PAUSE_MS = 2000,  /* whoever says nothing for longer may be taken for gone */
    MARGIN_MS = 250,  /* by how much a message may reach the owner later than us */
    KEPT_BYTES = 16 * 1024 * 1024,
    MESSAGE_BYTES = 64 * 1024 * 1024,
};

struct replica {
    struct replica_options options;
    struct live_id id;
    struct kin *kin;
    struct heads *heads;
    struct shadow *shadow;
    struct doubt *doubt;
    struct ownership *ownership;
    struct fanout *fanout;
    struct mirror *mirror;
    struct intake *intake;
    struct census *census;
    struct buffer message;
    struct batches *batches;
    bool is_complete; /* nothing that the owner sent is missing here */
    bool is_unsure;   /* an owner was heard, but not what of our messages it had numbered */
    bool is_retired;
    int64_t retired_ns;
    bool has_listened; /* the hole in front of the first connection was dealt with */
    int64_t next_hello_ns;
    int64_t asked_ns; /* when it was asked first for what is missing; 0: not yet */
    int64_t run_ns;   /* the last turn */
    int64_t owner_ns; /* when an owner that had seen everything was heard last */
    int64_t taken_ns; /* when what was taken last from the source was received */
};

/* Sending. */

static void publish(struct replica *replica)
{
    if (!replica->message.failed)
        (void)source_publish(replica->options.source, replica->options.live_subject, replica->message.data,
                             replica->message.size);
}

/* Whether others know more, as far as we know. */
static bool is_in_doubt(const struct replica *replica)
{
    return doubt_exists(replica->doubt) || !replica->is_complete;
}

static struct live_header header_of(const struct replica *replica, enum live_type type)
{
    return (struct live_header){
        .type = type,
        .from = replica->id,
        .epoch = ownership_epoch(replica->ownership),
        .batch = ownership_heard_batch(replica->ownership),
        .store_lost = store_state(replica->options.store) != STORE_READY,
        .has_hole = is_in_doubt(replica),
        .store = store_id(replica->options.store),
    };
}

static void send(struct replica *replica, enum live_type type)
{
    struct live_header header = header_of(replica, type);

    live_begin(&replica->message, &header);
    publish(replica);
}

static int64_t earlier(int64_t a_ns, int64_t b_ns)
{
    return a_ns < b_ns ? a_ns : b_ns;
}

/* How old the oldest message is that came, and of whose event the others were not told yet. */
static uint32_t lag_ms(struct replica *replica)
{
    int64_t now_ns = clock_monotonic_ns();
    bool is_behind = source_pending(replica->options.source, SOURCE_EVENTS) > 0;
    int64_t oldest_ns = earlier(heads_oldest_ns(replica->heads), fanout_oldest_ns(replica->fanout));
    int64_t age_ms;

    oldest_ns = earlier(oldest_ns, is_behind ? replica->taken_ns : now_ns);
    /* What came since is for the next owner. */
    if (replica->is_retired)
        oldest_ns = earlier(oldest_ns, replica->retired_ns);
    age_ms = (now_ns - oldest_ns) / MS;
    return age_ms < UINT32_MAX ? (uint32_t)age_ms : UINT32_MAX;
}

/* What others have heard of and we have not is not stored either. */
static uint64_t stored_ms(const struct replica *replica)
{
    uint64_t kept_ms = appender_stored_ms(replica->options.appender);
    uint64_t sent_ms = fanout_first_ms(replica->fanout);

    return kept_ms < sent_ms ? kept_ms : sent_ms;
}

/* For the ownership. */
static void send_header(void *context, struct live_header *header)
{
    struct replica *replica = context;

    if (header->type == LIVE_OWNER) {
        header->stored_ms = stored_ms(replica);
        header->hole_ms = store_noted_hole(replica->options.store);
        header->lag_ms = lag_ms(replica);
    }
    header->has_hole = is_in_doubt(replica);
    live_begin(&replica->message, header);
    publish(replica);
}

/* Sends a batch of the owner before to the one that has just begun. */
static void salvage_one(void *context, uint64_t batch, const struct live_reader *body)
{
    struct replica *replica = context;
    struct live_header header = header_of(replica, LIVE_SALVAGE);

    header.batch = batch;
    live_begin(&replica->message, &header);
    live_put_body(&replica->message, body);
    publish(replica);
}

/* A new owner has begun, which heard the one before up to that batch: sends it what came behind. */
static void salvage(struct replica *replica, uint64_t epoch, uint64_t batch)
{
    batches_each(replica->batches, epoch, batch, salvage_one, replica);
    send(replica, LIVE_SALVAGED);
}

/* Tells the owner of a company whose clients may miss something. */
static void send_load(struct replica *replica, const struct company *company)
{
    struct live_header header = header_of(replica, LIVE_LOAD);

    live_begin(&replica->message, &header);
    live_put_company(&replica->message, company->name);
    publish(replica);
}

/* Hearing. */

static void ask(struct replica *replica)
{
    if (replica->is_complete)
        replica->next_hello_ns = 0;
    replica->asked_ns = 0;
    replica->is_complete = false;
    mirror_suspect(replica->mirror);
}

/*
 * Something that the owner sent until then is missing, or may be: it is asked to repeat what the store does not have. What it
 * numbered had reached us before.
 */
static void miss(struct replica *replica, int64_t received_ns)
{
    doubt_give_up(replica->doubt, received_ns);
    ask(replica);
}

static void hear_frames(struct replica *replica, const struct live_header *header, struct live_reader *reader,
                        int64_t received_ns)
{
    enum mirror_marks marks = doubt_exists(replica->doubt) ? MIRROR_DOUBTED : MIRROR_FIRST;

    if (ownership_is_owner(replica->ownership)) {
        fanout_hear(replica->fanout, header->batch);
        return;
    }
    if (mirror_take(replica->mirror, reader, received_ns, header->batch > 0 ? marks : MIRROR_REPEATED) < 0)
        miss(replica, received_ns);
}

/* A batch of the owner before, from one that heard it: several may send it. Returns whether it is to be kept. */
static bool hear_salvage(struct replica *replica, struct live_header *header, struct live_reader *reader,
                         int64_t received_ns)
{
    if (!ownership_is_salvaging(replica->ownership) || header->epoch != ownership_epoch(replica->ownership))
        return false;
    header->epoch = ownership_former_epoch(replica->ownership);
    if (batches_has(replica->batches, header->epoch, header->batch))
        return false;
    (void)mirror_take(replica->mirror, reader, received_ns, MIRROR_FIRST);
    return true;
}

static void ask_for_hole(struct company *company, void *context)
{
    struct replica *replica = context;

    if (company->head.ms < store_noted_hole(replica->options.store))
        send_load(replica, company);
}

/* The owner writes it down for the companies that it has in memory; ours are others. */
static void hear_hole(struct replica *replica, uint64_t hole_ms, int64_t received_ns)
{
    if (hole_ms <= store_noted_hole(replica->options.store))
        return;
    /* What it missed, and we did not, is told to be missed: behind what it numbers now it would be out of order. */
    doubt_give_up(replica->doubt, received_ns);
    store_note_hole(replica->options.store, hole_ms);
    companies_each(replica->options.companies, ask_for_hole, replica);
}

static void hear_owner(struct replica *replica, const struct live_header *header, int64_t received_ns)
{
    int64_t lag_ns = header->lag_ms * MS;

    appender_hear_owner(replica->options.appender, header->stored_ms, !header->store_lost);
    hear_hole(replica, header->hole_ms, received_ns);
    /* It has told the events of all that we got by then, and we have heard what it told. */
    if (replica->is_complete)
        doubt_hear_told(replica->doubt, received_ns - lag_ns - MARGIN_MS * MS);
    replica->owner_ns = received_ns;
    replica->is_unsure = !replica->is_complete;
    shadow_expire(replica->shadow, received_ns - SHADOW_MS * MS - lag_ns);
    if (header->former_epoch > 0)
        salvage(replica, header->former_epoch, header->former_batch);
}

/*
 * The owner knows of us from here on, and has repeated what the store does not have. What it had numbered before had reached
 * us before, too.
 */
static void hear_welcome(struct replica *replica, const struct live_header *header, int64_t received_ns)
{
    if (!live_id_equals(header->about, replica->id))
        return;
    /* What it numbered alone since it was asked the first time. */
    if (header->batch != ownership_heard_batch(replica->ownership))
        mirror_suspect(replica->mirror);
    ownership_set_heard_batch(replica->ownership, header->batch);
    doubt_give_up(replica->doubt, received_ns);
    replica->is_complete = true;
    replica->is_unsure = false;
    mirror_fill(replica->mirror);
}

static void hear_hello(struct replica *replica, const struct live_header *header)
{
    struct live_header welcome;

    if (!ownership_may_number(replica->ownership, clock_monotonic_ns()))
        return;
    fanout_flush(replica->fanout);
    ownership_announce(replica->ownership);
    fanout_repeat(replica->fanout);
    welcome = header_of(replica, LIVE_WELCOME);
    welcome.about = header->from;
    welcome.batch = ownership_last_batch(replica->ownership);
    live_begin(&replica->message, &welcome);
    publish(replica);
}

static void hear_load(struct replica *replica, struct live_reader *reader)
{
    char company[COMPANY_ID_SIZE];

    if (ownership_is_owner(replica->ownership) && live_read_company(reader, company) == 0)
        (void)heads_get(replica->heads, company);
}

/* What the message says is done. Returns whether it is a batch to be kept. */
static bool hear(struct replica *replica, struct live_header *header, struct live_reader *reader, int64_t received_ns)
{
    bool is_own = live_id_equals(header->from, replica->id);
    enum ownership_hearing hearing;

    if (!kin_may_join(replica->kin, received_ns) || !kin_is_ours(replica->kin, header, received_ns))
        return false;
    hearing = ownership_hear(replica->ownership, header, received_ns);
    if (hearing == OWNERSHIP_MISSED && !is_own)
        miss(replica, received_ns);
    /* What was sent before that and not heard was lost on its way: the others miss it, and ask for it. */
    if (is_own && header->type == LIVE_OWNER && ownership_is_owner(replica->ownership) &&
        header->epoch == ownership_epoch(replica->ownership))
        fanout_hear(replica->fanout, header->batch);
    if (hearing == OWNERSHIP_STALE)
        return false;
    switch (header->type) {
    case LIVE_FRAMES:
        hear_frames(replica, header, reader, received_ns);
        return header->batch > 0;
    case LIVE_OWNER:
        hear_owner(replica, header, received_ns);
        break;
    case LIVE_WELCOME:
        hear_welcome(replica, header, received_ns);
        break;
    case LIVE_HELLO:
        hear_hello(replica, header);
        break;
    case LIVE_SALVAGE:
        return hear_salvage(replica, header, reader, received_ns);
    case LIVE_LOAD:
        hear_load(replica, reader);
        break;
    case LIVE_ASK:
    case LIVE_COUNTS:
        if (census_hear(replica->census, header, reader) < 0)
            kin_refuse(replica->kin);
        break;
    case LIVE_PEER:
    case LIVE_SALVAGED:
    case LIVE_RELEASE:
        break;
    }
    return false;
}

void replica_take_live(struct replica *replica, const struct source_item *item)
{
    struct live_reader reader;
    struct live_header header;
    size_t size;
    const char *payload;

    if (!item->message) {
        /* An owner finds the same among the events. */
        if (!ownership_is_owner(replica->ownership))
            miss(replica, item->received_ns);
        return;
    }
    payload = source_message_payload(item->message, &size);
    if (live_read_header(&reader, payload, size, &header) < 0)
        kin_refuse(replica->kin);
    else if (hear(replica, &header, &reader, item->received_ns)) {
        batches_add(replica->batches, item, &header);
        return;
    }
    source_message_free(item->message);
}

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
    if (!item->message)
        take_hole(replica, item);
    else if (doubt_is_given_up(replica->doubt, item->received_ns))
        source_message_free(item->message);
    else if (!replica->is_retired && ownership_may_number(replica->ownership, now_ns))
        intake_take(replica->intake, item);
    else
        shadow_add(replica->shadow, item);
}

/* Roles. */

static void began(void *context)
{
    struct replica *replica = context;

    /* An owner that was there, and was not heard, would have answered: what came later it has not numbered. */
    if (!replica->is_complete)
        doubt_give_up(replica->doubt, replica->is_unsure || replica->asked_ns == 0
                                          ? clock_monotonic_ns()
                                          : replica->asked_ns + MARGIN_MS * MS);
    /* What the owner before had appended is in the store. It is read before places are compared with the store's. */
    if (!replica->is_complete)
        mirror_fill(replica->mirror);
    appender_set_active(replica->options.appender, true);
    replica->is_complete = true;
    replica->is_unsure = false;
    fanout_flush(replica->fanout);
    doubt_number_all(replica->doubt, replica->intake, shadow_has_dropped(replica->shadow, replica->owner_ns));
}

static void return_company(struct company *company, void *context)
{
    struct replica *replica = context;

    heads_take_parked(replica->heads, company, doubt_return_parked, replica->doubt);
    doubt_end_return(replica->doubt);
}

static void ended(void *context)
{
    struct replica *replica = context;

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
        send_load(replica, company);
    }
    if (!replica->is_complete && !ownership_is_owner(replica->ownership))
        company->suspect = true;
    else if (company->suspect)
        heads_fill(replica->heads, company);
}

struct company *replica_company(struct replica *replica, const char *name)
{
    return heads_get(replica->heads, name);
}

void replica_release(struct replica *replica, struct company *company)
{
    heads_release(replica->heads, company);
}

/* The thread's turns. */

bool replica_may_take(const struct replica *replica)
{
    return heads_may_park(replica->heads) && !fanout_is_full(replica->fanout);
}

/* Asks the owner to repeat what is missing here. */
static void send_hello(struct replica *replica, int64_t now_ns)
{
    send(replica, LIVE_HELLO);
    if (replica->asked_ns == 0)
        replica->asked_ns = now_ns;
    replica->next_hello_ns = now_ns + HELLO_MS * MS;
}

void replica_run(struct replica *replica)
{
    struct source *source = replica->options.source;
    struct ownership_turn turn = {
        .now_ns = clock_monotonic_ns(),
        .connected = kin_may_join(replica->kin, clock_monotonic_ns()) && source_is_connected(source),
        .caught_up = source_pending(source, SOURCE_LIVE) == 0,
        .may_have_hole = is_in_doubt(replica),
    };

    /* This process was stopped for a while: an owner that took it for gone tells nobody what it numbers. */
    if (!ownership_is_owner(replica->ownership) && turn.now_ns - replica->run_ns > PAUSE_MS * MS) {
        miss(replica, turn.now_ns);
        turn.may_have_hole = true;
    }
    replica->run_ns = turn.now_ns;
    /* What was numbered is told before it is said to be, and not when another may have begun. */
    if (ownership_is_owner(replica->ownership))
        (void)ownership_may_number(replica->ownership, turn.now_ns);
    fanout_flush(replica->fanout);
    ownership_run(replica->ownership, &turn);
    if (mirror_is_wanting(replica->mirror) && replica->is_complete && !ownership_is_owner(replica->ownership))
        miss(replica, turn.now_ns);
    if (!replica->is_complete && turn.connected && turn.now_ns >= replica->next_hello_ns)
        send_hello(replica, turn.now_ns);
    fanout_flush(replica->fanout);
    census_run(replica->census, turn.now_ns);
}

int64_t replica_deadline_ns(const struct replica *replica)
{
    int64_t deadline_ns = ownership_deadline_ns(replica->ownership);

    if (!replica->is_complete && source_is_connected(replica->options.source) && replica->next_hello_ns < deadline_ns)
        deadline_ns = replica->next_hello_ns;
    if (kin_deadline_ns(replica->kin) < deadline_ns)
        deadline_ns = kin_deadline_ns(replica->kin);
    if (census_deadline_ns(replica->census) < deadline_ns)
        deadline_ns = census_deadline_ns(replica->census);
    return deadline_ns;
}

static void tick_company(struct company *company, void *context)
{
    heads_release(context, company);
}

void replica_tick(struct replica *replica)
{
    batches_expire(replica->batches, clock_monotonic_ns());
    if (ownership_is_owner(replica->ownership))
        intake_tick(replica->intake);
    companies_each(replica->options.companies, tick_company, replica->heads);
}

bool replica_has_peers(const struct replica *replica)
{
    return ownership_peers(replica->ownership) > 0;
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
}

bool replica_is_settled(const struct replica *replica)
{
    return !fanout_is_waiting(replica->fanout);
}

bool replica_has_begun(const struct replica *replica)
{
    return replica->has_listened && replica->is_complete && !is_in_doubt(replica) &&
           ownership_has_owner(replica->ownership);
}

void replica_leave(struct replica *replica)
{
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
    replica->batches = batches_new(SHADOW_MS * MS, KEPT_BYTES);
    replica->shadow = shadow_new((size_t)config->source_pending_events, (size_t)config->source_pending_bytes);
    replica->heads = heads_new(&(struct heads_options){
        .store = options->store,
        .appender = options->appender,
        .hub = options->hub,
        .companies = options->companies,
        .max_parked = (size_t)config->source_pending_events,
        .events_per_second = config->publish_events_per_second,
        .bytes_per_second = config->publish_bytes_per_second,
        .metrics = options->metrics,
        .unpark = unpark,
        .loaded = loaded,
        .context = replica,
    });
    replica->ownership = ownership_new(&(struct ownership_options){
        .id = replica->id,
        .store = options->store,
        .send = send_header,
        .began = began,
        .ended = ended,
        .context = replica,
        .log = options->log,
        .metrics = options->metrics,
    });
    replica->doubt = doubt_new(replica->shadow);
    if (!replica->kin || !replica->batches || !replica->shadow || !replica->doubt || !replica->heads ||
        !replica->ownership)
        return -1;
    replica->fanout = fanout_new(&(struct fanout_options){
        .heads = replica->heads,
        .companies = options->companies,
        .shadow = replica->shadow,
        .ownership = replica->ownership,
        .source = options->source,
        .id = replica->id,
        .live_subject = options->live_subject,
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
        .dead_letter_subject = config->dead_letter_subject,
        .max_event_bytes = (size_t)config->max_event_bytes,
        .log = options->log,
        .metrics = options->metrics,
    });
    replica->census = census_new(&(struct census_options){
        .id = replica->id,
        .ownership = replica->ownership,
        .source = options->source,
        .live_subject = options->live_subject,
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
    replica->message = buffer_make(MESSAGE_BYTES);
    if (getrandom(&replica->id, sizeof replica->id, 0) != (ssize_t)sizeof replica->id || make_parts(replica) < 0) {
        replica_free(replica);
        return NULL;
    }
    if (ownership_is_alone(replica->ownership)) {
        replica->is_complete = true;
        appender_set_active(options->appender, true);
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
    ownership_free(replica->ownership);
    heads_free(replica->heads);
    doubt_free(replica->doubt);
    shadow_free(replica->shadow);
    kin_free(replica->kin);
    buffer_release(&replica->message);
    free(replica);
}
