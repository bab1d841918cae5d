#ifndef SLUICE_TESTS_FAKE_SHELF_H
#define SLUICE_TESTS_FAKE_SHELF_H

#include "replay/store.h"

/* What the fake store holds: of each company a head and frames. */
enum { FAKE_SHELVES_MAX = 128, FAKE_SHELF_FRAMES_MAX = 8192 };

struct fake_shelf {
    char company[129];
    struct store_head head;
    size_t count;
    struct frame *frames[FAKE_SHELF_FRAMES_MAX];
};

struct fake_shelves {
    size_t count;
    struct fake_shelf *all[FAKE_SHELVES_MAX];
};

/* The company's, which is made if it is not there. */
struct fake_shelf *fake_shelf_get(struct fake_shelves *shelves, const char *company);

/* Adds a frame and a reference of its own, unless the head or its source say that it is held. */
void fake_shelf_add(struct fake_shelf *shelf, struct frame *frame, uint64_t source);

void fake_shelf_remove(struct fake_shelf *shelf, size_t index);

/* Lets all but the last `keep` go, up to the floor. */
void fake_shelf_trim(struct fake_shelf *shelf, size_t keep);

/* Forgets everything; and frees it too. */
void fake_shelves_clear(struct fake_shelves *shelves);
void fake_shelves_release(struct fake_shelves *shelves);

#endif
