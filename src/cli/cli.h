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

struct option {
    const char *name; // without the dashes; NULL: ends the list
    char letter;      // 0: none
    bool takes_value;
};

// What a command's arguments are, for the shell that completes them.
enum argument { ARGUMENT_NONE, ARGUMENT_FILE, ARGUMENT_TOPIC, ARGUMENT_GROUP, ARGUMENT_RESOURCE };

// A command, or a family of them. The completion of the shells and the manual pages are made of these.
struct command {
    const char *name;                                              // "topic create"; "" of odradek itself
    const char *summary;                                           // one line
    const char *help;                                              // examples first, then the rule
    const struct option *options;                                  // of a command
    enum argument argument;                                        // of a command
    int (*run)(const struct command *self, int argc, char **argv); // argv[0] is the first argument
    const struct command *const *commands;                         // of a family; NULL ends the list
};

extern const struct command odradek_command, server_command, format_command, topic_command, config_command,
    produce_command, consume_command, log_command, quota_command, group_command, txn_command, cluster_command,
    top_command, demo_command, completion_command, man_command;

// Runs the command, or the one of the family that argv[0] names; the list of them where it names none.
int command_run(const struct command *self, int argc, char **argv);

// The last word of its name.
const char *command_word(const struct command *self);

// "odradek topic create: ..." on standard error. Returns EXIT_FAILED.
int cli_fail(const struct command *self, const char *format, ...) __attribute__((format(printf, 2, 3)));

// What to do where no broker can be reached, and where a name is none.
#define CLI_NO_BROKER "; `odradek server` starts a broker, --bootstrap names another"
#define CLI_NO_TOPIC  "; `odradek topic list` lists those that there are"
#define CLI_PARTITION "; `odradek topic describe` shows those that it has"

// What cli_fail says is put here instead, without the command's name and cut to the size; NULL: no more. For
// a command that goes on. One thread.
void cli_keep_failures(char *into, size_t size);

// The same with a hint to --help. Returns EXIT_USAGE.
int cli_misuse(const struct command *self, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
