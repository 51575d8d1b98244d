// odradek group reset: where a group goes on reading. What would change is shown first with --dry-run.
#include "cli/group.h"

#include "base/clock.h"
#include "cli/start_offset.h"
#include "protocol/errors.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "  odradek group reset billing --topic orders --to beginning --dry-run\n"
    "  odradek group reset billing --topic orders --to -2h\n"
    "  odradek group reset billing --topic orders:0,3 --to 4711\n"
    "  odradek group reset billing --all-topics --shift -100\n"
    "\n"
    "Commits other offsets for a group that has no members: where it goes on reading when it comes back.\n"
    "  -T, --topic TOPIC[:PARTITION,...]   whose offsets; may be given again\n"
    "  -a, --all-topics                    of all topics that the group has committed offsets of\n"
    "  -o, --to PLACE                      beginning, end, an offset, -N (N records before the end), a time\n"
    "                                      (2026-01-31, 2026-01-31T12:00Z, @MILLISECONDS) or how long ago "
    "(-90s,\n"
    "                                      -10m, -2h, -7d)\n"
    "  -s, --shift N                       N records on from what is committed, or back where N is negative\n"
    "  -n, --dry-run                       only show what would change\n"
    "  -b, --bootstrap HOST:PORT[,...]     the broker to ask (127.0.0.1:9092)\n"
    "  -t, --timeout SECONDS               how long to wait (30)\n"
    "  -j, --json                          one array of {topic, partition, before, after}\n";

struct wanted {
    struct str topic;
    int32_t *partitions;
    int32_t count; // 0: all of them
};

struct reset {
    struct topic_call call; // its only name is the group
    struct wanted *wanted;
    int32_t wanted_count;
    bool all_topics, shifts, has_place, dry_run;
    struct start to;
    int64_t shift;
    struct group_offset *committed; // what the group has
    size_t committed_count;
    struct group_offset *changes; // committed: the new one; end: unused
    int64_t *before;              // as many
    size_t count;
};

// ---- what is asked for

static int take_topic(struct reset *r, const char *text)
{
    const char *colon = strrchr(text, ':');
    struct wanted *w = &r->wanted[r->wanted_count++];
    size_t most = strlen(text);
    w->topic = colon ? (struct str){text, (size_t)(colon - text)} : str_from(text);
    w->partitions = arena_zalloc(&r->call.arena, most + 1, sizeof *w->partitions);
    if (!w->partitions)
        return cli_fail(r->call.command, "out of memory");
    for (const char *at = colon ? colon + 1 : ""; colon;) {
        char *end;
        long partition = strtol(at, &end, 10);
        if (end == at || partition < 0 || partition > INT32_MAX || (*end != ',' && *end != 0))
            return cli_misuse(r->call.command, "%s is not TOPIC:PARTITION,...", text);
        w->partitions[w->count++] = (int32_t)partition;
        if (*end == 0)
            break;
        at = end + 1;
    }
    return w->topic.size > 0 ? EXIT_OK : cli_misuse(r->call.command, "%s is not TOPIC:PARTITION,...", text);
}

enum { TOPIC = TOPIC_OWN_OPTIONS, ALL_TOPICS, TO, SHIFT, DRY_RUN };

static int take_option(struct reset *r, const struct options *o, int option)
{
    switch (option) {
    case TOPIC:
        return take_topic(r, o->value);
    case ALL_TOPICS:
        r->all_topics = true;
        return EXIT_OK;
    case TO:
        r->has_place = true;
        return start_parse(o->value, clock_wall_ms(), &r->to)
                   ? EXIT_OK
                   : cli_misuse(r->call.command, "%s is no place to read from", o->value);
    case SHIFT:
        r->shifts = true;
        return options_number(o, -INT64_MAX, INT64_MAX, &r->shift) ? EXIT_OK : EXIT_USAGE;
    case DRY_RUN:
        r->dry_run = true;
        return EXIT_OK;
    default:
        return topic_option(&r->call, o, option) ? EXIT_OK : EXIT_USAGE;
    }
}

static int check(const struct reset *r)
{
    const struct command *c = r->call.command;
    if (r->call.names_count != 1)
        return cli_misuse(c, r->call.names_count ? "more than one group is named" : "no group is named");
    if (r->all_topics == (r->wanted_count > 0))
        return cli_misuse(c, "whose offsets? either --topic or --all-topics is needed");
    if (r->shifts == r->has_place)
        return cli_misuse(c, "where to? either --to or --shift is needed");
    return EXIT_OK;
}

// ---- what changes

static int64_t committed_of(const struct reset *r, const struct group_offset *o)
{
    const struct group_offset *found =
        r->committed_count ? bsearch(o, r->committed, r->committed_count, sizeof *o, group_compare) : NULL;
    return found ? found->committed : OFFSET_UNKNOWN;
}

static int add_topic(struct reset *r, const struct wanted *w)
{
    struct topic_call *t = &r->call;
    struct metadata_response cluster;
    struct group_offset one = {.topic = w->topic};
    int status = group_metadata(t, &one, 1, &cluster);
    if (status != EXIT_OK)
        return status;
    const struct metadata_response_metadata_response_topic *topic = cluster.topics;
    if (cluster.topics_count != 1 || topic->error_code != E_NONE)
        return topic_refused(
            t, w->topic, cluster.topics_count ? topic->error_code : E_UNKNOWN_TOPIC_OR_PARTITION, STR_NULL);
    size_t more = (size_t)(w->count ? w->count : topic->partitions_count);
    struct group_offset *grown = arena_zalloc(&t->arena, r->count + more + 1, sizeof *grown);
    if (!grown)
        return cli_fail(t->command, "out of memory");
    if (r->count > 0)
        memcpy(grown, r->changes, r->count * sizeof *grown);
    r->changes = grown;
    for (size_t i = 0; i < more; i++) {
        int32_t partition = w->count ? w->partitions[i] : topic->partitions[i].partition_index;
        if (partition >= topic->partitions_count)
            return cli_fail(t->command, "%.*s has no partition %d" CLI_PARTITION, STR_ARG(w->topic),
                            partition);
        grown[r->count++] = (struct group_offset){.topic = w->topic, .partition = partition};
    }
    return EXIT_OK;
}

// The partitions whose offsets change, sorted, each once.
static int find_partitions(struct reset *r)
{
    int status = EXIT_OK;
    if (r->all_topics) {
        r->changes = arena_zalloc(&r->call.arena, r->committed_count + 1, sizeof *r->changes);
        if (!r->changes)
            return cli_fail(r->call.command, "out of memory");
        if (r->committed_count > 0)
            memcpy(r->changes, r->committed, r->committed_count * sizeof *r->changes);
        r->count = r->committed_count;
    }
    for (int32_t i = 0; i < r->wanted_count && status == EXIT_OK; i++)
        status = add_topic(r, &r->wanted[i]);
    if (status != EXIT_OK)
        return status;
    if (r->count > 0)
        qsort(r->changes, r->count, sizeof *r->changes, group_compare);
    size_t n = 0;
    for (size_t i = 0; i < r->count; i++)
        if (n == 0 || group_compare(&r->changes[n - 1], &r->changes[i]) != 0)
            r->changes[n++] = r->changes[i];
    r->count = n;
    return n > 0 ? EXIT_OK
                 : cli_fail(r->call.command,
                            "the group has committed nothing; --topic says of what it is to "
                            "begin where, `odradek group list` lists the groups");
}

static int ask(struct reset *r, const struct metadata_response *cluster, int64_t timestamp,
               struct offset_question **out)
{
    struct offset_question *all = arena_zalloc(&r->call.arena, r->count + 1, sizeof *all);
    if (!all)
        return cli_fail(r->call.command, "out of memory");
    for (size_t i = 0; i < r->count; i++)
        all[i] = (struct offset_question){
            .topic = r->changes[i].topic, .partition = r->changes[i].partition, .timestamp = timestamp};
    *out = all;
    return cluster_offsets(&r->call, cluster, all, r->count);
}

// Within what the partition has.
static int64_t choose(const struct reset *r, size_t i, int64_t start, int64_t end, int64_t at_time)
{
    int64_t to = end;
    if (r->shifts) {
        if (__builtin_add_overflow(r->before[i] == OFFSET_UNKNOWN ? start : r->before[i], r->shift, &to))
            to = r->shift < 0 ? start : end;
    } else if (r->to.kind == START_BEGINNING) {
        to = start;
    } else if (r->to.kind == START_OFFSET) {
        to = r->to.number;
    } else if (r->to.kind == START_LAST) {
        to = end - r->to.number;
    } else if (r->to.kind == START_TIME) {
        to = at_time == OFFSET_UNKNOWN ? end : at_time; // nothing that new is there: the end
    }
    return to < start ? start : to > end ? end : to;
}

static int find_offsets(struct reset *r)
{
    struct topic_call *t = &r->call;
    struct metadata_response cluster;
    struct offset_question *starts, *ends, *times = NULL;
    int status = group_metadata(t, r->changes, r->count, &cluster);
    if (status == EXIT_OK)
        status = ask(r, &cluster, OFFSET_EARLIEST, &starts);
    if (status == EXIT_OK)
        status = ask(r, &cluster, OFFSET_LATEST, &ends);
    if (status == EXIT_OK && !r->shifts && r->to.kind == START_TIME)
        status = ask(r, &cluster, r->to.number, &times);
    r->before = arena_zalloc(&t->arena, r->count + 1, sizeof *r->before);
    if (status == EXIT_OK && !r->before)
        status = cli_fail(t->command, "out of memory");
    for (size_t i = 0; status == EXIT_OK && i < r->count; i++) {
        struct group_offset *c = &r->changes[i];
        if (starts[i].offset == OFFSET_UNKNOWN || ends[i].offset == OFFSET_UNKNOWN)
            return cli_fail(
                t->command,
                "%.*s-%d: no leader knows its offsets; `odradek topic describe` shows whether it has one",
                STR_ARG(c->topic), c->partition);
        r->before[i] = committed_of(r, c);
        c->committed =
            choose(r, i, starts[i].offset, ends[i].offset, times ? times[i].offset : OFFSET_UNKNOWN);
    }
    return status;
}

// ---- making it so

static int commit(struct reset *r, struct client *coordinator)
{
    struct topic_call *t = &r->call;
    struct offset_commit_request request;
    struct offset_commit_response response;
    int16_t version = client_version(coordinator, API_OFFSET_COMMIT, 9);
    message_init(&offset_commit_request_type, &request);
    request.group_id = t->names[0];
    request.topics = offset_commit_request_offset_commit_request_topic_new(&t->arena, (int32_t)r->count);
    struct offset_commit_request_offset_commit_request_partition *p =
        offset_commit_request_offset_commit_request_partition_new(&t->arena, (int32_t)r->count);
    if (!request.topics || !p)
        return cli_fail(t->command, "out of memory");
    for (size_t i = 0; i < r->count; i++, p++) {
        if (i == 0 || !str_equal(r->changes[i].topic, r->changes[i - 1].topic)) {
            request.topics[request.topics_count].name = r->changes[i].topic;
            request.topics[request.topics_count++].partitions = p;
        }
        request.topics[request.topics_count - 1].partitions_count++;
        p->partition_index = r->changes[i].partition;
        p->committed_offset = r->changes[i].committed;
        p->committed_metadata = STR("");
    }
    if (version < 0 ||
        client_call(coordinator, API_OFFSET_COMMIT, version, &request, &t->arena, &response) != 0)
        return cli_fail(t->command, "%s", coordinator->error);
    for (int32_t i = 0; i < response.topics_count; i++)
        for (int32_t k = 0; k < response.topics[i].partitions_count; k++) {
            int16_t error = response.topics[i].partitions[k].error_code;
            if (error == E_UNKNOWN_MEMBER_ID)
                return topic_refused(t, t->names[0], error, STR("it has members; stop them first"));
            if (error != E_NONE)
                return topic_refused(t, response.topics[i].name, error, STR_NULL);
        }
    return EXIT_OK;
}

static void print(struct reset *r)
{
    struct buffer *out = &r->call.out;
    struct table table = {.columns = 4};
    if (r->call.json)
        buffer_byte(out, '[');
    else
        table_cell(&table, "TOPIC"), table_cell(&table, "PARTITION"), table_cell(&table, "BEFORE"),
            table_cell(&table, "AFTER");
    for (size_t i = 0; i < r->count; i++) {
        const struct group_offset *c = &r->changes[i];
        if (!r->call.json) {
            table_cell(&table, "%.*s", STR_ARG(c->topic));
            table_cell(&table, "%d", c->partition);
            table_cell(&table, r->before[i] == OFFSET_UNKNOWN ? "-" : "%" PRId64, r->before[i]);
            table_cell(&table, "%" PRId64, c->committed);
            continue;
        }
        buffer_text(out, i ? ",\n{" : "{");
        json_member(out, "topic", c->topic);
        buffer_printf(out, ",\"partition\":%d,", c->partition);
        buffer_printf(out, r->before[i] == OFFSET_UNKNOWN ? "\"before\":null" : "\"before\":%" PRId64,
                      r->before[i]);
        buffer_printf(out, ",\"after\":%" PRId64 "}", c->committed);
    }
    if (r->call.json) {
        buffer_text(out, "]\n");
    } else {
        table_print(&table, out);
        if (r->dry_run)
            buffer_text(out, "nothing was changed: --dry-run\n");
    }
    table_free(&table);
}

static int reset(struct reset *r)
{
    struct topic_call *t = &r->call;
    struct client coordinator;
    int status = cluster_open_coordinator(t, COORDINATOR_GROUP, t->names[0], &coordinator);
    if (status == EXIT_OK)
        status = group_committed(t, &coordinator, t->names[0], &r->committed, &r->committed_count);
    if (status == EXIT_OK)
        status = find_partitions(r);
    if (status == EXIT_OK)
        status = find_offsets(r);
    if (status == EXIT_OK && !r->dry_run)
        status = commit(r, &coordinator);
    if (status == EXIT_OK)
        print(r);
    client_close(&coordinator);
    return status;
}

static const struct option known[] = {TOPIC_OPTIONS,     {"topic", 'T', true}, {"all-topics", 'a', false},
                                      {"to", 'o', true}, {"shift", 's', true}, {"dry-run", 'n', false},
                                      {NULL, 0, false}};

static int run(const struct command *self, int argc, char **argv)
{
    struct options o = options_start(self, argc, argv);
    struct reset r = {.count = 0};
    int status = topic_start(&r.call, self, argc), option;
    r.wanted = arena_zalloc(&r.call.arena, (size_t)argc + 1, sizeof *r.wanted);
    if (status == EXIT_OK && !r.wanted)
        status = cli_fail(self, "out of memory");
    while (status == EXIT_OK && (option = options_next(&o)) != OPTION_END) {
        if (option == OPTION_HELP || option == OPTION_BAD)
            return topic_finish(&r.call, options_status(option));
        status = take_option(&r, &o, option);
    }
    if (status == EXIT_OK)
        status = check(&r);
    if (status == EXIT_OK)
        status = topic_connect(&r.call);
    if (status == EXIT_OK)
        status = reset(&r);
    return topic_finish(&r.call, status);
}

const struct command group_reset_command = {.name = "group reset",
                                            .summary = "commit other offsets for a group",
                                            .help = help,
                                            .options = known,
                                            .argument = ARGUMENT_GROUP,
                                            .run = run};
