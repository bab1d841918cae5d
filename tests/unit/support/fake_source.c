#include "support/fake_source.h"

#include <stdlib.h>
#include <string.h>

struct source_message {
    char *subject;
    char *payload;
};

static int alive;
static int forwards;

struct source_message *fake_message_new(const char *subject, const char *payload)
{
    struct source_message *message = malloc(sizeof *message);

    if (!message)
        abort();
    message->subject = strdup(subject);
    message->payload = strdup(payload);
    alive++;
    return message;
}

int fake_messages_alive(void)
{
    return alive;
}

int fake_forwards(void)
{
    return forwards;
}

const char *source_message_subject(const struct source_message *message)
{
    return message->subject;
}

const char *source_message_payload(const struct source_message *message, size_t *ret_size)
{
    *ret_size = strlen(message->payload);
    return message->payload;
}

void source_message_free(struct source_message *message)
{
    if (!message)
        return;
    free(message->subject);
    free(message->payload);
    free(message);
    alive--;
}

bool source_forward(struct source *source, const char *subject, const struct source_message *message)
{
    (void)source;
    (void)subject;
    (void)message;
    forwards++;
    return true;
}
