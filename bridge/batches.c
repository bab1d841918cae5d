#include "bridge/batches.h"

#include <stdlib.h>

struct heard {
    struct heard *next;
    struct source_message *message;
    uint64_t epoch;
    uint64_t batch;
    int64_t received_ns;
    size_t bytes;
};

struct batches {
    int64_t keep_ns;
    size_t max_bytes;
    size_t bytes;
    struct heard *first;
    struct heard **last;
};

struct batches *batches_new(int64_t keep_ns, size_t max_bytes)
{
    struct batches *batches = calloc(1, sizeof *batches);

    if (!batches)
        return NULL;
    batches->keep_ns = keep_ns;
    batches->max_bytes = max_bytes;
    batches->last = &batches->first;
    return batches;
}

static void drop_first(struct batches *batches)
{
    struct heard *first = batches->first;

    batches->first = first->next;
    if (!batches->first)
        batches->last = &batches->first;
    batches->bytes -= first->bytes;
    source_message_free(first->message);
    free(first);
}

void batches_free(struct batches *batches)
{
    if (!batches)
        return;
    while (batches->first)
        drop_first(batches);
    free(batches);
}

void batches_expire(struct batches *batches, int64_t now_ns)
{
    while (batches->first &&
           (batches->bytes > batches->max_bytes || now_ns - batches->first->received_ns > batches->keep_ns))
        drop_first(batches);
}

void batches_add(struct batches *batches, const struct source_item *item, const struct live_header *header)
{
    struct heard *heard = malloc(sizeof *heard);

    if (!heard) {
        source_message_free(item->message);
        return;
    }
    *heard = (struct heard){
        .message = item->message, .epoch = header->epoch, .batch = header->batch, .received_ns = item->received_ns};
    source_message_payload(item->message, &heard->bytes);
    *batches->last = heard;
    batches->last = &heard->next;
    batches->bytes += heard->bytes;
    batches_expire(batches, item->received_ns);
}

void batches_each(const struct batches *batches, uint64_t epoch, uint64_t batch,
                  void (*visit)(void *context, uint64_t batch, const struct live_reader *body), void *context)
{
    for (const struct heard *heard = batches->first; heard; heard = heard->next) {
        struct live_header header;
        struct live_reader body;
        size_t size;
        const char *payload = source_message_payload(heard->message, &size);

        if (heard->epoch == epoch && heard->batch > batch && live_read_header(&body, payload, size, &header) == 0)
            visit(context, heard->batch, &body);
    }
}
