#include "core/mailbox.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static int released;

static void release_message(struct message *message)
{
    released++;
    free(message);
}

static struct message *new_message(int type)
{
    struct message *message = calloc(1, sizeof *message);

    if (!message)
        abort();
    message->type = type;
    message->release = release_message;
    return message;
}

static bool is_awake(struct mailbox *mailbox)
{
    struct pollfd readable = {.fd = mailbox_fd(mailbox), .events = POLLIN};

    return poll(&readable, 1, 0) == 1;
}

/* How often the mailbox was written to wake its owner; takes the wakes away. */
static uint64_t take_wakes(struct mailbox *mailbox)
{
    uint64_t count = 0;

    if (read(mailbox_fd(mailbox), &count, sizeof count) < 0)
        assert_int_equal(errno, EAGAIN);
    return count;
}

/* Takes everything and checks that it is first, first + 1 …, last. */
static void assert_takes(struct mailbox *mailbox, int first, int last)
{
    struct message *message = mailbox_take(mailbox);

    for (int type = first; type <= last; type++) {
        struct message *next;

        assert_non_null(message);
        assert_int_equal(message->type, type);
        next = message->next;
        free(message);
        message = next;
    }
    assert_null(message);
}

static void test_messages_come_in_the_order_of_their_putting(void **state)
{
    struct mailbox *mailbox = mailbox_new(100);

    (void)state;
    assert_non_null(mailbox);
    assert_null(mailbox_take(mailbox));
    for (int i = 0; i < 100; i++)
        assert_int_equal(mailbox_put(mailbox, new_message(i)), 0);
    assert_int_equal(mailbox_size(mailbox), 100);
    assert_takes(mailbox, 0, 99);
    assert_int_equal(mailbox_size(mailbox), 0);
    mailbox_free(mailbox);
}

static void test_the_owner_is_woken_only_when_the_mailbox_was_empty(void **state)
{
    struct mailbox *mailbox = mailbox_new(100);

    (void)state;
    assert_false(is_awake(mailbox));
    for (int i = 0; i < 10; i++)
        assert_int_equal(mailbox_put(mailbox, new_message(i)), 0);
    assert_int_equal(take_wakes(mailbox), 1);
    mailbox_put_always(mailbox, new_message(10));
    assert_false(is_awake(mailbox));
    assert_takes(mailbox, 0, 10);
    mailbox_put_always(mailbox, new_message(0));
    assert_true(is_awake(mailbox));
    assert_takes(mailbox, 0, 0);
    assert_false(is_awake(mailbox));
    mailbox_free(mailbox);
}

static void test_a_wake_without_a_message_wakes(void **state)
{
    struct mailbox *mailbox = mailbox_new(1);

    (void)state;
    mailbox_wake(mailbox);
    assert_true(is_awake(mailbox));
    assert_null(mailbox_take(mailbox));
    assert_false(is_awake(mailbox));
    mailbox_free(mailbox);
}

static void test_a_quiet_message_is_there_and_wakes_nobody(void **state)
{
    struct mailbox *mailbox = mailbox_new(1);

    (void)state;
    mailbox_put_quietly(mailbox, new_message(0));
    mailbox_put_quietly(mailbox, new_message(1));
    assert_false(is_awake(mailbox));
    assert_int_equal(mailbox_size(mailbox), 2);
    assert_takes(mailbox, 0, 1);
    mailbox_free(mailbox);
}

static void test_a_full_mailbox_leaves_the_message_to_its_sender(void **state)
{
    struct mailbox *mailbox = mailbox_new(2);
    struct message *message = new_message(2);

    (void)state;
    assert_int_equal(mailbox_put(mailbox, new_message(0)), 0);
    assert_int_equal(mailbox_put(mailbox, new_message(1)), 0);
    assert_int_equal(mailbox_put(mailbox, message), -EAGAIN);
    assert_int_equal(mailbox_size(mailbox), 2);
    mailbox_put_always(mailbox, message);
    assert_int_equal(mailbox_size(mailbox), 3);
    assert_takes(mailbox, 0, 2);
    assert_int_equal(mailbox_put(mailbox, new_message(0)), 0);
    assert_takes(mailbox, 0, 0);
    mailbox_free(mailbox);
}

static void test_messages_that_nobody_read_are_released(void **state)
{
    struct mailbox *mailbox = mailbox_new(10);

    (void)state;
    released = 0;
    for (int i = 0; i < 5; i++)
        assert_int_equal(mailbox_put(mailbox, new_message(i)), 0);
    mailbox_free(mailbox);
    assert_int_equal(released, 5);
    mailbox_free(NULL);
}

enum { SENT = 100000, SENDERS = 2 };

struct sender {
    struct mailbox *mailbox;
    int number;
};

static void *send_all(void *context)
{
    struct sender *sender = context;

    for (int i = 0; i < SENT; i++) {
        struct message *message = new_message(i * SENDERS + sender->number);

        while (mailbox_put(sender->mailbox, message) == -EAGAIN)
            sched_yield();
    }
    return NULL;
}

/* The owner sleeps until it is woken, without a time-out: a wake that is lost shows as a test that does not end. */
static void test_two_senders_lose_nothing_and_keep_their_own_order(void **state)
{
    struct mailbox *mailbox = mailbox_new(64);
    struct pollfd readable = {.fd = mailbox_fd(mailbox), .events = POLLIN};
    struct sender senders[SENDERS];
    pthread_t threads[SENDERS];
    int next[SENDERS] = {0};
    int count = 0;

    (void)state;
    for (int i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){.mailbox = mailbox, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, send_all, &senders[i]), 0);
    }
    while (count < SENDERS * SENT) {
        struct message *message;

        assert_int_equal(poll(&readable, 1, -1), 1);
        for (message = mailbox_take(mailbox); message; count++) {
            struct message *following = message->next;
            int sender = message->type % SENDERS;

            assert_int_equal(message->type / SENDERS, next[sender]++);
            free(message);
            message = following;
        }
    }
    for (int i = 0; i < SENDERS; i++)
        pthread_join(threads[i], NULL);
    assert_null(mailbox_take(mailbox));
    mailbox_free(mailbox);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_come_in_the_order_of_their_putting),
        cmocka_unit_test(test_the_owner_is_woken_only_when_the_mailbox_was_empty),
        cmocka_unit_test(test_a_wake_without_a_message_wakes),
        cmocka_unit_test(test_a_quiet_message_is_there_and_wakes_nobody),
        cmocka_unit_test(test_a_full_mailbox_leaves_the_message_to_its_sender),
        cmocka_unit_test(test_messages_that_nobody_read_are_released),
        cmocka_unit_test(test_two_senders_lose_nothing_and_keep_their_own_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
