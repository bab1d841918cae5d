#ifndef SLUICE_TESTS_FAKE_SOURCE_H
#define SLUICE_TESTS_FAKE_SOURCE_H

#include "bridge/source.h"

/* Takes the place of bridge/source.c: messages that a test makes. */

struct source_message *fake_message_new(const char *subject, const char *payload);

/* Messages that exist: none may be left at the end of a test. */
int fake_messages_alive(void);

/* The subjects that messages were forwarded to, and how many. */
int fake_forwards(void);

#endif
