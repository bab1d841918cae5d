#include "bridge/nap.h"

#include "core/clock.h"

struct nap nap_of(int64_t window_ns)
{
    /* Before the first events there were none for long. */
    return (struct nap){.length_ns = window_ns / 2, .taken_ns = INT64_MIN / 2};
}

bool nap_after_events(struct nap *nap)
{
    int64_t now_ns = clock_monotonic_ns();
    bool closely = now_ns - nap->taken_ns < 2 * nap->length_ns;

    nap->taken_ns = now_ns;
    if (closely)
        nap->end_ns = now_ns + nap->length_ns;
    return closely;
}

bool nap_lasts(const struct nap *nap)
{
    return clock_monotonic_ns() < nap->end_ns;
}
