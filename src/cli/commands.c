#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int commands_run(const char *program, const char *help, const struct command *const *commands, int argc,
                 char **argv)
{
    bool asked = argc > 0 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0 ||
                              strcmp(argv[0], "help") == 0);
    for (size_t i = 0; argc > 0 && commands[i]; i++) {
        const char *name = strrchr(commands[i]->name, ' ');
        if (strcmp(argv[0], name ? name + 1 : commands[i]->name) == 0)
            return commands[i]->run(commands[i], argc - 1, argv + 1);
    }
    if (argc > 0 && !asked)
        fprintf(stderr, "%s: unknown command %s; try `%s --help`\n", program, argv[0], program);
    else
        fputs(help, asked ? stdout : stderr);
    return asked ? EXIT_OK : EXIT_USAGE;
}

static void say(const struct command *self, const char *format, va_list args)
{
    fflush(stdout);
    fprintf(stderr, "odradek %s: ", self->name);
    vfprintf(stderr, format, args);
}

int cli_fail(const struct command *self, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(self, format, args);
    va_end(args);
    fputc('\n', stderr);
    return EXIT_FAILED;
}

int cli_misuse(const struct command *self, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(self, format, args);
    va_end(args);
    fprintf(stderr, "; try `odradek %s --help`\n", self->name);
    return EXIT_USAGE;
}
