#include "support/replica_pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/fake_clock.h"
#include "support/replica_report.h"

struct replica_pair replica_pair_begin(struct replica_world *world)
{
    struct replica_pair pair;

    replica_report_begin();
    fake_clock_set_ms(INT64_C(1700000000000));
    world_init(world, &(struct world_setting){.seed = 1, .replicas = 2, .intact = true, .exhaustive = true});
    for (unsigned i = 0; i < 2; i++)
        world_start(world, i);
    world_pass(world, 2500);
    pair.owner = &world->replicas[world_is_owner(&world->replicas[0]) ? 0 : 1];
    pair.follower = &world->replicas[1 - pair.owner->number];
    assert_true(world_is_owner(pair.owner));
    assert_true(pair.owner->covered && pair.follower->covered);
    model_promise(&world->model);
    return pair;
}

void replica_pair_end(struct replica_world *world)
{
    if (!world->model.violation)
        world_finish(world);
    replica_report_note(world, 0);
    world_release(world);
    replica_report_end();
}
