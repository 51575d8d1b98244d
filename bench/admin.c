#include "admin.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "consumer.h"
#include "frames.h"
#include "modes.h"
#include "stats.h"

#define RETRY_US 500 // between two questions to a broker that is not ready

static void ask(int fd, const struct buffer *request, struct reader *reader, struct response *r)
{
    struct iovec iov = {request->data, request->size};
    net_send(fd, &iov, 1);
    response_begin(r, reader, true);
}

static void give_up_after(const struct options *o, int64_t started_ms, const char *what)
{
    if (clock_monotonic_ms() - started_ms > (int64_t)(o->timeout_seconds * 1e3))
        fail("%s: no answer within %.0f s", what, o->timeout_seconds);
    usleep(RETRY_US);
}

// A new topic has leaders in the metadata before its logs are there.
static void wait_until_served(const struct options *o, const struct uuid *topic)
{
    struct consumer c;
    consumer_open(&c, o, topic, 0, 1);
    c.any_offset = true;
    c.settings.min_bytes = 0;
    c.settings.partition_max_bytes = 1;
    c.settings.max_bytes = 1;
    int64_t started_ms = clock_monotonic_ms();
    for (;;) {
        consumer_ask(&c);
        consumer_receive(&c);
        if (c.not_ready == 0)
            break;
        c.session_id = 0;
        give_up_after(o, started_ms, "the topic's partitions");
    }
    consumer_close(&c);
}

static void create_topic(const struct options *o, int fd, struct reader *reader)
{
    struct buffer b = BUFFER_INIT;
    frame_begin(&b, API_CREATE_TOPICS, VERSION_CREATE_TOPICS, 1);
    frame_count(&b, 1);
    frame_string(&b, o->topic);
    frame_int32(&b, o->partitions);
    frame_int16(&b, 1); // replication factor
    frame_count(&b, 0); // assignments
    frame_count(&b, 0); // configurations
    frame_no_tags(&b);
    frame_int32(&b, 60000);
    frame_int8(&b, 0); // validate only
    frame_no_tags(&b);
    frame_end(&b, 0);
    struct response r;
    ask(fd, &b, reader, &r);
    response_int32(&r); // throttle time
    if (response_count(&r) != 1)
        fail("CreateTopics answered for no topic");
    response_skip_string(&r);
    response_skip(&r, sizeof(struct uuid));
    int16_t error = response_int16(&r);
    if (error != PROTOCOL_NONE && error != PROTOCOL_TOPIC_EXISTS)
        fail("topic %s cannot be created: error code %d", o->topic, error);
    response_end(&r);
    buffer_free(&b);
}

static void skip_int32_array(struct response *r)
{
    response_skip(r, 4 * (size_t)response_count(r));
}

static void skip_brokers(struct response *r)
{
    for (uint32_t n = response_count(r); n > 0; n--) {
        response_int32(r);
        response_skip_string(r);
        response_int32(r);
        response_skip_string(r);
        response_skip_tags(r);
    }
}

// Reads one topic of a Metadata response; returns its partitions that have a leader, or -1 for an error that
// passes.
static int read_topic(struct response *r, const char *name, struct uuid *id)
{
    int16_t error = response_int16(r);
    response_skip_string(r);
    response_uuid(r, id);
    if (error == PROTOCOL_UNKNOWN_TOPIC || error == PROTOCOL_LEADER_NOT_AVAILABLE)
        return -1;
    if (error != PROTOCOL_NONE)
        fail("topic %s: error code %d", name, error);
    response_int8(r); // internal
    int led = 0;
    for (uint32_t n = response_count(r); n > 0; n--) {
        int16_t partition_error = response_int16(r);
        response_int32(r);
        led += response_int32(r) >= 0 && partition_error == PROTOCOL_NONE;
        response_int32(r);
        skip_int32_array(r);
        skip_int32_array(r);
        skip_int32_array(r);
        response_skip_tags(r);
    }
    return led;
}

static void frame_metadata(struct buffer *b, const char *topic)
{
    frame_begin(b, API_METADATA, VERSION_METADATA, 2);
    frame_count(b, topic ? 1 : 0);
    if (topic) {
        frame_uuid(b, &(struct uuid){{0}});
        frame_string(b, topic);
        frame_no_tags(b);
    }
    frame_int8(b, 0); // allow auto topic creation
    frame_int8(b, 0);
    frame_no_tags(b);
    frame_end(b, 0);
}

struct uuid admin_topic(const struct options *o)
{
    struct uuid id = {{0}};
    if (o->bare)
        return id;
    int fd = net_connect(o->host, o->port);
    struct reader reader;
    reader_init(&reader, fd);
    create_topic(o, fd, &reader);
    struct buffer b = BUFFER_INIT;
    frame_metadata(&b, o->topic);
    int64_t started_ms = clock_monotonic_ms();
    for (int led = -1; led < o->partitions;) {
        struct response r;
        ask(fd, &b, &reader, &r);
        response_int32(&r); // throttle time
        skip_brokers(&r);
        response_skip_string(&r); // cluster id
        response_int32(&r);       // controller
        if (response_count(&r) != 1)
            fail("Metadata answered for no topic");
        led = read_topic(&r, o->topic, &id);
        response_end(&r);
        if (led < o->partitions)
            give_up_after(o, started_ms, "leaders of the topic");
    }
    buffer_free(&b);
    close(fd);
    wait_until_served(o, &id);
    return id;
}

struct producer_identity admin_producer(const struct options *o)
{
    if (o->bare)
        return (struct producer_identity){.id = 1};
    int fd = net_connect(o->host, o->port);
    struct reader reader;
    reader_init(&reader, fd);
    struct buffer b = BUFFER_INIT;
    frame_begin(&b, API_INIT_PRODUCER_ID, VERSION_INIT_PRODUCER_ID, 3);
    frame_string(&b, NULL); // transactional id
    frame_int32(&b, 60000);
    frame_int64(&b, -1);
    frame_int16(&b, -1);
    frame_no_tags(&b);
    frame_end(&b, 0);
    struct producer_identity p = {.id = -1};
    int64_t started_ms = clock_monotonic_ms();
    while (p.id < 0) {
        struct response r;
        ask(fd, &b, &reader, &r);
        response_int32(&r); // throttle time
        int16_t error = response_int16(&r);
        p.id = response_int64(&r);
        p.epoch = response_int16(&r);
        response_end(&r);
        if (error == PROTOCOL_COORDINATOR_LOADING)
            give_up_after(o, started_ms, "a producer id");
        else if (error != PROTOCOL_NONE)
            fail("InitProducerId: error code %d", error);
    }
    buffer_free(&b);
    close(fd);
    return p;
}

#define ANSWER_BYTES 65536 // more than either answer of a broker without topics

// One request and its whole answer, length included. False when the connection fails: a broker that is
// starting may do that.
static bool try_ask(int fd, const struct buffer *request, uint8_t answer[ANSWER_BYTES])
{
    if (send(fd, request->data, request->size, MSG_NOSIGNAL) != (ssize_t)request->size)
        return false;
    size_t got = 0, size = 4;
    while (got < size) {
        ssize_t n = recv(fd, answer + got, size - got, 0);
        if (n <= 0)
            return false;
        got += (size_t)n;
        if (got == 4 && size == 4)
            size += load_be32(answer);
        if (size > ANSWER_BYTES || size < 14)
            return false;
    }
    return true;
}

// Whether the broker answers both requests without an error and names itself among the brokers.
static bool broker_answers(int fd)
{
    static uint8_t answer[ANSWER_BYTES];
    struct buffer b = BUFFER_INIT;
    frame_api_versions(&b, 1);
    bool good = try_ask(fd, &b, answer) && load_be16(answer + 8) == PROTOCOL_NONE;
    frame_metadata(&b, NULL);
    // Behind length, correlation, tags and throttle time: the count of brokers, and one more.
    good = good && try_ask(fd, &b, answer) && answer[13] > 1;
    buffer_free(&b);
    return good;
}

void mode_create(const struct options *o)
{
    admin_topic(o);
    printf("{\"topic\": \"%s\", \"partitions\": %d}\n", o->topic, o->partitions);
}

// Asks until the broker answers; returns when it did.
static int64_t wait_until_answered(const struct options *o)
{
    int64_t started_ms = clock_monotonic_ms();
    for (;;) {
        int fd = net_try_connect(o->host, o->port);
        bool good = fd >= 0 && broker_answers(fd);
        int64_t now_ns = stats_monotonic_ns();
        if (fd >= 0)
            close(fd);
        if (good)
            return now_ns;
        give_up_after(o, started_ms, "the broker");
    }
}

void mode_wait(const struct options *o)
{
    printf("{\"answered_at_ns\": %lld}\n", (long long)wait_until_answered(o));
}

void mode_serve(const struct options *o)
{
    wait_until_answered(o);
    struct options topic = *o;
    for (int64_t i = 0; i < o->count; i++) {
        char name[256];
        snprintf(name, sizeof name, "%s-%lld", o->topic, (long long)i);
        topic.topic = name;
        admin_topic(&topic);
    }
    printf("{\"answered_at_ns\": %lld}\n", (long long)stats_monotonic_ns());
}
