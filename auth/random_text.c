#include "auth/random_text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

int random_bytes(unsigned char *ret_bytes, size_t size)
{
    size_t have = 0;

    while (have < size) {
        ssize_t got = getrandom(ret_bytes + have, size - have, 0);

        if (got < 0 && errno != EINTR)
            return -errno;
        if (got > 0)
            have += (size_t)got;
    }
    return 0;
}

int random_text(const char *prefix, char ret_text[RANDOM_TEXT_SIZE])
{
    unsigned char secret[RANDOM_TEXT_BYTES];
    char text[4 * ((RANDOM_TEXT_BYTES + 2) / 3) + 1];
    int status = random_bytes(secret, sizeof secret);

    if (status < 0)
        return status;
    EVP_EncodeBlock((unsigned char *)text, secret, sizeof secret);
    /* base64url: two other characters; the padding is left behind below. */
    for (char *at = text; *at; at++) {
        if (*at == '+')
            *at = '-';
        else if (*at == '/')
            *at = '_';
    }
    memcpy(ret_text, prefix, 4);
    memcpy(ret_text + 4, text, RANDOM_TEXT_SIZE - 5);
    ret_text[RANDOM_TEXT_SIZE - 1] = '\0';
    OPENSSL_cleanse(secret, sizeof secret);
    OPENSSL_cleanse(text, sizeof text);
    return 0;
}

void hex_format(const unsigned char *bytes, size_t size, char *ret_text)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < size; i++) {
        *ret_text++ = digits[bytes[i] >> 4];
        *ret_text++ = digits[bytes[i] & 15];
    }
    *ret_text = '\0';
}

int random_id(char ret_id[RANDOM_ID_SIZE])
{
    unsigned char bytes[(RANDOM_ID_SIZE - 1) / 2];
    int status = random_bytes(bytes, sizeof bytes);

    if (status == 0)
        hex_format(bytes, sizeof bytes, ret_id);
    return status;
}

static int hexadecimal(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
        return (c | 0x20) - 'a' + 10;
    return -1;
}

int hex_parse(const char *text, size_t text_size, unsigned char *ret_bytes, size_t size)
{
    if (text_size != 2 * size)
        return -EINVAL;
    for (size_t i = 0; i < size; i++) {
        int high = hexadecimal(text[2 * i]);
        int low = hexadecimal(text[2 * i + 1]);

        if (high < 0 || low < 0)
            return -EINVAL;
        ret_bytes[i] = (unsigned char)(high * 16 + low);
    }
    return 0;
}
