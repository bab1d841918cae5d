#ifndef SLUICE_AUTH_BASE64URL_H
#define SLUICE_AUTH_BASE64URL_H

#include <stddef.h>
#include <sys/types.h>

/* Enough room for what text_size characters decode to. */
#define BASE64URL_DECODED_SIZE(text_size) ((text_size) / 4 * 3 + 3)

/*
 * Decodes base64url as JOSE has it (RFC 7515): no padding, no white space, and no bits set that encode nothing, so that
 * each run of bytes has exactly one spelling. Returns the number of bytes, or -EINVAL. Any thread.
 */
ssize_t base64url_decode(const char *text, size_t text_size, unsigned char *ret_bytes);

#endif
