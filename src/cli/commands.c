#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *command_word(const struct command *self)
{
    const char *space = strrchr(self->name, ' ');
    return space ? space + 1 : self->name;
}

static void say_unknown(const struct command *self, const char *word)
{
    const char *space = self->name[0] ? " " : "", *dot = strrchr(word, '.');
    fprintf(stderr, "odradek%s%s: unknown command %s; try `odradek%s%s", space, self->name, word, space,
            self->name);
    if (!self->name[0] && dot && strcmp(dot, ".properties") == 0) // as kafka-server-start takes it
        fprintf(stderr, " server %s`\n", word);
    else
        fprintf(stderr, " --help`\n");
}

int command_run(const struct command *self, int argc, char **argv)
{
    if (!self->commands)
        return self->run(self, argc, argv);
    bool asked = argc > 0 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0 ||
                              strcmp(argv[0], "help") == 0);
    for (size_t i = 0; argc > 0 && self->commands[i]; i++)
        if (strcmp(argv[0], command_word(self->commands[i])) == 0)
            return command_run(self->commands[i], argc - 1, argv + 1);
    if (argc > 0 && !asked)
        say_unknown(self, argv[0]);
    else
        fputs(self->help, asked ? stdout : stderr);
    return asked ? EXIT_OK : EXIT_USAGE;
}

static void say(const struct command *self, const char *format, va_list args)
{
    fflush(stdout);
    fprintf(stderr, "odradek %s: ", self->name);
    vfprintf(stderr, format, args);
}

static char *kept;
static size_t kept_size;

void cli_keep_failures(char *into, size_t size)
{
    kept = into;
    kept_size = size;
}

int cli_fail(const struct command *self, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (kept)
        vsnprintf(kept, kept_size, format, args);
    else
        say(self, format, args);
    va_end(args);
    if (!kept)
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
