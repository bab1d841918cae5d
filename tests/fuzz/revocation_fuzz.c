#include <errno.h>
#include <string.h>

#include "auth/revocation_message.h"
#include "tests/fuzz/fuzz.h"

#define NOW INT64_C(1700000000000)

/* A message revokes something for a bounded time, or is refused with a reason and nothing else. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct revocation_message message;
    const char *problem = NULL;
    int status = revocation_message_parse((const char *)data, size, NOW, &message, &problem);

    MUST(status == 0 || status == -EINVAL);
    if (status == 0) {
        size_t length = strnlen(message.value, sizeof message.value);

        MUST(problem == NULL);
        MUST(length > 0 && length < sizeof message.value);
        for (size_t i = 0; i < length; i++)
            MUST((unsigned char)message.value[i] >= ' ' && message.value[i] != '\x7f');
        MUST(message.until_ms > NOW && message.until_ms <= NOW + REVOCATION_MAX_MS);
        MUST(message.subject <= SHARED_TOKEN);
    } else {
        MUST(problem && *problem);
    }
    return 0;
}
