/* The company's order becomes another (hub_reset()): whoever comes meanwhile, at whatever moment, hears all that follows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "support/fake_clock.h"
#include "support/stream_rig.h"

enum { LINGERED_MS = 11000 };

static struct stream_rig rig;

static int tear_down(void **state)
{
    (void)state;
    stream_rig_release(&rig);
    return 0;
}

/* Puts the worker's mail back, with `between` called behind the first message. */
static void interrupt_mail(void (*between)(void))
{
    struct message *message = mailbox_take(rig.hub_worker.mailbox);
    bool is_first = true;

    while (message) {
        struct message *next = message->next;

        mailbox_put_always(rig.hub_worker.mailbox, message);
        if (is_first)
            between();
        is_first = false;
        message = next;
    }
}

static struct fake_socket *latecomer;

static void come_late(void)
{
    latecomer = stream_rig_open(&rig, "acme", true, NULL, LOTS_OF_ROOM);
}

static void reset(void)
{
    hub_reset(rig.bridge.hub, companies_get(rig.bridge.companies, "acme"));
}

static void who_was_there_ends_and_who_comes_in_the_middle_gets_all_that_follows(void **state)
{
    struct fake_socket *client;

    (void)state;
    stream_rig_init(&rig, &(struct stream_rig_options){.ring_events = 5, .recent_events = 5});
    client = stream_rig_open_ready(&rig, true);
    stream_rig_publish_singly(&rig, 1, 20);
    stream_rig_assert_story(client, true, "ready @0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20");

    reset();
    interrupt_mail(come_late);
    stream_rig_turn(&rig);
    assert_true(client->closed);
    stream_rig_settle(&rig);
    stream_rig_publish_singly(&rig, 21, 23);
    stream_rig_assert_story(latecomer, true, "ready @20 21 22 23");
}

static void who_waits_for_a_new_subscription_is_not_started_by_a_reset_of_the_old_one(void **state)
{
    struct fake_socket *client;

    (void)state;
    stream_rig_init(&rig, &(struct stream_rig_options){0});
    client = stream_rig_open_ready(&rig, true);
    stream_rig_publish_singly(&rig, 1, 2);
    client->gone = true;
    stream_rig_turn(&rig);
    fake_clock_advance_ms(LINGERED_MS);
    stream_rig_turn(&rig);
    assert_int_equal(worker_rig_asked(), 1); /* the end of the subscription */

    come_late();
    reset();
    stream_rig_turn(&rig);
    stream_rig_settle(&rig);
    stream_rig_publish_singly(&rig, 3, 4);
    stream_rig_assert_story(latecomer, true, "ready @2 3 4");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(who_was_there_ends_and_who_comes_in_the_middle_gets_all_that_follows, tear_down),
        cmocka_unit_test_teardown(who_waits_for_a_new_subscription_is_not_started_by_a_reset_of_the_old_one, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
