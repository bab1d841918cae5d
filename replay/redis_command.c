#include "replay/redis_command.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "replay/redis_member.h"

/* More than the largest append: STORE_APPEND_MAX events of the largest size. */
#define COMMAND_MAX_BYTES ((size_t)STORE_APPEND_MAX * 17 * 1024 * 1024)

static void end_argument(struct redis_command *command, size_t offset)
{
    command->offsets[command->count] = offset;
    command->sizes[command->count] = command->text.size - offset;
    command->count++;
}

void redis_command_add(struct redis_command *command, const char *format, ...)
{
    char text[512];
    size_t offset = command->text.size;
    va_list arguments;
    int size;

    va_start(arguments, format);
    size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (size < 0 || (size_t)size >= sizeof text)
        command->text.failed = true;
    else
        buffer_append(&command->text, text, (size_t)size);
    end_argument(command, offset);
}

void redis_command_add_bytes(struct redis_command *command, const char *bytes, size_t size)
{
    size_t offset = command->text.size;

    buffer_append(&command->text, bytes, size);
    end_argument(command, offset);
}

void redis_command_add_frame(struct redis_command *command, const struct frame *frame)
{
    size_t offset = command->text.size;

    redis_member_write(frame, &command->text);
    end_argument(command, offset);
}

struct redis_command redis_command_make(void)
{
    return (struct redis_command){.text = buffer_make(COMMAND_MAX_BYTES)};
}

int redis_command_send(struct redis_command *command, struct redis_connection *connection, redis_reply_done done,
                       void *context)
{
    const char *arguments[REDIS_ARGUMENTS_MAX];
    int status = -ENOMEM;

    for (int i = 0; i < command->count; i++)
        arguments[i] = command->text.data + command->offsets[i];
    if (!command->text.failed)
        status = redis_connection_command(connection, command->count, arguments, command->sizes, done, context);
    buffer_release(&command->text);
    return status;
}
