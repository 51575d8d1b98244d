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

enum option_id {
    OPTION_ADDRESS = 1,
    OPTION_TOPIC,
    OPTION_PARTITIONS,
    OPTION_CONNECTIONS,
    OPTION_BATCH_BYTES,
    OPTION_RECORD_BYTES,
    OPTION_ACKS,
    OPTION_IDEMPOTENT,
    OPTION_DEPTH,
    OPTION_BYTES,
    OPTION_SECONDS,
    OPTION_COUNT,
    OPTION_WARMUP,
    OPTION_PAUSE_US,
    OPTION_FETCH_BYTES,
    OPTION_SINCE_NS,
    OPTION_TIMEOUT,
    OPTION_FILE,
    OPTION_BARE,
    OPTION_COMPRESSION,
};

static const struct option long_options[] = {
    {"address", required_argument, NULL, OPTION_ADDRESS},
    {"topic", required_argument, NULL, OPTION_TOPIC},
    {"partitions", required_argument, NULL, OPTION_PARTITIONS},
    {"connections", required_argument, NULL, OPTION_CONNECTIONS},
    {"batch-bytes", required_argument, NULL, OPTION_BATCH_BYTES},
    {"record-bytes", required_argument, NULL, OPTION_RECORD_BYTES},
    {"acks", required_argument, NULL, OPTION_ACKS},
    {"idempotent", no_argument, NULL, OPTION_IDEMPOTENT},
    {"depth", required_argument, NULL, OPTION_DEPTH},
    {"bytes", required_argument, NULL, OPTION_BYTES},
    {"seconds", required_argument, NULL, OPTION_SECONDS},
    {"count", required_argument, NULL, OPTION_COUNT},
    {"warmup", required_argument, NULL, OPTION_WARMUP},
    {"pause-us", required_argument, NULL, OPTION_PAUSE_US},
    {"fetch-bytes", required_argument, NULL, OPTION_FETCH_BYTES},
    {"since-ns", required_argument, NULL, OPTION_SINCE_NS},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"file", required_argument, NULL, OPTION_FILE},
    {"bare", no_argument, NULL, OPTION_BARE},
    {"compression", required_argument, NULL, OPTION_COMPRESSION},
    {NULL, 0, NULL, 0},
};

static int64_t number(const char *name, const char *text, int64_t low, int64_t high)
{
    char *end = NULL;
    long long v = strtoll(text, &end, 10);
    if (*text == 0 || *end != 0 || v < low || v > high)
        fail("--%s %s: a whole number from %lld to %lld is needed", name, text, (long long)low,
             (long long)high);
    return v;
}

static double seconds(const char *name, const char *text)
{
    char *end = NULL;
    double v = strtod(text, &end);
    if (*text == 0 || *end != 0 || !(v >= 0 && v < 1e6))
        fail("--%s %s: a number of seconds is needed", name, text);
    return v;
}

static void parse_address(struct options *o, char *text)
{
    char *colon = strrchr(text, ':');
    if (!colon)
        fail("--address %s: host:port is needed", text);
    *colon = 0;
    o->host = text;
    o->port = (int)number("address", colon + 1, 0, 65535);
}

static int parse_acks(const char *text)
{
    if (strcmp(text, "all") == 0)
        return -1;
    return (int)number("acks", text, -1, 1);
}

static void set(struct options *o, int id, const char *name, char *text)
{
    switch ((enum option_id)id) {
    case OPTION_ADDRESS:
        parse_address(o, text);
        break;
    case OPTION_TOPIC:
        o->topic = text;
        break;
    case OPTION_PARTITIONS:
        o->partitions = (int)number(name, text, 1, 1000000);
        break;
    case OPTION_CONNECTIONS:
        o->connections = (int)number(name, text, 1, 1000);
        break;
    case OPTION_BATCH_BYTES:
        o->batch_bytes = (size_t)number(name, text, 100, 64 << 20);
        break;
    case OPTION_RECORD_BYTES:
        o->record_bytes = (size_t)number(name, text, 1, 32 << 20);
        break;
    case OPTION_ACKS:
        o->acks = parse_acks(text);
        break;
    case OPTION_IDEMPOTENT:
        o->idempotent = true;
        break;
    case OPTION_DEPTH:
        o->depth = (int)number(name, text, 1, 1000);
        break;
    case OPTION_BYTES:
        o->bytes = number(name, text, 1, INT64_MAX);
        break;
    case OPTION_SECONDS:
        o->seconds = seconds(name, text);
        break;
    case OPTION_COUNT:
        o->count = number(name, text, 1, 10000000);
        break;
    case OPTION_WARMUP:
        o->warmup = number(name, text, 0, 10000000);
        break;
    case OPTION_PAUSE_US:
        o->pause_us = number(name, text, 0, 1000000);
        break;
    case OPTION_FETCH_BYTES:
        o->fetch_partition_bytes = (int)number(name, text, 1, INT32_MAX);
        break;
    case OPTION_SINCE_NS:
        o->since_ns = number(name, text, 0, INT64_MAX);
        break;
    case OPTION_TIMEOUT:
        o->timeout_seconds = seconds(name, text);
        break;
    case OPTION_FILE:
        o->file = text;
        break;
    case OPTION_BARE:
        o->bare = true;
        break;
    case OPTION_COMPRESSION:
        if (batch_compression_parse(text, &o->compression) < 0)
            fail("--compression %s: none, gzip, lz4 or zstd is needed", text);
        break;
    }
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
        .fetch_partition_bytes = 1 << 20,
        .timeout_seconds = 300,
    };
    int index = 0, id;
    while ((id = getopt_long(argc, argv, "", long_options, &index)) != -1) {
        if (id == '?')
            exit(2);
        set(o, id, long_options[index].name, optarg);
    }
    if (optind < argc)
        fail("%s: not an option", argv[optind]);
}
