// odradek man: the manual pages, made of what --help prints.
#include "cli/options.h"
#include "cli/output.h"

#include <string.h>

static const char help[] =
    "  odradek man topic | man -l -\n"
    "  odradek man > odradek.1\n"
    "\n"
    "Prints the manual page of odradek, or of one of its commands, for man(1).\n";

// A roff line begins with neither a dot nor a quote, and has its backslashes and dashes as they are.
static void escape(struct buffer *out, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        bool begins = i == 0 || text[i - 1] == '\n';
        if (begins && (text[i] == '.' || text[i] == '\''))
            buffer_text(out, "\\&");
        if (text[i] == '\\')
            buffer_text(out, "\\e");
        else if (text[i] == '-')
            buffer_text(out, "\\-");
        else
            buffer_byte(out, (uint8_t)text[i]);
    }
}

static void escape_text(struct buffer *out, const char *text)
{
    escape(out, text, strlen(text));
}

static void as_it_is(struct buffer *out, const char *text, size_t size)
{
    buffer_text(out, ".nf\n");
    escape(out, text, size);
    buffer_text(out, size && text[size - 1] != '\n' ? "\n.fi\n" : ".fi\n");
}

// The examples, an empty line, the rest: as every help is written.
static void print_help(struct buffer *out, const struct command *c, const char *macro)
{
    const char *rest = strstr(c->help, "\n\n");
    size_t examples = rest ? (size_t)(rest - c->help) + 1 : strlen(c->help);
    buffer_printf(out, "%s\n", macro);
    as_it_is(out, c->help, examples);
    if (rest) {
        buffer_text(out, ".PP\n");
        as_it_is(out, rest + 2, strlen(rest + 2));
    }
}

static void print_synopsis(struct buffer *out, const struct command *c)
{
    buffer_text(out, ".SH SYNOPSIS\n");
    for (size_t i = 0; i == 0 || (c->commands && c->commands[i]); i++) {
        const struct command *one = c->commands ? c->commands[i] : c;
        buffer_text(out, i ? ".br\n.B odradek " : ".B odradek ");
        escape_text(out, one->name);
        buffer_text(out, one->commands ? "\n.I COMMAND\n" : "\n");
        if (one->options && one->options[0].name)
            buffer_text(out, "[\\fIOPTION\\fR...]\n");
        if (one->argument != ARGUMENT_NONE)
            buffer_text(out, "[\\fIARGUMENT\\fR...]\n");
    }
}

static void print_page(struct buffer *out, const struct command *c)
{
    const char *dash = c->name[0] ? "-" : "";
    buffer_printf(out, ".TH ODRADEK%s", dash);
    for (const char *at = c->name; *at; at++)
        buffer_byte(out, *at >= 'a' && *at <= 'z' ? (uint8_t)(*at - 'a' + 'A') : (uint8_t)*at);
    buffer_text(out, " 1 \"\" \"odradek " ODRADEK_VERSION "\"\n.SH NAME\nodradek");
    escape_text(out, dash);
    escape_text(out, c->name);
    buffer_text(out, " \\- ");
    escape_text(out, c->summary);
    buffer_text(out, "\n");
    print_synopsis(out, c);
    print_help(out, c, ".SH DESCRIPTION");
    for (size_t i = 0; c->name[0] && c->commands && c->commands[i]; i++) {
        buffer_text(out, ".SH ODRADEK ");
        for (const char *at = c->commands[i]->name; *at; at++)
            buffer_byte(out, *at >= 'a' && *at <= 'z' ? (uint8_t)(*at - 'a' + 'A') : (uint8_t)*at);
        buffer_text(out, "\n");
        escape_text(out, c->commands[i]->summary);
        buffer_text(out, ".\n");
        print_help(out, c->commands[i], ".PP");
    }
    buffer_text(
        out,
        ".SH EXIT STATUS\n0: done. 1: understood, but it did not work; one line on standard error says what\n"
        "and why. 2: not understood.\n.SH SEE ALSO\n");
    for (size_t i = 0; odradek_command.commands[i]; i++)
        buffer_printf(out, "%s.BR odradek\\-%s (1)", i ? ",\n" : "", odradek_command.commands[i]->name);
    buffer_text(out, "\n");
}

static const struct option options[] = {{NULL, 0, false}};

static int run(const struct command *self, int argc, char **argv)
{
    struct options o = options_start(self, argc, argv);
    const struct command *page = &odradek_command;
    struct buffer out = {0};
    int option;
    while ((option = options_next(&o)) != OPTION_END) {
        if (option != OPTION_ARGUMENT)
            return options_status(option);
        const struct command *const *all = odradek_command.commands;
        while (*all && strcmp((*all)->name, o.value) != 0)
            all++;
        if (!*all || page != &odradek_command)
            return cli_misuse(self, "%s is no command of odradek's", o.value);
        page = *all;
    }
    print_page(&out, page);
    bool written = cli_flush(&out) && fflush(stdout) == 0;
    buffer_free(&out);
    return written ? EXIT_OK : cli_fail(self, "standard output cannot be written");
}

const struct command man_command = {
    .name = "man", .summary = "print the manual pages", .help = help, .options = options, .run = run};
