#ifndef SLUICE_REPLAY_REDIS_COMMAND_H
#define SLUICE_REPLAY_REDIS_COMMAND_H

#include "core/buffer.h"
#include "core/frame.h"
#include "replay/redis_connection.h"
#include "replay/store.h"

enum { REDIS_ARGUMENTS_MAX = 16 + 4 * STORE_APPEND_MAX };

/* A command while it is put together: its arguments stand in `text`, one behind the other. */
struct redis_command {
    struct buffer text;
    int count;
    size_t offsets[REDIS_ARGUMENTS_MAX];
    size_t sizes[REDIS_ARGUMENTS_MAX];
};

struct redis_command redis_command_make(void);

/* Each adds one argument. Memory that runs out shows in redis_command_send(). */
void redis_command_add(struct redis_command *command, const char *format, ...) __attribute__((format(printf, 2, 3)));
void redis_command_add_bytes(struct redis_command *command, const char *bytes, size_t size);
void redis_command_add_frame(struct redis_command *command, const struct frame *frame);

/* Queues the command and frees what it holds. As redis_connection_command(). */
int redis_command_send(struct redis_command *command, struct redis_connection *connection, redis_reply_done done,
                       void *context);

#endif
