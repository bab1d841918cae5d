#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/config.h"
#include "core/config_value.h"
#include "replay/redis_url.h"
#include "tests/fuzz/fuzz.h"

enum { LINES_MAX = 64 };

#define SECRET "S3CR3T"

/* The input's lines: flags and their values, or `NAME=value` for the environment. */
struct input {
    char *flags[LINES_MAX];
    int flag_count;
    char *variables[LINES_MAX];
    int variable_count;
};

static void split(char *text, struct input *ret_input)
{
    char *rest;

    *ret_input = (struct input){.flag_count = 0};
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        bool is_variable = *line >= 'A' && *line <= 'Z' && strchr(line, '=');

        if (is_variable && ret_input->variable_count < LINES_MAX)
            ret_input->variables[ret_input->variable_count++] = line;
        else if (!is_variable && ret_input->flag_count < LINES_MAX)
            ret_input->flags[ret_input->flag_count++] = line;
    }
}

static const char *look_up(void *context, const char *name)
{
    const struct input *input = context;

    for (int i = 0; i < input->variable_count; i++) {
        const char *value = strchr(input->variables[i], '=');

        if (strlen(name) == (size_t)(value - input->variables[i]) &&
            memcmp(name, input->variables[i], strlen(name)) == 0)
            return value + 1;
    }
    return strcmp(name, "AUTH_MODE") == 0 ? "none" : NULL;
}

/* A configuration that was accepted is one that the modules can work with. */
static void check_accepted(const struct config *config)
{
    struct redis_url url;
    const char *cursor = config->nats_subjects;
    const char *item;
    size_t size;

    MUST(strcmp(config->auth_mode, "none") == 0);
    MUST(config->port >= 0 && config->port <= 65535);
    MUST(config->buffer_events >= 2 && config->max_event_bytes >= 1024 && config->redis_timeout_ms >= 50);
    MUST(*config->nats_url && *config->nats_subjects && *config->event_names && *config->bind_address);
    while (config_list_next(&cursor, &item, &size))
        MUST(!config_pattern_matches(item, size, config->dead_letter_subject) || !*config->dead_letter_subject);
    if (*config->redis_url) {
        MUST(redis_url_parse(config->redis_url, &url) == 0);
        redis_url_release(&url);
    }
}

static void check_load(struct input *input)
{
    struct buffer errors = buffer_make(1024 * 1024);
    struct config config;
    int status = config_load(&config, input->flag_count, input->flags, look_up, input, &errors);

    MUST(status == 0 || status == -EINVAL);
    MUST((status == 0) == (errors.size == 0));
    MUST(errors.size == 0 || errors.data[errors.size - 1] == '\n');
    if (status == 0)
        check_accepted(&config);
    config_release(&config);
    buffer_release(&errors);
}

/* Whatever else stands in the password: no part of it is told. */
static void check_secret(const char *noise)
{
    static char name[] = "REDIS_URL";
    struct buffer errors = buffer_make(1024 * 1024);
    struct input input = {.variable_count = 1};
    struct config config;
    char url[512];

    snprintf(url, sizeof url, "%s=bad://user:" SECRET "%.200s@host", name, noise);
    input.variables[0] = url;
    MUST(config_load(&config, 0, NULL, look_up, &input, &errors) == -EINVAL);
    buffer_append(&errors, "", 1);
    MUST(strstr(errors.data, "REDIS_URL") != NULL);
    MUST(strstr(errors.data, SECRET) == NULL);
    config_release(&config);
    buffer_release(&errors);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    struct input input;

    if (!strstr(text, SECRET))
        check_secret(text);
    split(text, &input);
    check_load(&input);
    free(text);
    return 0;
}
