#include "bridge/replica_parts.h"
#include "core/clock.h"

#define MS INT64_C(1000000)

enum {
    HELLO_MS = 500,   /* between two */
    REFUSE_MS = 1500, /* that long they are not answered at most */
};

/* Sending. */

bool replica_is_in_doubt(const struct replica *replica)
{
    return doubt_exists(replica->doubt) || !replica->is_complete;
}

static struct live_header header_of(const struct replica *replica, enum live_type type)
{
    struct live_header header = voice_header(replica->voice, type);

    header.batch = ownership_heard_batch(replica->ownership);
    header.store_lost = store_state(replica->options.store) != STORE_READY;
    header.has_hole = replica_is_in_doubt(replica);
    return header;
}

static void send(struct replica *replica, enum live_type type)
{
    struct live_header header = header_of(replica, type);

    voice_say(replica->voice, &header);
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
    /* One that is about to begin has not told of what waits for that. */
    if (!ownership_is_owner(replica->ownership))
        oldest_ns = earlier(oldest_ns, shadow_oldest_ns(replica->shadow));
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

void replica_send_header(void *context, struct live_header *header)
{
    struct replica *replica = context;

    if (header->type == LIVE_OWNER) {
        header->stored_ms = stored_ms(replica);
        header->hole_ms = store_noted_hole(replica->options.store);
        header->place = stream_place_done(replica->options.place);
        header->lag_ms = replica->options.place ? !stream_place_has_caught_up(replica->options.place) : lag_ms(replica);
    }
    if (header->type == LIVE_OWNER || header->type == LIVE_PEER)
        echo_note_said(replica->echo);
    header->has_hole = replica_is_in_doubt(replica);
    voice_say(replica->voice, header);
}

/* Sends a batch of the owner before to the one that has just begun. */
static void salvage_one(void *context, uint64_t batch, const struct live_reader *body)
{
    struct replica *replica = context;
    struct live_header header = header_of(replica, LIVE_SALVAGE);

    header.batch = batch;
    live_put_body(voice_begin(replica->voice, &header), body);
    voice_send(replica->voice);
}

/* A new owner has begun, which heard the one before up to that batch: sends it what came behind. */
static void salvage(struct replica *replica, uint64_t epoch, uint64_t batch)
{
    batches_each(replica->batches, epoch, batch, salvage_one, replica);
    send(replica, LIVE_SALVAGED);
}

void replica_send_load(struct replica *replica, const struct company *company)
{
    struct live_header header = header_of(replica, LIVE_LOAD);

    live_put_company(voice_begin(replica->voice, &header), company->name);
    voice_send(replica->voice);
}

void replica_send_hello(struct replica *replica, int64_t now_ns)
{
    send(replica, LIVE_HELLO);
    if (replica->asked_ns == 0)
        replica->asked_ns = now_ns;
    replica->next_hello_ns = now_ns + HELLO_MS * MS;
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

void replica_miss(struct replica *replica, int64_t received_ns)
{
    doubt_give_up(replica->doubt, received_ns);
    ask(replica);
}

static void ask_for_hole(struct company *company, void *context)
{
    struct replica *replica = context;

    if (company->head.ms < store_noted_hole(replica->options.store))
        replica_send_load(replica, company);
}

/* The owner writes it down for the companies that it has in memory; ours are others. */
static void hear_hole(struct replica *replica, uint64_t hole_ms, int64_t received_ns)
{
    if (hole_ms <= replica->hole_ms)
        return;
    replica->hole_ms = hole_ms;
    /* What it missed, and we did not, is told to be missed: behind what it numbers now it would be out of order. */
    doubt_give_up(replica->doubt, received_ns);
    if (hole_ms > store_noted_hole(replica->options.store))
        store_note_hole(replica->options.store, hole_ms);
    companies_each(replica->options.companies, ask_for_hole, replica);
}

static void hear_frames(struct replica *replica, const struct live_header *header, struct live_reader *reader,
                        int64_t received_ns)
{
    enum mirror_marks marks;

    if (ownership_is_owner(replica->ownership)) {
        fanout_hear(replica->fanout, header->batch);
        return;
    }
    hear_hole(replica, header->hole_ms, received_ns);
    marks = doubt_exists(replica->doubt) ? MIRROR_DOUBTED : MIRROR_FIRST;
    if (mirror_take(replica->mirror, reader, received_ns, header->batch > 0 ? marks : MIRROR_REPEATED) < 0)
        replica_miss(replica, received_ns);
    /* Nobody has heard it before, and it is numbered all the same. */
    if (header->batch == 0 && live_id_equals(header->from, replica->id))
        replica_miss(replica, received_ns);
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

static void hear_owner(struct replica *replica, const struct live_header *header, int64_t received_ns)
{
    int64_t lag_ns = header->lag_ms * MS;

    appender_hear_owner(replica->options.appender, header->stored_ms, !header->store_lost);
    hear_hole(replica, header->hole_ms, received_ns);
    stream_place_hear_done(replica->options.place, header->place);
    /* It has told the events of all that we got by then, and we have heard what it told. When it said so is not known of late. */
    if (replica->is_complete && received_ns > replica->late_ns)
        doubt_hear_told(replica->doubt, received_ns - lag_ns - REPLICA_MARGIN_NS);
    replica->owner_ns = received_ns;
    replica->owner_has_caught_up = header->lag_ms == 0;
    replica->is_unsure = !replica->is_complete;
    shadow_expire(replica->shadow, received_ns - REPLICA_SHADOW_NS - lag_ns);
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

/*
 * Whether who asks would miss what can neither be repeated nor be found in the store yet: it asks again. Not for ever, since more
 * of that may come all the time.
 */
static bool must_refuse(struct replica *replica)
{
    int64_t now_ns = clock_monotonic_ns();
    bool refuse = store_state(replica->options.store) == STORE_READY && fanout_needs_store(replica->fanout);

    if (refuse && replica->refused_ns == 0)
        replica->refused_ns = now_ns;
    refuse &= now_ns - replica->refused_ns < REFUSE_MS * MS;
    if (!refuse)
        replica->refused_ns = 0;
    return refuse;
}

static void hear_hello(struct replica *replica, const struct live_header *header)
{
    struct live_header welcome;

    if (!ownership_may_number(replica->ownership, clock_monotonic_ns()))
        return;
    fanout_flush(replica->fanout);
    ownership_announce(replica->ownership);
    if (must_refuse(replica))
        return;
    fanout_repeat(replica->fanout);
    welcome = header_of(replica, LIVE_WELCOME);
    welcome.about = header->from;
    welcome.batch = ownership_last_batch(replica->ownership);
    voice_say(replica->voice, &welcome);
}

static void hear_load(struct replica *replica, struct live_reader *reader)
{
    char company[COMPANY_ID_SIZE];

    if (ownership_is_owner(replica->ownership) && live_read_company(reader, company) == 0)
        (void)heads_get(replica->heads, company);
}

/*
 * An owner that does not know of a later one, and of that one we know no more: the two numbered apart. What this one numbered is
 * not to be numbered again.
 */
static void hear_stale(struct replica *replica, const struct live_header *header, int64_t received_ns)
{
    bool is_of_owner = header->type == LIVE_OWNER || header->type == LIVE_FRAMES;

    if (is_of_owner && !ownership_has_owner(replica->ownership))
        replica_miss(replica, received_ns);
}

/* What the message says is done. Returns whether it is a batch to be kept. */
static bool hear(struct replica *replica, struct live_header *header, struct live_reader *reader, int64_t received_ns)
{
    bool is_own = live_id_equals(header->from, replica->id);
    enum ownership_hearing hearing;

    if (is_own)
        echo_note_heard(replica->echo);
    if (!kin_may_join(replica->kin, received_ns) || !kin_is_ours(replica->kin, header, received_ns))
        return false;
    hearing = ownership_hear(replica->ownership, header, received_ns);
    if (hearing == OWNERSHIP_MISSED && !is_own)
        replica_miss(replica, received_ns);
    /* What was sent before that and not heard was lost on its way: the others miss it, and ask for it. */
    if (is_own && header->type == LIVE_OWNER && ownership_is_owner(replica->ownership) &&
        header->epoch == ownership_epoch(replica->ownership))
        fanout_hear(replica->fanout, header->batch);
    if (hearing == OWNERSHIP_STALE) {
        if (!is_own)
            hear_stale(replica, header, received_ns);
        return false;
    }
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
    case LIVE_GONE:
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

    replica_note_turn(replica, clock_monotonic_ns());
    if (!item->message) {
        /* An owner finds the same among the events. */
        if (!ownership_is_owner(replica->ownership))
            replica_miss(replica, item->received_ns);
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
