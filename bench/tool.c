#include "tool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

int64_t tool_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}

int tool_raise_descriptor_limit(long *ret_limit)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return -errno;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        return -errno;
    *ret_limit = (long)limit.rlim_cur;
    return 0;
}

static void print_help(const char *purpose, const struct tool_option *options, size_t count)
{
    printf("%s\n\n", purpose);
    for (size_t i = 0; i < count; i++) {
        const struct tool_option *option = &options[i];

        if (option->number)
            printf("  --%-15s %s (%ld to %ld, default %ld)\n", option->name, option->help, option->min, option->max,
                   *option->number);
        else
            printf("  --%-15s %s (default \"%s\")\n", option->name, option->help, *option->text);
    }
}

static const struct tool_option *find_option(const struct tool_option *options, size_t count, const char *argument)
{
    if (strncmp(argument, "--", 2) != 0)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(options[i].name, argument + 2) == 0)
            return &options[i];
    }
    return NULL;
}

static int set_option(const struct tool_option *option, const char *value)
{
    char *end;
    long number;

    if (option->text) {
        *option->text = value;
        return 0;
    }
    errno = 0;
    number = strtol(value, &end, 10);
    if (errno || end == value || *end || number < option->min || number > option->max) {
        fprintf(stderr, "--%s takes a whole number from %ld to %ld, not \"%s\"\n", option->name, option->min,
                option->max, value);
        return -EINVAL;
    }
    *option->number = number;
    return 0;
}

int tool_parse_options(const char *purpose, const struct tool_option *options, size_t count, int argc, char **argv)
{
    for (int i = 1; i < argc; i += 2) {
        const struct tool_option *option = find_option(options, count, argv[i]);
        int error;

        if (strcmp(argv[i], "--help") == 0) {
            print_help(purpose, options, count);
            return 1;
        }
        if (!option || i + 1 == argc) {
            fprintf(stderr, "%s %s; see --help\n", argv[i], option ? "needs a value" : "is not an option");
            return -EINVAL;
        }
        error = set_option(option, argv[i + 1]);
        if (error)
            return error;
    }
    return 0;
}
