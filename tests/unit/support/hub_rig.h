#ifndef SLUICE_TESTS_HUB_RIG_H
#define SLUICE_TESTS_HUB_RIG_H

#include "support/bridge_rig.h"

/* What the tests of bridge/hub.c share: a bridge with nine events of one company, and readings as workers ask for them. */
#define HUB_NOW INT64_C(1700000000000)
#define HUB_HOUR_MS (INT64_C(3600) * 1000)
#define HUB_ID(seq) "metrics.calculated-" #seq "-170000000000" #seq

/* A test of cmocka's that has called hub_rig_begin() or hub_rig_have_nine(). */
#define HUB_TEST(name) cmocka_unit_test_teardown(name, hub_rig_tear_down)

/* The bridge of the test that runs, and what stands for a stream in it. */
extern struct bridge_rig hub_rig;
extern int hub_token;

/* Sets the bridge up; it is HUB_NOW. */
void hub_rig_begin(const struct bridge_rig_options *options);

/* Frees the bridge. */
int hub_rig_tear_down(void **state);

/* Nine events in the store, each in a millisecond of its own, so that HUB_ID() names them; the last `recent` in memory. */
void hub_rig_have_nine(size_t recent);

/* A reading behind that id, for worker 0; `first`: the place is judged. */
struct hub_read hub_rig_make_read(const char *id, bool first);

/* The first page behind that id, which the caller releases. */
struct hub_page *hub_rig_resume(const char *id);

/* Releases a page. */
void hub_rig_release(struct hub_page *page);

/* Checks that the page holds exactly the events first..last (none: 0, 0), and all there is; releases it. */
void hub_rig_assert_page(struct hub_page *page, uint64_t first, uint64_t last);

/* Checks that the id is followed by exactly these events, and that nothing is missing. */
void hub_rig_assert_no_gap(const char *id, uint64_t first, uint64_t last);

#endif
