#ifndef SLUICE_TESTS_FUZZ_FUZZ_H
#define SLUICE_TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/frame.h"

/* Called by libFuzzer with each input. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the process with a message when what must hold does not: libFuzzer then keeps the input. */
#define MUST(condition) fuzz_must((condition), #condition, __FILE__, __LINE__)
void fuzz_must(bool holds, const char *condition, const char *file, int line);

/* A copy that ends with a NUL, to be freed. */
char *fuzz_text(const uint8_t *data, size_t size);

/*
 * That the frame's blocks are read by a browser as what they stand for: one event, with a payload of the same lines, and an
 * id that a client can resume from.
 */
void fuzz_check_frame(const struct frame *frame, const char *payload, size_t payload_size);

#endif
