#include "cmd/flags.h"

#include <string.h>

static const struct flag *find(const struct flag *flags, size_t count, const char *name, size_t size)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(flags[i].name) == size && memcmp(flags[i].name, name, size) == 0)
            return &flags[i];
    return NULL;
}

const char *flags_take(const struct flag *flags, size_t count, int *argc, char **argv, const char **ret_name)
{
    int kept = 0;

    for (int i = 0; i < *argc; i++) {
        size_t size = strcspn(argv[i], "=");
        const struct flag *flag = find(flags, count, argv[i], size);

        if (!flag) {
            argv[kept++] = argv[i];
            continue;
        }
        *ret_name = flag->name;
        if (*flag->value)
            return "is there twice";
        if (argv[i][size] == '=')
            *flag->value = argv[i] + size + 1;
        else if (i + 1 < *argc)
            *flag->value = argv[++i];
        else
            return "a value is missing behind it";
    }
    *argc = kept;
    return NULL;
}

int flags_complain(FILE *errors, const char *usage, const char *name, const char *problem)
{
    fprintf(errors, "sluice %.*s: %.64s: %s\nUsage: sluice %s\n", (int)strcspn(usage, " "), usage, name, problem,
            usage);
    return FLAGS_BAD_USAGE;
}
