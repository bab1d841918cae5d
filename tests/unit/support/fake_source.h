#ifndef SLUICE_TESTS_FAKE_SOURCE_H
#define SLUICE_TESTS_FAKE_SOURCE_H

#include "bridge/source.h"

/* Takes the place of bridge/source.c: messages that a test makes. */

struct source_message *fake_message_new(const char *subject, const char *payload);
struct source_message *fake_message_of(const char *subject, const char *payload, size_t size);

/* A source whose NATS is the test. */
struct fake_source_options {
    bool (*publish)(void *context, const char *subject, const char *payload, size_t size);
    bool (*is_connected)(void *context);
    size_t (*pending)(void *context, enum source_lane lane);
    size_t max_payload; /* what is larger is not published; 0: not connected */
    void *context;
};
struct source *fake_source_new(const struct fake_source_options *options);
void fake_source_set_max_payload(struct source *source, size_t max_payload);
void fake_source_free(struct source *source);

/* Messages that exist: none may be left at the end of a test. */
int fake_messages_alive(void);

/* The subjects that messages were forwarded to, and how many. */
int fake_forwards(void);

#endif
