// The command line: subcommands, their options, and how they speak to people and programs. One thread.
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>

// What a command returns to the shell.
enum exit_status {
    EXIT_OK = 0,
    EXIT_FAILED = 1, // it was understood, and it did not work
    EXIT_USAGE = 2,  // it was not understood
};

struct command {
    const char *name;                                              // "topic create"
    const char *summary;                                           // one line
    const char *help;                                              // examples first, then the rule
    int (*run)(const struct command *self, int argc, char **argv); // argv[0] is the first argument
};

extern const struct command server_command, format_command, topic_command, config_command, produce_command,
    consume_command, log_command, quota_command;

// Runs the command that argv[0] names out of `commands` (ends with NULL), or prints the list of them.
int commands_run(const char *program, const char *help, const struct command *const *commands, int argc,
                 char **argv);

// "odradek topic create: ..." on standard error. Returns EXIT_FAILED.
int cli_fail(const struct command *self, const char *format, ...) __attribute__((format(printf, 2, 3)));

// The same with a hint to --help. Returns EXIT_USAGE.
int cli_misuse(const struct command *self, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
