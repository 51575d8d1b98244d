// odradek log dump
#include "cli/dump.h"

#include "base/error.h"
#include "cli/options.h"
#include "cli/output.h"
#include "os/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char dump_help[] =
    "  odradek log dump data/orders-0\n"
    "  odradek log dump --records data/orders-0/00000000000000000000.log\n"
    "  odradek log dump --records --json data/__cluster_metadata-0\n"
    "\n"
    "Prints what the files of a log directory hold: batches, and with --records their records; offset, time "
    "and\n"
    "transaction indexes; producer snapshots; checkpoints and the other text files. Records of the metadata "
    "log and of\n"
    "its snapshots are decoded. A directory stands for the files in it and in the directories below. Files "
    "are only\n"
    "read; a running broker may use them. Exit status 1 when something is damaged.\n"
    "  -r, --records                     the records of each batch\n"
    "  -m, --metadata                    decode records as metadata, whatever the file is called\n"
    "  -j, --json                        one object a line\n";

static const char log_help[] =
    "  odradek log dump data/orders-0\n"
    "  odradek log verify data\n"
    "\n"
    "dump     print what the files of a log directory hold\n"
    "verify   say what is damaged in a log directory, and what a start would do about it\n"
    "\n"
    "`odradek log COMMAND --help` says more.\n";

int dump_flush(struct dump *d)
{
    return cli_flush(&d->out) ? EXIT_OK : cli_fail(d->command, "standard output cannot be written");
}

void dump_problem(struct dump *d, const char *path, int64_t at, const char *what)
{
    d->problems++;
    cli_flush(&d->out);
    cli_fail(d->command, "%s at byte %lld: %s", path, (long long)at, what);
}

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}

typedef int (*dumper)(struct dump *d, const char *path, int fd, int64_t size);

static dumper dumper_of(const char *name)
{
    static const struct {
        const char *end;
        dumper dump;
    } kinds[] = {{".log", dump_batches},
                 {".checkpoint", dump_batches},
                 {".index", dump_offset_index},
                 {".timeindex", dump_time_index},
                 {".txnindex", dump_transaction_index},
                 {".snapshot", dump_producer_snapshot},
                 {"-checkpoint", dump_text},
                 {"meta.properties", dump_text},
                 {"partition.metadata", dump_text},
                 {"quorum-state", dump_text},
                 {".kafka_cleanshutdown", dump_text}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (ends_with(name, kinds[i].end))
            return kinds[i].dump;
    return NULL;
}

int dump_file(struct dump *d, const char *path, bool asked)
{
    dumper dump = dumper_of(path);
    if (!dump)
        return asked ? cli_fail(d->command,
                                "%s: not a file of a log directory, as far as its name tells: "
                                "00000000000000000000.log is one, for example",
                                path)
                     : EXIT_OK;
    int fd = file_open(path, O_RDONLY);
    if (fd < 0)
        return cli_fail(d->command, "%s: %s", path, strerror(errno));
    int64_t size;
    int err = file_size(fd, &size);
    int status = err ? cli_fail(d->command, "%s: %s", path, err_text(err)) : EXIT_OK;
    bool metadata = d->metadata;
    d->metadata |= strstr(path, "__cluster_metadata-") != NULL || ends_with(path, ".checkpoint");
    if (!d->json)
        buffer_printf(&d->out, "%s%s\n", d->files ? "\n" : "", path);
    d->files++;
    if (status == EXIT_OK)
        status = dump(d, path, fd, size);
    if (status == EXIT_OK)
        status = dump_flush(d);
    d->metadata = metadata;
    file_close(fd);
    return status;
}

struct names {
    char **all;
    size_t count, capacity;
};

static int add_name(void *arg, const char *name)
{
    struct names *n = arg;
    if (n->count == n->capacity) {
        size_t capacity = n->capacity ? n->capacity * 2 : 64;
        char **all = realloc(n->all, capacity * sizeof *all);
        if (!all)
            return ERR_NOMEM;
        n->all = all;
        n->capacity = capacity;
    }
    n->all[n->count] = strdup(name);
    return n->all[n->count] ? (n->count++, 0) : ERR_NOMEM;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

#define DEPTH_MAX 4 // a log directory is two deep

static int dump_path(struct dump *d, const char *path, bool asked, int depth);

static int dump_dir(struct dump *d, const char *path, int depth)
{
    struct names names = {0};
    int err = file_list(path, add_name, &names), status = EXIT_OK;
    if (err)
        status = cli_fail(d->command, "%s: %s", path, err == ERR_NOMEM ? "out of memory" : strerror(errno));
    if (names.count > 0)
        qsort(names.all, names.count, sizeof *names.all, by_text);
    for (size_t i = 0; i < names.count; i++) {
        struct buffer child = BUFFER_INIT;
        buffer_printf(&child, "%s%s%s%c", path, ends_with(path, "/") ? "" : "/", names.all[i], 0);
        if (status == EXIT_OK && !child.failed)
            status = dump_path(d, (const char *)child.data, false, depth + 1);
        buffer_free(&child);
        free(names.all[i]);
    }
    free(names.all);
    return status;
}

static int dump_path(struct dump *d, const char *path, bool asked, int depth)
{
    struct stat about;
    if (stat(path, &about) != 0)
        return cli_fail(d->command, "%s: %s", path, strerror(errno));
    if (!S_ISDIR(about.st_mode))
        return dump_file(d, path, asked);
    return depth < DEPTH_MAX ? dump_dir(d, path, depth) : EXIT_OK;
}

static const struct option dump_options[] = {
    {"records", 'r', false}, {"metadata", 'm', false}, {"json", 'j', false}, {NULL, 0, false}};

static int run_dump(const struct command *self, int argc, char **argv)
{
    struct options o = options_start(self, argc, argv);
    struct dump d = {.command = self};
    int status = EXIT_OK, option;
    size_t paths = 0;
    const char **all = calloc((size_t)argc + 1, sizeof *all);
    if (!all)
        return cli_fail(self, "out of memory");
    while ((option = options_next(&o)) != OPTION_END) {
        if (option == OPTION_HELP || option == OPTION_BAD) {
            free(all);
            return options_status(option);
        }
        if (option == OPTION_ARGUMENT)
            all[paths++] = o.value;
        d.records |= option == 0;
        d.metadata |= option == 1;
        d.json |= option == 2;
    }
    if (paths == 0)
        status = cli_misuse(self, "no file or directory is named");
    for (size_t i = 0; i < paths && status == EXIT_OK; i++)
        status = dump_path(&d, all[i], true, 0);
    buffer_free(&d.out);
    free(all);
    return status == EXIT_OK && (d.problems || fflush(stdout) != 0) ? EXIT_FAILED : status;
}

static const struct command log_dump_command = {.name = "log dump",
                                                .summary = "print the files of a log directory",
                                                .help = dump_help,
                                                .options = dump_options,
                                                .argument = ARGUMENT_FILE,
                                                .run = run_dump};

static const struct command *const commands[] = {&log_dump_command, &log_verify_command, NULL};

const struct command log_command = {.name = "log",
                                    .summary = "look into the files of a log directory",
                                    .help = log_help,
                                    .commands = commands};
