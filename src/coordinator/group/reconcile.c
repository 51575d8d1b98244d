// A member's step towards its target.
#include "coordinator/group/reconcile.h"

static bool owns_any(const struct assignment *owned, const struct assignment *revoking)
{
    return !owned || assignment_meets(owned, revoking);
}

// Takes out of `wanted` what is held; true when there was any.
static bool leave_out_held(struct assignment *wanted, const struct reconcile_target *target)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < wanted->count; i++)
        if (!target->is_held(target->context, &wanted->items[i]))
            wanted->items[kept++] = wanted->items[i];
    bool any = kept < wanted->count;
    wanted->count = kept;
    return any;
}

static bool advance(const struct consumer_position *now, int32_t epoch, const struct reconcile_target *target,
                    const struct assignment *owned, struct arena *arena, struct consumer_position *out)
{
    struct assignment kept, revoking, wanted;
    if (!assignment_combine(arena, &now->assigned, &target->assignment, ASSIGNMENT_BOTH, &kept) ||
        !assignment_combine(arena, &now->assigned, &kept, ASSIGNMENT_MINUS, &revoking) ||
        !assignment_combine(arena, &target->assignment, &kept, ASSIGNMENT_MINUS, &wanted))
        return false;
    *out = (struct consumer_position){.previous_epoch = now->epoch};
    if (revoking.count > 0 && owns_any(owned, &revoking)) {
        out->state = CONSUMER_UNREVOKED;
        out->epoch = epoch;
        out->assigned = kept;
        out->revoking = revoking;
        return true;
    }
    out->state = leave_out_held(&wanted, target) ? CONSUMER_UNRELEASED : CONSUMER_STABLE;
    out->epoch = target->epoch;
    return assignment_combine(arena, &kept, &wanted, ASSIGNMENT_EITHER, &out->assigned);
}

enum reconcile_result reconcile(const struct consumer_position *now, const struct reconcile_target *target,
                                const struct assignment *owned, struct arena *arena,
                                struct consumer_position *out)
{
    int32_t epoch = now->epoch;
    switch (now->state) {
    case CONSUMER_STABLE:
        if (now->epoch == target->epoch)
            return RECONCILE_SAME;
        break;
    case CONSUMER_UNREVOKED:
        if (owns_any(owned, &now->revoking))
            return RECONCILE_SAME;
        epoch++; // it has done what its epoch asked of it
        break;
    case CONSUMER_UNRELEASED:
        break;
    case CONSUMER_UNKNOWN:
    default:
        if (!owned || owned->count > 0)
            return RECONCILE_FENCED;
        epoch = target->epoch;
        break;
    }
    if (!advance(now, epoch, target, owned, arena, out))
        return RECONCILE_NOMEM;
    bool same = out->state == now->state && out->epoch == now->epoch &&
                assignment_equal(&out->assigned, &now->assigned) &&
                assignment_equal(&out->revoking, &now->revoking);
    return same ? RECONCILE_SAME : RECONCILE_MOVED;
}
