#include "core/mailbox.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct mailbox {
    /* Guards the list: held for a few instructions, never while anything else is done. */
    pthread_mutex_t lock;
    struct message *first;
    struct message **last;
    size_t size;
    size_t max_messages;
    int fd;
};

struct mailbox *mailbox_new(size_t max_messages)
{
    struct mailbox *mailbox = calloc(1, sizeof *mailbox);

    if (!mailbox)
        return NULL;
    mailbox->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (mailbox->fd < 0) {
        free(mailbox);
        return NULL;
    }
    pthread_mutex_init(&mailbox->lock, NULL);
    mailbox->last = &mailbox->first;
    mailbox->max_messages = max_messages;
    return mailbox;
}

void mailbox_free(struct mailbox *mailbox)
{
    struct message *message;

    if (!mailbox)
        return;
    message = mailbox_take(mailbox);
    while (message) {
        struct message *next = message->next;

        message->release(message);
        message = next;
    }
    close(mailbox->fd);
    pthread_mutex_destroy(&mailbox->lock);
    free(mailbox);
}

int mailbox_fd(const struct mailbox *mailbox)
{
    return mailbox->fd;
}

static int put(struct mailbox *mailbox, struct message *message, size_t max_messages, bool *ret_was_empty)
{
    message->next = NULL;
    pthread_mutex_lock(&mailbox->lock);
    if (mailbox->size >= max_messages) {
        pthread_mutex_unlock(&mailbox->lock);
        return -EAGAIN;
    }
    *ret_was_empty = mailbox->size == 0;
    *mailbox->last = message;
    mailbox->last = &message->next;
    mailbox->size++;
    pthread_mutex_unlock(&mailbox->lock);
    return 0;
}

int mailbox_put(struct mailbox *mailbox, struct message *message)
{
    bool was_empty;
    int status = put(mailbox, message, mailbox->max_messages, &was_empty);

    if (status == 0 && was_empty)
        mailbox_wake(mailbox);
    return status;
}

void mailbox_put_always(struct mailbox *mailbox, struct message *message)
{
    bool was_empty;

    if (put(mailbox, message, SIZE_MAX, &was_empty) == 0 && was_empty)
        mailbox_wake(mailbox);
}

void mailbox_put_quietly(struct mailbox *mailbox, struct message *message)
{
    bool was_empty;

    (void)put(mailbox, message, SIZE_MAX, &was_empty);
}

void mailbox_wake(struct mailbox *mailbox)
{
    uint64_t one = 1;
    /* It fails only when the counter is at its maximum: then the owner is awake already. */
    ssize_t written = write(mailbox->fd, &one, sizeof one);

    (void)written;
}

struct message *mailbox_take(struct mailbox *mailbox)
{
    struct message *messages;
    uint64_t count;
    /* Read before the list is taken: a put behind the take makes the descriptor readable again. */
    ssize_t read_bytes = read(mailbox->fd, &count, sizeof count);

    (void)read_bytes;
    pthread_mutex_lock(&mailbox->lock);
    messages = mailbox->first;
    mailbox->first = NULL;
    mailbox->last = &mailbox->first;
    mailbox->size = 0;
    pthread_mutex_unlock(&mailbox->lock);
    return messages;
}

size_t mailbox_size(struct mailbox *mailbox)
{
    size_t size;

    pthread_mutex_lock(&mailbox->lock);
    size = mailbox->size;
    pthread_mutex_unlock(&mailbox->lock);
    return size;
}
