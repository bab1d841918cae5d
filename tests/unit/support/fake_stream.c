#include "support/fake_stream.h"

#include <stdlib.h>

struct stream_reader {
    struct stream_start start;
    int starts;
    bool is_reading;
    uint64_t base;
    uint64_t end;
};

struct stream_reader *fake_stream_new(void)
{
    struct stream_reader *reader = calloc(1, sizeof *reader);

    if (!reader)
        abort();
    return reader;
}

void fake_stream_free(struct stream_reader *reader)
{
    free(reader);
}

int fake_stream_starts(const struct stream_reader *reader)
{
    return reader->starts;
}

struct stream_start fake_stream_start(const struct stream_reader *reader)
{
    return reader->start;
}

bool fake_stream_is_reading(const struct stream_reader *reader)
{
    return reader->is_reading;
}

void fake_stream_set_base(struct stream_reader *reader, uint64_t base)
{
    reader->base = base;
}

void fake_stream_set_end(struct stream_reader *reader, uint64_t end)
{
    reader->end = end;
}

bool stream_reader_is_at_end(struct stream_reader *reader, uint64_t *ret_end)
{
    if (reader->end > 0)
        *ret_end = reader->end;
    return reader->end > 0;
}

void stream_reader_start(struct stream_reader *reader, const struct stream_start *start)
{
    reader->start = *start;
    reader->starts++;
    reader->is_reading = true;
}

void stream_reader_stop(struct stream_reader *reader)
{
    reader->is_reading = false;
}

uint64_t stream_reader_base(struct stream_reader *reader)
{
    return reader->base;
}
