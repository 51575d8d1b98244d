#include "storage/log_move.h"

enum log_move_action log_move_decide(const struct log_move_view *v)
{
    if (v->cancelled || v->source_lost || v->target_lost || v->there)
        return LOG_MOVE_DROP;
    if (v->compacted_now || v->target_full)
        return LOG_MOVE_WAIT;
    if (!v->opened)
        return LOG_MOVE_OPEN;
    // An empty one may begin in front of the log, with the batch that the log begins in.
    if (v->truncated || (v->holds && v->end < v->source_start) || v->end > v->source_end)
        return LOG_MOVE_REOPEN;
    if (!v->near)
        return LOG_MOVE_COPY;
    if (!v->flushed)
        return LOG_MOVE_FLUSH;
    if (!v->announced)
        return LOG_MOVE_SETTLE;
    return v->flushed_now ? LOG_MOVE_WAIT : LOG_MOVE_SWAP;
}
