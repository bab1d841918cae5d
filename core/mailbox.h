#ifndef SLUICE_CORE_MAILBOX_H
#define SLUICE_CORE_MAILBOX_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Messages to one thread. Any thread puts, the owner takes all of them at once. The owner sleeps in poll or epoll on
 * mailbox_fd(), which is written only when the mailbox goes from empty to not empty, and not for a quiet put.
 */
struct mailbox;

/* Embedded at the front of each message. */
struct message {
    struct message *next;
    int type;
    void (*release)(struct message *message); /* frees a message that nobody will read any more */
};

/* A mailbox for at most max_messages. NULL: no memory or no descriptor. */
struct mailbox *mailbox_new(size_t max_messages);

/* Releases the messages that are still inside. No thread may use the mailbox any more. */
void mailbox_free(struct mailbox *mailbox);

int mailbox_fd(const struct mailbox *mailbox);

/* Puts a message; the mailbox owns it from here. Any thread. -EAGAIN: full, and the message is still the caller's. */
int mailbox_put(struct mailbox *mailbox, struct message *message);

/* Puts a message whatever the number of those inside: for answers, whose number their questions bound. Any thread. */
void mailbox_put_always(struct mailbox *mailbox, struct message *message);

/*
 * Likewise, and lets the owner sleep, also through what is put behind it before it looks: for a sender who knows that it does so
 * soon anyway. Any thread.
 */
void mailbox_put_quietly(struct mailbox *mailbox, struct message *message);

/* Wakes the owner without a message. Any thread. */
void mailbox_wake(struct mailbox *mailbox);

/* Takes all messages, in the order of their putting, linked by `next`. Owner only. */
struct message *mailbox_take(struct mailbox *mailbox);

/* Messages that wait. Any thread. */
size_t mailbox_size(struct mailbox *mailbox);

#endif
