#include "bridge/nap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/fake_clock.h"

enum { WINDOW_MS = 8 };

static struct nap begin(int window_ms)
{
    fake_clock_set_ms(INT64_C(1700000000000));
    return nap_of(window_ms * INT64_C(1000000));
}

static void events_that_come_seldom_are_looked_at_as_they_come(void **state)
{
    struct nap nap = begin(WINDOW_MS);

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_false(nap_after_events(&nap));
        assert_false(nap_lasts(&nap));
        fake_clock_advance_ms(WINDOW_MS);
    }
}

static void behind_events_that_come_closely_it_lasts_half_a_window(void **state)
{
    struct nap nap = begin(WINDOW_MS);

    (void)state;
    assert_false(nap_after_events(&nap));
    for (int i = 0; i < 3; i++) {
        fake_clock_advance_ms(WINDOW_MS - 1);
        assert_true(nap_after_events(&nap));
        fake_clock_advance_ms(WINDOW_MS / 2 - 1);
        assert_true(nap_lasts(&nap));
        fake_clock_advance_ms(1);
        assert_false(nap_lasts(&nap));
        assert_true(nap_after_events(&nap));
    }
    fake_clock_advance_ms(WINDOW_MS);
    assert_false(nap_after_events(&nap));
}

static void without_a_window_there_is_none(void **state)
{
    struct nap nap = begin(0);

    (void)state;
    assert_false(nap_after_events(&nap));
    assert_false(nap_after_events(&nap));
    assert_false(nap_lasts(&nap));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_that_come_seldom_are_looked_at_as_they_come),
        cmocka_unit_test(behind_events_that_come_closely_it_lasts_half_a_window),
        cmocka_unit_test(without_a_window_there_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
