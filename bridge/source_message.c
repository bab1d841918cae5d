#include "bridge/source_message.h"

#include <nats/nats.h>
#include <stdint.h>

/* The message is what the library gave us. */
static natsMsg *nats_message(const struct source_message *message)
{
    return (natsMsg *)(uintptr_t)message;
}

const char *source_message_subject(const struct source_message *message)
{
    return natsMsg_GetSubject(nats_message(message));
}

const char *source_message_payload(const struct source_message *message, size_t *ret_size)
{
    *ret_size = (size_t)natsMsg_GetDataLength(nats_message(message));
    return natsMsg_GetData(nats_message(message));
}

void source_message_free(struct source_message *message)
{
    natsMsg_Destroy((natsMsg *)message);
}
