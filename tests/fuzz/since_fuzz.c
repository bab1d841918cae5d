#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/event_id.h"
#include "core/since.h"
#include "tests/fuzz/fuzz.h"

#define NOW INT64_C(1769860800000)

/* What is accepted is a time that an id can have; written as a number or as RFC 3339, it is read as itself. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    char written[CLOCK_RFC3339_SIZE];
    int64_t unix_ms = -1;
    int64_t again = -1;

    if (since_parse(text, size, NOW, &unix_ms) == 0) {
        MUST(size <= 64);
        MUST(unix_ms >= 0 && unix_ms <= (int64_t)EVENT_NUMBER_MAX);
        if (unix_ms < INT64_C(253402300800000)) {
            clock_format_rfc3339(unix_ms, written);
            MUST(since_parse(written, strlen(written), 0, &again) == 0 && again == unix_ms);
        }
    } else {
        MUST(unix_ms == -1);
    }
    free(text);
    return 0;
}
