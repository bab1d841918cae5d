#ifndef SLUICE_CMD_FLAGS_H
#define SLUICE_CMD_FLAGS_H

#include <stddef.h>
#include <stdio.h>

/* The arguments of a subcommand: `--name value` or `--name=value`, each at most once. */
struct flag {
    const char *name;   /* with its dashes */
    const char **value; /* NULL before; then one of argv's texts */
};

/* Takes them out of argv, which leaves what is none of them. Returns NULL; or what is wrong, and in ret_name with which. */
const char *flags_take(const struct flag *flags, size_t count, int *argc, char **argv, const char **ret_name);

/*
 * Says what is wrong with the argument of that name, and how the subcommand is used; the first word of `usage` is the subcommand.
 * Returns the exit status of bad usage.
 */
enum { FLAGS_BAD_USAGE = 2 };
int flags_complain(FILE *errors, const char *usage, const char *name, const char *problem);

#endif
