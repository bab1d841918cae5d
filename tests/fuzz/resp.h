#ifndef SLUICE_TESTS_FUZZ_RESP_H
#define SLUICE_TESTS_FUZZ_RESP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a socket's buffer takes at once. */
enum { RESP_MAX_BYTES = 65536 };

/*
 * Whether an array of more than 99999 elements is announced. hiredis reserves room for all of them at once, which the
 * sanitizers take for an error; Redis is trusted so far.
 */
bool resp_promises_much(const uint8_t *bytes, size_t size);

#endif
