#include "bridge/stream_place.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/clock.h"

#define NS_PER_S INT64_C(1000000000)

enum {
    CATCH_UP_NS = 20000000, /* between two looks at whether the stream was read to its end */
    SAVE_AGAIN_S = 10,      /* also what has not changed: the store may have lost it */
    BASE_SIZE = STORE_STREAM_MAX + 8,
};

struct stream_place {
    struct stream_place_options options;
    const struct fanout *fanout;
    char base_name[BASE_SIZE]; /* no stream has a dot in its name */
    bool is_wanted;
    bool is_reading;
    bool is_loading;
    unsigned begins; /* so that an answer knows whether it is still wanted */
    unsigned loads;  /* of which `begins` the answer under way is */
    uint64_t base;
    uint64_t taken; /* all up to there was taken, or was not there to be; 0: not known */
    uint64_t told;  /* how far another one said it had got; 0: none did */
    uint64_t saved;
    int64_t saved_ns;
    uint64_t again; /* read again from here on; 0: from where the store says */
    struct log_limiter again_limiter;
    bool is_saving;
    bool has_caught_up;
};

/* Beginning. */

static void start(struct stream_place *place, uint64_t sequence)
{
    struct stream_start from = {
        .place = place->options.from_ms > 0 ? 0 : sequence,
        .base = place->base,
        .from_ms = place->options.from_ms > 0 ? place->options.from_ms : clock_unix_ms() - place->options.ttl_ms,
    };

    place->is_reading = true;
    place->is_saving = place->options.from_ms == 0 || sequence == 0;
    place->taken = from.place;
    place->saved = 0;
    place->has_caught_up = false;
    log_write(place->options.log, LOG_LEVEL_INFO, "This replica reads the stream",
              LOG_FIELDS(log_text("stream", place->options.stream), log_number("place", (int64_t)from.place)));
    stream_reader_start(place->options.reader, &from);
}

static void on_place(void *context, int status, uint64_t sequence)
{
    struct stream_place *place = context;

    place->is_loading = false;
    if (place->is_wanted && !place->is_reading && place->loads == place->begins && status == 0)
        start(place, sequence);
}

static void on_base(void *context, int status, uint64_t base)
{
    struct stream_place *place = context;

    if (status < 0) {
        place->is_loading = false;
        return;
    }
    place->base = base;
    store_load_place(place->options.store, place->options.stream, on_place, place);
}

/*
 * Without the store, where the owner before said it had got to. What was heard is no measure: it may stand behind a message whose
 * company's head that owner was still reading. Where it said nothing, nobody waits for what the stream keeps for us.
 */
static void begin_without_store(struct stream_place *place)
{
    if (place->told > 0)
        start(place, place->told);
}

static void start_again(struct stream_place *place)
{
    struct stream_start from = {.place = place->again, .base = place->base};

    place->is_reading = true;
    place->taken = place->again;
    place->again = 0;
    stream_reader_start(place->options.reader, &from);
}

static void begin(struct stream_place *place)
{
    if (!place->is_wanted || place->is_reading || place->is_loading)
        return;
    if (place->again > 0) {
        start_again(place);
        return;
    }
    if (store_state(place->options.store) != STORE_READY) {
        begin_without_store(place);
        return;
    }
    place->is_loading = true;
    place->loads = place->begins;
    store_load_place(place->options.store, place->base_name, on_base, place);
}

bool stream_place_is_refilling(const struct stream_place *place)
{
    return place && place->options.from_ms > 0;
}

void stream_place_begin(struct stream_place *place, const struct fanout *fanout)
{
    if (!place)
        return;
    place->fanout = fanout;
    place->is_wanted = true;
    place->begins++;
    begin(place);
}

void stream_place_end(struct stream_place *place)
{
    if (!place)
        return;
    place->has_caught_up = false;
    place->is_wanted = false;
    place->is_reading = false;
    place->again = 0;
    stream_reader_stop(place->options.reader);
}

void stream_place_retire(struct stream_place *place)
{
    if (place)
        stream_reader_stop(place->options.reader);
}

void stream_place_note(struct stream_place *place, uint64_t sequence)
{
    if (place && place->is_reading && sequence > place->taken)
        place->taken = sequence;
}

void stream_place_go_back(struct stream_place *place, uint64_t sequence)
{
    int64_t suppressed;

    if (!place || !place->is_wanted || !(place->is_reading || place->again > 0))
        return;
    if (place->again == 0 || sequence <= place->again)
        place->again = sequence - 1;
    if (!place->is_reading)
        return;
    place->is_reading = false;
    place->base = stream_reader_base(place->options.reader);
    stream_reader_stop(place->options.reader);
    if (log_limiter_allow(&place->again_limiter, &suppressed))
        log_write(place->options.log, LOG_LEVEL_WARN, "Messages of the stream had no memory: they are read again",
                  LOG_FIELDS(log_text("stream", place->options.stream), log_number("place", (int64_t)place->again),
                             log_number("suppressed", suppressed)));
}

/* Saving. */

static void note_waiting(uint64_t *oldest, uint64_t sequence)
{
    if (sequence > 0 && sequence < *oldest)
        *oldest = sequence;
}

static void find_oldest_parked(struct company *company, void *context)
{
    uint64_t *oldest = context;

    for (const struct parked *parked = company->parked; parked; parked = parked->next)
        note_waiting(oldest, parked->sequence);
}

/* What of the company is not in the store, or may not be: the oldest of it counts. */
static void find_oldest(struct company *company, void *context)
{
    uint64_t *oldest = context;
    uint64_t end = ring_end(company->recent);
    uint64_t mark = 0;

    for (uint64_t slot = company->unsynced ? ring_begin(company->recent) : company->stored; slot < end && mark == 0;
         slot++)
        mark = company_source_of(ring_frame(company->recent, slot));
    note_waiting(oldest, mark);
    find_oldest_parked(company, context);
}

/* The oldest that was taken and has not entered its company. */
static uint64_t find_oldest_waiting(const struct stream_place *place)
{
    uint64_t oldest = UINT64_MAX;

    companies_each(place->options.companies, find_oldest_parked, &oldest);
    note_waiting(&oldest, fanout_oldest_mark(place->fanout));
    return oldest;
}

void stream_place_run(struct stream_place *place)
{
    uint64_t end;

    if (!place || place->has_caught_up || !place->is_reading || !stream_reader_is_at_end(place->options.reader, &end))
        return;
    place->has_caught_up = find_oldest_waiting(place) > end;
    stream_place_note(place, end);
}

uint64_t stream_place_done(const struct stream_place *place)
{
    uint64_t oldest;

    if (!place || !place->is_reading || place->taken == 0)
        return 0;
    oldest = find_oldest_waiting(place);
    return oldest <= place->taken ? oldest - 1 : place->taken;
}

void stream_place_hear_done(struct stream_place *place, uint64_t sequence)
{
    if (place && sequence > place->told)
        place->told = sequence;
}

bool stream_place_has_caught_up(const struct stream_place *place)
{
    return place && place->has_caught_up;
}

int64_t stream_place_deadline_ns(const struct stream_place *place)
{
    /* The end of a stream without news does not wake us. */
    bool is_looking = place && place->is_reading && !place->has_caught_up;

    return is_looking ? clock_monotonic_ns() + CATCH_UP_NS : INT64_MAX;
}

void stream_place_save(struct stream_place *place)
{
    uint64_t oldest = UINT64_MAX;
    uint64_t done;
    uint64_t base;
    int64_t now_ns = clock_monotonic_ns();

    if (!place || !place->is_reading || !place->is_saving || place->taken == 0 ||
        store_state(place->options.store) != STORE_READY)
        return;
    done = place->taken;
    companies_each(place->options.companies, find_oldest, &oldest);
    note_waiting(&oldest, fanout_oldest_mark(place->fanout));
    if (oldest <= done)
        done = oldest - 1;
    if (done <= place->saved && now_ns - place->saved_ns < SAVE_AGAIN_S * NS_PER_S)
        return;
    base = stream_reader_base(place->options.reader);
    if (base > 0)
        store_save_place(place->options.store, place->base_name, base);
    store_save_place(place->options.store, place->options.stream, done);
    place->saved = done;
    place->saved_ns = now_ns;
}

void stream_place_tick(struct stream_place *place)
{
    if (!place)
        return;
    begin(place);
    stream_place_save(place);
}

/* Making. */

struct stream_place *stream_place_new(const struct stream_place_options *options)
{
    struct stream_place *place = calloc(1, sizeof *place);

    if (!place)
        return NULL;
    place->options = *options;
    snprintf(place->base_name, sizeof place->base_name, "%s.base", options->stream);
    return place;
}

void stream_place_free(struct stream_place *place)
{
    free(place);
}
