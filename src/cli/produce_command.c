// odradek produce: records from standard input or files, over librdkafka.
#include "base/clock.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/rdkafka_table.h"
#include "cli/waiting.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "  echo hello | odradek produce orders\n"
    "  odradek produce orders -K : < pairs.txt              each line is key:value\n"
    "  odradek produce orders -z zstd -H source=web log.txt\n"
    "  odradek produce images --whole *.png                 each file is one record\n"
    "\n"
    "Produces the lines of the files (of standard input without one) to a topic, and returns when the broker "
    "has\n"
    "acknowledged them all.\n"
    "  -K, --key-separator TEXT          what stands before it in a line is the key\n"
    "  -k, --key TEXT                    the key of every record\n"
    "  -H, --header NAME=VALUE           a header of every record; may be given again\n"
    "  -N, --empty-is-null               an empty value is a tombstone (null)\n"
    "  -w, --whole                       a file is one record, not many lines\n"
    "  -p, --partition N                 the partition; otherwise by the key's hash as Java's clients choose "
    "it\n"
    "  -z, --compression CODEC           none, gzip, snappy, lz4 or zstd (none)\n"
    "  -a, --acks N                      0, 1 or all (all)\n"
    "  -i, --idempotent                  no duplicates and no reordering, whatever happens on the way\n"
    "  -X, --property NAME=VALUE         a setting of librdkafka; may be given again\n"
    "  -b, --bootstrap HOST:PORT[,...]   the broker (127.0.0.1:9092)\n"
    "  -t, --timeout SECONDS             how long a record may wait for its acknowledgement (30)\n"
    "  -j, --json                        a closing line {records, bytes, failed}, and error: why the first "
    "one "
    "failed\n";

enum {
    KEY_SEPARATOR,
    KEY,
    HEADER,
    EMPTY_IS_NULL,
    WHOLE,
    PARTITION,
    COMPRESSION,
    ACKS,
    IDEMPOTENT,
    PROPERTY,
    BOOTSTRAP,
    TIMEOUT,
    JSON
};

static const struct option known[] = {
    {"key-separator", 'K', true},  {"key", 'k', true},       {"header", 'H', true},
    {"empty-is-null", 'N', false}, {"whole", 'w', false},    {"partition", 'p', true},
    {"compression", 'z', true},    {"acks", 'a', true},      {"idempotent", 'i', false},
    {"property", 'X', true},       {"bootstrap", 'b', true}, {"timeout", 't', true},
    {"json", 'j', false},          {NULL, 0, false}};

#define RECORD_MAX_BYTES (1 << 30)
#define MESSAGE_SIZE     512

struct produce {
    const struct command *command;
    const struct rdkafka *k;
    rd_kafka_t *rk;
    rd_kafka_headers_t *headers; // of every record; NULL: none
    const char *topic, *servers, *key_separator, *key, *compression, *acks;
    const char **words; // headers from the front, files from `files_at`, properties from `properties_at`
    size_t header_count, file_count, property_count, files_at, properties_at;
    int64_t partition, timeout_s;
    bool empty_is_null, whole, idempotent, json;
    uint64_t records, bytes, acknowledged, failed;
    char first_failure[MESSAGE_SIZE];
    struct progress progress;
};

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    struct produce *p = opaque;
    (void)rk;
    if (!m->err) {
        p->acknowledged++;
        return;
    }
    if (p->failed++ == 0)
        snprintf(p->first_failure, sizeof p->first_failure, "%s%s%s", p->k->rd_kafka_err2str(m->err),
                 *rdkafka_last_problem() ? ": " : "", rdkafka_last_problem());
}

static rd_kafka_headers_t *headers_of(struct produce *p)
{
    if (p->header_count == 0)
        return NULL;
    rd_kafka_headers_t *headers = p->k->rd_kafka_headers_new(p->header_count);
    for (size_t i = 0; i < p->header_count; i++) {
        const char *equals = strchr(p->words[i], '=');
        p->k->rd_kafka_header_add(headers, p->words[i], equals ? equals - p->words[i] : -1,
                                  equals ? equals + 1 : NULL, -1);
    }
    return headers;
}

static rd_kafka_conf_t *configure(struct produce *p, char *message, size_t size)
{
    char timeout_ms[24];
    snprintf(timeout_ms, sizeof timeout_ms, "%lld", (long long)p->timeout_s * 1000);
    const struct rdkafka_setting own[] = {{"message.timeout.ms", timeout_ms},
                                          {"compression.codec", p->compression},
                                          {"acks", p->acks},
                                          {"partitioner", "murmur2_random"}, // as Java's clients
                                          {"enable.idempotence", p->idempotent ? "true" : "false"},
                                          {"linger.ms", "5"},
                                          {"message.max.bytes", "1000000000"}}; // the broker's limit counts
    return rdkafka_conf(p->k, p->servers, own, sizeof own / sizeof *own, p->words + p->properties_at,
                        p->property_count, message, size);
}

// What came of it, for a program: where records failed, also why the first one did.
static void print_json(const struct produce *p)
{
    struct buffer out = BUFFER_INIT;
    if (!p->json)
        return;
    buffer_printf(&out, "{\"records\":%llu,\"bytes\":%llu,\"failed\":%llu",
                  (unsigned long long)p->acknowledged, (unsigned long long)p->bytes,
                  (unsigned long long)p->failed);
    if (p->first_failure[0]) {
        buffer_byte(&out, ',');
        json_member(&out, "error", str_from(p->first_failure));
    }
    buffer_text(&out, "}\n");
    (void)cli_flush(&out);
    buffer_free(&out);
}

static int open_producer(struct produce *p)
{
    char message[MESSAGE_SIZE];
    p->k = rdkafka_load(message, sizeof message);
    if (!p->k)
        return cli_fail(p->command, "%s", message);
    rd_kafka_conf_t *conf = configure(p, message, sizeof message);
    if (!conf)
        return cli_fail(p->command, "%s", message);
    p->k->rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    p->k->rd_kafka_conf_set_opaque(conf, p);
    p->rk = p->k->rd_kafka_new(RD_KAFKA_PRODUCER, conf, message, sizeof message);
    if (!p->rk) {
        p->k->rd_kafka_conf_destroy(conf);
        return cli_fail(p->command, "%s", message);
    }
    p->headers = headers_of(p);
    return EXIT_OK;
}

// Hands one record over; waits while the queue is full.
static int send_record(struct produce *p, const void *key, size_t key_size, const void *value, size_t size)
{
    if (size == 0 && p->empty_is_null)
        value = NULL;
    for (;;) {
        rd_kafka_headers_t *headers = p->headers ? p->k->rd_kafka_headers_copy(p->headers) : NULL;
        rd_kafka_resp_err_t err = p->k->rd_kafka_producev(
            p->rk, RD_KAFKA_V_TOPIC(p->topic), RD_KAFKA_V_PARTITION((int32_t)p->partition),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(key, key_size),
            RD_KAFKA_V_VALUE((void *)(uintptr_t)value, size), RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
        if (!err)
            break;
        if (headers)
            p->k->rd_kafka_headers_destroy(headers);
        if (err != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            return cli_fail(p->command, "record %llu: %s", (unsigned long long)p->records + 1,
                            p->k->rd_kafka_err2str(err));
        p->k->rd_kafka_poll(p->rk, 100);
    }
    p->records++;
    p->bytes += key_size + size;
    p->k->rd_kafka_poll(p->rk, 0);
    progress_update(&p->progress, p->records, p->bytes);
    return p->failed ? EXIT_FAILED : EXIT_OK;
}

static int send_line(struct produce *p, const char *line, size_t size)
{
    const char *key = p->key;
    size_t key_size = key ? strlen(key) : 0;
    if (p->key_separator) {
        const char *separator = memmem(line, size, p->key_separator, strlen(p->key_separator));
        if (!separator)
            return cli_fail(p->command,
                            "record %llu: no \"%s\" in the line, so no key; those before it are sent",
                            (unsigned long long)p->records + 1, p->key_separator);
        key = line;
        key_size = (size_t)(separator - line);
        line = separator + strlen(p->key_separator);
        size -= key_size + strlen(p->key_separator);
    }
    // An empty key is a key: librdkafka takes a null pointer for none.
    return send_record(p, key, key_size, line, size);
}

static int send_lines(struct produce *p, FILE *file, const char *name)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t size;
    int status = EXIT_OK;
    errno = 0;
    while (status == EXIT_OK && (size = getline(&line, &room, file)) >= 0) {
        if (size > 0 && line[size - 1] == '\n')
            size--;
        status = send_line(p, line, (size_t)size);
    }
    if (status == EXIT_OK && ferror(file))
        status = cli_fail(p->command, "%s: %s", name, strerror(errno));
    free(line);
    return status;
}

static int send_whole(struct produce *p, FILE *file, const char *name)
{
    struct buffer all = BUFFER_INIT;
    int status = EXIT_OK;
    for (size_t n = 1; n > 0 && status == EXIT_OK;) {
        uint8_t *at = buffer_reserve(&all, 65536);
        n = at ? fread(at, 1, 65536, file) : 0;
        all.size += n;
        if (!at || all.size > RECORD_MAX_BYTES)
            status = cli_fail(p->command, "%s: too large for one record", name);
        else if (ferror(file))
            status = cli_fail(p->command, "%s: %s", name, strerror(errno));
    }
    if (status == EXIT_OK)
        status = send_record(p, p->key, p->key ? strlen(p->key) : 0,
                             all.data ? all.data : (const uint8_t *)"", all.size);
    buffer_free(&all);
    return status;
}

static int send_file(struct produce *p, const char *name)
{
    bool standard = strcmp(name, "-") == 0;
    FILE *file = standard ? stdin : fopen(name, "re");
    if (!file)
        return cli_fail(p->command, "%s: %s", name, strerror(errno));
    int status = (p->whole ? send_whole : send_lines)(p, file, standard ? "standard input" : name);
    if (!standard)
        fclose(file);
    return status;
}

// Waits for what is under way, whatever came before; says how it went.
static int finish(struct produce *p, int status)
{
    while (p->k->rd_kafka_flush(p->rk, 200) == RD_KAFKA_RESP_ERR__TIMED_OUT) {
        progress_update(&p->progress, p->acknowledged, p->bytes);
        waiting_for(p->command, clock_monotonic_ms() + p->timeout_s * 1000, "%s to acknowledge %llu records",
                    p->servers, (unsigned long long)(p->records - p->acknowledged - p->failed));
        if (!p->progress.terminal)
            waiting_look();
    }
    progress_end(&p->progress);
    print_json(p);
    if (p->failed)
        return cli_fail(p->command, "%s: %llu of %llu records were not acknowledged: %s", p->topic,
                        (unsigned long long)p->failed, (unsigned long long)p->records, p->first_failure);
    if (status == EXIT_OK && p->progress.terminal && !p->json)
        fprintf(stderr, "%llu records, %.1f MB\n", (unsigned long long)p->records, (double)p->bytes / 1e6);
    return status;
}

// Nothing is read as long as no broker was there.
static int await_broker(struct produce *p)
{
    if (rdkafka_wait_for_broker(p->command, p->k, p->rk, p->servers, p->timeout_s, p->first_failure,
                                sizeof p->first_failure))
        return EXIT_OK;
    print_json(p);
    return cli_fail(p->command, "%s", p->first_failure);
}

static int send_all(struct produce *p)
{
    int status = EXIT_OK;
    p->progress = progress_start();
    for (size_t i = 0; i < p->file_count && status == EXIT_OK; i++)
        status = send_file(p, p->words[p->files_at + i]);
    if (p->file_count == 0)
        status = send_file(p, "-");
    return finish(p, status);
}

static int produce(struct produce *p)
{
    int status = open_producer(p);
    if (status == EXIT_OK)
        status = await_broker(p);
    if (status == EXIT_OK)
        status = send_all(p);
    if (p->headers)
        p->k->rd_kafka_headers_destroy(p->headers);
    if (p->rk)
        p->k->rd_kafka_destroy(p->rk);
    return status;
}

static int take_option(struct produce *p, const struct options *o, int option)
{
    switch (option) {
    case KEY_SEPARATOR:
        p->key_separator = o->value;
        return *o->value ? EXIT_OK : cli_misuse(o->command, "the key separator is empty");
    case KEY:
        p->key = o->value;
        return EXIT_OK;
    case HEADER:
        p->words[p->header_count++] = o->value;
        return strchr(o->value, '=') ? EXIT_OK
                                     : cli_misuse(o->command, "--header %s: expected NAME=VALUE", o->value);
    case EMPTY_IS_NULL:
        p->empty_is_null = true;
        return EXIT_OK;
    case WHOLE:
        p->whole = true;
        return EXIT_OK;
    case PARTITION:
        return options_number(o, 0, INT32_MAX, &p->partition) ? EXIT_OK : EXIT_USAGE;
    case COMPRESSION:
        p->compression = o->value;
        return EXIT_OK;
    case ACKS:
        p->acks = o->value;
        return EXIT_OK;
    case IDEMPOTENT:
        p->idempotent = true;
        return EXIT_OK;
    case PROPERTY:
        p->words[p->properties_at + p->property_count++] = o->value;
        return EXIT_OK;
    case BOOTSTRAP:
        p->servers = o->value;
        return EXIT_OK;
    case TIMEOUT:
        return options_number(o, 1, 3600, &p->timeout_s) ? EXIT_OK : EXIT_USAGE;
    case JSON:
        p->json = true;
        return EXIT_OK;
    default: // an argument: the topic, then files
        if (!p->topic)
            p->topic = o->value;
        else
            p->words[p->files_at + p->file_count++] = o->value;
        return EXIT_OK;
    }
}

static int run(const struct command *self, int argc, char **argv)
{
    struct options o = options_start(self, argc, argv);
    struct produce p = {.command = self,
                        .servers = "127.0.0.1:9092",
                        .compression = "none",
                        .acks = "all",
                        .partition = RD_KAFKA_PARTITION_UA,
                        .timeout_s = 30,
                        .files_at = (size_t)argc + 1,
                        .properties_at = 2 * ((size_t)argc + 1)};
    int status = EXIT_OK, option;
    p.words = calloc(3 * ((size_t)argc + 1), sizeof *p.words);
    if (!p.words)
        return cli_fail(self, "out of memory");
    while (status == EXIT_OK && (option = options_next(&o)) != OPTION_END) {
        if (option == OPTION_HELP || option == OPTION_BAD) {
            free(p.words);
            return options_status(option);
        }
        status = take_option(&p, &o, option);
    }
    if (status == EXIT_OK && !p.topic)
        status = cli_misuse(self, "no topic is named");
    if (status == EXIT_OK && p.whole && p.key_separator)
        status = cli_misuse(self, "--whole and --key-separator do not go together");
    if (status == EXIT_OK)
        status = produce(&p);
    free(p.words);
    return status;
}

const struct command produce_command = {.name = "produce",
                                        .summary = "write records from standard input or files",
                                        .help = help,
                                        .options = known,
                                        .argument = ARGUMENT_TOPIC,
                                        .run = run};
