// Moving a log to another log directory (KIP-113): what is to be done next. Pure.
//
//   (asked for) --OPEN--> copying --FLUSH--> flushed --SETTLE, COPY, SWAP--> the log's files are the copy
//        ^                 | ^ |               |
//        +-----REOPEN------+ +-+--- COPY ------+            at any time: DROP (cancelled, gone, off line)
//
// The rules, kept by log_manager_move.c, log_mover.c, log_move_copy.c, log_adopt.c and, at a start,
// log_manager_mend.c:
// - The log stays the same struct log: place, health and segments change under its lock, flush_lock,
//   rebuild_lock and publish. Who has pinned the old segments reads on.
// - The old directory is renamed to -delete, and that synced, before the copy gets its name: a start finds
//   the log, or only a copy with `odradek-moved` in it, which then is the log. A copy beside its log is begun
//   anew.
// - What was durable stays so: at the swap the copy's recovery point is not below the log's, and the
//   checkpoints of its directory have the log's lines, with the start that DeleteRecords gave it. They keep
//   them for as long as the copy may be the log (struct arrival), and lose them with the log that is deleted.
// - A swap that stopped between the two names leaves log and copy as they are, for a start, unless the log is
//   deleted. A start that cannot see all directories leaves them, too.
// - What is answered outlasts a crash: the copy's directory is there before a move is said to be under way,
//   and gone before one is said to be given up.
// - A batch whose CRC is wrong is not copied, none is left out (an index may be damaged), and nothing that
// was
//   truncated stays in a copy.
// - No round of compaction runs meanwhile: what it drops would come back with the copy.
#ifndef STORAGE_LOG_MOVE_H
#define STORAGE_LOG_MOVE_H

#include <stdbool.h>
#include <stdint.h>

enum log_move_action {
    LOG_MOVE_WAIT, // a round of compaction, or a flush of the log, is under way, or the directory has no room
    LOG_MOVE_OPEN, // makes the copy
    LOG_MOVE_REOPEN, // throws the copy away and begins anew: the log has lost what would come next
    LOG_MOVE_COPY,   // one more piece
    LOG_MOVE_FLUSH,  // makes the copy durable while the log is written to
    LOG_MOVE_SETTLE, // waits, once and not for long, for others that are to be swapped
    LOG_MOVE_SWAP,   // under the log's lock: the rest, and the change of names
    LOG_MOVE_DROP,   // the move is over without having happened
};

struct log_move_view {
    bool cancelled, source_lost, target_lost; // lost: deleted, or its directory off line
    bool there;                               // the log lies in that directory already
    bool compacted_now;                       // a round works on the log
    bool flushed_now;                         // it is flushed, and whoever has its lock would wait for that
    bool target_full;                         // less than storage.min.free.bytes
    bool opened;                              // the copy exists
    bool holds;                               // and has something
    bool truncated;                           // the log, since the copy was begun
    bool near;                                // its last piece reached where the log ended then
    bool flushed;                             // since it was near for the first time
    bool announced;                           // in the checkpoints of its directory
    int64_t source_start, source_end, end;    // offsets; the last one is the copy's
};

enum log_move_action log_move_decide(const struct log_move_view *v);

#endif
