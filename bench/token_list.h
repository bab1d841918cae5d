/* Tokens for streams, from a file with one on each line. */
#ifndef BENCH_TOKEN_LIST_H
#define BENCH_TOKEN_LIST_H

#include <stddef.h>

struct token_list;

/* Gives 0, -EINVAL for a file without tokens, or -errno. The caller frees the list. */
int token_list_read(const char *path, struct token_list **ret_tokens);
void token_list_free(struct token_list *tokens);

/* Token of that number, from the beginning again behind the last one. */
const char *token_list_at(const struct token_list *tokens, size_t number);

#endif
