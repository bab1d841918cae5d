#ifndef SLUICE_BRIDGE_NAP_H
#define SLUICE_BRIDGE_NAP_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Where events come closely, the bridge waits a little before it looks again, so that it wakes up once for several. A value; one
 * thread.
 */
struct nap {
    int64_t length_ns;
    int64_t end_ns;
    int64_t taken_ns; /* when there was something the last time */
};

/* For a window in which events gather: two naps of the bridge. 0: there are none. */
struct nap nap_of(int64_t window_ns);

/* Events were taken: a nap begins if the last ones were taken less than a window ago. Returns whether it did. */
bool nap_after_events(struct nap *nap);

/* Whether there is one now. */
bool nap_lasts(const struct nap *nap);

#endif
