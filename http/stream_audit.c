#include "http/stream_audit.h"

#include "http/channel.h"

#define NS_PER_MS INT64_C(1000000)

/* Who has the stream, as log fields. */
struct who {
    char address[ADDRESS_TEXT_SIZE];
    const char *user;
    const char *session;
    const char *key;
    const char *token;
};

static struct who who_has(const struct stream *stream)
{
    struct who who = {.address = ""};
    const struct identity *identity;

    if (!stream->pass)
        return who;
    identity = pass_identity(stream->pass);
    address_format(pass_address(stream->pass), who.address);
    who.user = identity->user;
    who.session = identity->session;
    who.key = identity->key_id;
    who.token = identity->token_id;
    return who;
}

void stream_audit_opened(const struct stream_context *context, const struct stream *stream)
{
    struct who who;

    if (!log_enabled(context->log, LOG_LEVEL_INFO))
        return;
    who = who_has(stream);
    log_write(context->log, LOG_LEVEL_INFO, "SSE connection established",
              LOG_FIELDS(log_text("companyId", stream->channel->company),
                         log_text("connectionId", stream->connection_id), log_known("userId", who.user),
                         log_known("sessionId", who.session), log_known("keyId", who.key),
                         log_known("tokenId", who.token), log_known("address", who.address),
                         log_known("lastEventId", stream->requested)));
}

void stream_audit_closed(const struct stream_context *context, const struct stream *stream, enum stream_end end)
{
    struct who who;

    if (!log_enabled(context->log, LOG_LEVEL_INFO))
        return;
    who = who_has(stream);
    log_write(context->log, LOG_LEVEL_INFO, "SSE connection closed",
              LOG_FIELDS(log_text("companyId", stream->channel->company),
                         log_text("connectionId", stream->connection_id), log_known("userId", who.user),
                         log_known("sessionId", who.session), log_known("keyId", who.key),
                         log_known("tokenId", who.token), log_known("address", who.address),
                         log_text("reason", stream_end_text(end)),
                         log_number("durationMs", (context->now_ns - stream->opened_ns) / NS_PER_MS),
                         log_number("events", stream->events), log_number("dropped", stream->dropped),
                         log_number("bytes", (int64_t)stream->sent_bytes)));
}
