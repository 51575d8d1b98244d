// odradek log verify
#include "base/error.h"
#include "cli/dump.h"
#include "cli/options.h"
#include "cli/output.h"
#include "metadata/loader.h"
#include "os/file.h"
#include "raft/quorum_state.h"
#include "raft/snapshot.h"
#include "storage/verify.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>

#define METADATA_LOG "__cluster_metadata-0"

static const char verify_help[] =
    "  odradek log verify data\n"
    "  odradek log verify data/orders-0\n"
    "  odradek log verify --json data\n"
    "\n"
    "Reads a log directory, or one partition's, off line, and says what is damaged in it, where, and what "
    "the "
    "next start\n"
    "of the broker would do about it: every batch (checksum, offsets, records), indexes, producer snapshots, "
    "leader\n"
    "epochs, the checkpoint files, meta.properties, partition.metadata, the metadata log and its snapshots. "
    "It never\n"
    "writes, and also reads what Apache Kafka wrote. Exit status 0: nothing is damaged; 1: something is, or "
    "cannot be read.\n"
    "What a killed broker had not written yet, and the next start makes, is a remark.\n"
    "  -j, --json                        one object a line, the last one a summary\n";

struct verifying {
    const struct command *command;
    bool json;
    struct buffer out;
    struct progress progress;
    struct verify v;
};

static void print_finding(struct verifying *c, const struct verify_finding *f)
{
    buffer_printf(&c->out, "%s%s", f->remark ? "remark: " : "", f->file);
    if (f->position >= 0)
        buffer_printf(&c->out, " at byte %" PRId64, f->position);
    if (f->offset >= 0)
        buffer_printf(&c->out, " (offset %" PRId64 ")", f->offset);
    buffer_printf(&c->out, ": %s\n  at the next start: %s\n", f->what, f->start);
}

static void print_finding_json(struct verifying *c, const struct verify_finding *f)
{
    buffer_byte(&c->out, '{');
    json_member(&c->out, "file", str_from(f->file));
    if (f->position >= 0)
        buffer_printf(&c->out, ",\"position\":%" PRId64, f->position);
    if (f->offset >= 0)
        buffer_printf(&c->out, ",\"offset\":%" PRId64, f->offset);
    buffer_byte(&c->out, ',');
    json_member(&c->out, "kind", str_from(f->kind));
    buffer_byte(&c->out, ',');
    json_member(&c->out, "problem", str_from(f->what));
    buffer_byte(&c->out, ',');
    json_member(&c->out, "start", str_from(f->start));
    buffer_text(&c->out, f->remark ? ",\"remark\":true}\n" : "}\n");
}

static void found(void *arg, const struct verify_finding *f)
{
    struct verifying *c = arg;
    progress_end(&c->progress);
    (c->json ? print_finding_json : print_finding)(c, f);
    (void)cli_flush(&c->out);
}

static void progressed(void *arg, const struct verify *v)
{
    struct verifying *c = arg;
    progress_update(&c->progress, v->records, v->bytes);
}

// --- the metadata ---

struct snapshots {
    struct verifying *c;
    const char *dir;
};

static int skip_control(void *context, int64_t offset, int16_t type, struct bytes value)
{
    (void)context;
    (void)offset;
    (void)type;
    (void)value;
    return 0;
}

static int load_record(void *context, const struct image_record *record)
{
    return image_loader_add(context, record);
}

// Whether the snapshot is whole and its records give an image.
static int verify_snapshot(struct verifying *c, const char *dir, const char *name, const char *start)
{
    char path[PATH_MAX];
    struct image_loader loader;
    struct metadata_visitor visitor = {skip_control, load_record, &loader};
    int rc = image_loader_init(&loader);
    if (rc)
        return rc;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    rc = snapshot_read(dir, name, &visitor);
    rc = rc ? rc : image_loader_flush(&loader);
    if (rc && rc != ERR_IO && rc != ERR_NOMEM) {
        char what[200];
        snprintf(what, sizeof what, "the snapshot is damaged: %.*s",
                 loader.why.size ? (int)loader.why.size : (int)strlen(err_text(rc)),
                 loader.why.size ? (const char *)loader.why.data : err_text(rc));
        verify_report(&c->v, &(struct verify_finding){path, -1, -1, "metadata-snapshot", what, start, false});
        rc = 0;
    }
    image_loader_free(&loader);
    return rc;
}

static int note_snapshot(void *arg, const char *name)
{
    const struct snapshots *s = arg;
    struct snapshot_id id;
    return snapshot_name_parse(name, &id)
               ? verify_snapshot(s->c, s->dir, name, "the start fails if it is the newest one")
               : 0;
}

static int verify_metadata(struct verifying *c, const char *dir)
{
    char path[PATH_MAX];
    struct raft_persistent state;
    struct buffer why = BUFFER_INIT;
    int rc = file_list(dir, note_snapshot, &(struct snapshots){c, dir});
    if (rc == 0 && quorum_state_read(dir, &state, &why)) {
        snprintf(path, sizeof path, "%s/" QUORUM_STATE_FILE, dir);
        buffer_byte(&why, 0);
        verify_report(&c->v, &(struct verify_finding){path, -1, -1, "quorum-state",
                                                      why.data ? (const char *)why.data : "it is damaged",
                                                      "the start fails and names it", false});
    }
    buffer_free(&why);
    return rc;
}

static bool is_metadata_log(const char *dir)
{
    size_t n = strlen(dir), m = strlen(METADATA_LOG);
    return n >= m && strcmp(dir + n - m, METADATA_LOG) == 0;
}

// --- the command ---

static bool has(const char *dir, const char *name)
{
    char path[PATH_MAX];
    return snprintf(path, sizeof path, "%s/%s", dir, name) < (int)sizeof path && file_exists(path);
}

static int verify_root(struct verifying *c, const char *dir)
{
    char path[PATH_MAX];
    int rc = verify_log_dir(&c->v, dir);
    if (rc == 0 && has(dir, BOOTSTRAP_CHECKPOINT))
        rc = verify_snapshot(c, dir, BOOTSTRAP_CHECKPOINT, "the first start of a cluster fails and names it");
    snprintf(path, sizeof path, "%s/" METADATA_LOG, dir);
    return rc == 0 && file_is_dir(path) ? verify_metadata(c, path) : rc;
}

static int has_log(void *arg, const char *name)
{
    size_t n = strlen(name);
    (void)arg;
    return n > 4 && strcmp(name + n - 4, ".log") == 0 ? ERR_EXISTS : 0;
}

// A partition's directory has segments, a log directory has none.
static int verify_path(struct verifying *c, const char *given)
{
    char dir[PATH_MAX];
    snprintf(dir, sizeof dir, "%s", given);
    for (size_t n = strlen(dir); n > 1 && dir[n - 1] == '/';)
        dir[--n] = 0;
    int rc = file_list(dir, has_log, NULL);
    if (rc == ERR_EXISTS || (rc == 0 && has(dir, "partition.metadata"))) {
        struct verify_log log = {
            .dir = dir, .recovery_point = -1, .log_start = -1, .metadata = is_metadata_log(dir)};
        rc = verify_partition(&c->v, &log);
        if (rc == 0 && log.metadata)
            rc = verify_metadata(c, dir);
    } else if (rc == 0) {
        rc = verify_root(c, dir);
    }
    progress_end(&c->progress);
    if (rc == 0)
        return EXIT_OK;
    return cli_fail(c->command, "%s: %s", dir, rc == ERR_IO ? strerror(errno) : err_text(rc));
}

static void print_summary(struct verifying *c)
{
    const struct verify *v = &c->v;
    if (c->json)
        buffer_printf(&c->out,
                      "{\"partitions\":%" PRIu64 ",\"segments\":%" PRIu64 ",\"batches\":%" PRIu64
                      ",\"records\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"problems\":%" PRIu64
                      ",\"remarks\":%" PRIu64 "}\n",
                      v->partitions, v->segments, v->batches, v->records, v->bytes, v->damages, v->remarks);
    else
        buffer_printf(&c->out,
                      "%" PRIu64 " partitions, %" PRIu64 " segments, %" PRIu64 " batches, %" PRIu64
                      " records, %" PRIu64 " bytes: %" PRIu64 " problems, %" PRIu64 " remarks\n",
                      v->partitions, v->segments, v->batches, v->records, v->bytes, v->damages, v->remarks);
}

static const struct option verify_options[] = {{"json", 'j', false}, {NULL, 0, false}};

static int run_verify(const struct command *self, int argc, char **argv)
{
    struct options o = options_start(self, argc, argv);
    struct verifying c = {.command = self, .progress = progress_start()};
    c.v = (struct verify){.found = found, .progress = progressed, .arg = &c};
    const char *dir = NULL;
    int option;
    while ((option = options_next(&o)) != OPTION_END) {
        if (option == OPTION_HELP || option == OPTION_BAD)
            return options_status(option);
        if (option == OPTION_ARGUMENT && dir)
            return cli_misuse(self, "one directory at a time");
        if (option == OPTION_ARGUMENT)
            dir = o.value;
        c.json |= option == 0;
    }
    if (!dir)
        return cli_misuse(self, "no directory is named");
    int status = verify_path(&c, dir);
    if (status == EXIT_OK)
        print_summary(&c);
    if (!cli_flush(&c.out) || fflush(stdout) != 0)
        status = cli_fail(self, "standard output cannot be written");
    verify_free(&c.v);
    buffer_free(&c.out);
    return status == EXIT_OK && c.v.damages ? EXIT_FAILED : status;
}

const struct command log_verify_command = {.name = "log verify",
                                           .summary = "say what is damaged in a log directory",
                                           .help = verify_help,
                                           .options = verify_options,
                                           .argument = ARGUMENT_FILE,
                                           .run = run_verify};
