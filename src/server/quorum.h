// The metadata quorum of this node: one thread ("controller") that runs raft/ and controller/, keeps
// __cluster_metadata-0 on disk, publishes the image and answers those who asked for a change.
//
// Life:
//     quorum_start      formats where that is allowed, loads snapshot and log, becomes leader, and returns
//     with
//                       an image that is published; the thread runs
//     quorum_submit     from any thread: register the broker, heartbeat, create topics, ...
//     quorum_stop       answers what waits with an error, flushes, closes the log
//
// Changes. Several requests that arrive together are decided one after the other and made durable by one
// fdatasync. Only then: on_change is called, the new image is published (image_current), and the requests are
// completed, in this order. A request that is completed therefore finds its own change in image_current().
#ifndef SERVER_QUORUM_H
#define SERVER_QUORUM_H

#include "controller/controller.h"
#include "os/loop.h"
#include "storage/log_dir.h"

struct quorum;

// A request to the controller, embedded in (or owned by) whoever asks.
struct quorum_request {
    struct controller_event event; // made with controller_event_init
    // Called once: on reply_to's thread, or, when reply_to is NULL, on the controller's. event.error and
    // event.response are set. It frees the event.
    void (*complete)(struct quorum_request *request);
    struct loop *reply_to; // e.g. &request->reactor->loop; runs until complete was called
    void *context;         // the asker's own

    // The quorum's own from here on.
    struct task task;
    struct quorum *quorum;
    struct quorum_request *next;
};

// Hands the request to the controller. Any thread; never blocks. It is always completed, also when the quorum
// stops (NOT_CONTROLLER). It cannot be taken back: whoever loses interest (a closed connection) notes so in
// its context and frees it when it completes.
void quorum_submit(struct quorum *q, struct quorum_request *request);

struct quorum_params {
    // server.properties: node.id, controller.quorum.voters (static voters, kraft.version 0; none: a dynamic
    // quorum, kraft.version 1), metadata.log.* and metadata.max.*, and what the controller decides by.
    // Outlives the quorum.
    const struct broker_config *config;
    struct log_dir *const *dirs; // all of log.dirs, opened and locked, metadata.log.dir among them; stay the
    size_t dirs_count;           // caller's
    size_t metadata_dir;         // index of metadata.log.dir
    // This controller's listeners as others reach them, ports resolved; the first one is the voter's
    // endpoint.
    const struct image_endpoint *controller_endpoints; // outlive the quorum
    uint32_t controller_endpoints_count;

    // Before each publication, on the controller's thread; what the start has loaded is not told. May be
    // NULL.
    void (*on_change)(void *context, const struct image_changes *changes);
    // The metadata log cannot be written any more: from now on every change is refused. Once, on the
    // controller's thread. May be NULL.
    void (*on_failed)(void *context);
    void *context;
};

// 0, or a negative code; `message` receives one line for a person (which directory, what is wrong with it,
// what to do). When directories have no meta.properties and the rule allows it (this node is the only voter
// and every directory is empty), they are formatted with a new random cluster id; otherwise ERR_NOT_FOUND.
// The calling thread must be registered with base/qsbr or not read the image.
int quorum_start(const struct quorum_params *params, struct quorum **out, char *message, size_t message_size);

// Submits and waits; for the start and the stop sequences, never on a reactor or on the controller's thread.
// request->complete and reply_to are not used; the caller frees the event. Returns event.error.
int16_t quorum_call(struct quorum *q, struct quorum_request *request);

// Stops the thread: a snapshot is not written, the log is flushed and closed cleanly. Nobody submits any
// more.
void quorum_stop(struct quorum *q);

// The cluster's id, valid until quorum_stop. Any thread.
const char *quorum_cluster_id(const struct quorum *q);

struct raft_voters;

// A copy of the voters, into *out (initialized; the caller frees it). 0 or ERR_NOMEM. Any thread.
int quorum_voters(const struct quorum *q, struct raft_voters *out);

struct quorum_status {
    int32_t leader_id; // -1: none known
    int32_t leader_epoch;
    int64_t high_watermark, log_end_offset, log_start_offset, snapshot_offset;
    int16_t kraft_version; // finalized: 0 static voters, 1 dynamic ones
};

// Any thread; one consistent picture.
void quorum_status(const struct quorum *q, struct quorum_status *out);

#endif
