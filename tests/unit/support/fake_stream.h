#ifndef SLUICE_TESTS_FAKE_STREAM_H
#define SLUICE_TESTS_FAKE_STREAM_H

#include "bridge/stream_reader.h"

/* Takes the place of bridge/stream_reader.c: notes how it was started and stopped. */
struct stream_reader *fake_stream_new(void);
void fake_stream_free(struct stream_reader *reader);

/* Times that it was started; how it was last; whether it has not been stopped since. */
int fake_stream_starts(const struct stream_reader *reader);
struct stream_start fake_stream_start(const struct stream_reader *reader);
bool fake_stream_is_reading(const struct stream_reader *reader);

void fake_stream_set_base(struct stream_reader *reader, uint64_t base);

/* All up to that place was taken, the last when reading began; 0: not all was. */
void fake_stream_set_end(struct stream_reader *reader, uint64_t end);

#endif
