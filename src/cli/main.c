#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

static const char help[] =
    "  odradek server                       a broker on 127.0.0.1:9092 with its data in ./data\n"
    "  odradek server server.properties     a broker as Kafka's configuration file says\n"
    "  odradek topic create orders\n"
    "  echo hello | odradek produce orders\n"
    "  odradek consume orders\n"
    "\n"
    "server    run a broker, a controller or both\n"
    "format    make a node's directories ready for a cluster\n"
    "topic     create, list, describe, change and delete topics\n"
    "config    read and change settings of topics, brokers, groups\n"
    "quota     list, set and unset quotas of clients\n"
    "group     list, describe, reset and delete groups of consumers\n"
    "txn       list, describe and abort transactions\n"
    "cluster   describe the cluster\n"
    "top       show live what the cluster does\n"
    "demo      a made-up shop's traffic, counted as it happens\n"
    "produce   write records from standard input or files\n"
    "consume   read records\n"
    "log       look into the files of a log directory\n"
    "completion\n"
    "          what bash or zsh need to complete commands\n"
    "man       the manual pages\n"
    "\n"
    "`odradek COMMAND --help` says more; `odradek --version` tells the version.\n";

static const struct command *const commands[] = {
    &server_command, &format_command,     &topic_command,   &config_command,
    &quota_command,  &produce_command,    &consume_command, &group_command,
    &txn_command,    &cluster_command,    &top_command,     &demo_command,
    &log_command,    &completion_command, &man_command,     NULL};

const struct command odradek_command = {.name = "",
                                        .summary = "an Apache Kafka-compatible event-streaming platform",
                                        .help = help,
                                        .commands = commands};

int main(int argc, char **argv)
{
    if (argc > 1 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)) {
        puts("odradek " ODRADEK_VERSION);
        return EXIT_OK;
    }
    return command_run(&odradek_command, argc - 1, argv + 1);
}
