#include "core/event_id.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

int event_position_compare(struct event_position a, struct event_position b)
{
    if (a.ms != b.ms)
        return a.ms < b.ms ? -1 : 1;
    if (a.seq != b.seq)
        return a.seq < b.seq ? -1 : 1;
    return 0;
}

static bool is_id_character(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
}

void event_id_subject(const char *subject, size_t size, char ret_text[EVENT_SUBJECT_MAX + 1])
{
    if (size > EVENT_SUBJECT_MAX)
        size = EVENT_SUBJECT_MAX;
    for (size_t i = 0; i < size; i++)
        ret_text[i] = is_id_character(subject[i]) ? subject[i] : '_';
    ret_text[size] = '\0';
}

size_t event_id_format(const char *subject, struct event_position position, char ret_text[EVENT_ID_SIZE])
{
    int size = snprintf(ret_text, EVENT_ID_SIZE, "%s-%" PRIu64 "-%" PRIu64, subject, position.seq, position.ms);

    return (size_t)size;
}

/* Parses the decimal number that ends at *end (exclusive) and starts behind a '-'; moves *end onto that '-'. */
static bool parse_number_before(const char *text, size_t *end, uint64_t *ret_number)
{
    size_t start = *end;
    uint64_t number = 0;

    while (start > 0 && text[start - 1] >= '0' && text[start - 1] <= '9')
        start--;
    if (start == *end || start == 0 || text[start - 1] != '-')
        return false;
    /* One spelling for each number: no leading zeros. */
    if (text[start] == '0' && *end - start > 1)
        return false;
    if (*end - start > 16)
        return false;
    for (size_t i = start; i < *end; i++)
        number = number * 10 + (uint64_t)(text[i] - '0');
    if (number > EVENT_NUMBER_MAX)
        return false;
    *ret_number = number;
    *end = start - 1;
    return true;
}

bool event_id_parse(const char *text, size_t size, struct event_position *ret_position)
{
    struct event_position position;
    size_t end = size;

    if (size == 0 || size > EVENT_ID_MAX)
        return false;
    for (size_t i = 0; i < size; i++)
        if (!is_id_character(text[i]))
            return false;
    if (!parse_number_before(text, &end, &position.ms) || !parse_number_before(text, &end, &position.seq))
        return false;
    if (end == 0)
        return false;
    *ret_position = position;
    return true;
}

bool event_id_is_start(const char *id)
{
    return strncmp(id, "start-0-", 8) == 0 || strncmp(id, "hole-0-", 7) == 0;
}
