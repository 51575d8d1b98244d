// What quorum.c and its helpers share. Private.
#ifndef SERVER_QUORUM_INTERNAL_H
#define SERVER_QUORUM_INTERNAL_H

#include "metadata/loader.h"
#include "os/thread.h"
#include "raft/metadata_log.h"
#include "server/quorum.h"

#include <pthread.h>

// Records that are appended and what waits for their commit; in the order of the log.
struct quorum_waiting {
    struct quorum_waiting *next;
    int64_t offset;      // committed when the high watermark is above it
    struct image *image; // that the records give; NULL: none were appended
    struct image_changes changes;
    struct quorum_request *request; // NULL: nobody asked
};

struct quorum {
    struct quorum_params params;
    char cluster_id[LOG_DIR_CLUSTER_ID_BYTES];

    // The controller thread's own.
    struct metadata_log *log;
    struct raft raft;
    struct raft_voters voters;
    int16_t kraft_version;
    bool voters_in_log; // the log or a snapshot of it says who votes, not only the checkpoint of the format
    struct controller *controller;
    struct controller_effects effects;
    struct image *image; // what is appended
    struct quorum_waiting *waiting, **waiting_end;
    bool failed;                                     // the disk failed: nothing is acknowledged any more
    struct quorum_request *incoming, **incoming_end; // of this turn

    struct loop loop;
    struct loop_work turn;
    struct loop_timer tick;
    struct qsbr_thread *quiescence;
    struct thread thread;

    // A snapshot that is being written by a thread of its own.
    struct thread snapshot_thread;
    struct task snapshot_done;
    struct image *snapshot_image;
    struct raft_voters snapshot_voters;
    int16_t snapshot_kraft_version;
    int64_t last_snapshot_ms; // monotonic
    int snapshot_error;
    bool snapshotting;

    pthread_mutex_t lock; // of status, and of voters, where others read them
    struct quorum_status status;
};

// quorum_load.c: directories checked or formatted; log and snapshot loaded into q->image, voters and
// kraft_version.
int quorum_load(struct quorum *q, bool *in_transaction, struct raft_persistent *persistent, char *message,
                size_t message_size);
// The records of bootstrap.checkpoint, or the defaults where it is missing.
int quorum_bootstrap(struct quorum *q, struct arena *arena, struct bytes **records, size_t *count,
                     char *message, size_t message_size);

// quorum_snapshot.c
void quorum_maybe_snapshot(struct quorum *q, int64_t now_ms);
void quorum_finish_snapshot(struct quorum *q); // waits for one that is being written

#endif
