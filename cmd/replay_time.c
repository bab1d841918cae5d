#include "cmd/replay_time.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "auth/api_key.h"

static int64_t unit_ms(char unit)
{
    switch (unit) {
    case 's':
        return 1000;
    case 'm':
        return INT64_C(60) * 1000;
    case 'h':
        return INT64_C(3600) * 1000;
    case 'd':
        return INT64_C(86400) * 1000;
    default:
        return 0;
    }
}

int replay_time_parse(const char *text, int64_t now_ms, int64_t *ret_unix_ms)
{
    size_t digits = strspn(text, "0123456789");
    int64_t number = 0;
    int64_t unix_ms;

    if (digits == 0 || digits > 18)
        return -EINVAL;
    for (size_t i = 0; i < digits; i++)
        number = number * 10 + (text[i] - '0');
    if (text[digits] == '\0') {
        unix_ms = number;
    } else if (unit_ms(text[digits]) > 0 && text[digits + 1] == '\0') {
        if (number > now_ms / unit_ms(text[digits]))
            return -EINVAL;
        unix_ms = now_ms - number * unit_ms(text[digits]);
    } else if (api_key_parse_expiry(text, &unix_ms) < 0) {
        return -EINVAL;
    }
    if (unix_ms <= 0 || unix_ms > now_ms)
        return -EINVAL;
    *ret_unix_ms = unix_ms;
    return 0;
}
