#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/stream_ack.h"
#include "tests/fuzz/fuzz.h"

/* What is taken out of a reply subject lies in it, in the place where NATS writes it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    struct stream_ack ack;

    if (stream_ack_parse(text, &ack) == 0) {
        char number[32];

        MUST(ack.consumer >= text && ack.consumer + ack.consumer_size <= text + strlen(text));
        MUST(!memchr(ack.consumer, '.', ack.consumer_size) && ack.consumer[-1] == '.');
        MUST(ack.consumer[ack.consumer_size] == '.' && ack.stamp_ns >= 0);
        snprintf(number, sizeof number, "%llu", (unsigned long long)ack.sequence);
        MUST(strstr(ack.consumer, number));
    }
    free(text);
    return 0;
}
