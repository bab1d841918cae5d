#include <stdlib.h>
#include <string.h>

#include "core/event_id.h"
#include "tests/fuzz/fuzz.h"

/* What is accepted is spelled exactly as we would spell it; any text becomes a subject that an id can hold. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    struct event_position position = {.ms = 1699999999999, .seq = 1};
    struct event_position parsed;
    char subject[EVENT_SUBJECT_MAX + 1];
    char id[EVENT_ID_SIZE];

    if (event_id_parse(text, size, &parsed)) {
        size_t tail = event_id_format("", parsed, id);

        MUST(size <= EVENT_ID_MAX && size > tail);
        MUST(memcmp(text + size - tail, id, tail) == 0);
    }
    event_id_subject(text, size, subject);
    if (*subject) {
        size_t id_size = event_id_format(subject, position, id);

        MUST(id_size <= EVENT_ID_MAX && id_size == strlen(id));
        MUST(event_id_parse(id, id_size, &parsed));
        MUST(event_position_compare(parsed, position) == 0);
    }
    free(text);
    return 0;
}
