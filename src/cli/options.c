#include "cli/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options options_start(const struct command *command, int argc, char **argv)
{
    return (struct options){.command = command, .argc = argc, .argv = argv};
}

static int help(const struct options *o)
{
    fputs(o->command->help, stdout);
    return OPTION_HELP;
}

static int bad(const struct options *o, const char *what, const char *option)
{
    cli_misuse(o->command, "%s %s", what, option);
    return OPTION_BAD;
}

static int take_value(struct options *o, const char *attached, const char *shown)
{
    if (attached) {
        o->value = attached;
        return 0;
    }
    if (o->at == o->argc)
        return bad(o, "a value is missing behind", shown);
    o->value = o->argv[o->at++];
    return 0;
}

static bool is_called(const char *name, const char *given, size_t size)
{
    return strlen(name) == size && memcmp(name, given, size) == 0;
}

static int next_long(struct options *o, const char *word)
{
    const char *equals = strchr(word, '=');
    size_t size = equals ? (size_t)(equals - word) : strlen(word);
    if (strcmp(word, "--help") == 0)
        return help(o);
    for (int i = 0; o->command->options[i].name; i++) {
        const struct option *known = &o->command->options[i];
        // Hands that know Kafka's tools type their name of it.
        const char *kafkas = strcmp(known->name, "bootstrap") == 0 ? "bootstrap-server" : known->name;
        if (!is_called(known->name, word + 2, size - 2) && !is_called(kafkas, word + 2, size - 2))
            continue;
        if (!known->takes_value && equals)
            return bad(o, "no value belongs behind", word);
        o->option = known;
        int err = known->takes_value ? take_value(o, equals ? equals + 1 : NULL, word) : 0;
        return err ? err : i;
    }
    return bad(o, "unknown option", word);
}

static int next_letter(struct options *o)
{
    char shown[3] = {'-', *o->cluster++, 0};
    for (int i = 0; o->command->options[i].name; i++) {
        if (o->command->options[i].letter != shown[1])
            continue;
        o->option = &o->command->options[i];
        if (!o->command->options[i].takes_value)
            return i;
        const char *rest = *o->cluster ? o->cluster : NULL;
        o->cluster = NULL;
        int err = take_value(o, rest, shown);
        return err ? err : i;
    }
    return shown[1] == 'h' ? help(o) : bad(o, "unknown option", shown);
}

int options_next(struct options *o)
{
    o->value = NULL;
    o->option = NULL;
    if (o->cluster && *o->cluster)
        return next_letter(o);
    if (o->at == o->argc)
        return OPTION_END;
    char *word = o->argv[o->at++];
    if (!o->only_arguments && strcmp(word, "--") == 0) {
        o->only_arguments = true;
        return options_next(o);
    }
    if (o->only_arguments || word[0] != '-' || word[1] == 0) {
        o->value = word;
        return OPTION_ARGUMENT;
    }
    if (word[1] == '-')
        return next_long(o, word);
    o->cluster = word + 1;
    return next_letter(o);
}

bool options_number(const struct options *o, int64_t low, int64_t high, int64_t *out)
{
    char *end;
    errno = 0;
    long long v = strtoll(o->value, &end, 10);
    if (errno == 0 && end != o->value && *end == 0 && v >= low && v <= high) {
        *out = v;
        return true;
    }
    const char *dashes = o->option ? "--" : "", *name = o->option ? o->option->name : "";
    const char *between = o->option ? " " : "";
    if (high == INT64_MAX)
        cli_misuse(o->command, "%s%s%s%s is no whole number from %lld on", dashes, name, between, o->value,
                   (long long)low);
    else
        cli_misuse(o->command, "%s%s%s%s is no whole number from %lld to %lld", dashes, name, between,
                   o->value, (long long)low, (long long)high);
    return false;
}
