#include "core/config.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/config_auth.h"
#include "core/config_identity.h"
#include "core/config_options.h"
#include "core/config_secret.h"
#include "core/config_value.h"

enum { FLAG_MAX = 64 };

static bool is_secret(const struct option *option)
{
    return option->type == OPTION_SECRET || option->type == OPTION_HIDDEN;
}

/* PORT_ANALYTICS → port-analytics */
static void flag_name(const char *name, char ret_flag[FLAG_MAX])
{
    size_t i = 0;

    for (; i < FLAG_MAX - 1 && name[i]; i++)
        ret_flag[i] = name[i] == '_' ? '-' : (char)(name[i] | 0x20);
    ret_flag[i] = '\0';
}

/* What the flags say of an option: its value, or the file that holds it. */
struct given {
    const char *value;
    const char *file;
};

/* The place for what a flag says; NULL: it is none. */
static const char **find_flag(const char *flag, size_t size, struct given given[])
{
    static const char suffix[] = "-file";
    char name[FLAG_MAX + sizeof suffix];

    for (size_t i = 0; i < config_option_count; i++) {
        if (!config_options[i].name)
            continue;
        flag_name(config_options[i].name, name);
        if (strlen(name) == size && memcmp(name, flag, size) == 0)
            return &given[i].value;
        if (config_options[i].type != OPTION_SECRET)
            continue;
        strcat(name, suffix);
        if (strlen(name) == size && memcmp(name, flag, size) == 0)
            return &given[i].file;
    }
    return NULL;
}

/* Of a URL among them the password is not shown. */
static void complain_unknown(struct buffer *errors, const char *argument)
{
    char shown[256];

    config_redact(argument, shown, sizeof shown);
    buffer_printf(errors, "%.*s: unknown option; --help lists them all\n", (int)strcspn(shown, "="), shown);
}

/* Reads the flags into given[], by option; complains about those that are none. */
static void read_flags(int argc, char **argv, struct given given[], struct buffer *errors)
{
    for (int i = 0; i < argc; i++) {
        const char *flag = argv[i] + 2;
        size_t size = strcspn(argv[i], "=") - 2;
        const char **place = strncmp(argv[i], "--", 2) == 0 ? find_flag(flag, size, given) : NULL;

        if (!place) {
            complain_unknown(errors, argv[i]);
            /* What follows a misspelt flag is its value, and may be a secret. */
            if (!strchr(argv[i], '=') && i + 1 < argc && strncmp(argv[i + 1], "--", 2) != 0)
                i++;
            continue;
        }
        if (flag[size] == '=')
            *place = flag + size + 1;
        else if (i + 1 < argc)
            *place = argv[++i];
        else
            buffer_printf(errors, "%s: a value is missing behind it\n", argv[i]);
    }
}

static void complain(struct buffer *errors, const struct option *option, const char *value, const char *expected)
{
    char shown[256] = "(hidden)";

    if (!is_secret(option))
        config_redact(value, shown, sizeof shown);
    buffer_printf(errors, "%s: \"%s\" is not valid; expected %s\n", option->name, shown, expected);
}

static void set_bool(const struct option *option, const char *value, bool *field, struct buffer *errors)
{
    if (strcmp(value, "true") == 0 || strcmp(value, "1") == 0)
        *field = true;
    else if (strcmp(value, "false") == 0 || strcmp(value, "0") == 0)
        *field = false;
    else
        complain(errors, option, value, "true or false");
}

static void set_number(const struct option *option, const char *value, int64_t *field, struct buffer *errors)
{
    char expected[96];
    char *end;
    long long number;

    errno = 0;
    number = strtoll(value, &end, 10);
    if (errno == 0 && end != value && *end == '\0' && number >= option->min && number <= option->max &&
        strspn(value, "-0123456789") == strlen(value)) {
        *field = number;
        return;
    }
    snprintf(expected, sizeof expected, "a whole number from %" PRId64 " to %" PRId64, option->min, option->max);
    complain(errors, option, value, expected);
}

static int set_text(const struct option *option, const char *value, char **field, struct buffer *errors)
{
    const char *expected = NULL;
    char one_of[128];

    if (option->type == OPTION_CHOICE && !config_list_has(option->choices, value)) {
        snprintf(one_of, sizeof one_of, strchr(option->choices, ',') ? "one of %s" : "%s", option->choices);
        expected = one_of;
    } else if (option->check) {
        expected = option->check(value);
    }
    if (expected)
        complain(errors, option, value, expected);
    *field = strdup(value);
    return *field ? 0 : -ENOMEM;
}

static int set_option(struct config *config, const struct option *option, const char *value, struct buffer *errors)
{
    char *field = (char *)config + option->offset;

    switch (option->type) {
    case OPTION_BOOL:
        set_bool(option, value, (bool *)field, errors);
        return 0;
    case OPTION_NUMBER:
        set_number(option, value, (int64_t *)(void *)field, errors);
        return 0;
    case OPTION_TEXT:
    case OPTION_CHOICE:
    case OPTION_SECRET:
    case OPTION_HIDDEN:
        return set_text(option, value, (char **)(void *)field, errors);
    }
    return 0;
}

/* The flag's value, else the variable's, else the default; NULL when a required option has none. */
static const char *option_value(const struct option *option, const char *flag, config_lookup lookup, void *context)
{
    const char *value = flag ? flag : lookup(context, option->name);
    bool may_be_empty = strcmp(option->name, "REDIS_URL") == 0;

    if (value && (*value || may_be_empty))
        return value;
    return option->fallback;
}

/* Where the name of a secret's file is kept. */
static char **secret_file(struct config *config, const struct option *option)
{
    return (char **)(void *)((char *)config + option->file_offset);
}

/*
 * Reads the secret that NAME_FILE names, by flag or variable, and notes that name. NULL with 0: there is none, or it was complained
 * about. The text is the caller's.
 */
static int read_secret(struct config *config, const struct option *option, const struct given *given,
                       config_lookup lookup, void *context, struct buffer *errors, char **ret_text)
{
    char name[FLAG_MAX + 8];
    const char *value = given->value;
    const char *path = given->file;
    int status;

    *ret_text = NULL;
    snprintf(name, sizeof name, "%s_FILE", option->name);
    /* A flag of either kind wins over both variables. */
    if (!value && !path) {
        value = lookup(context, option->name);
        path = lookup(context, name);
    }
    if (!path || !*path)
        return 0;
    if (value && *value) {
        buffer_printf(errors, "%s: is given, and %s too; expected one of them\n", option->name, name);
        return 0;
    }
    *secret_file(config, option) = strdup(path);
    if (!*secret_file(config, option))
        return -ENOMEM;
    status = config_secret_read(path, ret_text);
    if (status < 0 && status != -ENOMEM)
        buffer_printf(errors, "%s: cannot read %s: %s\n", name, path, config_secret_error(status));
    return status == -ENOMEM ? status : 0;
}

static void check_dead_letters(const struct config *config, struct buffer *errors)
{
    const char *cursor = config->nats_subjects;
    const char *item;
    size_t size;

    if (!*config->dead_letter_subject)
        return;
    while (config_list_next(&cursor, &item, &size))
        if (config_pattern_matches(item, size, config->dead_letter_subject))
            buffer_printf(errors,
                          "DEAD_LETTER_SUBJECT: \"%s\" is not valid; expected a subject that NATS_SUBJECTS does not "
                          "cover, or refused messages would come back for ever\n",
                          config->dead_letter_subject);
}

/* What no single value shows. */
static void check_together(const struct config *config, struct buffer *errors)
{
    config_auth_check(config, errors);
    check_dead_letters(config, errors);
    config_identity_check(config, errors);
}

static int load_option(struct config *config, const struct option *option, const struct given *given,
                       config_lookup lookup, void *context, struct buffer *errors)
{
    char *secret = NULL;
    const char *value;
    int status = 0;

    if (option->type == OPTION_SECRET)
        status = read_secret(config, option, given, lookup, context, errors, &secret);
    if (status < 0)
        return status;
    value = secret ? secret : option_value(option, given->value, lookup, context);
    if (value)
        status = set_option(config, option, value, errors);
    else
        buffer_printf(errors, "%s: is required; expected %s (%s)\n", option->name, option->check(""), option->help);
    config_secret_free(secret);
    return status;
}

int config_load(struct config *config, int argc, char **argv, config_lookup lookup, void *context,
                struct buffer *errors)
{
    struct given given[CONFIG_OPTIONS_MAX] = {{NULL, NULL}};

    memset(config, 0, sizeof *config);
    read_flags(argc, argv, given, errors);
    for (size_t i = 0; i < config_option_count; i++) {
        int status =
            config_options[i].name ? load_option(config, &config_options[i], &given[i], lookup, context, errors) : 0;

        if (status < 0)
            return status;
    }
    if (errors->size == 0)
        check_together(config, errors);
    return errors->size > 0 || errors->failed ? -EINVAL : 0;
}

void config_release(struct config *config)
{
    for (size_t i = 0; i < config_option_count; i++) {
        char **text = (char **)(void *)((char *)config + config_options[i].offset);

        if (!config_options[i].name)
            continue;
        if (config_options[i].type == OPTION_SECRET)
            free(*secret_file(config, &config_options[i]));
        if (is_secret(&config_options[i]))
            config_secret_free(*text);
        else if (config_options[i].type == OPTION_TEXT || config_options[i].type == OPTION_CHOICE)
            free(*text);
    }
    memset(config, 0, sizeof *config);
}

static void write_range(struct buffer *text, const struct option *option)
{
    if (option->type == OPTION_BOOL)
        buffer_append_text(text, "true, false");
    else if (option->type == OPTION_CHOICE)
        buffer_append_text(text, option->choices);
    else if (option->type == OPTION_NUMBER)
        buffer_printf(text, "%" PRId64 " to %" PRId64, option->min, option->max);
    else if (option->type == OPTION_HIDDEN)
        buffer_append_text(text, "secret");
    else if (option->type == OPTION_SECRET)
        buffer_printf(text, "secret; or in a file that %s_FILE names", option->name);
    else
        buffer_append_text(text, "text");
}

void config_write_help(struct buffer *text)
{
    char flag[FLAG_MAX];

    for (size_t i = 0; i < config_option_count; i++) {
        const struct option *option = &config_options[i];

        if (option->group) {
            buffer_printf(text, "\n%s:\n", option->group);
            continue;
        }
        flag_name(option->name, flag);
        buffer_printf(text, "  --%s, %s\n      %s\n      (", flag, option->name, option->help);
        write_range(text, option);
        if (!option->fallback)
            buffer_append_text(text, "; required)\n");
        else
            buffer_printf(text, "; default %s)\n", *option->fallback ? option->fallback : "empty");
    }
}

/* A | would end a table cell. */
static void append_cell(struct buffer *text, const char *cell)
{
    for (; *cell; cell++)
        buffer_append_text(text, *cell == '|' ? "\\|" : (const char[]){*cell, '\0'});
}

void config_write_markdown(struct buffer *text)
{
    for (size_t i = 0; i < config_option_count; i++) {
        const struct option *option = &config_options[i];

        if (option->group) {
            buffer_printf(text, "\n## %s\n\n| variable | default | values | meaning |\n| --- | --- | --- | --- |\n",
                          option->group);
            continue;
        }
        buffer_printf(text, "| `%s` | ", option->name);
        if (!option->fallback)
            buffer_append_text(text, "required");
        else if (*option->fallback)
            buffer_printf(text, "`%s`", option->fallback);
        else
            buffer_append_text(text, "empty");
        buffer_append_text(text, " | ");
        write_range(text, option);
        buffer_append_text(text, " | ");
        append_cell(text, option->help);
        buffer_append_text(text, " |\n");
    }
}
