#ifndef SLUICE_CORE_CONFIG_OPTIONS_H
#define SLUICE_CORE_CONFIG_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "core/config.h"

/* The table of all settings, for config.c alone. Constant: any thread. */
enum option_type {
    OPTION_BOOL,
    OPTION_NUMBER,
    OPTION_TEXT,
    OPTION_CHOICE,
    OPTION_SECRET, /* a text that is never shown; NAME_FILE names a file that holds it */
    OPTION_HIDDEN, /* likewise never shown, but with an option of its own for a file, which is read again */
};

struct option {
    const char *group; /* begins a new group in the help */
    const char *name;
    enum option_type type;
    size_t offset;
    const char *fallback; /* the default; NULL: the option is required */
    int64_t min;
    int64_t max;
    const char *choices; /* of OPTION_CHOICE: a list */
    const char *(*check)(const char *value);
    const char *help;
    size_t file_offset; /* of OPTION_SECRET: where the name of its file is kept */
};

/* Entries without a name are the headings of groups. */
enum { CONFIG_OPTIONS_MAX = 160 };
extern const struct option config_options[];
extern const size_t config_option_count; /* at most CONFIG_OPTIONS_MAX */

#endif
