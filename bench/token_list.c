#include "token_list.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct token_list {
    char *text;
    char **tokens;
    size_t count;
};

static int read_text(const char *path, char **ret_text)
{
    FILE *file = fopen(path, "r");
    size_t capacity = 0;
    ssize_t size;

    if (!file)
        return -errno;
    size = getdelim(ret_text, &capacity, '\0', file);
    (void)fclose(file);
    return size < 0 ? -EINVAL : 0;
}

/* Cuts the text up at its line ends; blank lines are none. */
static int split(struct token_list *tokens)
{
    size_t lines = 1;
    char *rest = NULL;

    for (const char *at = tokens->text; at && *at; at++)
        lines += *at == '\n';
    tokens->tokens = calloc(lines, sizeof *tokens->tokens);
    if (!tokens->tokens || !tokens->text)
        return -ENOMEM;
    for (char *line = strtok_r(tokens->text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        tokens->tokens[tokens->count++] = line;
    return tokens->count > 0 ? 0 : -EINVAL;
}

int token_list_read(const char *path, struct token_list **ret_tokens)
{
    struct token_list *tokens = calloc(1, sizeof *tokens);
    int error;

    if (!tokens)
        return -ENOMEM;
    error = read_text(path, &tokens->text);
    if (!error)
        error = split(tokens);
    if (error)
        token_list_free(tokens);
    else
        *ret_tokens = tokens;
    return error;
}

void token_list_free(struct token_list *tokens)
{
    if (!tokens)
        return;
    free(tokens->tokens);
    free(tokens->text);
    free(tokens);
}

const char *token_list_at(const struct token_list *tokens, size_t number)
{
    return tokens->tokens[number % tokens->count];
}
