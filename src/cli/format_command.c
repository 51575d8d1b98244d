// odradek format: makes the directories of a new node ready, as kafka-storage does.
#include "cli/options.h"

#include "base/clock.h"
#include "base/error.h"
#include "config/broker_config.h"
#include "controller/bootstrap.h"
#include "metadata/features.h"
#include "raft/format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "  odradek format --cluster-id random server.properties\n"
    "  odradek format --cluster-id 4L6g3nShT-eMCtK--X86sw server.properties\n"
    "  odradek format --cluster-id 4L6g3nShT-eMCtK--X86sw --no-initial-controllers server.properties\n"
    "  odradek format --cluster-id random --feature transaction.version=1 server.properties\n"
    "\n"
    "Makes the empty log directories of a node ready for a cluster. A node that is the only voter does so by "
    "itself when\n"
    "it starts; all others are formatted first, with the same id. `random` makes an id and prints it.\n"
    "  -i, --cluster-id ID               the cluster's id, as its other nodes have it\n"
    "  -s, --standalone                  a dynamic quorum that begins with this controller as its only "
    "voter\n"
    "  -n, --no-initial-controllers      a controller that joins a dynamic quorum later, or a broker\n"
    "  -g, --ignore-formatted            directories that are formatted already are no error\n"
    "  -r, --release-version VERSION     the features' levels of a new cluster of that version of Kafka: "
    "4.1, "
    "4.1-IV0\n"
    "  -f, --feature NAME=LEVEL          the level of one feature (`odradek cluster describe` has their "
    "names); may be\n"
    "                                    given again\n"
    "  -o, --override NAME=VALUE         a setting that replaces the file's; may be given again\n";

enum { CLUSTER_ID, STANDALONE, NO_INITIAL_CONTROLLERS, IGNORE_FORMATTED, RELEASE, FEATURE, OVERRIDE };

static const struct option known[] = {{"cluster-id", 'i', true},
                                      {"standalone", 's', false},
                                      {"no-initial-controllers", 'n', false},
                                      {"ignore-formatted", 'g', false},
                                      {"release-version", 'r', true},
                                      {"feature", 'f', true},
                                      {"override", 'o', true},
                                      {NULL, 0, false}};

#define MESSAGE_SIZE 512

struct format {
    const struct command *command;
    const char *id, *file;
    const char **overrides;
    size_t override_count;
    bool standalone, no_controllers, ignore_formatted;
    struct bootstrap_wishes wishes;
    struct feature_level *features; // of the wishes
    struct arena arena;
    struct bytes *bootstrap; // record values
    size_t bootstrap_count;
    struct broker_config config;
    struct log_dir **dirs; // all that are open
    size_t dir_count, metadata_dir;
    struct raft_endpoint *endpoints;
    uint32_t endpoint_count;
};

// A new id is a UUID. Kafka takes any text, though, and clusters with other ids run: a node must be able to
// join them.
static int check_id(struct format *f, char out[LOG_DIR_CLUSTER_ID_BYTES])
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
    if (!f->id)
        return cli_misuse(f->command, "--cluster-id is missing");
    if (strcmp(f->id, "random") == 0) {
        struct uuid id = uuid_random();
        uuid_text(&id, out);
        return EXIT_OK;
    }
    size_t n = strlen(f->id);
    if (n == 0 || n >= LOG_DIR_CLUSTER_ID_BYTES || strspn(f->id, allowed) != n)
        return cli_misuse(f->command,
                          "--cluster-id %s: expected 1 to %d letters, digits, - _ or .; `random` makes one",
                          f->id, LOG_DIR_CLUSTER_ID_BYTES - 1);
    memcpy(out, f->id, n + 1);
    return EXIT_OK;
}

// Whether this node begins a dynamic quorum on its own, which nobody else can know.
static int choose_voter(struct format *f)
{
    const struct broker_config *c = &f->config;
    if (c->voter_count > 0 && (f->standalone || f->no_controllers))
        return cli_misuse(f->command,
                          "--standalone and --no-initial-controllers are for a dynamic quorum, but "
                          "controller.quorum.voters is set");
    if (f->standalone && (f->no_controllers || !c->is_controller))
        return cli_misuse(f->command, f->no_controllers
                                          ? "--standalone and --no-initial-controllers exclude each other"
                                          : "--standalone is for a node with the controller role");
    if (c->voter_count > 0 || f->no_controllers || !c->is_controller)
        return EXIT_OK;
    if (!f->standalone && !c->sole_voter)
        return cli_misuse(f->command,
                          "other controllers are named: say --standalone for the first controller of a new "
                          "quorum, --no-initial-controllers for one that joins");
    f->standalone = true;
    return EXIT_OK;
}

static int own_endpoints(struct format *f)
{
    const struct broker_config *c = &f->config;
    f->endpoints = calloc(c->advertised_count + 1, sizeof *f->endpoints);
    if (!f->endpoints)
        return cli_fail(f->command, "out of memory");
    for (size_t i = 0; i < c->advertised_count; i++) {
        const struct listener_config *l = &c->advertised[i];
        if (!l->controller)
            continue;
        if (l->port == 0 || l->host.size == 0)
            return cli_fail(
                f->command,
                "listeners=%.*s://%.*s:%d: other nodes must find this voter; give its host and port here or "
                "in advertised.listeners",
                STR_ARG(l->name), STR_ARG(l->host), l->port);
        f->endpoints[f->endpoint_count++] = (struct raft_endpoint){l->name, l->host, (uint16_t)l->port};
    }
    return EXIT_OK;
}

// Opens one directory; keeps it when it is to be formatted.
static int open_dir(struct format *f, struct str path)
{
    char text[4096], message[MESSAGE_SIZE];
    struct log_dir *dir;
    snprintf(text, sizeof text, "%.*s", STR_ARG(path));
    if (log_dir_open(text, &dir, message, sizeof message) != 0)
        return cli_fail(f->command, "%s", message);
    if (dir->has_meta && f->ignore_formatted) {
        printf("%s is formatted already\n", text);
        log_dir_close(dir);
        return EXIT_OK;
    }
    int empty = log_dir_is_empty(dir);
    if (dir->has_meta)
        cli_fail(f->command, "%s is formatted already, for cluster %s; --ignore-formatted leaves it as it is",
                 text, dir->meta.cluster_id);
    else if (empty != 1)
        cli_fail(f->command, "%s: %s", text,
                 empty == 0
                     ? "the directory is not empty; take away what is in it, or name another in log.dirs"
                     : err_text(empty));
    if (dir->has_meta || empty != 1) {
        log_dir_close(dir);
        return EXIT_FAILED;
    }
    if (str_equal(path, f->config.metadata_log_dir))
        f->metadata_dir = f->dir_count;
    f->dirs[f->dir_count++] = dir;
    return EXIT_OK;
}

static int open_dirs(struct format *f)
{
    const struct broker_config *c = &f->config;
    bool among = false;
    f->dirs = calloc(c->log_dir_count + 1, sizeof(struct log_dir *));
    f->metadata_dir = SIZE_MAX;
    int status = f->dirs ? EXIT_OK : cli_fail(f->command, "out of memory");
    for (size_t i = 0; i < c->log_dir_count && status == EXIT_OK; i++) {
        among |= str_equal(c->log_dirs[i], c->metadata_log_dir);
        status = open_dir(f, c->log_dirs[i]);
    }
    if (status == EXIT_OK && !among)
        status = open_dir(f, c->metadata_log_dir);
    return status;
}

static int take_feature(struct format *f, struct str text)
{
    const char *equals = memchr(text.data, '=', text.size);
    size_t name = equals ? (size_t)(equals - text.data) : text.size;
    int64_t level;
    if (!equals ||
        !str_to_integer((struct str){equals + 1, text.size - name - 1}, INT16_MIN, INT16_MAX, &level))
        return cli_misuse(f->command, "--feature %.*s: expected NAME=LEVEL, as in transaction.version=1",
                          STR_ARG(text));
    f->features[f->wishes.features_count++] = (struct feature_level){{text.data, name}, (int16_t)level};
    return EXIT_OK;
}

// The records that the cluster begins with.
static int choose_levels(struct format *f)
{
    int16_t *levels = arena_alloc(&f->arena, features_supported_count * sizeof *levels);
    struct str message = STR("out of memory");
    f->wishes.features = f->features;
    f->wishes.dynamic_quorum = f->standalone || f->no_controllers;
    if (!levels || bootstrap_levels(&f->wishes, &f->arena, levels, &message) ||
        bootstrap_records(levels, &f->arena, &f->bootstrap, &f->bootstrap_count))
        return cli_fail(f->command, "%.*s", STR_ARG(message));
    return EXIT_OK;
}

static int write_all(struct format *f, const char *id)
{
    char message[MESSAGE_SIZE];
    // The metadata directory may be formatted already: then there is no voter to write either.
    bool voter = f->standalone && f->metadata_dir != SIZE_MAX;
    struct format_params params = {.dirs = f->dirs,
                                   .dirs_count = f->dir_count,
                                   .metadata_dir = voter ? f->metadata_dir : 0,
                                   .node_id = f->config.node_id,
                                   .cluster_id = id,
                                   .bootstrap = f->bootstrap,
                                   .bootstrap_count = f->bootstrap_count,
                                   .endpoints = voter ? f->endpoints : NULL,
                                   .endpoints_count = voter ? f->endpoint_count : 0,
                                   .now_ms = clock_wall_ms()};
    if (format_directories(&params, message, sizeof message))
        return cli_fail(f->command, "%s", message);
    for (size_t i = 0; i < f->dir_count; i++)
        printf("formatted %s for cluster %s, node %d\n", f->dirs[i]->path, id, f->config.node_id);
    return EXIT_OK;
}

static int format(struct format *f)
{
    char id[LOG_DIR_CLUSTER_ID_BYTES];
    struct str message;
    int status = check_id(f, id);
    if (status != EXIT_OK)
        return status;
    if (broker_config_load(&f->config, f->file, f->overrides, f->override_count, &message) != 0)
        status = cli_fail(f->command, "%.*s", STR_ARG(message));
    if (status == EXIT_OK)
        status = choose_voter(f);
    if (status == EXIT_OK && f->standalone)
        status = own_endpoints(f);
    if (status == EXIT_OK)
        status = choose_levels(f);
    if (status == EXIT_OK)
        status = open_dirs(f);
    if (status == EXIT_OK && f->dir_count > 0)
        status = write_all(f, id);
    for (size_t i = 0; i < f->dir_count; i++)
        log_dir_close(f->dirs[i]);
    free(f->dirs);
    free(f->endpoints);
    broker_config_free(&f->config);
    return status;
}

static int take_option(struct format *f, const struct options *o, int option)
{
    switch (option) {
    case CLUSTER_ID:
        f->id = o->value;
        return EXIT_OK;
    case STANDALONE:
        f->standalone = true;
        return EXIT_OK;
    case NO_INITIAL_CONTROLLERS:
        f->no_controllers = true;
        return EXIT_OK;
    case IGNORE_FORMATTED:
        f->ignore_formatted = true;
        return EXIT_OK;
    case RELEASE:
        f->wishes.release = str_from(o->value);
        return EXIT_OK;
    case FEATURE:
        return take_feature(f, str_from(o->value));
    case OVERRIDE:
        f->overrides[f->override_count++] = o->value;
        return EXIT_OK;
    default:
        if (f->file)
            return cli_misuse(f->command, "%s is too much: one file is enough", o->value);
        f->file = o->value;
        return EXIT_OK;
    }
}

static int run(const struct command *self, int argc, char **argv)
{
    struct options o = options_start(self, argc, argv);
    struct format f = {.command = self};
    int status = EXIT_OK, option;
    f.overrides = calloc((size_t)argc + 1, sizeof *f.overrides);
    f.features = calloc((size_t)argc + 1, sizeof *f.features);
    arena_init(&f.arena, 0);
    bool go_on = true;
    if (!f.overrides || !f.features)
        status = cli_fail(self, "out of memory");
    while (status == EXIT_OK && go_on && (option = options_next(&o)) != OPTION_END) {
        go_on = option != OPTION_HELP && option != OPTION_BAD;
        status = go_on ? take_option(&f, &o, option) : options_status(option);
    }
    if (status == EXIT_OK && go_on)
        status = format(&f);
    arena_free(&f.arena);
    free(f.features);
    free(f.overrides);
    return status;
}

const struct command format_command = {.name = "format",
                                       .summary = "make a node's directories ready for a cluster",
                                       .help = help,
                                       .options = known,
                                       .argument = ARGUMENT_FILE,
                                       .run = run};
