#include "bridge/stream_api.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

enum {
    WAIT_MS = 2000,
    EXPIRES_S = 60,
    INACTIVE_S = 5, /* how long a consumer outlives its reader */
    SUBJECTS_MAX = 64,
    TEXT_SIZE = 512, /* of a subject: names have at most 255 characters */
};

const char *stream_api_reason(struct stream_api_result result)
{
    switch ((int)result.code) {
    case 0:
        break;
    case JSStreamNotFoundErr:
        return "the stream does not exist: make it, or set NATS_STREAM_CREATE=true";
    case JSNotEnabledErr:
    case JSNotEnabledForAccountErr:
        return "JetStream is not enabled in this NATS server, or for this account";
    case JSClusterNotAvailErr:
    case JSClusterNoPeersErr:
        return "the JetStream cluster has no leader";
    case JSStreamSubjectOverlapErr:
        return "another stream has these subjects";
    case JSInsufficientResourcesErr:
    case JSStorageResourcesExceededErr:
    case JSMemoryResourcesExceededErr:
        return "JetStream has no room";
    default:
        return "JetStream refused the request: look up the code in the documentation of NATS";
    }
    if (result.status == NATS_NO_RESPONDERS)
        return "JetStream does not answer: it is not enabled";
    if (result.status == NATS_TIMEOUT)
        return "JetStream does not answer: it has no leader, or permissions are missing";
    return natsStatus_GetText(result.status);
}

natsStatus stream_api_open(natsConnection *connection, jsCtx **ret_js)
{
    jsOptions options;
    natsStatus status = jsOptions_Init(&options);

    options.Wait = WAIT_MS;
    return status == NATS_OK ? natsConnection_JetStream(ret_js, connection, &options) : status;
}

/* The texts between commas; they lie in `text`, which is changed. */
static int split(char *text, const char *ret_subjects[SUBJECTS_MAX])
{
    char *rest = NULL;
    int count = 0;

    for (char *subject = strtok_r(text, ", \t", &rest); subject && count < SUBJECTS_MAX;
         subject = strtok_r(NULL, ", \t", &rest))
        ret_subjects[count++] = subject;
    return count;
}

static struct stream_api_result make_stream(jsCtx *js, const struct stream_reader_options *options)
{
    struct stream_api_result result = {NATS_NO_MEMORY, 0};
    const char *subjects[SUBJECTS_MAX];
    char *text = strdup(options->subjects);
    jsStreamConfig config;

    if (!text)
        return result;
    result.status = jsStreamConfig_Init(&config);
    config.Name = options->stream;
    config.SubjectsLen = split(text, subjects);
    config.Subjects = subjects;
    config.MaxAge = options->max_age_seconds * NS_PER_S;
    config.MaxBytes = options->max_bytes > 0 ? options->max_bytes : -1;
    config.Replicas = options->replicas;
    if (result.status == NATS_OK)
        result.status = js_AddStream(NULL, js, &config, NULL, &result.code);
    if (result.code == JSStreamNameExistErr) {
        result.code = 0;
        result.status = js_UpdateStream(NULL, js, &config, NULL, &result.code);
    }
    free(text);
    return result;
}

struct stream_api_result stream_api_look(jsCtx *js, const struct stream_reader_options *options, bool make,
                                         struct stream_extent *ret_extent)
{
    struct stream_api_result made = {NATS_OK, 0};
    struct stream_api_result result = {NATS_OK, 0};
    jsStreamInfo *info = NULL;

    if (make)
        made = make_stream(js, options);
    result.status = js_GetStreamInfo(&info, js, options->stream, NULL, &result.code);
    if (result.status != NATS_OK)
        return made.status != NATS_OK ? made : result;
    if (made.status != NATS_OK)
        log_write(options->log, LOG_LEVEL_WARN, "The stream could not be changed: it is read as it is",
                  LOG_FIELDS(log_text("stream", options->stream), log_text("reason", stream_api_reason(made)),
                             log_number("code", (int64_t)made.code)));
    *ret_extent = (struct stream_extent){
        .created_us = (uint64_t)info->Created / 1000, .first = info->State.FirstSeq, .last = info->State.LastSeq};
    jsStreamInfo_Destroy(info);
    return result;
}

struct stream_api_result stream_api_make_consumer(jsCtx *js, const char *stream, const char *name,
                                                  const struct stream_position *position, uint64_t *ret_pending)
{
    struct stream_api_result result = {NATS_OK, 0};
    jsConsumerInfo *info = NULL;
    jsConsumerConfig config;

    result.status = jsConsumerConfig_Init(&config);
    config.Name = name;
    config.AckPolicy = js_AckNone;
    config.InactiveThreshold = INACTIVE_S * NS_PER_S;
    config.MemoryStorage = true;
    config.Replicas = 1;
    if (position->has_last) {
        config.DeliverPolicy = js_DeliverByStartSequence;
        config.OptStartSeq = position->last + 1;
    } else {
        config.DeliverPolicy = js_DeliverByStartTime;
        config.OptStartTime = position->start_ns;
    }
    if (result.status == NATS_OK)
        result.status = js_AddConsumer(&info, js, stream, &config, NULL, &result.code);
    if (result.status == NATS_OK)
        *ret_pending = info->NumPending;
    jsConsumerInfo_Destroy(info);
    return result;
}

natsStatus stream_api_request(natsConnection *connection, const char *stream, const char *consumer, const char *inbox,
                              size_t count)
{
    char subject[TEXT_SIZE];
    char request[TEXT_SIZE];

    snprintf(subject, sizeof subject, "$JS.API.CONSUMER.MSG.NEXT.%s.%s", stream, consumer);
    snprintf(request, sizeof request, "{\"batch\":%zu,\"expires\":%" PRId64 ",\"idle_heartbeat\":%" PRId64 "}", count,
             EXPIRES_S * NS_PER_S, STREAM_API_HEARTBEAT_MS * NS_PER_MS);
    return natsConnection_PublishRequestString(connection, subject, inbox, request);
}

static uint64_t header_number(natsMsg *message, const char *name)
{
    const char *value = NULL;

    return natsMsgHeader_Get(message, name, &value) == NATS_OK ? strtoull(value, NULL, 10) : 0;
}

enum stream_api_status stream_api_read_status(natsMsg *message, uint64_t *ret_number, const char **ret_detail)
{
    const char *status = NULL;

    if (natsMsgHeader_Get(message, "Status", &status) != NATS_OK)
        return STREAM_API_NO_STATUS;
    if (strcmp(status, "100") == 0) {
        *ret_number = header_number(message, "Nats-Last-Consumer");
        return STREAM_API_ALIVE;
    }
    if (strcmp(status, "408") == 0) {
        *ret_number = header_number(message, "Nats-Pending-Messages");
        return STREAM_API_EXPIRED;
    }
    /* Without words: nobody takes requests for it. */
    if (natsMsgHeader_Get(message, "Description", ret_detail) != NATS_OK)
        *ret_detail = "its consumer is gone";
    return STREAM_API_GONE;
}

void stream_api_remove_consumer(natsConnection *connection, const char *stream, const char *consumer, const char *inbox)
{
    char subject[TEXT_SIZE];

    snprintf(subject, sizeof subject, "$JS.API.CONSUMER.DELETE.%s.%s", stream, consumer);
    (void)natsConnection_PublishRequestString(connection, subject, inbox, "");
}
