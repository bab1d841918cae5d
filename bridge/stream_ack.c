#include "bridge/stream_ack.h"

#include <errno.h>
#include <string.h>

#define PREFIX "$JS.ACK."

enum { TOKENS_MAX = 16, TOKENS = 7, TOKENS_WITH_DOMAIN = 9 };

struct token {
    const char *text;
    size_t size;
};

static int read_number(struct token token, uint64_t *ret_number)
{
    uint64_t number = 0;

    if (token.size == 0)
        return -EINVAL;
    for (size_t i = 0; i < token.size; i++) {
        unsigned digit = (unsigned)(token.text[i] - '0');

        if (digit > 9 || number > ((uint64_t)INT64_MAX - digit) / 10)
            return -EINVAL;
        number = number * 10 + digit;
    }
    *ret_number = number;
    return 0;
}

/* Returns how many tokens there are; those beyond TOKENS_MAX are not looked at. */
static size_t split(const char *text, struct token tokens[TOKENS_MAX])
{
    size_t count = 0;

    for (;;) {
        size_t size = strcspn(text, ".");

        tokens[count++] = (struct token){.text = text, .size = size};
        if (text[size] == '\0' || count == TOKENS_MAX)
            return count;
        text += size + 1;
    }
}

int stream_ack_parse(const char *subject, struct stream_ack *ret_ack)
{
    struct token tokens[TOKENS_MAX];
    const struct token *token = tokens;
    struct stream_ack ack;
    uint64_t stamp;
    size_t count;

    if (!subject || strncmp(subject, PREFIX, strlen(PREFIX)) != 0)
        return -EINVAL;
    count = split(subject + strlen(PREFIX), tokens);
    if (count >= TOKENS_WITH_DOMAIN)
        token += 2;
    else if (count != TOKENS)
        return -EINVAL;
    ack.consumer = token[1].text;
    ack.consumer_size = token[1].size;
    if (read_number(token[3], &ack.sequence) < 0 || read_number(token[4], &ack.consumer_sequence) < 0 ||
        read_number(token[5], &stamp) < 0 || read_number(token[6], &ack.pending) < 0)
        return -EINVAL;
    ack.stamp_ns = (int64_t)stamp;
    *ret_ack = ack;
    return 0;
}
