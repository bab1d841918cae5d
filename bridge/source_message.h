#ifndef SLUICE_BRIDGE_SOURCE_MESSAGE_H
#define SLUICE_BRIDGE_SOURCE_MESSAGE_H

#include <stddef.h>

/* A message from NATS, as the library gave it. Its holder owns it; any thread may use and free it. */
struct source_message;

/* The parts of a message; valid until source_message_free(). */
const char *source_message_subject(const struct source_message *message);
const char *source_message_payload(const struct source_message *message, size_t *ret_size);
void source_message_free(struct source_message *message);

#endif
