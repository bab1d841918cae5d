/* When bridge/ownership.c wants to be run next: whoever was run has something to wait for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bridge/ownership.h"
#include "core/clock.h"
#include "support/fake_clock.h"
#include "support/fake_store.h"

static void on_send(void *context, struct live_header *header)
{
    (void)context;
    (void)header;
}

static void ignore(void *context)
{
    (void)context;
}

/* It may not publish, say: then it does not hear itself. Without the store it begins again and again. */
static void without_its_echo_and_the_store_it_waits_asleep(void **state)
{
    struct fake_store *fake = fake_store_new(STORE_READY);
    struct metrics *metrics = metrics_new();
    struct ownership_turn turn = {.connected = true, .caught_up = true};
    struct ownership *ownership;
    int waits = 0;

    (void)state;
    fake_clock_set_ms(INT64_C(1700000000000));
    ownership = ownership_new(&(struct ownership_options){.id = {{5}},
                                                          .store = fake_store_base(fake),
                                                          .send = on_send,
                                                          .began = ignore,
                                                          .ended = ignore,
                                                          .metrics = metrics});
    fake_store_lose(fake, 0);
    for (int i = 0; i < 1000; i++) {
        fake_clock_advance_ms(10);
        turn.now_ns = clock_monotonic_ns();
        ownership_run(ownership, &turn);
        assert_true(ownership_deadline_ns(ownership) > turn.now_ns);
        waits += ownership_is_salvaging(ownership);
        assert_false(ownership_may_number(ownership, turn.now_ns));
    }
    assert_true(waits > 300);
    ownership_free(ownership);
    metrics_free(metrics);
    store_free(fake_store_base(fake));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_its_echo_and_the_store_it_waits_asleep),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
