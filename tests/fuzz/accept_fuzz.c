#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/request.h"
#include "tests/fuzz/fuzz.h"

static bool accepts_with(const char *accept, const char *more)
{
    char *text = malloc(strlen(accept) + strlen(more) + 1);
    bool accepted;

    MUST(text != NULL);
    strcpy(text, accept);
    strcat(text, more);
    accepted = request_accepts_event_stream(text);
    free(text);
    return accepted;
}

/* Where nothing else names event streams exactly, a range that does decides. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *accept = fuzz_text(data, size);

    (void)request_accepts_event_stream(accept);
    if (!strcasestr(accept, "text/event-stream")) {
        MUST(accepts_with(accept, ", text/event-stream"));
        MUST(accepts_with(accept, ",text/event-stream;q=0.5"));
        MUST(!accepts_with(accept, ", text/event-stream;q=0"));
    }
    free(accept);
    return 0;
}
