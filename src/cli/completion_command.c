// odradek completion: what bash and zsh need to complete its commands, made of the commands themselves.
#include "cli/options.h"
#include "cli/output.h"

#include <string.h>

static const char help[] =
    "  source <(odradek completion bash)\n"
    "  odradek completion zsh > ~/.zfunc/_odradek     # with fpath+=(~/.zfunc) before compinit in ~/.zshrc\n"
    "\n"
    "Prints the script with which bash or zsh completes commands, options, and the names of topics and "
    "groups; of\n"
    "those it asks the broker (127.0.0.1:9092, or the one behind --bootstrap).\n";

// ---- the same for both shells: which command the words so far name

typedef void print_command(const struct command *c, struct buffer *out);

// Of the family and of all that it holds.
static void each(const struct command *family, print_command *print, struct buffer *out)
{
    print(family, out);
    for (size_t i = 0; family->commands && family->commands[i]; i++)
        each(family->commands[i], print, out);
}

static void name_pattern(const struct command *c, struct buffer *out)
{
    if (c->name[0])
        buffer_printf(out, "%s'%s'", out->size && out->data[out->size - 1] != ' ' ? " | " : "", c->name);
}

// Sets `named` to the longest name of a command that the words begin with, and `servers` to what --bootstrap
// says.
static void find_command(struct buffer *out, const char *words, const char *from, const char *to)
{
    buffer_printf(out, "    for ((i = %s; i < %s; i++)); do\n", from, to);
    buffer_printf(out,
                  "        case \"${%s[i]}\" in\n        -b | --bootstrap | --bootstrap-server) "
                  "servers=${%s[i + 1]} ;;\n",
                  words, words);
    buffer_printf(out, "        --bootstrap=* | --bootstrap-server=*) servers=${%s[i]#*=} ;;\n        esac\n",
                  words);
    buffer_printf(out, "        case \"${named:+$named }${%s[i]}\" in\n        ", words);
    each(&odradek_command, name_pattern, out);
    buffer_printf(out, ") named=${named:+$named }${%s[i]} ;;\n        esac\n    done\n", words);
}

// Which of its options take a value, and what its arguments are.
static void end_case(const struct command *c, struct buffer *out)
{
    static const char *const kinds[] = {"none", "file", "topic", "group", "resource"};
    for (size_t i = 0; c->options && c->options[i].name; i++) {
        if (!c->options[i].takes_value)
            continue;
        buffer_printf(out, " --%s ", c->options[i].name);
        if (c->options[i].letter)
            buffer_printf(out, " -%c ", c->options[i].letter);
    }
    buffer_printf(out, "' kind=%s\n        ;;\n", kinds[c->argument]);
}

// Names are what clients chose: none is ever expanded, and one with a line's end is left out.
static const char names_function[] =
    "_odradek_names() { # _odradek_names topic|group SERVERS [WHAT STANDS BEFORE THEM]\n"
    "    odradek \"$1\" list --json --timeout 2 --bootstrap \"${2:-127.0.0.1:9092}\" 2>/dev/null |\n"
    "        sed -nE "
    "'/^\\[?\\{\"[a-zA-Z]+\":\"(([^\"\\\\]|\\\\[\"\\\\])*)\".*/{s//\\1/;s/\\\\([\"\\\\])/\\1/"
    "g;'\"s|^|$3|;p;}\"\n"
    "}\n"
    "\n";

// ---- bash

static void bash_case(const struct command *c, struct buffer *out)
{
    buffer_printf(out, "    '%s')\n        words=(", c->name);
    for (size_t i = 0; c->commands && c->commands[i]; i++)
        buffer_printf(out, "%s ", command_word(c->commands[i]));
    for (size_t i = 0; c->options && c->options[i].name; i++)
        buffer_printf(out, "--%s ", c->options[i].name);
    buffer_text(out, "--help) values='");
    end_case(c, out);
}

// The words of a line, without their quotes. COMP_WORDS is of no use: bash cuts it at every colon.
static const char bash_words[] =
    "_odradek_words() { # sets line; quote: what the last one stands within\n"
    "    local text=$1 word='' begun='' c i\n"
    "    line=() quote=''\n"
    "    for ((i = 0; i < ${#text}; i++)); do\n"
    "        c=${text:i:1}\n"
    "        if [[ $quote ]] && [[ $c == \"$quote\" ]]; then\n"
    "            quote=''\n"
    "        elif [[ $c == \\\\ && $quote != \"'\" ]]; then\n"
    "            [[ ! $quote || ${text:i + 1:1} == [\\\\\\\"\\$\\`] ]] || word+=$c\n"
    "            word+=${text:i + 1:1} begun=1 i=$((i + 1))\n"
    "        elif [[ ! $quote && $c == [\\\"\\'] ]]; then\n"
    "            quote=$c begun=1\n"
    "        elif [[ $quote || $c != [[:space:]] ]]; then\n"
    "            word+=$c begun=1\n"
    "        elif [[ $begun ]]; then\n"
    "            line+=(\"$word\") word='' begun=''\n"
    "        fi\n"
    "    done\n"
    "    line+=(\"$word\")\n"
    "}\n"
    "\n";

// What is found is quoted as the word is that it takes the place of. Bash has taken what stands before the
// last colon or equals sign for words of their own.
static const char bash_end[] =
    "    esac\n"
    "    case \"$values\" in\n"
    "    *\" ${line[last - 1]} \"*) return ;; # a value, which is left to the shell\n"
    "    esac\n"
    "    case \"$word\" in\n"
    "    -*) ;;\n"
    "    *)\n"
    "        case \"$kind $word\" in\n"
    "        none*) ;;\n"
    "        file*) return ;;\n"
    "        'resource topic/'* | 'resource group/'*)\n"
    "            mapfile -t words < <(_odradek_names \"${word%%/*}\" \"$servers\" \"${word%%/*}/\")\n"
    "            ;;\n"
    "        resource*) words=(topic/ broker broker/ group/ client-metrics/) && compopt -o nospace ;;\n"
    "        *) mapfile -t words < <(_odradek_names $kind \"$servers\") ;;\n"
    "        esac\n"
    "        ;;\n"
    "    esac\n"
    "    [[ $quote || $COMP_WORDBREAKS != *:* ]] || printf -v before %q \"${word%\"${word##*[:=]}\"}\"\n"
    "    [[ $before != \"''\" ]] || before=''\n"
    "    for one in \"${words[@]}\"; do\n"
    "        [[ $one == \"$word\"* ]] || continue\n"
    "        case \"$quote\" in\n"
    "        '') printf -v one %q \"$one\" ;;\n"
    "        \\\")\n"
    "            [[ $one != *!* ]] || continue # within double quotes, of the history\n"
    "            one=$(sed 's/[\\\\\"$`]/\\\\&/g' <<<\"$one\")\n"
    "            ;;\n"
    "        *) [[ $one != *\\'* ]] || continue ;;\n"
    "        esac\n"
    "        COMPREPLY+=(\"${one#\"$before\"}\")\n"
    "    done\n"
    "}\n"
    "complete -o default -F _odradek odradek\n";

static void print_bash(struct buffer *out)
{
    buffer_text(out, "# How bash completes odradek; made by `odradek completion bash`.\n");
    buffer_text(out, names_function);
    buffer_text(out, bash_words);
    buffer_text(
        out,
        "_odradek() {\n"
        "    local line last word quote before='' one named='' servers='' words=() values='' kind=none i\n"
        "    _odradek_words \"${COMP_LINE:0:COMP_POINT}\"\n"
        "    last=$((${#line[@]} - 1))\n"
        "    word=${line[last]}\n"
        "    COMPREPLY=()\n");
    find_command(out, "line", "1", "last");
    buffer_text(out, "    case \"$named\" in\n");
    each(&odradek_command, bash_case, out);
    buffer_text(out, bash_end);
}

// ---- zsh

// Within '...': the text of a list that _describe reads, whose separator is the colon.
static void zsh_item(struct buffer *out, const char *word, const char *says)
{
    buffer_printf(out, " '%s", word);
    for (const char *at = *says ? says : ""; *at; at++)
        buffer_printf(out, at == says ? ":%s%c" : "%s%c", *at == '\'' ? "'\\'" : *at == ':' ? "\\" : "", *at);
    buffer_text(out, "'");
}

static void zsh_case(const struct command *c, struct buffer *out)
{
    buffer_printf(out, "    '%s')\n        commands=(", c->name);
    for (size_t i = 0; c->commands && c->commands[i]; i++)
        zsh_item(out, command_word(c->commands[i]), c->commands[i]->summary);
    buffer_text(out, ") options=(");
    for (size_t i = 0; c->options && c->options[i].name; i++)
        buffer_printf(out, " '--%s'", c->options[i].name);
    buffer_printf(out, " '--help') values='");
    end_case(c, out);
}

static const char zsh_end[] =
    "    esac\n"
    "    case \"$values\" in\n"
    "    *\" ${words[CURRENT - 1]} \"*) _files && return ;;\n"
    "    esac\n"
    "    case \"${words[CURRENT]}\" in\n"
    "    -*) _describe option options && return ;;\n"
    "    esac\n"
    "    [ ${#commands} -eq 0 ] || _describe command commands\n"
    "    case \"$kind ${words[CURRENT]}\" in\n"
    "    none*) ;;\n"
    "    file*) _files ;;\n"
    "    'resource topic/'* | 'resource group/'*)\n"
    "        kind=${words[CURRENT]%%/*}\n"
    "        names=(${(f)\"$(_odradek_names $kind \"$servers\" $kind/)\"})\n"
    "        ;;\n"
    "    resource*)\n"
    "        names=(topic/ broker broker/ group/ client-metrics/)\n"
    "        _describe resource names -S ''\n"
    "        return\n"
    "        ;;\n"
    "    *) names=(${(f)\"$(_odradek_names $kind \"$servers\")\"}) ;;\n"
    "    esac\n"
    "    [ ${#names} -ne 0 ] || return 0\n"
    "    names=(\"${(@)names//\\\\/\\\\\\\\}\")\n"
    "    names=(\"${(@)names//:/\\\\:}\")\n"
    "    _describe $kind names\n"
    "}\n"
    "if [ \"$funcstack[1]\" = _odradek ]; then _odradek \"$@\"; else compdef _odradek odradek; fi\n";

static void print_zsh(struct buffer *out)
{
    buffer_text(out, "#compdef odradek\n# How zsh completes odradek; made by `odradek completion zsh`.\n");
    buffer_text(out, names_function);
    buffer_text(out,
                "_odradek() {\n"
                "    local -a commands options names\n"
                "    local named='' servers='' values='' kind=none i\n");
    find_command(out, "words", "2", "CURRENT");
    buffer_text(out, "    case \"$named\" in\n");
    each(&odradek_command, zsh_case, out);
    buffer_text(out, zsh_end);
}

static const struct option options[] = {{NULL, 0, false}};

static int run(const struct command *self, int argc, char **argv)
{
    struct options o = options_start(self, argc, argv);
    struct buffer out = {0};
    const char *shell = NULL;
    int option;
    while ((option = options_next(&o)) != OPTION_END) {
        if (option != OPTION_ARGUMENT)
            return options_status(option);
        if (shell)
            return cli_misuse(self, "%s is too much: one shell is named", o.value);
        shell = o.value;
    }
    if (!shell)
        return cli_misuse(self, "no shell is named: bash or zsh");
    if (strcmp(shell, "bash") == 0)
        print_bash(&out);
    else if (strcmp(shell, "zsh") == 0)
        print_zsh(&out);
    else
        return cli_misuse(self, "%s is neither bash nor zsh", shell);
    bool written = cli_flush(&out) && fflush(stdout) == 0;
    buffer_free(&out);
    return written ? EXIT_OK : cli_fail(self, "standard output cannot be written");
}

const struct command completion_command = {.name = "completion",
                                           .summary = "print what bash or zsh need to complete commands",
                                           .help = help,
                                           .options = options,
                                           .run = run};
