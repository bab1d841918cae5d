#include "auth/base64url.h"

#include <errno.h>

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '-')
        return 62;
    return c == '_' ? 63 : -1;
}

ssize_t base64url_decode(const char *text, size_t text_size, unsigned char *ret_bytes)
{
    unsigned bits = 0;
    unsigned bit_count = 0;
    size_t used = 0;

    if (text_size % 4 == 1)
        return -EINVAL;
    for (size_t i = 0; i < text_size; i++) {
        int value = value_of(text[i]);

        if (value < 0)
            return -EINVAL;
        bits = (bits << 6 | (unsigned)value) & 0xfff;
        bit_count += 6;
        if (bit_count >= 8) {
            bit_count -= 8;
            ret_bytes[used++] = (unsigned char)(bits >> bit_count);
        }
    }
    if (bits & ((1U << bit_count) - 1))
        return -EINVAL;
    return (ssize_t)used;
}
