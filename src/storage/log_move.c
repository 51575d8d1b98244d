#include "storage/log_move.h"

enum log_move_action log_move_decide(const struct log_move_view *v)
{
    if (v->cancelled || v->source_lost || v->target_lost)
        return LOG_MOVE_DROP;
    if (v->compacted_now)
        return LOG_MOVE_WAIT;
    if (!v->opened)
        return LOG_MOVE_OPEN;
    if (v->end < v->source_start || v->end > v->source_end)
        return LOG_MOVE_REOPEN;
    if (!v->near)
        return LOG_MOVE_COPY;
    return v->flushed ? LOG_MOVE_SWAP : LOG_MOVE_FLUSH;
}
