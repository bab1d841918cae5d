#include "replay/store.h"

#include <stdio.h>
#include <string.h>

void store_observe(struct store *store, store_observer observer, void *context)
{
    store->observer = observer;
    store->observer_context = context;
}

enum store_state store_state(const struct store *store)
{
    return store->state;
}

bool store_is_memory(const struct store *store)
{
    return store->operations->is_memory;
}

void store_set_state(struct store *store, enum store_state state, const char *reason)
{
    if (store->state == state && strcmp(store->reason, reason) == 0)
        return;
    store->state = state;
    snprintf(store->reason, sizeof store->reason, "%s", reason);
    if (store->observer)
        store->observer(store->observer_context, state, reason);
}

void store_claim(struct store *store, const struct store_claim *claim, store_claim_done done, void *context)
{
    store->operations->claim(store, claim, done, context);
}

void store_release(struct store *store, const char *holder)
{
    store->operations->release(store, holder);
}

void store_set_epoch(struct store *store, uint64_t epoch)
{
    store->epoch = epoch;
}

void store_append(struct store *store, const struct store_append *append, store_append_done done, void *context)
{
    store->operations->append(store, append, done, context);
}

void store_load(struct store *store, const char *company, store_head_done done, void *context)
{
    store->operations->load(store, company, done, context);
}

void store_read(struct store *store, const struct store_read *read, store_page_done done, void *context)
{
    store->operations->read(store, read, done, context);
}

void store_count_events(struct store *store, store_count_done done, void *context)
{
    store->operations->count_events(store, done, context);
}

void store_save_place(struct store *store, const char *stream, uint64_t sequence)
{
    /* Only the owner of the intake knows what was appended. */
    if (store->epoch > 0)
        store->operations->save_place(store, stream, sequence);
}

void store_load_place(struct store *store, const char *stream, store_place_done done, void *context)
{
    store->operations->load_place(store, stream, done, context);
}

void store_note_hole(struct store *store, uint64_t unix_ms)
{
    if (unix_ms > store->noted_hole_ms)
        store->noted_hole_ms = unix_ms;
    store->operations->note_hole(store, store->noted_hole_ms);
}

uint64_t store_noted_hole(const struct store *store)
{
    return store->noted_hole_ms;
}

uint64_t store_id(const struct store *store)
{
    return store->id;
}

int store_poll_fd(const struct store *store, short *ret_events)
{
    return store->operations->poll_fd(store, ret_events);
}

int64_t store_deadline_ns(const struct store *store)
{
    return store->operations->deadline_ns(store);
}

void store_run(struct store *store)
{
    store->operations->run(store);
}

void store_free(struct store *store)
{
    if (store)
        store->operations->free(store);
}
