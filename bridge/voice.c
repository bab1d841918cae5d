#include "bridge/voice.h"

#include <stdlib.h>

enum { MESSAGE_BYTES = 64 * 1024 * 1024 /* NATS has its own limit */ };

struct voice {
    struct voice_options options;
    struct buffer message;
};

struct voice *voice_new(const struct voice_options *options)
{
    struct voice *voice = calloc(1, sizeof *voice);

    if (!voice)
        return NULL;
    voice->options = *options;
    voice->message = buffer_make(MESSAGE_BYTES);
    return voice;
}

void voice_free(struct voice *voice)
{
    if (!voice)
        return;
    buffer_release(&voice->message);
    free(voice);
}

struct live_header voice_header(const struct voice *voice, enum live_type type)
{
    return (struct live_header){
        .type = type,
        .from = voice->options.id,
        .epoch = ownership_epoch(voice->options.ownership),
        .store = store_id(voice->options.store),
    };
}

struct buffer *voice_begin(struct voice *voice, const struct live_header *header)
{
    live_begin(&voice->message, header);
    return &voice->message;
}

void voice_send(struct voice *voice)
{
    if (!voice->message.failed)
        (void)source_publish(voice->options.source, voice->options.live_subject, voice->message.data,
                             voice->message.size);
}

void voice_say(struct voice *voice, const struct live_header *header)
{
    (void)voice_begin(voice, header);
    voice_send(voice);
}

size_t voice_max_payload(const struct voice *voice)
{
    return source_max_payload(voice->options.source);
}
