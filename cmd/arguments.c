#include "cmd/arguments.h"

#include <stdio.h>
#include <string.h>

#include "core/buffer.h"
#include "core/config.h"

enum { TEXT_MAX_BYTES = 256 * 1024 };

static const struct {
    const char *flag;
    enum command command;
} commands[] = {
    {"--help", COMMAND_HELP},       {"-h", COMMAND_HELP},
    {"--version", COMMAND_VERSION}, {"--check-config", COMMAND_CHECK_CONFIG},
    {"--probe", COMMAND_PROBE},     {"--write-docs", COMMAND_WRITE_DOCS},
};

enum command arguments_take_word(int *argc, char ***argv)
{
    static const struct {
        const char *word;
        enum command command;
    } words[] = {{"keygen", COMMAND_KEYGEN}, {"replay", COMMAND_REPLAY}, {"token", COMMAND_TOKEN}};

    for (size_t i = 0; *argc > 0 && i < sizeof words / sizeof words[0]; i++) {
        if (strcmp((*argv)[0], words[i].word) != 0)
            continue;
        (*argc)--;
        (*argv)++;
        return words[i].command;
    }
    return COMMAND_RUN;
}

enum command arguments_take_command(int *argc, char **argv)
{
    enum command command = COMMAND_RUN;
    int kept = 0;

    for (int i = 0; i < *argc; i++) {
        size_t at = 0;

        while (at < sizeof commands / sizeof commands[0] && strcmp(argv[i], commands[at].flag) != 0)
            at++;
        if (at == sizeof commands / sizeof commands[0])
            argv[kept++] = argv[i];
        else if (command == COMMAND_RUN)
            command = commands[at].command;
    }
    *argc = kept;
    return command;
}

static void print(struct buffer *text)
{
    fwrite(text->data, 1, text->size, stdout);
    buffer_release(text);
}

void arguments_print_help(void)
{
    struct buffer text = buffer_make(TEXT_MAX_BYTES);

    buffer_append_text(&text, "Sluice: events from NATS to browsers as Server-Sent Events, with replay.\n\n"
                              "Usage: sluice [command] [--setting value]...\n\n"
                              "Commands:\n"
                              "  (none)          run until SIGTERM or SIGINT\n"
                              "  keygen          make an API key: keygen --company COMPANY [--id ID] [--expires TIME]\n"
                              "  token           make a token to try it out: token --company COMPANY [--user USER]\n"
                              "                  [--lifetime SECONDS], with the secret that the settings name\n"
                              "  replay          refill a lost Redis from NATS_STREAM: replay --from TIME|24h\n"
                              "  --check-config  check the settings and say what is wrong with them\n"
                              "  --probe         ask the Sluice on this machine whether it lives: 0 if so\n"
                              "  --write-docs    print docs/configuration.md\n"
                              "  --version       print the version\n"
                              "  --help          print this\n\n"
                              "Settings come from flags, else from environment variables, else from defaults.\n");
    config_write_help(&text);
    print(&text);
}

void arguments_print_docs(void)
{
    struct buffer text = buffer_make(TEXT_MAX_BYTES);

    buffer_append_text(
        &text, "# Configuration\n\n"
               "Generated from the table in `core/config_options.c` by `sluice --write-docs`; do not edit.\n\n"
               "Each setting is an environment variable, and a flag of the same name: `PORT_ANALYTICS=3007` is\n"
               "`--port-analytics 3007`. A flag wins over the variable. An empty variable counts as unset,\n"
               "`REDIS_URL` apart. A bad value stops the start; all of them are listed at once, and\n"
               "`sluice --check-config` lists them without starting.\n");
    config_write_markdown(&text);
    print(&text);
}
