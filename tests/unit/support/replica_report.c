#include "support/replica_report.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "support/fake_source.h"

enum { KINDS_MAX = 16, SEEDS_MAX = 20 };

/* What went wrong, each kind with its shortest schedule. */
struct finding {
    const char *what;
    int count;
    uint64_t seeds[SEEDS_MAX]; /* the first ones */
    uint64_t seed;
    int steps;
    char detail[512];
    char trace[WORLD_TRACE_MAX];
};

static struct finding findings[KINDS_MAX];
static int kinds;

void replica_report_begin(void)
{
    kinds = 0;
}

void replica_report_note(const struct replica_world *world, uint64_t seed)
{
    struct finding *finding = findings;

    if (!world->model.violation)
        return;
    while (finding < findings + kinds && strcmp(finding->what, world->model.violation) != 0)
        finding++;
    if (finding == findings + KINDS_MAX)
        return;
    if (finding == findings + kinds) {
        kinds++;
        *finding = (struct finding){.what = world->model.violation, .steps = INT32_MAX};
    }
    if (finding->count < SEEDS_MAX)
        finding->seeds[finding->count] = seed;
    finding->count++;
    if (world->steps >= finding->steps)
        return;
    finding->steps = world->steps;
    finding->seed = seed;
    strcpy(finding->detail, world->model.detail);
    strcpy(finding->trace, world->trace);
}

void replica_report_end(void)
{
    for (int i = 0; i < kinds; i++) {
        print_error("VIOLATION (%d times, seeds", findings[i].count);
        for (int j = 0; j < findings[i].count && j < SEEDS_MAX; j++)
            print_error(" %" PRIu64, findings[i].seeds[j]);
        print_error("): %s: %s\n  seed %" PRIu64 ":%s\n", findings[i].what, findings[i].detail, findings[i].seed,
                    findings[i].trace);
    }
    assert_int_equal(kinds, 0);
    assert_int_equal(fake_messages_alive(), 0);
}
