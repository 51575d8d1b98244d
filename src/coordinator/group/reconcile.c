// A member's step towards its target.
#include "coordinator/group/reconcile.h"

static bool owns_any(const struct reconcile_view *v, const struct assignment *revoking)
{
    return !v->owned || assignment_meets(v->owned, revoking);
}

// What of `a` lies in topics that the member subscribes to, and what does not.
static bool split(const struct reconcile_view *v, struct arena *arena, const struct assignment *a,
                  struct assignment *subscribed, struct assignment *rest)
{
    subscribed->items = arena_alloc(arena, a->count * sizeof *a->items);
    rest->items = arena_alloc(arena, a->count * sizeof *a->items);
    if (!subscribed->items || !rest->items)
        return false;
    subscribed->count = rest->count = 0;
    for (uint32_t at = 0, end; at < a->count; at = end) {
        end = assignment_topic_end(a, at);
        struct assignment *to = v->is_subscribed(v->context, &a->items[at].topic) ? subscribed : rest;
        memcpy(&to->items[to->count], &a->items[at], (end - at) * sizeof *a->items);
        to->count += end - at;
    }
    return true;
}

// Takes out of `wanted` what others hold; true when there was any.
static bool leave_out_held(struct assignment *wanted, const struct reconcile_view *v,
                           const struct assignment *own)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < wanted->count; i++)
        if (assignment_has(own, &wanted->items[i]) || !v->is_held(v->context, &wanted->items[i]))
            wanted->items[kept++] = wanted->items[i];
    bool any = kept < wanted->count;
    wanted->count = kept;
    return any;
}

// Towards the target: first what is to be given up, then, at its epoch, what is to be had.
static bool advance(const struct consumer_position *now, int32_t epoch, const struct reconcile_view *v,
                    struct arena *arena, struct consumer_position *out)
{
    struct assignment target, ignored, kept, revoking, wanted;
    if (!split(v, arena, &v->target, &target, &ignored) ||
        !assignment_combine(arena, &now->assigned, &target, ASSIGNMENT_BOTH, &kept) ||
        !assignment_combine(arena, &now->assigned, &kept, ASSIGNMENT_MINUS, &revoking) ||
        !assignment_combine(arena, &target, &kept, ASSIGNMENT_MINUS, &wanted))
        return false;
    *out = (struct consumer_position){.previous_epoch = now->epoch};
    if (revoking.count > 0 && owns_any(v, &revoking)) {
        out->state = CONSUMER_UNREVOKED;
        out->epoch = epoch;
        out->assigned = kept;
        out->revoking = revoking;
        return true;
    }
    out->state = leave_out_held(&wanted, v, &now->revoking) ? CONSUMER_UNRELEASED : CONSUMER_STABLE;
    out->epoch = v->epoch;
    for (uint32_t i = 0; i < wanted.count; i++)
        wanted.items[i].epoch = v->epoch;
    return assignment_combine(arena, &kept, &wanted, ASSIGNMENT_EITHER, &out->assigned);
}

// Stays at its epoch, and gives up the topics that it no longer subscribes to.
static bool give_up_unsubscribed(const struct consumer_position *now, const struct reconcile_view *v,
                                 struct arena *arena, struct consumer_position *out)
{
    struct assignment kept, rest, revoking;
    if (!split(v, arena, &now->assigned, &kept, &rest) ||
        !assignment_combine(arena, &now->revoking, &rest, ASSIGNMENT_EITHER, &revoking))
        return false;
    *out = *now;
    if (rest.count == 0)
        return true;
    out->previous_epoch = now->epoch;
    out->assigned = kept;
    if (owns_any(v, &revoking)) {
        out->state = CONSUMER_UNREVOKED;
        out->revoking = revoking;
    }
    return true;
}

enum reconcile_result reconcile(const struct consumer_position *now, const struct reconcile_view *v,
                                struct arena *arena, struct consumer_position *out)
{
    bool ok = false;
    switch (now->state) {
    case CONSUMER_STABLE:
        if (now->epoch == v->epoch && !v->subscribes_anew)
            return RECONCILE_SAME;
        ok = now->epoch == v->epoch ? give_up_unsubscribed(now, v, arena, out)
                                    : advance(now, now->epoch, v, arena, out);
        break;
    case CONSUMER_UNREVOKED:
        if (!owns_any(v, &now->revoking))
            ok = advance(now, now->epoch, v, arena, out);
        else if (v->subscribes_anew)
            ok = give_up_unsubscribed(now, v, arena, out);
        else
            return RECONCILE_SAME;
        break;
    case CONSUMER_UNRELEASED:
        ok = advance(now, now->epoch, v, arena, out);
        break;
    case CONSUMER_UNKNOWN:
    default:
        if (!v->owned || v->owned->count > 0)
            return RECONCILE_FENCED;
        ok = advance(now, v->epoch, v, arena, out);
        break;
    }
    if (!ok)
        return RECONCILE_NOMEM;
    bool same =
        out->state == now->state && out->epoch == now->epoch && out->previous_epoch == now->previous_epoch &&
        assignment_equal(&out->assigned, &now->assigned) && assignment_equal(&out->revoking, &now->revoking);
    return same ? RECONCILE_SAME : RECONCILE_MOVED;
}
