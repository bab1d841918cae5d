#include <errno.h>
#include <string.h>

#include "auth/base64url.h"
#include "auth/jwt_text.h"
#include "tests/fuzz/fuzz.h"

/* Each run of bytes has one spelling: what was decoded is spelled again as it came. */
static void check_base64url(const char *text, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    unsigned char bytes[BASE64URL_DECODED_SIZE(JWT_TEXT_MAX_BYTES)];
    ssize_t decoded = size <= JWT_TEXT_MAX_BYTES ? base64url_decode(text, size, bytes) : -EINVAL;
    size_t used = 0;
    unsigned bits = 0;
    unsigned pending = 0;

    MUST(decoded >= 0 || decoded == -EINVAL);
    for (ssize_t i = 0; i < decoded; i++) {
        pending = (pending << 8 | bytes[i]) & 0xffff;
        for (bits += 8; bits >= 6; bits -= 6) {
            MUST(used < size && text[used] == digits[pending >> (bits - 6) & 63]);
            used++;
        }
    }
    if (decoded >= 0 && bits > 0) {
        MUST(used < size && text[used] == digits[pending << (6 - bits) & 63]);
        used++;
    }
    MUST(decoded < 0 || used == size);
}

/* What is accepted has three parts that lie where they should. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *token = (const char *)data;
    struct jwt_text text;
    int status = jwt_text_parse(token, size, &text);

    check_base64url(token, size);
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
