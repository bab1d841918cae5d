/* What JetStream says of a message: bridge/stream_ack.c. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "bridge/stream_ack.h"

static void a_subject_is_taken_apart(void **state)
{
    static const char *const subjects[] = {
        "$JS.ACK.EVENTS.sluice-a-1.1.42.7.1795290341012595715.3",
        "$JS.ACK._.hash.EVENTS.sluice-a-1.1.42.7.1795290341012595715.3",
        "$JS.ACK.hub.hash.EVENTS.sluice-a-1.1.42.7.1795290341012595715.3.random",
        "$JS.ACK.hub.hash.EVENTS.sluice-a-1.1.42.7.1795290341012595715.3.random.more.and.more.of.it.than.we.know",
    };

    (void)state;
    for (size_t i = 0; i < sizeof subjects / sizeof subjects[0]; i++) {
        struct stream_ack ack;

        assert_int_equal(stream_ack_parse(subjects[i], &ack), 0);
        assert_int_equal(ack.consumer_size, strlen("sluice-a-1"));
        assert_memory_equal(ack.consumer, "sluice-a-1", ack.consumer_size);
        assert_int_equal(ack.sequence, 42);
        assert_int_equal(ack.consumer_sequence, 7);
        assert_int_equal(ack.stamp_ns, INT64_C(1795290341012595715));
        assert_int_equal(ack.pending, 3);
    }
}

static void anything_else_is_refused(void **state)
{
    static const char *const subjects[] = {
        NULL,
        "",
        "metrics.x",
        "$JS.ACK.",
        "$JS.ACK.EVENTS.c.1.42.7.1795290341012595715",
        "$JS.ACK.EVENTS.c.1.42.7.1795290341012595715.",
        "$JS.ACK.EVENTS.c.1..7.1795290341012595715.3",
        "$JS.ACK.EVENTS.c.1.-42.7.1795290341012595715.3",
        "$JS.ACK.EVENTS.c.1.42.x.1795290341012595715.3",
        "$JS.ACK.EVENTS.c.1.42.7.9223372036854775808.3",
        "$JS.ACK.EVENTS.c.1.42.7.99999999999999999999999.3",
        "$JS.ACK.hub.EVENTS.c.1.42.7.1795290341012595715.3",
    };
    struct stream_ack ack = {.sequence = 99};

    (void)state;
    for (size_t i = 0; i < sizeof subjects / sizeof subjects[0]; i++) {
        assert_int_equal(stream_ack_parse(subjects[i], &ack), -EINVAL);
        assert_int_equal(ack.sequence, 99);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_subject_is_taken_apart),
        cmocka_unit_test(anything_else_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
