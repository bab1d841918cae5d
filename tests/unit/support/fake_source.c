#include "support/fake_source.h"

#include <stdlib.h>
#include <string.h>

struct source_message {
    char *subject;
    char *payload;
    size_t size;
};

struct source {
    struct fake_source_options options;
};

static int alive;
static int forwards;

struct source *fake_source_new(const struct fake_source_options *options)
{
    struct source *source = malloc(sizeof *source);

    if (!source)
        abort();
    source->options = *options;
    return source;
}

void fake_source_set_max_payload(struct source *source, size_t max_payload)
{
    source->options.max_payload = max_payload;
}

void fake_source_free(struct source *source)
{
    free(source);
}

struct source_message *fake_message_of(const char *subject, const char *payload, size_t size)
{
    struct source_message *message = malloc(sizeof *message);

    if (!message)
        abort();
    message->subject = strdup(subject);
    message->payload = malloc(size + 1);
    if (!message->subject || !message->payload)
        abort();
    memcpy(message->payload, payload, size);
    message->payload[size] = '\0';
    message->size = size;
    alive++;
    return message;
}

struct source_message *fake_message_new(const char *subject, const char *payload)
{
    return fake_message_of(subject, payload, strlen(payload));
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
    *ret_size = message->size;
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

bool source_publish(struct source *source, const char *subject, const char *payload, size_t size)
{
    if (source->options.max_payload > 0 && size > source->options.max_payload)
        return false;
    return source->options.publish(source->options.context, subject, payload, size);
}

size_t source_max_payload(struct source *source)
{
    return source->options.max_payload;
}

bool source_is_connected(const struct source *source)
{
    return source->options.is_connected(source->options.context);
}

size_t source_pending(struct source *source, enum source_lane lane)
{
    return source->options.pending(source->options.context, lane);
}

bool source_forward(struct source *source, const char *subject, const struct source_message *message)
{
    (void)source;
    (void)subject;
    (void)message;
    forwards++;
    return true;
}
