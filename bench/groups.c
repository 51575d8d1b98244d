// What members of consumer groups do: join, commit offsets, read as a group; and fill a coordinator's memory.
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "admin.h"
#include "consumer.h"
#include "frames.h"
#include "group.h"
#include "modes.h"
#include "protocol/messages.h"
#include "stats.h"

// ---- join: until a group of --count members is stable

static void join(const struct options *o, bool stay)
{
    admin_topic(o);
    struct group g;
    group_open(&g, o, "bench-join");
    int64_t started_ns = stats_monotonic_ns(), cpu_ns = stats_cpu_ns();
    group_join(&g);
    printf(
        "{\"members\": %lld, \"generation\": %d, \"requests\": %lld, \"seconds\": %.6f, "
        "\"load_cpu_seconds\": "
        "%.6f}\n",
        (long long)o->count, g.full_generation, (long long)g.requests,
        (double)(stats_monotonic_ns() - started_ns) / 1e9, (double)(stats_cpu_ns() - cpu_ns) / 1e9);
    fflush(stdout);
    char byte;
    while (stay && read(STDIN_FILENO, &byte, 1) > 0)
        ;
    group_close(&g);
}

void mode_join(const struct options *o)
{
    join(o, false);
}

void mode_members(const struct options *o)
{
    join(o, true);
}

// ---- commit: each connection is a thread that commits one offset a request, `depth` requests in flight

#define VERSION_COMMIT 9

struct committer {
    const struct options *o;
    pthread_t thread;
    struct group group; // of no members that joined: it names the group and finds the coordinator
    struct buffer frame;
    int64_t commits, answered;
};

// A consumer that was assigned its partition by hand commits without generation and member.
static void build_commit(struct committer *c)
{
    struct offset_commit_request_offset_commit_request_partition partition =
        offset_commit_request_offset_commit_request_partition_default;
    partition.committed_offset = 1000000;
    partition.committed_metadata = STR("");
    struct offset_commit_request_offset_commit_request_topic topic =
        offset_commit_request_offset_commit_request_topic_default;
    topic.name = str_from(c->o->topic);
    topic.partitions = &partition;
    topic.partitions_count = 1;
    struct offset_commit_request request = offset_commit_request_default;
    request.group_id = c->group.name;
    request.member_id = STR("");
    request.topics = &topic;
    request.topics_count = 1;
    call_frame(&c->frame, &offset_commit_request_type, VERSION_COMMIT, 0, &request);
}

static void read_commit_answer(struct committer *c, struct reader *reader)
{
    struct response r;
    response_begin(&r, reader, true);
    if (r.correlation != (int32_t)c->answered)
        fail("answer %d where %lld was expected", r.correlation, (long long)c->answered);
    response_int32(&r); // throttle time
    if (response_count(&r) != 1)
        fail("OffsetCommit answered for no topic");
    response_skip_string(&r);
    if (response_count(&r) != 1)
        fail("OffsetCommit answered for no partition");
    response_int32(&r);
    int16_t error = response_int16(&r);
    if (error != PROTOCOL_NONE)
        fail("OffsetCommit: error code %d", error);
    response_end(&r);
    c->answered++;
}

static void *run_committer(void *argument)
{
    struct committer *c = argument;
    struct call *call = &c->group.members[0].call;
    struct reader reader;
    reader_init(&reader, call->fd);
    for (int64_t sent = 0; c->answered < c->commits;) {
        if (sent == c->commits || sent - c->answered >= c->o->depth) {
            read_commit_answer(c, &reader);
            continue;
        }
        store_be32(c->frame.data + FRAME_AT_CORRELATION, (uint32_t)sent++);
        struct iovec iov = {c->frame.data, c->frame.size};
        net_send(call->fd, &iov, 1);
    }
    return NULL;
}

void mode_commit(const struct options *o)
{
    admin_topic(o);
    struct options one = *o;
    one.count = 1;
    struct committer *all = calloc((size_t)o->connections, sizeof all[0]);
    if (!all)
        fail("out of memory");
    for (int i = 0; i < o->connections; i++) {
        char name[32];
        snprintf(name, sizeof name, "bench-commit-%d", i);
        all[i] = (struct committer){.o = o, .commits = o->count / o->connections};
        group_open(&all[i].group, &one, name);
        build_commit(&all[i]);
    }
    int64_t started_ns = stats_monotonic_ns(), cpu_ns = stats_cpu_ns(), commits = 0;
    for (int i = 0; i < o->connections; i++)
        if (pthread_create(&all[i].thread, NULL, run_committer, &all[i]) != 0)
            fail("cannot start a thread");
    for (int i = 0; i < o->connections; i++) {
        pthread_join(all[i].thread, NULL);
        commits += all[i].answered;
    }
    printf("{\"commits\": %lld, \"seconds\": %.6f, \"load_cpu_seconds\": %.6f}\n", (long long)commits,
           (double)(stats_monotonic_ns() - started_ns) / 1e9, (double)(stats_cpu_ns() - cpu_ns) / 1e9);
    for (int i = 0; i < o->connections; i++) {
        group_close(&all[i].group);
        buffer_free(&all[i].frame);
    }
    free(all);
}

// ---- fill: --count groups, each with an offset for every one of --partitions

void mode_fill(const struct options *o)
{
    admin_topic(o);
    struct options one = *o;
    one.count = 1;
    struct group g;
    group_open(&g, &one, "bench-fill");
    int64_t *offsets = calloc((size_t)o->partitions, sizeof offsets[0]);
    if (!offsets)
        fail("out of memory");
    struct member *m = &g.members[0];
    m->generation = -1; // as a consumer whose partitions were assigned by hand
    m->first = 0;
    struct str first = g.name;
    for (int64_t i = 0; i < o->count; i++) {
        char name[32];
        snprintf(name, sizeof name, "bench-fill-%06lld", (long long)i);
        g.name = str_from(name);
        group_commit(&g, m, offsets, o->partitions);
    }
    g.name = first;
    printf("{\"groups\": %lld, \"offsets\": %lld}\n", (long long)o->count,
           (long long)o->count * o->partitions);
    free(offsets);
    group_close(&g);
}

// ---- group-fetch: as mode_fetch, by members that joined a group, send heartbeats and commit

#define HEARTBEAT_NS 3000000000 // these two are a Java consumer's defaults
#define COMMIT_NS    5000000000

struct reading {
    pthread_t thread;
    struct group *group;
    struct member *member;
    struct consumer consumer;
};

static void commit(struct reading *r)
{
    int64_t *offsets = calloc((size_t)r->consumer.count, sizeof offsets[0]);
    if (!offsets)
        fail("out of memory");
    for (int i = 0; i < r->consumer.count; i++)
        offsets[i] = r->consumer.positions[i].offset;
    group_commit(r->group, r->member, offsets, r->consumer.count);
    free(offsets);
}

static void *run_reading(void *argument)
{
    struct reading *r = argument;
    int64_t now_ns = stats_monotonic_ns(), heartbeat_ns = now_ns + HEARTBEAT_NS,
            commit_ns = now_ns + COMMIT_NS;
    while (!consumer_at_end(&r->consumer)) {
        consumer_ask(&r->consumer);
        consumer_receive(&r->consumer);
        now_ns = stats_monotonic_ns();
        if (now_ns >= heartbeat_ns) {
            group_heartbeat(r->group, r->member);
            heartbeat_ns += HEARTBEAT_NS;
        }
        if (now_ns >= commit_ns) {
            commit(r);
            commit_ns += COMMIT_NS;
        }
    }
    commit(r);
    return NULL;
}

void mode_group_fetch(const struct options *o)
{
    struct uuid topic = admin_topic(o);
    struct options members = *o;
    members.count = o->connections;
    struct group g;
    group_open(&g, &members, "bench-fetch");
    group_join(&g);
    struct reading *all = calloc((size_t)o->connections, sizeof all[0]);
    if (!all)
        fail("out of memory");
    for (int i = 0; i < o->connections; i++) {
        if (g.members[i].first < 0)
            fail("a member without a partition");
        all[i] = (struct reading){.group = &g, .member = &g.members[i]};
        consumer_open(&all[i].consumer, o, &topic, g.members[i].first, o->connections);
    }
    int64_t started_ns = stats_monotonic_ns(), cpu_ns = stats_cpu_ns(), bytes = 0, records = 0;
    for (int i = 0; i < o->connections; i++)
        if (pthread_create(&all[i].thread, NULL, run_reading, &all[i]) != 0)
            fail("cannot start a thread");
    for (int i = 0; i < o->connections; i++) {
        pthread_join(all[i].thread, NULL);
        bytes += all[i].consumer.bytes;
        records += all[i].consumer.records;
    }
    printf("{\"bytes\": %lld, \"records\": %lld, \"seconds\": %.6f, \"load_cpu_seconds\": %.6f}\n",
           (long long)bytes, (long long)records, (double)(stats_monotonic_ns() - started_ns) / 1e9,
           (double)(stats_cpu_ns() - cpu_ns) / 1e9);
    for (int i = 0; i < o->connections; i++)
        consumer_close(&all[i].consumer);
    free(all);
    group_close(&g);
}
