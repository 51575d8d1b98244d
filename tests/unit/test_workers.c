// os/workers, and what requests have done by them: their work, and the decoding of large ones.
#include "reactor_server.h"

#include <malloc.h>
#include <semaphore.h>

#include "os/workers.h"

// ---- the pool

enum { JOBS = 2000 };

struct numbered {
    struct job job;
    atomic_bool ran;
};

static struct {
    struct loop loop;
    struct numbered jobs[JOBS];
    int done;
    sem_t started, go;
} pool;

static void run_numbered(struct job *job)
{
    container_of(job, struct numbered, job)->ran = true;
}

static void on_numbered(struct task *task)
{
    struct numbered *n = container_of(task, struct numbered, job.done);
    assert_true(n->ran);
    if (++pool.done == JOBS)
        loop_stop(&pool.loop);
}

static void every_job_runs_and_is_told(void **state)
{
    (void)state;
    assert_int_equal(loop_init(&pool.loop, NULL), 0);
    struct workers *w = workers_new("test", 3, JOBS);
    assert_non_null(w);
    for (int i = 0; i < JOBS; i++) {
        pool.jobs[i].job =
            (struct job){.run = run_numbered, .loop = &pool.loop, .done = TASK_INIT(on_numbered)};
        assert_true(workers_submit(w, &pool.jobs[i].job));
    }
    loop_run(&pool.loop);
    assert_int_equal(pool.done, JOBS);
    workers_stop(w);
    assert_false(workers_submit(w, &pool.jobs[0].job));
    workers_free(w);
    loop_free(&pool.loop);
}

static void run_blocked(struct job *job)
{
    (void)job;
    sem_post(&pool.started);
    sem_wait(&pool.go);
}

static void on_blocked(struct task *task)
{
    (void)task;
    pool.done++;
}

static void the_queue_is_bounded(void **state)
{
    (void)state;
    enum { LIMIT = 4 };
    pool.done = 0;
    assert_int_equal(loop_init(&pool.loop, NULL), 0);
    sem_init(&pool.started, 0, 0);
    sem_init(&pool.go, 0, 0);
    struct workers *w = workers_new("test", 2, LIMIT);
    for (int i = 0; i < 2 + LIMIT + 1; i++) {
        pool.jobs[i].job =
            (struct job){.run = run_blocked, .loop = &pool.loop, .done = TASK_INIT(on_blocked)};
        bool taken = workers_submit(w, &pool.jobs[i].job);
        assert_int_equal(taken, i < 2 + LIMIT);
        if (i < 2) // each of the two has a thread of its own before the next comes
            sem_wait(&pool.started);
    }
    for (int i = 0; i < 2 + LIMIT; i++)
        sem_post(&pool.go);
    while (pool.done < 2 + LIMIT)
        loop_turn(&pool.loop, 1000);
    workers_free(w);
    loop_free(&pool.loop);
    sem_destroy(&pool.started);
    sem_destroy(&pool.go);
}

// ---- requests

static void work_stalls_its_connection_and_no_other(void **state)
{
    (void)state;
    struct server_limits limits;
    server_limits_default(&limits);
    start_with(&limits, 1); // one reactor: it must not wait
    set_gate(false);
    int busy = dial(), other = dial();
    struct buffer b = BUFFER_INIT;
    add_heartbeat(&b, "", 1);
    add_heartbeat(&b, "work", 2);
    add_heartbeat(&b, "works", 3);
    add_heartbeat(&b, "", 4);
    send_buffer(busy, &b);
    expect_heartbeat(busy, 1);
    wait_until(gate_count(&gate.running) == 1);
    send_heartbeat(other, "", 5);
    expect_heartbeat(other, 5);
    assert_false(has_answer(busy, 0));
    assert_int_equal(stats_now().requests, 3); // the one behind it was not handled
    set_gate(true);
    expect_heartbeat(busy, 2);
    expect_heartbeat(busy, 3);
    expect_heartbeat(busy, 4);
    close(busy);
    close(other);
    stop();
}

static void reset(int fd)
{
    struct linger at_once = {1, 0}; // who only finishes sending is noticed when the work is done
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(fd);
}

static void work_outlives_its_client(void **state)
{
    (void)state;
    int finished = gate_count(&gate.finished);
    start();
    for (int round = 0; round < 20; round++) {
        int before = gate_count(&gate.gone);
        set_gate(false);
        int fd = dial();
        send_heartbeat(fd, round % 2 ? "works" : "work", 1);
        wait_until(gate_count(&gate.running) == 1);
        reset(fd);
        wait_until(stats_now().connections_open == 0);
        set_gate(true);
        wait_until(gate_count(&gate.gone) == before + 1);
    }
    assert_int_equal(gate_count(&gate.finished), finished + 40);
    stop();
}

static void *open_soon(void *context)
{
    (void)context;
    poll(NULL, 0, 20);
    set_gate(true);
    return NULL;
}

static void a_stop_waits_for_work(void **state)
{
    (void)state;
    for (int bound_ms = 0; bound_ms <= DEADLINE_MS; bound_ms += DEADLINE_MS) {
        start();
        int finished = gate_count(&gate.finished), gone = gate_count(&gate.gone);
        set_gate(false);
        int fd = dial();
        send_heartbeat(fd, "work", 7);
        wait_until(gate_count(&gate.running) == 1);
        pthread_t thread;
        pthread_create(&thread, NULL, open_soon, NULL);
        reactors_stop(server.group, bound_ms);
        assert_int_equal(gate_count(&gate.finished), finished + 1);
        assert_int_equal(gate_count(&gate.gone),
                         gone + (bound_ms == 0)); // without patience nobody is answered
        if (bound_ms > 0)
            expect_heartbeat(fd, 7);
        pthread_join(thread, NULL);
        reactors_free(server.group);
        close(fd);
    }
}

// What malloc has from the kernel for large pieces. Sanitizers' malloc does not say.
static size_t mapped_bytes(void)
{
    return mallinfo2().hblkhd;
}

static bool malloc_tells(void)
{
    size_t before = mapped_bytes();
    void *volatile piece = malloc(LARGE_ARENA_BYTES);
    bool tells = mapped_bytes() >= before + LARGE_ARENA_BYTES;
    free(piece);
    return tells;
}

// Freeing takes the kernel long, too.
static void a_worker_frees_what_a_large_request_had(void **state)
{
    (void)state;
    struct server_limits limits;
    if (!malloc_tells())
        return;
    server_limits_default(&limits);
    start_with(&limits, 1);
    set_gate(false);
    int busy = dial(), large = dial();
    send_heartbeat(busy, "work", 1);
    wait_until(gate_count(&gate.running) == 1);
    size_t before = mapped_bytes();
    send_heartbeat(large, "large", 2);
    expect_heartbeat(large, 2);
    send_heartbeat(large, "", 3); // in another turn of the reactor
    expect_heartbeat(large, 3);
    assert_true(mapped_bytes() >= before + LARGE_ARENA_BYTES);
    set_gate(true);
    expect_heartbeat(busy, 1);
    wait_until(mapped_bytes() < before + LARGE_ARENA_BYTES);
    close(busy);
    close(large);
    stop();
}

// ---- decoding

enum { LARGE_BYTES = 100000 };

// A heartbeat with as many bytes behind it, which nobody looks at.
static void add_large(struct buffer *out, const char *what, int32_t generation)
{
    static const uint8_t zeros[LARGE_BYTES];
    size_t at = out->size;
    add_heartbeat(out, what, generation);
    buffer_append(out, zeros, sizeof zeros);
    store_be32(out->data + at, (uint32_t)(out->size - at - 4));
}

// One reactor and one worker, which is busy until the gate opens. Returns the connection that keeps it so.
static int start_without_a_worker(void)
{
    struct server_limits limits;
    server_limits_default(&limits);
    create_with(&limits, 1);
    set_gate(false);
    return dial();
}

static void keep_busy(int fd)
{
    send_heartbeat(fd, "work", 1);
    wait_until(gate_count(&gate.running) == 1);
}

// While it waits for a worker everybody else is served; what is behind it on its connection waits.
static void a_large_request_is_decoded_by_a_worker(void **state)
{
    (void)state;
    int busy = start_without_a_worker();
    assert_int_equal(reactors_serve(server.group), 0);
    keep_busy(busy);
    int large = dial(), other = dial();
    struct buffer b = BUFFER_INIT;
    add_heartbeat(&b, "", 2);
    add_large(&b, "", 3);
    add_heartbeat(&b, "", 4);
    add_large(&b, "stall", 5);
    add_heartbeat(&b, "", 6);
    send_buffer(large, &b);
    expect_heartbeat(large, 2);
    wait_until(stats_now().parked == 2);
    for (int32_t i = 7; i < 15; i++) {
        send_heartbeat(other, "", i);
        expect_heartbeat(other, i);
    }
    assert_false(has_answer(large, 0));
    assert_int_equal(stats_now().parked, 2);
    set_gate(true);
    expect_heartbeat(busy, 1);
    expect_heartbeat(large, 3);
    expect_heartbeat(large, 4);
    wait_until(is_parked(5)); // by its handler
    assert_false(has_answer(large, 0));
    wake(5);
    expect_heartbeat(large, 5);
    expect_heartbeat(large, 6);
    close(busy);
    close(large);
    close(other);
    stop();
}

static void a_large_request_that_cannot_be_decoded_closes_its_connection(void **state)
{
    (void)state;
    start();
    set_gate(true);
    int other = dial();
    for (int32_t round = 0; round < 20; round++) {
        int fd = dial();
        struct buffer b = BUFFER_INIT;
        add_heartbeat(&b, "", 1);
        send_buffer(fd, &b);
        expect_heartbeat(fd, 1);
        add_large(&b, "", 2);
        memset(b.data + 20, 0xff, b.size - 20);
        size_t one = b.size;
        add_heartbeat(&b, "", 3); // never looked at
        assert_true(b.size > one);
        send_buffer(fd, &b);
        expect_closed(fd);
        send_heartbeat(other, "", 4);
        expect_heartbeat(other, 4);
    }
    wait_until(stats_now().in_flight == 0);
    close(other);
    stop();
}

static atomic_int counted;

static void handle_counted(struct request *request)
{
    struct leave_group_response response = leave_group_response_default;
    counted++;
    request_respond(request, &response);
}

static void send_counted(int fd)
{
    static const uint8_t zeros[LARGE_BYTES];
    struct leave_group_request message = leave_group_request_default;
    struct buffer b = BUFFER_INIT;
    add_request(&b, 13, 4, 1, &message);
    buffer_append(&b, zeros, sizeof zeros);
    store_be32(b.data, (uint32_t)b.size - 4);
    send_buffer(fd, &b);
}

// A worker's time is not for who is gone: what it has not begun with is not done at all.
static void who_has_left_is_not_decoded(void **state)
{
    (void)state;
    enum { GONE = 20 };
    static const struct api_handler counted_handler = {.api_key = 13,
                                                       .min_version = 4,
                                                       .max_version = 4,
                                                       .advertised_min_version = -1,
                                                       .listeners = LISTENER_BROKER,
                                                       .worker_bytes = 1,
                                                       .handle = handle_counted};
    int busy = start_without_a_worker(), gone[GONE];
    api_table_add(&server.apis, &counted_handler);
    counted = 0;
    assert_int_equal(reactors_serve(server.group), 0);
    keep_busy(busy);
    for (int i = 0; i < GONE; i++)
        send_counted(gone[i] = dial());
    int stays = dial();
    send_counted(stays);
    wait_until(stats_now().parked == GONE + 2);
    for (int i = 0; i < GONE; i++)
        reset(gone[i]);
    wait_until(stats_now().connections_open == 2);
    set_gate(true);
    expect_heartbeat(busy, 1);
    wait_until(stats_now().in_flight == 0);
    assert_true(has_answer(stays, DEADLINE_MS));
    assert_int_equal(counted, 1);
    close(busy);
    close(stays);
    stop();
}

static void a_client_leaves_while_its_request_is_decoded(void **state)
{
    (void)state;
    for (int round = 0; round < 10; round++) {
        int busy = start_without_a_worker();
        assert_int_equal(reactors_serve(server.group), 0);
        keep_busy(busy);
        int fd = dial();
        struct buffer b = BUFFER_INIT;
        add_large(&b, round % 2 ? "" : "stall", 2);
        add_large(&b, "", 3);
        send_buffer(fd, &b);
        wait_until(stats_now().parked == 2);
        reset(fd);
        wait_until(stats_now().connections_open == 1);
        set_gate(true);
        expect_heartbeat(busy, 1);
        wait_until(stats_now().in_flight == 0);
        close(busy);
        stop();
    }
}

// As many partitions as were asked for, told as the throttle time.
static void handle_produce(struct request *request)
{
    const struct produce_request *message = request->message;
    struct produce_response response = produce_response_default;
    response.throttle_time_ms = message->topic_data[0].partition_data_count;
    assert_true(reactor_is_mine(request->reactor));
    request_respond(request, &response);
}

// `unknown` tagged fields of nothing at the end of the request that lies at `at`.
static void add_tags(struct buffer *b, size_t at, uint32_t unknown)
{
    uint8_t varint[VARINT_MAX_BYTES];
    b->size--; // there were none
    buffer_append(b, varint, uvarint_write(varint, unknown));
    for (uint32_t tag = 0; tag < unknown; tag++) {
        buffer_append(b, varint, uvarint_write(varint, tag));
        buffer_append(b, "", 1);
    }
    store_be32(b->data + at, (uint32_t)(b->size - at - 4));
}

static void send_produce(int fd, int32_t partitions, size_t bytes, uint32_t unknown_tags)
{
    struct arena arena;
    arena_init(&arena, 0);
    struct produce_request q = produce_request_default;
    struct produce_request_topic_produce_data topic = {.name = STR("t")};
    topic.partition_data_count = partitions;
    topic.partition_data = produce_request_partition_produce_data_new(&arena, partitions);
    for (int32_t i = 0; i < partitions; i++)
        topic.partition_data[i].records = (struct records){arena_zalloc(&arena, 1, bytes), bytes, NULL};
    q.topic_data = &topic;
    q.topic_data_count = 1;
    struct buffer b = BUFFER_INIT;
    add_request(&b, 0, 9, partitions, &q);
    if (unknown_tags > 0)
        add_tags(&b, 0, unknown_tags);
    send_buffer(fd, &b);
    arena_free(&arena);
}

static void expect_produce(int fd, int32_t partitions)
{
    size_t size;
    int32_t correlation;
    uint8_t *body = receive_response(fd, &size, &correlation);
    assert_int_equal(correlation, partitions);
    assert_int_equal(load_be32(body + size - 5), partitions); // in front of the tagged fields
    free(body);
}

// Records are not looked into: of many bytes in few partitions a reactor makes short work. But not of many
// partitions, or of fields that it is to skip.
static void a_large_produce_needs_a_worker_for_small_things_only(void **state)
{
    (void)state;
    static const struct api_handler produce_handler = {.api_key = 0,
                                                       .min_version = 9,
                                                       .max_version = 9,
                                                       .listeners = LISTENER_BROKER,
                                                       .handle = handle_produce,
                                                       .collects = true};
    int busy = start_without_a_worker();
    api_table_add(&server.apis, &produce_handler);
    assert_int_equal(reactors_serve(server.group), 0);
    keep_busy(busy);
    int few = dial(), many = dial(), tagged = dial();
    send_produce(many, 20000, 1, 0);
    send_produce(tagged, 3, 1, 20000);
    wait_until(stats_now().parked == 3);
    send_produce(few, 20, 50000, 20);
    expect_produce(few, 20);
    assert_false(has_answer(many, 0) || has_answer(tagged, 0));
    set_gate(true);
    expect_produce(many, 20000);
    expect_produce(tagged, 3);
    expect_heartbeat(busy, 1);
    close(busy);
    close(few);
    close(many);
    close(tagged);
    stop();
}

int main(void)
{
    logger_set_level(LOG_LEVEL_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_job_runs_and_is_told),
        cmocka_unit_test(the_queue_is_bounded),
        cmocka_unit_test(work_stalls_its_connection_and_no_other),
        cmocka_unit_test(work_outlives_its_client),
        cmocka_unit_test(a_stop_waits_for_work),
        cmocka_unit_test(a_worker_frees_what_a_large_request_had),
        cmocka_unit_test(a_large_request_is_decoded_by_a_worker),
        cmocka_unit_test(a_large_request_that_cannot_be_decoded_closes_its_connection),
        cmocka_unit_test(who_has_left_is_not_decoded),
        cmocka_unit_test(a_client_leaves_while_its_request_is_decoded),
        cmocka_unit_test(a_large_produce_needs_a_worker_for_small_things_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
