#include "replay/redis_finder.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct redis_finder {
    struct redis_finder_options options;
    struct redis_line *line; /* to the server that is being asked */
    size_t at;
    size_t tried; /* servers before it */
    bool has_asked;
    bool has_found;
};

static int start_line(struct redis_finder *finder)
{
    finder->options.line.server = finder->options.servers[finder->at];
    finder->has_asked = false;
    finder->line = redis_line_new(&finder->options.line);
    return finder->line ? 0 : -ENOMEM;
}

struct redis_finder *redis_finder_new(const struct redis_finder_options *options)
{
    struct redis_finder *finder = calloc(1, sizeof *finder);

    if (!finder)
        return NULL;
    finder->options = *options;
    finder->at = options->first % options->count;
    if (start_line(finder) == 0)
        return finder;
    free(finder);
    return NULL;
}

size_t redis_finder_asked(const struct redis_finder *finder)
{
    return finder->at;
}

int redis_finder_poll_fd(const struct redis_finder *finder, short *ret_events)
{
    return redis_line_poll_fd(finder->line, ret_events);
}

int64_t redis_finder_deadline_ns(const struct redis_finder *finder)
{
    return redis_line_deadline_ns(finder->line);
}

static void on_answer(void *context, const redisReply *reply)
{
    struct redis_finder *finder = context;
    char reason[REDIS_REASON_SIZE];

    if (!reply)
        return;
    if (reply->type == REDIS_REPLY_ERROR)
        redis_line_give_up(finder->line, "refused", reply->str);
    else if (finder->options.take_answer(finder->options.context, redis_line_server(finder->line), reply, reason) < 0)
        redis_line_give_up(finder->line, "no answer that helps", reason);
    else
        finder->has_found = true;
}

/* Asks as soon as the line takes commands. */
static void ask(struct redis_finder *finder)
{
    struct redis_connection *connection = redis_line_connection(finder->line);
    struct redis_command command = redis_command_make();

    if (!connection || finder->has_asked)
        return;
    finder->has_asked = true;
    finder->options.write_question(finder->options.context, &command);
    if (redis_command_send(&command, connection, on_answer, finder) < 0)
        redis_line_give_up(finder->line, "it cannot be asked", "no memory");
}

/* Goes on with the next server, if there is one. */
static int ask_next(struct redis_finder *finder)
{
    if (++finder->tried == finder->options.count)
        return -EHOSTUNREACH;
    redis_line_free(finder->line);
    finder->at = (finder->at + 1) % finder->options.count;
    return start_line(finder) < 0 ? -EHOSTUNREACH : -EINPROGRESS;
}

int redis_finder_run(struct redis_finder *finder, char ret_reason[REDIS_REASON_SIZE])
{
    int status;

    if (!finder->line)
        return -EHOSTUNREACH;
    status = redis_line_run(finder->line, ret_reason);
    if (finder->has_found)
        return 0;
    if (status < 0)
        return ask_next(finder);
    ask(finder);
    return -EINPROGRESS;
}

void redis_finder_free(struct redis_finder *finder)
{
    if (!finder)
        return;
    redis_line_free(finder->line);
    free(finder);
}
