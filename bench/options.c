#include "options.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("odradek-load: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

static int64_t number(const char *name, const char *text, int64_t low, int64_t high)
{
    char *end = NULL;
    long long v = strtoll(text, &end, 10);
    if (*text == 0 || *end != 0 || v < low || v > high)
        fail("--%s %s: a whole number from %lld to %lld is needed", name, text, (long long)low,
             (long long)high);
    return v;
}

static void parse_seconds(struct options *o, size_t at, const char *name, char *text)
{
    char *end = NULL;
    double v = strtod(text, &end);
    if (*text == 0 || *end != 0 || !(v >= 0 && v < 1e6))
        fail("--%s %s: a number of seconds is needed", name, text);
    memcpy((char *)o + at, &v, sizeof v);
}

static void parse_text(struct options *o, size_t at, const char *name, char *text)
{
    (void)name;
    const char *v = text;
    memcpy((char *)o + at, &v, sizeof v);
}

static void parse_flag(struct options *o, size_t at, const char *name, char *text)
{
    (void)name;
    (void)text;
    memcpy((char *)o + at, &(bool){true}, sizeof(bool));
}

static void parse_address(struct options *o, size_t at, const char *name, char *text)
{
    (void)at;
    char *colon = strrchr(text, ':');
    if (!colon)
        fail("--%s %s: host:port is needed", name, text);
    *colon = 0;
    o->host = text;
    o->port = (int)number(name, colon + 1, 0, 65535);
}

static void parse_acks(struct options *o, size_t at, const char *name, char *text)
{
    (void)at;
    o->acks = strcmp(text, "all") == 0 ? -1 : (int)number(name, text, -1, 1);
}

static void parse_compression(struct options *o, size_t at, const char *name, char *text)
{
    (void)at;
    if (batch_compression_parse(text, &o->compression) < 0)
        fail("--%s %s: none, gzip, lz4 or zstd is needed", name, text);
}

#define AT(field)         offsetof(struct options, field), sizeof(((struct options *)NULL)->field)
#define MAX_BATCH_BYTES   (64 << 20)
#define MAX_COUNT         10000000
#define MAX_SOCKET_BUFFER (1 << 30)
#define MAX_PARTITIONS    1000000
#define MAX_CONNECTIONS   1000
#define MAX_IN_FLIGHT     1000
#define MAX_PAUSE_US      1000000

// An option either has a parser of its own or is a whole number from low to high.
static const struct {
    const char *name;
    size_t at, size; // of the field
    int64_t low, high;
    void (*parse)(struct options *o, size_t at, const char *name, char *text);
} definitions[] = {
    {"address", 0, 0, 0, 0, parse_address},
    {"topic", AT(topic), 0, 0, parse_text},
    {"file", AT(file), 0, 0, parse_text},
    {"bare", AT(bare), 0, 0, parse_flag},
    {"drop", AT(drop), 0, 0, parse_flag},
    {"idempotent", AT(idempotent), 0, 0, parse_flag},
    {"acks", 0, 0, 0, 0, parse_acks},
    {"compression", 0, 0, 0, 0, parse_compression},
    {"seconds", AT(seconds), 0, 0, parse_seconds},
    {"timeout", AT(timeout_seconds), 0, 0, parse_seconds},
    {"partitions", AT(partitions), 1, MAX_PARTITIONS, NULL},
    {"connections", AT(connections), 1, MAX_CONNECTIONS, NULL},
    {"batch-bytes", AT(batch_bytes), 100, MAX_BATCH_BYTES, NULL},
    {"record-bytes", AT(record_bytes), 1, MAX_BATCH_BYTES, NULL},
    {"key-bytes", AT(key_bytes), 0, MAX_BATCH_BYTES, NULL},
    {"depth", AT(depth), 1, MAX_IN_FLIGHT, NULL},
    {"bytes", AT(bytes), 1, INT64_MAX, NULL},
    {"rate", AT(rate), 1, INT64_MAX, NULL},
    {"count", AT(count), 1, MAX_COUNT, NULL},
    {"warmup", AT(warmup), 0, MAX_COUNT, NULL},
    {"pause-us", AT(pause_us), 0, MAX_PAUSE_US, NULL},
    {"fetch-bytes", AT(fetch_bytes), 1, INT32_MAX, NULL},
    {"send-buffer", AT(send_buffer), 1024, MAX_SOCKET_BUFFER, NULL},
    {"receive-buffer", AT(receive_buffer), 1024, MAX_SOCKET_BUFFER, NULL},
};

#define DEFINITIONS (sizeof definitions / sizeof definitions[0])

static void set(struct options *o, size_t i, char *text)
{
    if (definitions[i].parse) {
        definitions[i].parse(o, definitions[i].at, definitions[i].name, text);
        return;
    }
    int64_t v = number(definitions[i].name, text, definitions[i].low, definitions[i].high);
    if (definitions[i].size == sizeof(int))
        memcpy((char *)o + definitions[i].at, &(int){(int)v}, sizeof(int));
    else
        memcpy((char *)o + definitions[i].at, &v, sizeof v);
}

void options_parse(struct options *o, int argc, char **argv)
{
    *o = (struct options){
        .host = "127.0.0.1",
        .port = 9092,
        .topic = "bench",
        .partitions = 4,
        .connections = 2,
        .batch_bytes = 65536,
        .record_bytes = 100,
        .acks = -1,
        .depth = 5,
        .count = 10000,
        .warmup = 1000,
        .fetch_bytes = 1 << 20,
        .timeout_seconds = 300,
    };
    struct option long_options[DEFINITIONS + 1] = {0};
    for (size_t i = 0; i < DEFINITIONS; i++) {
        bool flag = definitions[i].parse == parse_flag;
        long_options[i] =
            (struct option){definitions[i].name, flag ? no_argument : required_argument, NULL, 0};
    }
    int index = 0, found;
    while ((found = getopt_long(argc, argv, "", long_options, &index)) != -1) {
        if (found == '?')
            exit(2);
        set(o, (size_t)index, optarg);
    }
    if (optind < argc)
        fail("%s: not an option", argv[optind]);
}
