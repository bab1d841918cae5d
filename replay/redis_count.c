#include "replay/redis_count.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "replay/redis_command.h"

struct counting {
    store_count_done done;
    void *context;
    size_t waiting;
    size_t size;
    bool failed;
    struct store_count counts[];
};

struct counted {
    struct counting *counting;
    size_t index;
    char company[129];
};

static void counting_finish(struct counting *counting)
{
    if (--counting->waiting > 0)
        return;
    counting->done(counting->context, counting->failed ? -EAGAIN : 0, counting->counts,
                   counting->failed ? 0 : counting->size);
    for (size_t i = 0; i < counting->size; i++)
        free((void *)(uintptr_t)((const char *)counting->counts[i].company - offsetof(struct counted, company)));
    free(counting);
}

static void on_counted(void *context, const redisReply *reply)
{
    struct counted *counted = context;
    struct counting *counting = counted->counting;

    if (!reply || reply->type != REDIS_REPLY_INTEGER)
        counting->failed = true;
    else
        counting->counts[counted->index].events = reply->integer;
    counting_finish(counting);
}

static int send_counted(struct redis_requests *requests, struct counted *counted)
{
    struct redis_command command = redis_command_make();
    const char *text = redis_script_text(REDIS_SCRIPT_COUNT);

    redis_command_add(&command, "EVAL");
    redis_command_add_bytes(&command, text, strlen(text));
    redis_command_add(&command, "2");
    redis_command_add(&command, "sluice:{%s}:log", counted->company);
    redis_command_add(&command, "sluice:{%s}:holes", counted->company);
    redis_command_add(&command, "%" PRId64, redis_requests_cutoff_ms(requests));
    return redis_command_send(&command, requests->connection, on_counted, counted);
}

void redis_count_companies(struct redis_requests *requests, const redisReply *companies, store_count_done done,
                           void *context)
{
    size_t most = companies->type == REDIS_REPLY_ARRAY ? companies->elements : 0;
    struct counting *counting = calloc(1, sizeof *counting + most * sizeof counting->counts[0]);

    if (!counting) {
        done(context, -ENOMEM, NULL, 0);
        return;
    }
    counting->done = done;
    counting->context = context;
    counting->waiting = 1;
    for (size_t i = 0; i < most; i++) {
        const redisReply *company = companies->element[i];
        struct counted *counted = calloc(1, sizeof *counted);

        if (!counted || company->type != REDIS_REPLY_STRING || company->len >= sizeof counted->company) {
            free(counted);
            continue;
        }
        memcpy(counted->company, company->str, company->len);
        counted->counting = counting;
        counted->index = counting->size;
        counting->counts[counting->size++].company = counted->company;
        counting->waiting++;
        if (send_counted(requests, counted) < 0) {
            counting->failed = true;
            counting->waiting--;
        }
    }
    counting_finish(counting);
}
