#include "bridge/ownership.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/peers.h"
#include "core/clock.h"

#define MS INT64_C(1000000)

enum {
    BEAT_MS = 300,     /* between two signs of life */
    LEASE_MS = 1500,   /* in the store */
    ALLOWED_MS = 1200, /* how long an owner goes on behind its last renewal or echo: less than others wait */
    SILENCE_MS = 1500, /* an owner not heard for so long may be gone */
    HELLO_MS = 150,    /* a new connection listens for an owner first */
    HOLE_MS = 200,     /* who may have missed messages hears who has not, and lets those go first */
    DEFER_MS = 3000,   /* for so long */
    RETRY_MIN_MS = 20, /* between two claims */
    RETRY_MAX_MS = 250,
    SALVAGE_MS = 200,     /* how long a new owner collects what others heard */
    STOPPED_MS = 1000,    /* whoever has no turn for so long was stopped */
    STORE_LOST_MS = 1500, /* without the store for so long, the replicas do without a lease */
    ALONE_MS = 3000,      /* a replica not heard for so long is gone, or gives up what it has (replica.c) */
};

enum state { FOLLOWING, SALVAGING, OWNING };

struct ownership {
    struct ownership_options options;
    char holder[LIVE_ID_TEXT_SIZE];
    bool alone; /* a store in memory: nobody else can own */
    bool retired;
    enum state state;
    int64_t now_ns; /* of the last turn */
    bool may_have_hole;

    /* The owner, as far as it is known. */
    uint64_t epoch;
    bool has_owner; /* the one of the epoch was heard, and has not given it up */
    struct live_id owner;
    int64_t owner_ns; /* when it was heard last */
    uint64_t heard_batch;
    uint64_t seen_epoch; /* the latest that anybody has heard of */

    /* While this replica owns. */
    int64_t confirmed_ns; /* when the last renewal or echo that has come back was sent */
    uint64_t last_batch;
    uint64_t former_epoch;
    uint64_t former_batch;
    int64_t salvage_end_ns;

    /* The lease. */
    bool claiming;
    int64_t claim_ns; /* when the claim under way was sent */
    int64_t next_claim_ns;

    int64_t resumed_ns;    /* since when this process has not been stopped */
    int64_t connected_ns;  /* since when NATS is there; 0: it is not */
    int64_t store_lost_ns; /* since when the store is not; 0: it is there */
    int64_t next_beat_ns;
    struct peers peers;
};

/* Talking. */

static bool has_store(const struct ownership *ownership)
{
    return store_state(ownership->options.store) == STORE_READY;
}

static void send(struct ownership *ownership, enum live_type type)
{
    bool is_owner = ownership->state != FOLLOWING;
    struct live_header header = {
        .type = type,
        .from = ownership->options.id,
        .epoch = ownership->epoch,
        .batch = is_owner ? ownership->last_batch : ownership->heard_batch,
        .sent_ns = (uint64_t)clock_monotonic_ns(),
        .store_lost = !has_store(ownership),
        .store = store_id(ownership->options.store),
    };

    if (ownership->state == SALVAGING) {
        header.former_epoch = ownership->former_epoch;
        header.former_batch = ownership->former_batch;
    }
    ownership->options.send(ownership->options.context, &header);
}

static void beat(struct ownership *ownership)
{
    ownership->next_beat_ns = ownership->now_ns + BEAT_MS * MS;
    send(ownership, ownership->state == FOLLOWING ? LIVE_PEER : LIVE_OWNER);
}

/* Beginning and ending. */

static void own(struct ownership *ownership)
{
    ownership->state = OWNING;
    metrics_set(ownership->options.metrics, METRIC_OWNER, 1);
    log_write(ownership->options.log, LOG_LEVEL_INFO, "This replica numbers the events",
              LOG_FIELDS(log_number("epoch", (int64_t)ownership->epoch),
                         log_number("peers", (int64_t)ownership->peers.count)));
    ownership->options.began(ownership->options.context);
}

static void begin(struct ownership *ownership, uint64_t epoch, int64_t confirmed_ns)
{
    ownership->former_epoch = ownership->epoch;
    ownership->former_batch = ownership->heard_batch;
    ownership->epoch = epoch;
    ownership->has_owner = true;
    ownership->owner = ownership->options.id;
    ownership->heard_batch = 0;
    ownership->last_batch = 0;
    ownership->confirmed_ns = confirmed_ns;
    ownership->state = SALVAGING;
    ownership->salvage_end_ns = ownership->now_ns + SALVAGE_MS * MS;
    peers_begin_salvage(&ownership->peers);
    if (has_store(ownership))
        store_set_epoch(ownership->options.store, epoch);
    metrics_add(ownership->options.metrics, METRIC_TAKEOVERS, 1);
    beat(ownership);
}

static void end(struct ownership *ownership, const char *reason)
{
    bool owned = ownership->state == OWNING;

    if (ownership->state == FOLLOWING)
        return;
    ownership->state = FOLLOWING;
    ownership->has_owner = false;
    /* Others first: whoever was stopped knows least. */
    ownership->next_claim_ns = clock_monotonic_ns() + RETRY_MAX_MS * MS;
    store_set_epoch(ownership->options.store, 0);
    metrics_set(ownership->options.metrics, METRIC_OWNER, 0);
    log_write(ownership->options.log, LOG_LEVEL_WARN, "This replica numbers the events no more",
              LOG_FIELDS(log_text("reason", reason), log_number("epoch", (int64_t)ownership->epoch)));
    if (owned)
        ownership->options.ended(ownership->options.context);
}

void ownership_release(struct ownership *ownership, const char *reason)
{
    if (ownership->state == FOLLOWING || ownership->alone)
        return;
    send(ownership, LIVE_RELEASE);
    store_release(ownership->options.store, ownership->holder);
    end(ownership, reason);
}

void ownership_retire(struct ownership *ownership)
{
    ownership->retired = true;
    ownership_release(ownership, "this replica ends");
    /* A claim under way would leave the lease to nobody. */
    if (ownership->claiming)
        store_release(ownership->options.store, ownership->holder);
    if (!ownership->alone)
        send(ownership, LIVE_GONE);
}

/* Hearing. */

static void follow(struct ownership *ownership, const struct live_header *header)
{
    bool other = header->epoch != ownership->epoch || !live_id_equals(header->from, ownership->owner);

    if (ownership->state != FOLLOWING)
        end(ownership, "another replica does");
    if (other) {
        /* Batches are counted from the owner's beginning: whoever heard the one before in full has missed nothing. */
        if (header->epoch != ownership->epoch)
            ownership->heard_batch = 0;
        log_write(ownership->options.log, LOG_LEVEL_INFO, "Another replica numbers the events",
                  LOG_FIELDS(log_number("epoch", (int64_t)header->epoch)));
    }
    ownership->epoch = header->epoch;
    ownership->owner = header->from;
}

/* Whether the sender is the owner, as far as we can know. */
static bool is_of_owner(struct ownership *ownership, const struct live_header *header)
{
    bool is_present = ownership->has_owner && live_id_equals(header->from, ownership->owner);

    if (header->epoch != ownership->epoch)
        return header->epoch > ownership->epoch;
    /* Two that began without the store have the same epoch: the lower id stays. */
    return !ownership->has_owner || is_present || memcmp(&header->from, &ownership->owner, sizeof header->from) < 0;
}

/*
 * Whether the sender has said before that it owns. One that was stopped may send a batch when it goes on, and see only then that
 * another has begun: who has just come does not know of either.
 */
static bool is_followed(const struct ownership *ownership, const struct live_header *header)
{
    return ownership->has_owner && header->epoch == ownership->epoch && live_id_equals(header->from, ownership->owner);
}

static enum ownership_hearing count_batch(struct ownership *ownership, const struct live_header *header)
{
    uint64_t expected = ownership->heard_batch + (header->type == LIVE_FRAMES ? 1 : 0);

    /* A batch that is repeated has no number. */
    if (header->type == LIVE_FRAMES && header->batch == 0)
        return OWNERSHIP_HEARD;
    if (header->batch < expected)
        return OWNERSHIP_STALE;
    if (header->type == LIVE_WELCOME)
        return OWNERSHIP_HEARD;
    /* What is missing is told once. */
    ownership->heard_batch = header->batch;
    return header->batch == expected ? OWNERSHIP_HEARD : OWNERSHIP_MISSED;
}

static enum ownership_hearing hear_owner(struct ownership *ownership, const struct live_header *header,
                                         int64_t received_ns)
{
    if (!is_of_owner(ownership, header) || (header->type == LIVE_FRAMES && !is_followed(ownership, header)))
        return OWNERSHIP_STALE;
    follow(ownership, header);
    ownership->has_owner = true;
    ownership->owner_ns = received_ns;
    return count_batch(ownership, header);
}

/* Our own voice, as NATS gives it back. */
static enum ownership_hearing hear_self(struct ownership *ownership, const struct live_header *header)
{
    if (header->epoch != ownership->epoch || (header->type != LIVE_OWNER && header->type != LIVE_FRAMES))
        return OWNERSHIP_STALE;
    if (ownership->state != FOLLOWING && (int64_t)header->sent_ns > ownership->confirmed_ns)
        ownership->confirmed_ns = (int64_t)header->sent_ns;
    return header->type == LIVE_FRAMES ? count_batch(ownership, header) : OWNERSHIP_STALE;
}

enum ownership_hearing ownership_hear(struct ownership *ownership, const struct live_header *header,
                                      int64_t received_ns)
{
    if (live_id_equals(header->from, ownership->options.id))
        return hear_self(ownership, header);
    if (header->type == LIVE_GONE) {
        peers_remove(&ownership->peers, header->from);
        return OWNERSHIP_HEARD;
    }
    peers_note(&ownership->peers, header, ownership->epoch, received_ns);
    if (header->epoch > ownership->seen_epoch)
        ownership->seen_epoch = header->epoch;
    switch (header->type) {
    case LIVE_OWNER:
    case LIVE_FRAMES:
    case LIVE_WELCOME:
        return hear_owner(ownership, header, received_ns);
    case LIVE_RELEASE:
        if (header->epoch == ownership->epoch && live_id_equals(header->from, ownership->owner)) {
            ownership->has_owner = false;
            ownership->next_claim_ns = 0;
        }
        return OWNERSHIP_HEARD;
    case LIVE_HELLO:
        /* One that may have just come hears who is there before it asks for the lease. */
        ownership->next_beat_ns = received_ns;
        break;
    case LIVE_PEER:
    case LIVE_SALVAGE:
    case LIVE_SALVAGED:
    case LIVE_LOAD:
    case LIVE_ASK:
    case LIVE_COUNTS:
    case LIVE_GONE:
        break;
    }
    /* Who has heard of a later owner does not listen to this one; should that one be gone, this one begins anew. */
    if (header->epoch > ownership->epoch)
        ownership_release(ownership, "another replica has heard of a later owner");
    return OWNERSHIP_HEARD;
}

/* Claiming. */

static int64_t later(int64_t a_ns, int64_t b_ns)
{
    return a_ns > b_ns ? a_ns : b_ns;
}

/* Whether this replica missed messages that another may have. */
static bool is_worse(const struct ownership *ownership)
{
    int64_t since_ns = later(later(ownership->connected_ns, ownership->resumed_ns), ownership->owner_ns);
    int64_t waited_ns = ownership->now_ns - since_ns;

    if (!ownership->may_have_hole || ownership->peers.count == 0)
        return false;
    return waited_ns < (HELLO_MS + HOLE_MS) * MS ||
           (waited_ns < DEFER_MS * MS && peers_have_heir(&ownership->peers, has_store(ownership)));
}

static void on_claim(void *context, int status, const struct store_lease *lease)
{
    struct ownership *ownership = context;
    int64_t left_ms;

    ownership->claiming = false;
    if (status < 0)
        return;
    if (lease->mine && ownership->retired) {
        store_release(ownership->options.store, ownership->holder);
        return;
    }
    /* The renewal of one that has ended since: what it sent, and others heard, was of this epoch. */
    if (lease->mine && ownership->state == FOLLOWING && lease->epoch <= ownership->epoch && !ownership->has_owner)
        return;
    if (lease->mine && ownership->state == FOLLOWING) {
        /* An owner that was heard meanwhile lives without the store: it is not to be disturbed. */
        if ((ownership->has_owner && ownership->owner_ns > ownership->claim_ns) || is_worse(ownership))
            store_release(ownership->options.store, ownership->holder);
        else
            begin(ownership, lease->epoch, ownership->claim_ns);
        return;
    }
    if (lease->mine) {
        ownership->epoch = lease->epoch > ownership->epoch ? lease->epoch : ownership->epoch;
        store_set_epoch(ownership->options.store, ownership->epoch);
        if (ownership->claim_ns > ownership->confirmed_ns)
            ownership->confirmed_ns = ownership->claim_ns;
        return;
    }
    end(ownership, "another replica has the lease");
    left_ms = lease->left_ms < RETRY_MIN_MS ? RETRY_MIN_MS : lease->left_ms;
    ownership->next_claim_ns = clock_monotonic_ns() + (left_ms < RETRY_MAX_MS ? left_ms : RETRY_MAX_MS) * MS;
}

/* epoch: of one that begins, more than any that was heard of, so that what is on its way from before is not taken for ours. */
static void claim(struct ownership *ownership, uint64_t epoch)
{
    struct store_claim request = {.holder = ownership->holder, .epoch = epoch, .lease_ms = LEASE_MS};

    ownership->claiming = true;
    ownership->claim_ns = clock_monotonic_ns();
    ownership->next_claim_ns = ownership->claim_ns + BEAT_MS * MS;
    store_claim(ownership->options.store, &request, on_claim, ownership);
}

static bool is_silent(const struct ownership *ownership, const struct ownership_turn *turn)
{
    if (!turn->caught_up)
        return false;
    return !ownership->has_owner || turn->now_ns - ownership->owner_ns > SILENCE_MS * MS;
}

static uint64_t last_epoch(const struct ownership *ownership)
{
    return ownership->epoch > ownership->seen_epoch ? ownership->epoch : ownership->seen_epoch;
}

/*
 * Of one that begins without the store: more than any that was heard of, and of the size of those that the store gives, which
 * has seen owners that this replica has not.
 */
static uint64_t next_epoch(const struct ownership *ownership)
{
    uint64_t now_us = (uint64_t)clock_unix_ms() * 1000;

    return now_us > last_epoch(ownership) ? now_us : last_epoch(ownership) + 1;
}

static void run_follower(struct ownership *ownership, const struct ownership_turn *turn)
{
    if (ownership->retired || !ownership->connected_ns || turn->now_ns - ownership->connected_ns < HELLO_MS * MS)
        return;
    if (!is_silent(ownership, turn) || is_worse(ownership)) {
        if (ownership->next_claim_ns <= turn->now_ns)
            ownership->next_claim_ns = turn->now_ns + RETRY_MIN_MS * MS;
        return;
    }
    if (has_store(ownership)) {
        if (!ownership->claiming && turn->now_ns >= ownership->next_claim_ns)
            claim(ownership, last_epoch(ownership) > 0 ? last_epoch(ownership) + 1 : 0);
        return;
    }
    if (turn->now_ns - ownership->store_lost_ns > STORE_LOST_MS * MS && !peers_have_store(&ownership->peers, false) &&
        peers_are_behind(&ownership->peers, ownership->options.id, ownership->epoch))
        begin(ownership, next_epoch(ownership), 0);
}

static bool is_confirmed(const struct ownership *ownership, int64_t now_ns)
{
    return now_ns - ownership->confirmed_ns < ALLOWED_MS * MS;
}

static void run_salvaging(struct ownership *ownership, const struct ownership_turn *turn)
{
    if (turn->now_ns < ownership->salvage_end_ns && !peers_have_salvaged(&ownership->peers))
        return;
    if (is_confirmed(ownership, turn->now_ns))
        own(ownership);
    else if (turn->now_ns > ownership->salvage_end_ns + ALLOWED_MS * MS)
        end(ownership, "NATS does not answer");
}

static void run_owner(struct ownership *ownership, const struct ownership_turn *turn)
{
    /* Before anything is numbered, or peers that were not heard meanwhile are taken for gone: it may have been stopped. */
    if (ownership->state == OWNING && !ownership_may_number(ownership, turn->now_ns))
        return;
    if (has_store(ownership) && !ownership->claiming && turn->now_ns >= ownership->next_claim_ns)
        claim(ownership, ownership->epoch);
    if (ownership->state == SALVAGING)
        run_salvaging(ownership, turn);
    if (!ownership->connected_ns && ownership->peers.count > 0)
        ownership_release(ownership, "NATS is away");
    else if (!has_store(ownership) && turn->now_ns - ownership->store_lost_ns > STORE_LOST_MS * MS &&
             peers_have_store(&ownership->peers, true))
        ownership_release(ownership, "another replica has the store, and this one has not");
}

void ownership_run(struct ownership *ownership, const struct ownership_turn *turn)
{
    if (turn->now_ns - ownership->now_ns > STOPPED_MS * MS)
        ownership->resumed_ns = turn->now_ns;
    ownership->now_ns = turn->now_ns;
    ownership->may_have_hole = turn->may_have_hole;
    if (ownership->alone)
        return;
    if (!turn->connected) {
        ownership->connected_ns = 0;
    } else if (!ownership->connected_ns) {
        ownership->connected_ns = turn->now_ns;
        ownership->next_beat_ns = turn->now_ns;
    }
    if (has_store(ownership)) {
        ownership->store_lost_ns = 0;
    } else if (!ownership->store_lost_ns) {
        ownership->store_lost_ns = turn->now_ns;
        /* Another may have the lease once the store is back: nothing is appended before it says that we have. */
        store_set_epoch(ownership->options.store, 0);
    }
    if (ownership->state == FOLLOWING)
        run_follower(ownership, turn);
    else
        run_owner(ownership, turn);
    peers_forget(&ownership->peers, turn->now_ns);
    metrics_set(ownership->options.metrics, METRIC_PEERS, (int64_t)ownership->peers.count);
    if (ownership->connected_ns && !ownership->retired && turn->now_ns >= ownership->next_beat_ns)
        beat(ownership);
}

void ownership_announce(struct ownership *ownership)
{
    beat(ownership);
}

int64_t ownership_deadline_ns(const struct ownership *ownership)
{
    int64_t deadline_ns = ownership->connected_ns && !ownership->retired ? ownership->next_beat_ns : INT64_MAX;
    int64_t claim_ns = later(ownership->next_claim_ns, ownership->connected_ns + HELLO_MS * MS);

    if (ownership->alone)
        return INT64_MAX;
    /* Behind that the echo of a beat is waited for. */
    if (ownership->state == SALVAGING && ownership->now_ns < ownership->salvage_end_ns &&
        ownership->salvage_end_ns < deadline_ns)
        deadline_ns = ownership->salvage_end_ns;
    if (ownership->state == FOLLOWING && (ownership->has_owner || !ownership->connected_ns || ownership->retired))
        return deadline_ns;
    /* A claim under way wakes us by its answer. */
    if (!ownership->claiming && has_store(ownership) && claim_ns < deadline_ns)
        deadline_ns = claim_ns;
    return deadline_ns;
}

/* Asking. */

bool ownership_may_number(struct ownership *ownership, int64_t now_ns)
{
    if (ownership->alone)
        return true;
    if (ownership->state != OWNING)
        return false;
    if (is_confirmed(ownership, now_ns))
        return true;
    end(ownership, "neither the lease nor NATS has answered in time");
    return false;
}

bool ownership_is_owner(const struct ownership *ownership)
{
    return ownership->state == OWNING;
}

bool ownership_is_salvaging(const struct ownership *ownership)
{
    return ownership->state == SALVAGING;
}

bool ownership_is_alone(const struct ownership *ownership)
{
    return ownership->alone;
}

bool ownership_has_owner(const struct ownership *ownership)
{
    return ownership->has_owner;
}

size_t ownership_peers(const struct ownership *ownership)
{
    return ownership->peers.count;
}

bool ownership_may_have_peers(const struct ownership *ownership)
{
    int64_t since_ns = later(ownership->connected_ns, ownership->resumed_ns);

    return ownership->peers.count > 0 || (ownership->connected_ns && ownership->now_ns - since_ns < ALONE_MS * MS);
}

bool ownership_has_heir(const struct ownership *ownership)
{
    return peers_have_heir(&ownership->peers, has_store(ownership));
}

size_t ownership_list_peers(const struct ownership *ownership, struct live_id *ret_ids, size_t max)
{
    size_t count = ownership->peers.count < max ? ownership->peers.count : max;

    for (size_t i = 0; i < count; i++)
        ret_ids[i] = ownership->peers.list[i].id;
    return count;
}

bool ownership_is_owned_by(const struct ownership *ownership, struct live_id id)
{
    if (live_id_equals(id, ownership->options.id))
        return ownership->state == OWNING;
    return ownership->has_owner && live_id_equals(id, ownership->owner);
}

uint64_t ownership_next_batch(struct ownership *ownership)
{
    return ++ownership->last_batch;
}

uint64_t ownership_last_batch(const struct ownership *ownership)
{
    return ownership->last_batch;
}

uint64_t ownership_epoch(const struct ownership *ownership)
{
    return ownership->epoch;
}

uint64_t ownership_heard_batch(const struct ownership *ownership)
{
    return ownership->heard_batch;
}

uint64_t ownership_former_epoch(const struct ownership *ownership)
{
    return ownership->former_epoch;
}

void ownership_set_heard_batch(struct ownership *ownership, uint64_t batch)
{
    ownership->heard_batch = batch;
}

/* Making. */

struct ownership *ownership_new(const struct ownership_options *options)
{
    struct ownership *ownership = calloc(1, sizeof *ownership);

    if (!ownership)
        return NULL;
    ownership->options = *options;
    live_id_format(options->id, ownership->holder);
    ownership->alone = store_is_memory(options->store);
    if (ownership->alone) {
        ownership->state = OWNING;
        ownership->has_owner = true;
        ownership->epoch = 1;
        store_set_epoch(options->store, 1);
        metrics_set(options->metrics, METRIC_OWNER, 1);
    }
    return ownership;
}

void ownership_free(struct ownership *ownership)
{
    free(ownership);
}
