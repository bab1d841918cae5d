#include <errno.h>
#include <string.h>

#include "auth/base64url.h"
#include "auth/jwt_text.h"
#include "tests/fuzz/fuzz.h"

/* What is accepted has three parts that lie where they should. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *token = (const char *)data;
    struct jwt_text text;
    int status = jwt_text_parse(token, size, &text);

    MUST(status == 0 || status == -EINVAL || status == -ENOTSUP);
    MUST(status == -EINVAL || size <= JWT_TEXT_MAX_BYTES);
    if (status == 0) {
        MUST(text.algorithm < ALGORITHM_COUNT);
        MUST(strlen(text.kid) < sizeof text.kid && (text.has_kid || !*text.kid));
        MUST(text.signing_input == token && text.signing_input_size < size && token[text.signing_input_size] == '.');
        MUST(text.payload_size > 0 && text.signature_size > 0);
        MUST(!memchr(token, '\0', size) && !memchr(token, '=', size));
        jwt_text_release(&text);
    }
    return 0;
}
