// Options of a command: --name VALUE, --name=VALUE, -n VALUE, -nVALUE, flags, and what is no option. "--"
// ends them.
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "cli/cli.h"

#include <stdint.h>

enum { OPTION_END = -1, OPTION_ARGUMENT = -2, OPTION_BAD = -3, OPTION_HELP = -4 };

struct options {
    const struct command *command;
    char **argv;
    int argc, at;
    const struct option *option; // that options_next returned; NULL: none
    const char *value;           // of it, or the argument
    const char *cluster;         // letters left of "-abc"
    bool only_arguments;         // behind "--"
};

struct options options_start(const struct command *command, int argc, char **argv);

// The index of the next option of the command's; OPTION_ARGUMENT; OPTION_END. OPTION_HELP: --help or -h,
// which has been printed. OPTION_BAD: not understood, and said so.
int options_next(struct options *o);

// What a command returns after OPTION_HELP or OPTION_BAD.
static inline int options_status(int result)
{
    return result == OPTION_HELP ? EXIT_OK : EXIT_USAGE;
}

// The value as a whole number from low to high. False, and said so, when it is none.
bool options_number(const struct options *o, int64_t low, int64_t high, int64_t *out);

#endif
