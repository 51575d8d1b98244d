// odradek consume: records of a topic's partitions, over librdkafka, without a group.
#include "base/clock.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/rdkafka_table.h"
#include "cli/record_format.h"
#include "cli/start_offset.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "  odradek consume orders                      every record that is there now\n"
    "  odradek consume orders --follow --from end  what comes from now on, until Ctrl-C\n"
    "  odradek consume orders --from -10           the last ten of each partition\n"
    "  odradek consume orders --from -2h           since two hours ago\n"
    "  odradek consume orders -F '%D %k %v\\n'\n"
    "\n"
    "Prints the records of a topic. Nothing is committed, and no group is joined.\n"
    "  -o, --from WHERE                  beginning, end, an offset, -N (the last N), @MILLISECONDS since "
    "1970,\n"
    "                                    2026-01-31, 2026-01-31T12:00:00Z, -30s, -10m, -2h or -7d "
    "(beginning)\n"
    "  -p, --partition N[,N...]          only these partitions\n"
    "  -c, --count N                     stop after so many records\n"
    "  -f, --follow                      do not stop at the end\n"
    "  -F, --format FORMAT               %t topic, %p partition, %o offset, %T time in ms, %D time, %k key, "
    "%v value,\n"
    "                                    %h headers, %s size of the value; \\n, \\t, \\0 ('%v\\n')\n"
    "  -K, --key-separator TEXT          print the key and this in front of the value\n"
    "  -X, --property NAME=VALUE         a setting of librdkafka; may be given again\n"
    "  -b, --bootstrap HOST:PORT[,...]   the broker (127.0.0.1:9092)\n"
    "  -t, --timeout SECONDS             how long to wait for the broker (30)\n"
    "  -j, --json                        one object a line: {topic, partition, offset, timestamp, "
    "timestampType, key,\n"
    "                                    value, headers}; keyBase64 and valueBase64 where it is no UTF-8 "
    "text\n";

enum { FROM, PARTITION, COUNT, FOLLOW, FORMAT, KEY_SEPARATOR, PROPERTY, BOOTSTRAP, TIMEOUT, JSON };

static const struct option known[] = {
    {"from", 'o', true},    {"partition", 'p', true},     {"count", 'c', true},    {"follow", 'f', false},
    {"format", 'F', true},  {"key-separator", 'K', true}, {"property", 'X', true}, {"bootstrap", 'b', true},
    {"timeout", 't', true}, {"json", 'j', false},         {NULL, 0, false}};

#define MESSAGE_SIZE 512
#define POLL_MS      200

struct part {
    int32_t id;
    int64_t start, end; // end: where it was when we came
    bool done;
};

struct consume {
    const struct command *command;
    const struct rdkafka *k;
    rd_kafka_t *rk;
    rd_kafka_topic_t *rkt;
    rd_kafka_queue_t *queue;
    const char *topic, *servers, *format, *key_separator, *partitions;
    const char **properties;
    size_t property_count, part_count, left;
    struct part *parts;
    struct start from;
    int64_t count, timeout_s;
    bool follow, json;
    uint64_t records, bytes;
    struct buffer out;
    struct progress progress;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

static int fail(struct consume *c, const char *what, rd_kafka_resp_err_t err)
{
    if (c->rk)
        c->k->rd_kafka_poll(c->rk, 0); // what the brokers' connections have to say
    const char *problem = rdkafka_last_problem();
    bool unknown = err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || err == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
    return cli_fail(c->command, "%s: %s%s%s%s", what, c->k->rd_kafka_err2str(err), *problem ? ": " : "",
                    problem, unknown ? CLI_NO_TOPIC : "");
}

static int open_consumer(struct consume *c)
{
    char message[MESSAGE_SIZE];
    c->k = rdkafka_load(message, sizeof message);
    if (!c->k)
        return cli_fail(c->command, "%s", message);
    // With a short queue librdkafka pauses for a second each time it is full.
    static const struct rdkafka_setting own[] = {{"enable.partition.eof", "true"},
                                                 {"queued.min.messages", "1000000"}};
    rd_kafka_conf_t *conf = rdkafka_conf(c->k, c->servers, own, sizeof own / sizeof *own, c->properties,
                                         c->property_count, message, sizeof message);
    if (!conf)
        return cli_fail(c->command, "%s", message);
    c->rk = c->k->rd_kafka_new(RD_KAFKA_CONSUMER, conf, message, sizeof message);
    if (!c->rk) {
        c->k->rd_kafka_conf_destroy(conf);
        return cli_fail(c->command, "%s", message);
    }
    c->rkt = c->k->rd_kafka_topic_new(c->rk, c->topic, NULL);
    c->queue = c->k->rd_kafka_queue_new(c->rk);
    if (!c->rkt)
        return fail(c, c->topic, c->k->rd_kafka_last_error());
    return rdkafka_wait_for_broker(c->command, c->k, c->rk, c->servers, c->timeout_s, message, sizeof message)
               ? EXIT_OK
               : cli_fail(c->command, "%s", message);
}

// Whether the user's list of partitions has this one.
static bool wanted(const char *list, int32_t id)
{
    if (!list)
        return true;
    for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (strtol(at, NULL, 10) == id)
            return true;
    return false;
}

static int check_wanted(struct consume *c)
{
    for (const char *at = c->partitions; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        char *end;
        long id = strtol(at, &end, 10);
        bool there = false;
        if (end == at || (*end && *end != ','))
            return cli_misuse(c->command, "--partition %s: expected N or N,N,...", c->partitions);
        for (size_t i = 0; i < c->part_count; i++)
            there |= c->parts[i].id == id;
        if (!there)
            return cli_fail(c->command, "%s has no partition %ld" CLI_PARTITION, c->topic, id);
    }
    return EXIT_OK;
}

static int find_partitions(struct consume *c)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t err = c->k->rd_kafka_metadata(c->rk, 0, c->rkt, &metadata, (int)c->timeout_s * 1000);
    if (err)
        return fail(c, c->servers, err);
    const struct rd_kafka_metadata_topic *topic = &metadata->topics[0];
    int status = EXIT_OK;
    if (topic->err)
        status = fail(c, c->topic, topic->err);
    c->parts = calloc((size_t)topic->partition_cnt + 1, sizeof *c->parts);
    for (int i = 0; c->parts && i < topic->partition_cnt; i++)
        if (wanted(c->partitions, topic->partitions[i].id))
            c->parts[c->part_count++].id = topic->partitions[i].id;
    c->k->rd_kafka_metadata_destroy(metadata);
    if (status == EXIT_OK && !c->parts)
        status = cli_fail(c->command, "out of memory");
    return status == EXIT_OK ? check_wanted(c) : status;
}

static int offset_of_time(struct consume *c, struct part *p)
{
    rd_kafka_topic_partition_list_t *list = c->k->rd_kafka_topic_partition_list_new(1);
    c->k->rd_kafka_topic_partition_list_add(list, c->topic, p->id)->offset = c->from.number;
    rd_kafka_resp_err_t err = c->k->rd_kafka_offsets_for_times(c->rk, list, (int)c->timeout_s * 1000);
    if (!err)
        err = list->elems[0].err;
    p->start = list->elems[0].offset;
    if (p->start < 0) // no record so young
        p->start = p->end;
    c->k->rd_kafka_topic_partition_list_destroy(list);
    return err ? fail(c, c->topic, err) : EXIT_OK;
}

// Where a partition starts and, unless we follow, where it ends.
static int place(struct consume *c, struct part *p)
{
    int64_t low, high;
    rd_kafka_resp_err_t err =
        c->k->rd_kafka_query_watermark_offsets(c->rk, c->topic, p->id, &low, &high, (int)c->timeout_s * 1000);
    if (err)
        return fail(c, c->topic, err);
    p->end = high;
    switch (c->from.kind) {
    case START_BEGINNING:
        p->start = low;
        break;
    case START_END:
        p->start = high;
        break;
    case START_OFFSET:
        p->start = c->from.number < low ? low : c->from.number;
        break;
    case START_LAST:
        p->start = high - low > c->from.number ? high - c->from.number : low;
        break;
    case START_TIME:
        return offset_of_time(c, p);
    }
    return EXIT_OK;
}

static int start_all(struct consume *c)
{
    for (size_t i = 0; i < c->part_count; i++) {
        struct part *p = &c->parts[i];
        int status = place(c, p);
        if (status != EXIT_OK)
            return status;
        p->done = !c->follow && p->start >= p->end;
        if (p->done)
            continue;
        c->left++;
        if (c->k->rd_kafka_consume_start_queue(c->rkt, p->id, p->start, c->queue) != 0)
            return fail(c, c->topic, c->k->rd_kafka_last_error());
    }
    return EXIT_OK;
}

static struct part *part_of(struct consume *c, int32_t id)
{
    for (size_t i = 0; i < c->part_count; i++)
        if (c->parts[i].id == id)
            return &c->parts[i];
    return NULL;
}

static void finish_part(struct consume *c, struct part *p)
{
    if (!c->follow && !p->done) {
        p->done = true;
        c->left--;
    }
}

static void print(struct consume *c, const rd_kafka_message_t *m)
{
    if (c->json)
        record_json(c->k, m, &c->out);
    else {
        if (c->key_separator) {
            record_format(c->k, "%k", m, &c->out);
            buffer_text(&c->out, c->key_separator);
        }
        record_format(c->k, c->format, m, &c->out);
    }
    c->records++;
    c->bytes += m->len + m->key_len;
}

static int take(struct consume *c, const rd_kafka_message_t *m)
{
    struct part *p = part_of(c, m->partition);
    if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        if (p)
            finish_part(c, p);
        return EXIT_OK;
    }
    if (m->err)
        return fail(c, c->topic, m->err);
    if (!p || p->done)
        return EXIT_OK;
    if (c->follow || m->offset < p->end)
        print(c, m);
    if (m->offset + 1 >= p->end)
        finish_part(c, p);
    return EXIT_OK;
}

#define FLUSH_BYTES 65536

static int loop(struct consume *c)
{
    int status = EXIT_OK;
    while (status == EXIT_OK && !interrupted && c->left > 0 &&
           (c->count < 0 || (int64_t)c->records < c->count)) {
        rd_kafka_message_t *m = c->k->rd_kafka_consume_queue(c->queue, c->out.size ? 0 : POLL_MS);
        c->k->rd_kafka_poll(c->rk, 0);
        if (m) {
            status = take(c, m);
            c->k->rd_kafka_message_destroy(m);
        }
        // What is printed waits for more only while more is at hand.
        bool flush = c->out.size > 0 && (!m || c->out.size >= FLUSH_BYTES);
        if (flush && (!cli_flush(&c->out) || fflush(stdout) != 0))
            return cli_fail(c->command, "standard output cannot be written");
        progress_update(&c->progress, c->records, c->bytes);
    }
    if (status == EXIT_OK && (!cli_flush(&c->out) || fflush(stdout) != 0))
        return cli_fail(c->command, "standard output cannot be written");
    return status;
}

static void close_consumer(struct consume *c)
{
    if (!c->rk)
        return;
    for (size_t i = 0; i < c->part_count; i++)
        c->k->rd_kafka_consume_stop(c->rkt, c->parts[i].id);
    c->k->rd_kafka_queue_destroy(c->queue);
    if (c->rkt)
        c->k->rd_kafka_topic_destroy(c->rkt);
    c->k->rd_kafka_destroy(c->rk);
}

static int consume(struct consume *c)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    int status = open_consumer(c);
    if (status == EXIT_OK)
        status = find_partitions(c);
    if (status == EXIT_OK)
        status = start_all(c);
    c->progress = progress_start();
    c->progress.terminal &= !isatty(STDOUT_FILENO); // records and a progress line do not mix
    if (status == EXIT_OK)
        status = loop(c);
    progress_end(&c->progress);
    close_consumer(c);
    free(c->parts);
    buffer_free(&c->out);
    return status;
}

static int take_option(struct consume *c, const struct options *o, int option)
{
    const char *at;
    switch (option) {
    case FROM:
        return start_parse(o->value, clock_wall_ms(), &c->from)
                   ? EXIT_OK
                   : cli_misuse(o->command, "--from %s is no place to start from", o->value);
    case PARTITION:
        c->partitions = o->value;
        return EXIT_OK;
    case COUNT:
        return options_number(o, 0, INT64_MAX, &c->count) ? EXIT_OK : EXIT_USAGE;
    case FOLLOW:
        c->follow = true;
        return EXIT_OK;
    case FORMAT:
        c->format = o->value;
        return record_format_valid(o->value, &at) ? EXIT_OK
                                                  : cli_misuse(o->command, "--format: %.2s is not known", at);
    case KEY_SEPARATOR:
        c->key_separator = o->value;
        return EXIT_OK;
    case PROPERTY:
        c->properties[c->property_count++] = o->value;
        return EXIT_OK;
    case BOOTSTRAP:
        c->servers = o->value;
        return EXIT_OK;
    case TIMEOUT:
        return options_number(o, 1, 3600, &c->timeout_s) ? EXIT_OK : EXIT_USAGE;
    case JSON:
        c->json = true;
        return EXIT_OK;
    default:
        if (c->topic)
            return cli_misuse(o->command, "%s is too much: one topic is enough", o->value);
        c->topic = o->value;
        return EXIT_OK;
    }
}

static int run(const struct command *self, int argc, char **argv)
{
    struct options o = options_start(self, argc, argv);
    struct consume c = {
        .command = self, .servers = "127.0.0.1:9092", .format = "%v\\n", .count = -1, .timeout_s = 30};
    int status = EXIT_OK, option;
    c.properties = calloc((size_t)argc + 1, sizeof *c.properties);
    if (!c.properties)
        return cli_fail(self, "out of memory");
    while (status == EXIT_OK && (option = options_next(&o)) != OPTION_END) {
        if (option == OPTION_HELP || option == OPTION_BAD) {
            free(c.properties);
            return options_status(option);
        }
        status = take_option(&c, &o, option);
    }
    if (status == EXIT_OK && !c.topic)
        status = cli_misuse(self, "no topic is named");
    if (status == EXIT_OK)
        status = consume(&c);
    free(c.properties);
    return status;
}

const struct command consume_command = {.name = "consume",
                                        .summary = "read records",
                                        .help = help,
                                        .options = known,
                                        .argument = ARGUMENT_TOPIC,
                                        .run = run};
