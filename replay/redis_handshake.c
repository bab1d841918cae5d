#include "replay/redis_handshake.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replay/redis_command.h"
#include "replay/redis_id.h"
#include "replay/redis_reply.h"

/* The handshake: all commands at once, one callback for each reply, the result with the last of them. */
struct handshake {
    struct redis_requests *requests;
    struct redis_handshake result;
    int waiting;
    int next_script;
    void (*done)(void *context, const struct redis_handshake *result);
    void *context;
};

static void handshake_step(struct handshake *handshake, const redisReply *reply)
{
    const char *error = NULL;

    if (!reply)
        error = "the connection ended";
    else if (reply->type == REDIS_REPLY_ERROR)
        error = reply->str;
    /* The first error says why; those behind it follow from it. */
    if (error && !handshake->result.error[0])
        snprintf(handshake->result.error, sizeof handshake->result.error, "%s", error);
    if (--handshake->waiting > 0)
        return;
    handshake->done(handshake->context, &handshake->result);
    free(handshake);
}

static void on_script_loaded(void *context, const redisReply *reply)
{
    struct handshake *handshake = context;

    if (reply && reply->type == REDIS_REPLY_STRING)
        snprintf(handshake->requests->scripts[handshake->next_script++], REDIS_SHA_SIZE, "%s", reply->str);
    handshake_step(handshake, reply);
}

static void on_probed(void *context, const redisReply *reply)
{
    handshake_step(context, reply);
}

static void on_noted_hole(void *context, const redisReply *reply)
{
    struct handshake *handshake = context;

    handshake->result.noted_hole_ms = redis_reply_number(reply);
    handshake_step(handshake, reply);
}

static void on_id(void *context, const redisReply *reply)
{
    struct handshake *handshake = context;

    handshake->result.id = redis_id_of(reply, handshake->requests->id);
    handshake_step(handshake, reply);
}

/* Queues one command of the handshake. */
static int send_step(struct handshake *handshake, struct redis_command *command, redis_reply_done done)
{
    int status = redis_command_send(command, handshake->requests->connection, done, handshake);

    if (status == 0)
        handshake->waiting++;
    return status;
}

static int send_script(struct handshake *handshake, enum redis_script script)
{
    struct redis_command command = redis_command_make();
    const char *text = redis_script_text(script);

    redis_command_add(&command, "SCRIPT");
    redis_command_add(&command, "LOAD");
    redis_command_add_bytes(&command, text, strlen(text));
    return send_step(handshake, &command, on_script_loaded);
}

/* A write that changes nothing but an empty Redis: one that is full or read-only does not replay, and says so here. */
static int send_probe(struct handshake *handshake)
{
    struct redis_command command = redis_command_make();

    redis_command_add(&command, "HSETNX");
    redis_command_add(&command, "sluice:owner");
    redis_command_add(&command, "epoch");
    redis_command_add(&command, "0");
    return send_step(handshake, &command, on_probed);
}

static int send_get_hole(struct handshake *handshake)
{
    struct redis_command command = redis_command_make();

    redis_command_add(&command, "GET");
    redis_command_add(&command, "sluice:hole");
    return send_step(handshake, &command, on_noted_hole);
}

static int send_ask_id(struct handshake *handshake)
{
    int status = redis_id_ask(handshake->requests->connection, handshake->requests->id, on_id, handshake);

    if (status == 0)
        handshake->waiting++;
    return status;
}

static int send_all(struct handshake *handshake)
{
    int status = 0;

    for (int i = 0; i < REDIS_SCRIPTS_NAMED && status == 0; i++)
        status = send_script(handshake, (enum redis_script)i);
    if (status == 0)
        status = send_probe(handshake);
    if (status == 0)
        status = send_get_hole(handshake);
    if (status == 0)
        status = send_ask_id(handshake);
    return status;
}

int redis_handshake_start(struct redis_requests *requests,
                          void (*done)(void *context, const struct redis_handshake *result), void *context)
{
    struct handshake *handshake = calloc(1, sizeof *handshake);
    int status;

    if (!handshake)
        return -ENOMEM;
    *handshake = (struct handshake){.requests = requests, .done = done, .context = context};
    status = send_all(handshake);
    if (handshake->waiting == 0) {
        free(handshake);
        return status;
    }
    if (status < 0)
        snprintf(handshake->result.error, sizeof handshake->result.error, "no memory");
    return 0;
}
