#include "group.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "frames.h"
#include "protocol/errors.h"
#include "protocol/messages.h"
#include "stats.h"

// The newest versions of the classic protocol.
#define VERSION_FIND_COORDINATOR 4
#define VERSION_JOIN             9
#define VERSION_SYNC             5
#define VERSION_HEARTBEAT        4
#define VERSION_LEAVE            5
#define VERSION_COMMIT           9

#define SESSION_TIMEOUT_MS   45000
#define REBALANCE_TIMEOUT_MS 300000
#define RETRY_US             2000
#define RECEIVE_BYTES        16384

#define PROTOCOL_TYPE STR("consumer")
#define PROTOCOL_NAME STR("range")

// Of a coordinator that has not read its partition yet, or does not know that it leads it.
static bool passes(int16_t error)
{
    return error == E_COORDINATOR_LOAD_IN_PROGRESS || error == E_COORDINATOR_NOT_AVAILABLE ||
           error == E_NOT_COORDINATOR;
}

static int16_t ask_for_coordinator(struct group *g, struct call *c)
{
    struct find_coordinator_request request = find_coordinator_request_default;
    request.coordinator_keys = &g->name;
    request.coordinator_keys_count = 1;
    struct find_coordinator_response response;
    call_do(c, &find_coordinator_request_type, &find_coordinator_response_type, VERSION_FIND_COORDINATOR,
            &request, &response);
    return response.coordinators_count == 1 ? response.coordinators[0].error_code
                                            : E_COORDINATOR_NOT_AVAILABLE;
}

static int16_t heartbeat(struct group *g, struct call *c, struct str member_id, int32_t generation)
{
    struct heartbeat_request request = heartbeat_request_default;
    request.group_id = g->name;
    request.generation_id = generation;
    request.member_id = member_id;
    struct heartbeat_response response;
    call_do(c, &heartbeat_request_type, &heartbeat_response_type, VERSION_HEARTBEAT, &request, &response);
    return response.error_code;
}

// Of somebody who is no member: no error means that Kafka's coordinator still reads its partition.
static bool answers(struct group *g, struct call *c)
{
    int16_t error = heartbeat(g, c, STR("nobody"), 1);
    return error != E_NONE && !passes(error);
}

static void wait_for_coordinator(struct group *g, struct call *c)
{
    int64_t started_ms = clock_monotonic_ms();
    while (ask_for_coordinator(g, c) != E_NONE || !answers(g, c)) {
        if (clock_monotonic_ms() - started_ms > (int64_t)(g->o->timeout_seconds * 1e3))
            fail("no coordinator of group %.*s", STR_ARG(g->name));
        usleep(RETRY_US);
    }
}

static struct str copy(struct str s)
{
    char *data = malloc(s.size + 1);
    if (!data)
        fail("out of memory");
    memcpy(data, s.data, s.size);
    return (struct str){data, s.size};
}

void group_open(struct group *g, const struct options *o, const char *name)
{
    *g = (struct group){.o = o, .name = copy(str_from(name)), .full_generation = -1};
    g->members = calloc((size_t)o->count, sizeof g->members[0]);
    if (!g->members)
        fail("out of memory");
    for (int64_t i = 0; i < o->count; i++) {
        call_open(&g->members[i].call, o);
        g->members[i].id = copy(STR(""));
        g->members[i].first = -1;
    }
    wait_for_coordinator(g, &g->members[0].call);
}

// ---- joining, one thread for all members

static void ask(struct group *g, struct member *m, const struct message_type *type, int16_t version,
                const void *request)
{
    buffer_clear(&m->call.out);
    call_frame(&m->call.out, type, version, ++m->call.correlation, request);
    struct iovec iov = {m->call.out.data, m->call.out.size};
    net_send(m->call.fd, &iov, 1);
    m->asked = type;
    g->requests++;
}

static void set_stable(struct group *g, struct member *m, bool stable)
{
    g->stable += (int)stable - (int)m->stable;
    m->stable = stable;
}

static void ask_join(struct group *g, struct member *m)
{
    uint8_t bytes[512];
    struct str topic = str_from(g->o->topic);
    struct consumer_protocol_subscription subscription = consumer_protocol_subscription_default;
    subscription.topics = &topic;
    subscription.topics_count = 1;
    store_be16(bytes, 0); // the version
    struct encode_target target = {bytes + 2, bytes + sizeof bytes, NULL, NULL};
    if (message_encode(&consumer_protocol_subscription_type, 0, &subscription, &target) != 0)
        fail("a subscription to %s cannot be encoded", g->o->topic);
    struct join_group_request_join_group_request_protocol protocol = {
        .name = PROTOCOL_NAME, .metadata = {bytes, (size_t)(target.at - bytes)}};
    struct join_group_request request = join_group_request_default;
    request.group_id = g->name;
    request.session_timeout_ms = SESSION_TIMEOUT_MS;
    request.rebalance_timeout_ms = REBALANCE_TIMEOUT_MS;
    request.member_id = m->id;
    request.protocol_type = PROTOCOL_TYPE;
    request.protocols = &protocol;
    request.protocols_count = 1;
    set_stable(g, m, false);
    ask(g, m, &join_group_request_type, VERSION_JOIN, &request);
}

// The leader's assignment: the first member has the partitions 0, members, 2 * members, ...
static struct bytes assignment_of(struct group *g, struct arena *arena, int first, int step)
{
    const struct options *o = g->o;
    int count = first < o->partitions ? (o->partitions - first + step - 1) / step : 0;
    size_t size = 2 + 4 + 2 + strlen(o->topic) + 4 + 4 * (size_t)count + 4;
    int32_t *partitions = arena_alloc(arena, sizeof(int32_t) * ((size_t)count + 1));
    uint8_t *bytes = arena_alloc(arena, size);
    struct consumer_protocol_assignment_topic_partition topic = {
        .topic = str_from(o->topic), .partitions = partitions, .partitions_count = count};
    struct consumer_protocol_assignment assignment = {.assigned_partitions = &topic,
                                                      .assigned_partitions_count = count > 0 ? 1 : 0};
    if (!partitions || !bytes)
        fail("out of memory");
    for (int i = 0; i < count; i++)
        partitions[i] = first + i * step;
    store_be16(bytes, 0); // the version
    struct encode_target target = {bytes + 2, bytes + size, NULL, NULL};
    if (message_encode(&consumer_protocol_assignment_type, 0, &assignment, &target) != 0)
        fail("an assignment cannot be encoded");
    return (struct bytes){bytes, (size_t)(target.at - bytes)};
}

static void ask_sync(struct group *g, struct member *m, const struct join_group_response *joined,
                     struct arena *arena)
{
    struct sync_group_request request = sync_group_request_default;
    request.group_id = g->name;
    request.generation_id = m->generation;
    request.member_id = m->id;
    request.protocol_type = PROTOCOL_TYPE;
    request.protocol_name = PROTOCOL_NAME;
    if (str_equal(joined->leader, joined->member_id)) {
        int n = joined->members_count;
        request.assignments = sync_group_request_sync_group_request_assignment_new(arena, n);
        request.assignments_count = n;
        for (int i = 0; i < n; i++) {
            request.assignments[i].member_id = joined->members[i].member_id;
            request.assignments[i].assignment = assignment_of(g, arena, i, n);
        }
        if (n == g->o->count)
            g->full_generation = m->generation;
    }
    ask(g, m, &sync_group_request_type, VERSION_SYNC, &request);
}

static void ask_heartbeat(struct group *g, struct member *m)
{
    struct heartbeat_request request = heartbeat_request_default;
    request.group_id = g->name;
    request.generation_id = m->generation;
    request.member_id = m->id;
    ask(g, m, &heartbeat_request_type, VERSION_HEARTBEAT, &request);
}

static void joined(struct group *g, struct member *m, struct bytes frame)
{
    struct join_group_response r;
    call_decode(&join_group_request_type, &join_group_response_type, VERSION_JOIN, frame, &m->call.arena, &r);
    if (r.error_code != E_NONE && r.error_code != E_MEMBER_ID_REQUIRED)
        fail("JoinGroup: error code %d", r.error_code);
    free((void *)(uintptr_t)m->id.data);
    m->id = copy(r.member_id);
    m->generation = r.generation_id;
    if (r.error_code == E_MEMBER_ID_REQUIRED)
        ask_join(g, m);
    else
        ask_sync(g, m, &r, &m->call.arena);
}

static void read_assignment(struct member *m, struct bytes bytes)
{
    struct consumer_protocol_assignment assignment;
    m->first = -1;
    if (bytes.size < 2)
        return;
    struct bytes body = {bytes.data + 2, bytes.size - 2};
    if (message_decode(&consumer_protocol_assignment_type, 0, body, &m->call.arena, &assignment, NULL) != 0)
        fail("SyncGroup: an assignment that cannot be read");
    if (assignment.assigned_partitions_count > 0 && assignment.assigned_partitions[0].partitions_count > 0)
        m->first = assignment.assigned_partitions[0].partitions[0];
}

// Whether the member has to join again; any other error is the end.
static bool rebalances(const char *what, int16_t error)
{
    if (error == E_REBALANCE_IN_PROGRESS || error == E_ILLEGAL_GENERATION)
        return true;
    if (error != E_NONE)
        fail("%s: error code %d", what, error);
    return false;
}

static void answered(struct group *g, struct member *m, struct bytes frame)
{
    const struct message_type *asked = m->asked;
    struct arena *arena = &m->call.arena;
    arena_reset(arena);
    m->asked = NULL;
    if (asked == &join_group_request_type) {
        joined(g, m, frame);
        return;
    }
    bool again;
    if (asked == &sync_group_request_type) {
        struct sync_group_response r;
        call_decode(asked, &sync_group_response_type, VERSION_SYNC, frame, arena, &r);
        again = rebalances("SyncGroup", r.error_code);
        if (!again)
            read_assignment(m, r.assignment);
    } else {
        struct heartbeat_response r;
        call_decode(asked, &heartbeat_response_type, VERSION_HEARTBEAT, frame, arena, &r);
        again = rebalances("Heartbeat", r.error_code);
    }
    set_stable(g, m, !again);
    m->next_heartbeat_ns = stats_monotonic_ns() + g->o->pause_us * 1000;
    if (again)
        ask_join(g, m);
}

// Reads what is there; at most one answer can be, as one request is in flight.
static void receive(struct group *g, struct member *m)
{
    struct buffer *in = &m->call.in;
    uint8_t *at = buffer_reserve(in, RECEIVE_BYTES);
    if (!at)
        fail("out of memory");
    ssize_t n = recv(m->call.fd, at, RECEIVE_BYTES, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0)
        fail("the coordinator closed the connection of a member");
    in->size += (size_t)n;
    if (in->size < 4 || in->size < 4 + (size_t)load_be32(in->data))
        return;
    struct bytes frame = {in->data + 4, in->size - 4};
    in->size = 0;
    answered(g, m, frame);
}

static bool all_stable(const struct group *g)
{
    if (g->stable < g->o->count)
        return false;
    for (int64_t i = 0; i < g->o->count; i++)
        if (g->members[i].generation != g->full_generation)
            return false;
    return true;
}

// Sends the heartbeats that are due. As all wait for the same time, nobody's is due before the next one that
// was found here.
static void send_heartbeats(struct group *g)
{
    int64_t now_ns = stats_monotonic_ns();
    if (now_ns < g->next_heartbeat_ns)
        return;
    g->next_heartbeat_ns = now_ns + g->o->pause_us * 1000;
    for (int64_t i = 0; i < g->o->count; i++) {
        struct member *m = &g->members[i];
        if (!m->stable || m->asked)
            continue;
        if (m->next_heartbeat_ns <= now_ns)
            ask_heartbeat(g, m);
        else if (m->next_heartbeat_ns < g->next_heartbeat_ns)
            g->next_heartbeat_ns = m->next_heartbeat_ns;
    }
}

static void receive_until_stable(struct group *g, int epoll)
{
    struct epoll_event ready[256];
    while (!all_stable(g)) {
        send_heartbeats(g);
        int64_t left_ns = g->next_heartbeat_ns - stats_monotonic_ns();
        int n = epoll_wait(epoll, ready, sizeof ready / sizeof ready[0],
                           left_ns > 0 ? (int)(left_ns / 1000000) + 1 : 0);
        if (n < 0 && errno != EINTR)
            fail("epoll_wait: %s", strerror(errno));
        for (int i = 0; i < n; i++)
            receive(g, ready[i].data.ptr);
    }
}

void group_join(struct group *g)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    for (int64_t i = 0; i < g->o->count; i++) {
        struct member *m = &g->members[i];
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = m};
        if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, m->call.fd, &event) != 0)
            fail("epoll: %s", strerror(errno));
        buffer_clear(&m->call.in);
        ask_join(g, m);
    }
    receive_until_stable(g, epoll);
    close(epoll);
    for (int64_t i = 0; i < g->o->count; i++) // a heartbeat may be on its way
        for (struct member *m = &g->members[i]; m->asked;) {
            struct pollfd ready = {.fd = m->call.fd, .events = POLLIN};
            if (poll(&ready, 1, -1) > 0)
                receive(g, m);
        }
}

// ---- afterwards

void group_heartbeat(struct group *g, struct member *m)
{
    int16_t error = heartbeat(g, &m->call, m->id, m->generation);
    if (error != E_NONE)
        fail("Heartbeat: error code %d", error);
}

// The first partition's error that is one.
static int16_t commit_error(const struct offset_commit_response *r)
{
    for (int i = 0; i < r->topics[0].partitions_count; i++)
        if (r->topics[0].partitions[i].error_code != E_NONE)
            return r->topics[0].partitions[i].error_code;
    return E_NONE;
}

static int16_t commit(struct group *g, struct member *m, const int64_t *offsets, int count)
{
    struct offset_commit_request_offset_commit_request_partition *partitions =
        offset_commit_request_offset_commit_request_partition_new(&m->call.arena, count);
    if (!partitions)
        fail("out of memory");
    for (int i = 0; i < count; i++) {
        partitions[i].partition_index = m->first + i * (int)g->o->count;
        partitions[i].committed_offset = offsets[i];
        partitions[i].committed_metadata = STR("");
    }
    struct offset_commit_request_offset_commit_request_topic topic = {
        .name = str_from(g->o->topic), .partitions = partitions, .partitions_count = count};
    struct offset_commit_request request = offset_commit_request_default;
    request.group_id = g->name;
    request.generation_id_or_member_epoch = m->generation;
    request.member_id = m->id;
    request.topics = &topic;
    request.topics_count = 1;
    struct offset_commit_response response;
    call_do(&m->call, &offset_commit_request_type, &offset_commit_response_type, VERSION_COMMIT, &request,
            &response);
    return commit_error(&response);
}

void group_commit(struct group *g, struct member *m, const int64_t *offsets, int count)
{
    int16_t error;
    while (passes(error = commit(g, m, offsets, count)))
        usleep(RETRY_US);
    if (error != E_NONE)
        fail("OffsetCommit: error code %d", error);
}

// All at once, over the first one's connection.
static void leave(struct group *g)
{
    struct call *c = &g->members[0].call;
    struct leave_group_request request = leave_group_request_default;
    request.group_id = g->name;
    request.members = leave_group_request_member_identity_new(&c->arena, (int32_t)g->o->count);
    request.members_count = (int32_t)g->o->count;
    if (!request.members)
        fail("out of memory");
    for (int64_t i = 0; i < g->o->count; i++)
        request.members[i].member_id = g->members[i].id;
    struct leave_group_response response;
    call_do(c, &leave_group_request_type, &leave_group_response_type, VERSION_LEAVE, &request, &response);
    if (response.error_code != E_NONE)
        fail("LeaveGroup: error code %d", response.error_code);
}

void group_close(struct group *g)
{
    if (g->full_generation >= 0)
        leave(g);
    for (int64_t i = 0; i < g->o->count; i++) {
        call_close(&g->members[i].call);
        free((void *)(uintptr_t)g->members[i].id.data);
    }
    free((void *)(uintptr_t)g->name.data);
    free(g->members);
}
