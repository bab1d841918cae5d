#ifndef SLUICE_CMD_ARGUMENTS_H
#define SLUICE_CMD_ARGUMENTS_H

/* What the command line asks for besides settings. */
enum command {
    COMMAND_RUN,
    COMMAND_HELP,
    COMMAND_VERSION,
    COMMAND_CHECK_CONFIG,
    COMMAND_PROBE,
    COMMAND_WRITE_DOCS,
    COMMAND_KEYGEN, /* this and what follows: by the first word, with arguments of their own */
    COMMAND_REPLAY,
    COMMAND_TOKEN,
};

/* Takes the first word out of the arguments if it names a command; COMMAND_RUN: it does not. */
enum command arguments_take_word(int *argc, char ***argv);

/* Takes the command out of the arguments, which leaves those that are settings. The first command counts. */
enum command arguments_take_command(int *argc, char **argv);

/* Prints to stdout. */
void arguments_print_help(void);
void arguments_print_docs(void);

#endif
