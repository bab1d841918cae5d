/* What the benchmark's tools have in common: the clock, the descriptor limit, options in one table. */
#ifndef BENCH_TOOL_H
#define BENCH_TOOL_H

#include <stddef.h>
#include <stdint.h>

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_SECOND INT64_C(1000000000)

/* One `--name value`. Exactly one of number and text is set; it holds the default and receives the value. */
struct tool_option {
    const char *name;
    const char *help;
    long *number;
    long min;
    long max;
    const char **text;
};

/* CLOCK_MONOTONIC: the same for all processes of one machine, so an event's age can be told elsewhere. */
int64_t tool_now_ns(void);

/* Raises the soft limit of descriptors to the hard one and gives that, or -errno. */
int tool_raise_descriptor_limit(long *ret_limit);

/*
 * Reads the command line into the table's variables. Gives 0 to go on, 1 after --help was printed, and
 * -EINVAL after a bad option was explained on stderr.
 */
int tool_parse_options(const char *purpose, const struct tool_option *options, size_t count, int argc, char **argv);

#endif
