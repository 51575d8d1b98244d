// odradek server
#include "cli/options.h"

#include "config/broker_config.h"
#include "server/server.h"

#include <stdlib.h>

static const char help[] =
    "  odradek server\n"
    "  odradek server server.properties\n"
    "  odradek server server.properties --override num.partitions=3 --override log.dirs=/var/lib/odradek\n"
    "  odradek server --override listeners=PLAINTEXT://127.0.0.1:0\n"
    "\n"
    "Runs a node in front until SIGTERM or Ctrl-C. The file is Kafka's server.properties. Without one the "
    "node stands\n"
    "alone: broker and controller in one, on 127.0.0.1:9092, with its data in ./data. Port 0 picks a free "
    "port; the\n"
    "log says which.\n"
    "  -o, --override NAME=VALUE   a setting that replaces the file's; may be given again\n"
    "  -c, --check                 only check the configuration\n";

static const struct option known[] = {{"override", 'o', true}, {"check", 'c', false}, {NULL, 0, false}};

static int run(const struct command *self, int argc, char **argv)
{
    struct options o = options_start(self, argc, argv);
    const char **overrides = calloc((size_t)argc + 1, sizeof *overrides), *file = NULL;
    size_t n = 0;
    int status = overrides ? EXIT_OK : cli_fail(self, "out of memory"), option;
    bool check = false, done = false;
    while (status == EXIT_OK && !done && (option = options_next(&o)) != OPTION_END) {
        if (option == 0)
            overrides[n++] = o.value;
        else if (option == 1)
            check = true;
        else if (option != OPTION_ARGUMENT) {
            status = options_status(option);
            done = true;
        } else if (file)
            status = cli_misuse(self, "%s is too much: one file is enough", o.value);
        else
            file = o.value;
    }
    if (status == EXIT_OK && !done) {
        struct broker_config config;
        struct str message;
        if (broker_config_load(&config, file, overrides, n, &message) != 0) {
            status = cli_fail(self, "%.*s", STR_ARG(message));
        } else if (check) {
            server_warn_of_settings(&config);
        } else {
            status = server_main(&config);
        }
        broker_config_free(&config);
    }
    free(overrides);
    return status;
}

const struct command server_command = {.name = "server",
                                       .summary = "run a broker, a controller or both",
                                       .help = help,
                                       .options = known,
                                       .argument = ARGUMENT_FILE,
                                       .run = run};
