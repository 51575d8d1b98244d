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
// fdatasync. Only then: the new image is published (image_current), on_change is called, and the requests are
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

    struct task task; // the quorum's own from here on
};

// Hands the request to the controller. Any thread; never blocks. It is always completed, also when the quorum
// stops (NOT_CONTROLLER). It cannot be taken back: whoever loses interest (a closed connection) notes so in
// its context and frees it when it completes.
void quorum_submit(struct quorum *q, struct quorum_request *request);

struct quorum_voter {
    int32_t id;
    struct str host; // of the controller listener
    uint16_t port;
};

struct quorum_params {
    int32_t node_id;
    struct log_dir *const *dirs; // all of log.dirs, opened and locked; metadata.log.dir among them
    size_t dirs_count;
    size_t metadata_dir; // index of metadata.log.dir (or of the first of log.dirs)

    // controller.quorum.voters: static voters, kraft.version 0. None: a dynamic quorum, kraft.version 1.
    const struct quorum_voter *static_voters;
    size_t static_voters_count;
    // This controller's listeners as others reach them, ports resolved; the first one is the voter's
    // endpoint.
    const struct image_endpoint *controller_endpoints;
    uint32_t controller_endpoints_count;

    // Of server.properties.
    const struct config *config; // topics' defaults; outlives the quorum
    int32_t num_partitions;
    int16_t default_replication_factor;
    int32_t min_insync_replicas;
    bool delete_topic_enable;
    int64_t broker_session_timeout_ms;
    int64_t log_segment_bytes;           // metadata.log.segment.bytes
    int64_t log_segment_ms;              // metadata.log.segment.ms
    int64_t max_bytes_between_snapshots; // metadata.log.max.record.bytes.between.snapshots
    int64_t max_snapshot_interval_ms;    // metadata.log.max.snapshot.interval.ms; 0: never by time
    int64_t max_retention_bytes;         // metadata.max.retention.bytes; -1: no limit
    int64_t max_retention_ms;            // metadata.max.retention.ms; -1: no limit

    // After each publication; on the controller's thread, before the requests complete. Lives as long as the
    // quorum. The first call is made inside quorum_start with everything that was loaded as created.
    void (*on_change)(void *context, const struct image_changes *changes);
    void *context;
};

// The defaults of Kafka 4.3 for everything under "Of server.properties".
void quorum_params_default(struct quorum_params *params);

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

struct quorum_state {
    int32_t leader_id; // -1: none known
    int32_t leader_epoch;
    int64_t high_watermark, log_end_offset, log_start_offset, snapshot_offset;
};

// Any thread; one consistent picture.
void quorum_state(const struct quorum *q, struct quorum_state *out);

#endif
