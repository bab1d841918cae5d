#ifndef SLUICE_AUTH_RANDOM_TEXT_H
#define SLUICE_AUTH_RANDOM_TEXT_H

#include <stddef.h>

/* Texts made of the kernel's random numbers, and hexadecimal. Any thread. */
enum { RANDOM_TEXT_BYTES = 32, RANDOM_TEXT_SIZE = 4 + 43 + 1 };

/* Fills in random bytes. Returns 0 or -errno. */
int random_bytes(unsigned char *ret_bytes, size_t size);

/* A secret that nobody can guess: prefix (4 characters) and 32 bytes in base64url. Returns 0 or -errno. */
int random_text(const char *prefix, char ret_text[RANDOM_TEXT_SIZE]);

/* An id that no other one is equal to: 16 lower-case hexadecimal digits. Returns 0 or -errno. */
enum { RANDOM_ID_SIZE = 16 + 1 };
int random_id(char ret_id[RANDOM_ID_SIZE]);

/* Writes 2 * size lower-case digits and a NUL. */
void hex_format(const unsigned char *bytes, size_t size, char *ret_text);

/* Reads exactly 2 * size digits. Returns 0 or -EINVAL. */
int hex_parse(const char *text, size_t text_size, unsigned char *ret_bytes, size_t size);

#endif
