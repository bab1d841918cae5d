#include "tests/fuzz/resp.h"

enum { DIGITS_MAX = 5 };

bool resp_promises_much(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        size_t digits = 0;

        /* Arrays, and what later versions of the protocol have like them. */
        if (bytes[i] != '*' && bytes[i] != '%' && bytes[i] != '~' && bytes[i] != '>')
            continue;
        while (i + 1 + digits < size && (bytes[i + 1 + digits] == '+' || bytes[i + 1 + digits] == '-' ||
                                         (bytes[i + 1 + digits] >= '0' && bytes[i + 1 + digits] <= '9')))
            digits++;
        if (digits > DIGITS_MAX)
            return true;
    }
    return false;
}
