#include "server/group_regexes.h"

#include "base/clock.h"
#include "base/qsbr.h"
#include "base/regex.h"
#include "os/workers.h"
#include "protocol/errors.h"
#include "server/broker.h"
#include "server/connection.h"

#include <stdlib.h>

struct resolution {
    struct job job;
    struct broker *broker;
    struct coordinator_request *from; // the coordinator's; holds `regexes` and what is found
    struct group_regexes *regexes;
    struct coordinator_request back;
};

static void forget(struct resolution *x)
{
    arena_free(&x->back.arena);
    group_work_free(x->from);
    free(x);
}

static void on_told(struct coordinator_request *r)
{
    forget(container_of(r, struct resolution, back));
}

// On the loop's thread.
static void hand_back(struct task *task)
{
    struct resolution *x = container_of(task, struct resolution, job.done);
    struct coordinator *groups = x->broker->groups;
    x->back = (struct coordinator_request){.kind = GROUP_REGEXES_RESOLVED,
                                           .message = x->regexes,
                                           .complete = on_told,
                                           .reply_to = x->from->reply_to};
    arena_init(&x->back.arena, 0);
    if (coordinator_ask(groups, coordinator_partition(groups, x->regexes->group_id), &x->back))
        on_told(&x->back);
}

static int compare_names(const void *a, const void *b)
{
    return str_compare(*(const struct str *)a, *(const struct str *)b);
}

static bool find(const struct image *image, struct group_regex *out, struct arena *arena)
{
    struct regex *regex;
    const char *why;
    int32_t capacity = 0;
    if (regex_compile(out->pattern, &regex, &why)) // it was compiled before: out of memory
        return false;
    struct hamt_walk w = hamt_walk(&image->topics_by_name);
    bool ok = true;
    for (const struct image_topic *topic; ok && (topic = hamt_next(&w));) {
        if (!regex_matches(regex, topic->name))
            continue;
        if (out->topics_count == capacity) {
            capacity = capacity ? 2 * capacity : 16;
            struct str *grown = arena_alloc(arena, (size_t)capacity * sizeof *grown);
            ok = grown != NULL;
            if (ok && out->topics_count > 0)
                memcpy(grown, out->topics, (size_t)out->topics_count * sizeof *grown);
            out->topics = ok ? grown : out->topics;
        }
        if (ok) {
            struct str name = arena_str(arena, topic->name);
            out->topics[out->topics_count++] = name;
            ok = name.data != NULL;
        }
    }
    regex_free(regex);
    if (ok && out->topics_count > 1)
        qsort(out->topics, (size_t)out->topics_count, sizeof *out->topics, compare_names);
    return ok;
}

static void match(struct group_regexes *regexes, struct arena *arena)
{
    const struct image *image = image_current();
    regexes->version = image->offset;
    regexes->resolved_ms = clock_wall_ms();
    for (int32_t i = 0; i < regexes->count; i++)
        if (!find(image, &regexes->regexes[i], arena))
            regexes->failed = true;
}

// On a worker's thread, which reads the image like a reactor.
static void run(struct job *job)
{
    struct resolution *x = container_of(job, struct resolution, job);
    struct qsbr_thread reader;
    qsbr_register(&reader);
    match(x->regexes, &x->from->arena);
    qsbr_unregister(&reader);
}

void group_regexes_resolve(struct coordinator_request *r)
{
    struct broker *b = r->context;
    if (r->error != E_NONE) {
        group_work_free(r);
        return;
    }
    struct resolution *x = state_alloc(sizeof *x);
    *x = (struct resolution){.job = {.run = run, .loop = r->reply_to, .done = TASK_INIT(hand_back)},
                             .broker = b,
                             .from = r,
                             .regexes = r->response};
    arena_init(&x->back.arena, 0);
    if (!workers_submit(reactors_workers(b->reactors), &x->job)) {
        match(x->regexes, &r->arena); // as many wait as may
        hand_back(&x->job.done);
    }
}
