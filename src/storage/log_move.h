// Moving a log to another log directory (KIP-113): what is to be done next. Pure.
//
//   (asked for) --OPEN--> copying --FLUSH--> flushed --SWAP--> the log's files are the copy
//        ^                 | ^ |               |
//        +-----REOPEN------+ +-+-- far behind -+            at any time: DROP (cancelled, gone, off line)
//
// The rules, kept by log_manager_move.c, log_adopt.c and, at a start, log_manager_mend.c:
// - The log stays the same struct log: place, health and segments change under its lock, flush_lock,
//   rebuild_lock and publish. Who has pinned the old segments reads on.
// - The old directory is renamed to -delete, and that synced, before the copy gets its name: a start finds
//   the log, or only a copy with `odradek-moved` in it, which then is the log. A copy beside its log is begun
//   anew.
// - What was durable stays so: at the swap the copy's recovery point is not below the log's.
// - No round of compaction runs meanwhile: what it drops would come back with the copy.
#ifndef STORAGE_LOG_MOVE_H
#define STORAGE_LOG_MOVE_H

#include <stdbool.h>
#include <stdint.h>

enum log_move_action {
    LOG_MOVE_WAIT,   // a round of compaction is under way
    LOG_MOVE_OPEN,   // makes the copy's directory
    LOG_MOVE_REOPEN, // throws the copy away and begins anew: the log has lost what would come next
    LOG_MOVE_COPY,   // one more piece
    LOG_MOVE_FLUSH,  // makes the copy durable while the log is written to
    LOG_MOVE_SWAP,   // under the log's lock: the rest, and the change of names
    LOG_MOVE_DROP,   // the move is over without having happened
};

struct log_move_view {
    bool cancelled, source_lost, target_lost; // lost: deleted, or its directory off line
    bool compacted_now;                       // a round works on the log
    bool opened;                              // the copy exists
    bool near;                                // its last piece reached the log's end, or nearly
    bool flushed;                             // since it was near
    int64_t source_start, source_end, end;    // offsets; the last one is the copy's
};

enum log_move_action log_move_decide(const struct log_move_view *v);

#endif
