// Which move a thread works on next.
#include "storage/log_mover.h"

#define SETTLED_AT_ONCE 256
#define SETTLE_US \
    2000000 // a log that is written to falls behind meanwhile, and catches up before it is swapped

void move_queues_init(struct move_queues *q)
{
    list_init(&q->ready);
    list_init(&q->leaving);
    list_init(&q->settling);
}

static void take_out(struct move_queues *q, struct log_move *move)
{
    q->settling_count -= move->settles && !list_empty(&move->turn);
    move->settles = false;
    q->settles &= q->settling_count > 0;
    list_remove(&move->turn);
    heap_remove(&q->resting, &move->rest);
}

void move_queues_put(struct move_queues *q, struct log_move *move, int64_t now_us)
{
    bool cancelled = atomic_load(&move->cancelled), settles = move->settles;
    if (move->busy || move->older || (move->torn && !cancelled))
        return;
    take_out(q, move);
    if (cancelled) {
        list_push_back(&q->leaving, &move->turn);
    } else if (move->rests_until_us > now_us) {
        (void)heap_push(&q->resting, &move->rest, move->rests_until_us); // there is room: add_move
    } else if (settles) {
        move->settles = true;
        list_push_back(&q->settling, &move->turn);
        q->settling_since_us = q->settling_count++ ? q->settling_since_us : now_us;
    } else if (move->begun) {
        list_push_front(&q->ready, &move->turn);
    } else {
        list_push_back(&q->ready, &move->turn);
    }
}

static bool settle_now(struct move_queues *q, int64_t now_us)
{
    q->settles =
        q->settling_count && (q->settles || list_empty(&q->ready) || q->settling_count >= SETTLED_AT_ONCE ||
                              now_us - q->settling_since_us >= SETTLE_US);
    return q->settles;
}

static struct log_move *take_first(struct move_queues *q, struct list *from)
{
    struct log_move *move = container_of(list_first(from), struct log_move, turn);
    take_out(q, move);
    move->begun = true;
    return move;
}

struct log_move *move_queues_pick(struct move_queues *q, int64_t now_us, int64_t paid_at_us, int64_t *next_us)
{
    struct heap_node *rested = heap_first(&q->resting);
    bool waits = !list_empty(&q->ready) || q->settling_count;
    *next_us = INT64_MAX;
    if (!list_empty(&q->leaving))
        return take_first(q, &q->leaving);
    if (paid_at_us <= now_us && rested && rested->key <= now_us) {
        struct log_move *move = container_of(rested, struct log_move, rest);
        take_out(q, move);
        return move;
    }
    if (paid_at_us <= now_us && waits)
        return take_first(q, settle_now(q, now_us) ? &q->settling : &q->ready);
    if (waits)
        *next_us = paid_at_us;
    else if (rested)
        *next_us = rested->key > paid_at_us ? rested->key : paid_at_us;
    return NULL;
}
