#include "server/group_assignments.h"

#include "base/qsbr.h"
#include "os/workers.h"
#include "protocol/errors.h"
#include "server/broker.h"
#include "server/connection.h"

#include <stdlib.h>

// Three steps, each on a worker, for the group's shard is copied from and written to in them; between them
// the loop.
enum step { STEP_LOOK, STEP_COMPUTE, STEP_TELL, STEPS };

struct assignment {
    struct job job;
    struct broker *broker;
    struct coordinator_request *from; // the coordinator's; holds `due`
    const struct group_assignment_due *due;
    struct coordinator_request look, tell;
    enum step step;
    int left;     // of this step: the job's end, and an answer that is still to come. The loop's
    int finished; // of these, when the job ends
};

static void forget(struct assignment *x)
{
    arena_free(&x->look.arena);
    arena_free(&x->tell.arena);
    group_work_free(x->from);
    free(x);
}

static bool ask(struct assignment *x, struct coordinator_request *r)
{
    struct coordinator *groups = x->broker->groups;
    return coordinator_ask(groups, coordinator_partition(groups, x->due->group_id), r);
}

static void work(struct assignment *x)
{
    x->finished = 2;
    if (x->step == STEP_LOOK)
        x->finished = 1 + ask(x, &x->look);
    else if (x->step == STEP_COMPUTE)
        group_assignment_compute(x->look.response, &x->broker->group_config, &x->look.arena);
    else
        x->finished = 1 + ask(x, &x->tell);
}

static void run(struct job *job) // a worker reads the image like a reactor
{
    work(container_of(job, struct assignment, job));
}

static void begin(struct assignment *x);

// On the loop's thread.
static void finish(struct assignment *x, int parts)
{
    x->left -= parts;
    if (x->left > 0)
        return;
    bool wanted = x->step != STEP_LOOK || (x->look.error == E_NONE && x->look.response);
    x->step++;
    x->tell.message = x->look.response;
    if (wanted && x->step < STEPS)
        begin(x);
    else
        forget(x);
}

static void on_job_done(struct task *task)
{
    struct assignment *x = container_of(task, struct assignment, job.done);
    finish(x, x->finished);
}

static void on_answer(struct coordinator_request *r)
{
    finish(r->context, 1);
}

static void begin(struct assignment *x)
{
    x->left = 2;
    if (workers_submit(reactors_workers(x->broker->reactors), &x->job))
        return;
    work(x); // as many wait as may
    finish(x, x->finished);
}

static void request_init(struct coordinator_request *r, int kind, struct assignment *x)
{
    *r = (struct coordinator_request){
        .kind = kind, .message = x->due, .complete = on_answer, .reply_to = x->from->reply_to, .context = x};
    arena_init(&r->arena, 0);
}

void group_assignments_compute(struct coordinator_request *r)
{
    if (r->error != E_NONE) {
        group_work_free(r);
        return;
    }
    struct assignment *x = state_alloc(sizeof *x);
    *x = (struct assignment){.job = {.run = run, .loop = r->reply_to, .done = TASK_INIT(on_job_done)},
                             .broker = r->context,
                             .from = r,
                             .due = r->response};
    request_init(&x->look, GROUP_ASSIGN_LOOK, x);
    request_init(&x->tell, GROUP_ASSIGNED, x);
    begin(x);
}
