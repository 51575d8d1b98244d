// os/workers, and what requests have done by them.
#include "reactor_server.h"

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
    add_heartbeat(&b, "", 3);
    send_buffer(busy, &b);
    expect_heartbeat(busy, 1);
    wait_until(gate_count(&gate.running) == 1);
    send_heartbeat(other, "", 4);
    expect_heartbeat(other, 4);
    assert_false(has_answer(busy, 0));
    assert_int_equal(stats_now().requests, 3); // the one behind it was not handled
    set_gate(true);
    expect_heartbeat(busy, 2);
    expect_heartbeat(busy, 3);
    close(busy);
    close(other);
    stop();
}

static void work_outlives_its_client(void **state)
{
    (void)state;
    start();
    for (int round = 0; round < 20; round++) {
        int before = gate_count(&gate.gone);
        set_gate(false);
        int fd = dial();
        send_heartbeat(fd, "work", 1);
        wait_until(gate_count(&gate.running) == 1);
        struct linger reset = {1, 0}; // who only finishes sending is noticed when the work is done
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        close(fd);
        wait_until(stats_now().connections_open == 0);
        set_gate(true);
        wait_until(gate_count(&gate.gone) == before + 1);
    }
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

int main(void)
{
    logger_set_level(LOG_LEVEL_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_job_runs_and_is_told),
        cmocka_unit_test(the_queue_is_bounded),
        cmocka_unit_test(work_stalls_its_connection_and_no_other),
        cmocka_unit_test(work_outlives_its_client),
        cmocka_unit_test(a_stop_waits_for_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
