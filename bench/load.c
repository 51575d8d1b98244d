// odradek-load: the load generator of the benchmark, and the servers that show the machine's limits.
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "modes.h"

static const struct {
    const char *name, *help;
    void (*run)(const struct options *o);
    bool serves; // until it is killed
} modes[] = {
    {"wait", "until the broker answers ApiVersions and Metadata", mode_wait, false},
    {"serve", "until the broker serves the --partitions of each of --count topics, --topic-0 and on",
     mode_serve, false},
    {"create", "create --topic with --partitions", mode_create, false},
    {"produce", "send ready batches over --connections, --depth in flight, --bytes or --seconds",
     mode_produce, false},
    {"fetch", "read --topic to its end over --connections", mode_fetch, false},
    {"stream", "send --bytes at --rate a second, and read them as they come", mode_stream, false},
    {"latency", "--count records one by one, produce until fetched", mode_latency, false},
    {"echo", "--count round trips to limit-echo", mode_echo, false},
    {"commit", "--count offsets, one a request, each connection in a group of its own, --depth in flight",
     mode_commit, false},
    {"join", "--count members of one group until it is stable, --pause-us between heartbeats", mode_join,
     false},
    {"members", "as join; the members stay until standard input ends", mode_members, true},
    {"fill", "--count groups with an offset for each of --partitions", mode_fill, false},
    {"open-transactions", "leaves --count transactions open", mode_open_transactions, false},
    {"group-fetch", "as fetch, each connection a member of one group", mode_group_fetch, false},
    {"transactions", "--count in all, one after another on each connection, over all --partitions",
     mode_transactions, false},
    {"idle", "hold --count connections until standard input ends", mode_idle, true},
    {"limit-write", "server: receive, checksum, write to FILE.0, FILE.1, ... of --file, one a connection",
     mode_limit_write, true},
    {"limit-send", "server: sendfile of --file, one that limit-write left", mode_limit_send, true},
    {"limit-echo", "server: send back what comes", mode_limit_echo, true},
};

static void usage(FILE *out)
{
    fputs("usage: odradek-load MODE [--address 127.0.0.1:9092] [--topic NAME] [--option value]...\n\n", out);
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        fprintf(out, "  %-12s %s\n", modes[i].name, modes[i].help);
    fputs(
        "\nOptions: --partitions --connections --batch-bytes --record-bytes --acks 0|1|all --idempotent "
        "--depth\n"
        "--bytes --rate --seconds --count --warmup --pause-us --fetch-bytes --timeout --file --bare --drop\n"
        "--send-buffer --receive-buffer --compression none|gzip|lz4|zstd\n\n"
        "Example:\n  odradek-load produce --address 127.0.0.1:9092 --topic bench --partitions 4 --bytes "
        "1000000000\n",
        out);
}

static void timed_out(int signal)
{
    (void)signal;
    static const char line[] = "odradek-load: not done within --timeout\n";
    if (write(STDERR_FILENO, line, sizeof line - 1) < 0)
        _exit(2);
    _exit(1);
}

int main(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "--help") == 0) {
        usage(argc < 2 ? stderr : stdout);
        return argc < 2 ? 2 : 0;
    }
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        if (strcmp(argv[1], modes[i].name) != 0)
            continue;
        struct options o;
        options_parse(&o, argc - 1, argv + 1);
        signal(SIGALRM, timed_out);
        if (!modes[i].serves && o.timeout_seconds > 0)
            alarm((unsigned)o.timeout_seconds + 1);
        modes[i].run(&o);
        return 0;
    }
    fprintf(stderr, "odradek-load: %s: no such mode\n", argv[1]);
    usage(stderr);
    return 2;
}
