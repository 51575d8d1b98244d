// A request on its way through a handler: read, decoded, answered. Everything here is for the thread of the
// connection's reactor (request->reactor); another thread posts a task there (reactor_post).
//
// A handler does exactly one of these before it returns:
//   - request_respond        the response is encoded at once and leaves in the order of the connection's
//   requests;
//   - request_respond_none   acks=0;
//   - request_close          the connection is closed;
//   - request_park           one of the three above follows later, or on_cancel does.
// After any of the first three the request belongs to the connection again: it and its arena may be gone.
//
// A handler that a worker runs (api_handler.worker_bytes) does one of request_respond, request_close (with a
// static reason) and request_park, which only take note of it; and may ask for the peer, the listener, the
// principal and authorization.
//
// A long poll, for example:
//
//     struct wait { struct task wake; struct loop_timer timer; struct request *request; ... };   // in
//     request->arena handler:    copy what is needed; request_release_input(r); link the wait into the
//     partition under its lock;
//                 reactor_timer_arm(r->reactor, &w->timer, ...); request_park(r, PARK_OVERTAKE, on_cancel,
//                 w);
//     any thread: under the partition's lock: reactor_post(w->request->reactor, &w->wake);
//     wake/timer: unlink under the lock; reactor_cancel(&w->wake); reactor_timer_cancel();
//     request_respond(...); on_cancel:  the same without the response.
#ifndef SERVER_REQUEST_H
#define SERVER_REQUEST_H

#include <stdatomic.h>

#include "base/arena.h"
#include "base/list.h"
#include "os/slice.h"
#include "os/workers.h"
#include "quota/client_quotas.h"
#include "server/dispatch.h"
#include "server/reactor.h"

struct connection;
struct input;
struct partition_traffic;

enum park {
    PARK_OVERTAKE, // its effect on the log is done (or it has none): later requests of the connection are
                   // handled meanwhile
    PARK_STALL,    // its effect is still to come: the connection's later requests wait
    PARK_POLL, // as PARK_OVERTAKE, for one that only waits for news: a server that stops does not wait for it
};

enum request_state { REQUEST_HANDLING, REQUEST_PARKED, REQUEST_FINISHED };

struct request {
    struct reactor *reactor;
    struct connection *connection; // NULL: it is gone, and somebody still works for the request
    atomic_bool is_orphan;         // the same, for any thread
    const struct listener *listener;
    struct offload *offload; // while a worker handles it
    void *context;           // reactors_config.context
    const struct api_handler *api;
    const void *message; // decoded, of the API's request type; NULL after request_release_input
    int16_t version;
    int32_t correlation_id;
    struct str client_id; // null when the client sends none; valid until the request is answered
    struct arena arena;   // for the handler, too; gone with the request
    int64_t received_ms;  // monotonic, of the turn that read it
    int64_t received_us;  // monotonic
    size_t size_bytes;    // as sent, without the length in front
    int32_t throttle_ms;  // for so long the connection is muted after the response
    bool is_from_future;  // ApiVersions in a version that is not known: version is 0, message its defaults

    // Parking.
    enum request_state state;
    enum park park;
    void *parked;                               // the parker's own
    void (*on_cancel)(struct request *request); // see request_park

    // The connection's own from here on.
    int64_t started_us, used_us; // while a handler is measured; before that
    bool time_charged;
    bool is_own;             // this process asked
    bool is_counted;         // among those in flight
    struct request_log *log; // NULL: it is not logged
    struct list node;        // in the connection's requests, in order of arrival
    struct input *input;
    struct chunk *chunks, *last_chunk; // of the response, still to be sent
    bool encoded;                      // request_encode was called, and came to:
    int encode_error;
    size_t response_bytes; // of the response, in memory
    unsigned holds;        // request_hold
};

// Sets the throttle time in `response` (the API's response type, in the request's version), encodes and
// queues it; the connection sends it in this turn when the earlier ones are finished. The struct and what it
// points to are needed during the call only; but for records that are a file range (records.external, a
// struct slice) the slice's memory stays valid until its release is called, which happens exactly once, sent
// or not, and before the arena goes. A response that cannot be encoded (it is larger than a response may be)
// closes the connection with a log line and gives an error: then slices that were not released yet are the
// caller's, and the request stays until the caller returns.
int request_respond(struct request *request, void *response);

// For a worker that has made a large response, which request_respond is then to send: encodes it, so that the
// reactor need not. Nothing in it changes after that.
void request_encode(struct request *request, const void *response);

// Finished without a response (Produce with acks=0).
void request_respond_none(struct request *request);

// Closes the connection with one rate-limited log line that names the peer and `reason`; every other request
// on it that is parked is cancelled. reason NULL: no line. Responses that were finished earlier are not
// waited for.
void request_close(struct request *request, const char *reason);

// The handler's answer comes later. When the connection closes first (or the server stops), on_cancel is
// called on the reactor's thread: it unlinks whatever refers to the request, and must not answer; then the
// request is gone. May be called again on a parked request, to go from PARK_STALL to PARK_OVERTAKE or to
// change on_cancel.
void request_park(struct request *request, enum park park, void (*on_cancel)(struct request *request),
                  void *parked);

// Work for a worker's thread, or a loader's: what costs more than about 200 us of CPU, and would keep the
// reactor's other connections waiting so long. Lies in the request's arena.
struct request_work {
    void (*run)(struct request_work
                    *work); // on the worker's thread; the arena, the message and what hangs on it are its own
    // On the reactor's thread: as a handler, it answers, closes or parks. But where `gone`, the connection
    // has been closed meanwhile: nobody is to be answered, and the request goes when this returns.
    void (*done)(struct request_work *work, bool gone);
    // NULL, or log_loaders: it loads logs, waits for a disk, and reads nothing (as a job).
    struct workers *loaders;
    struct request *request;
    struct job job;
};

// Parks the request with PARK_STALL, has the work run, then `done`. When as much work waits as may (or there
// is no thread), it runs here and now: so the reactor takes on no more meanwhile. The server does not stop
// before `done`, which may have more work, `gone` or not.
void request_work(struct request *request, struct request_work *work);

// Goes on with a parked request on a worker, as a handler that a worker runs: `run` answers, closes or parks
// it. Then, on the reactor and whether or not the connection is still there, `after`.
void request_offload(struct request *request, void (*run)(struct request *request, void *context),
                     void (*after)(void *context), void *context);

// A worker's handler that has parked: what its reactor does next. Elsewhere it is done at once.
void request_then(struct request *request, void (*then)(void *context), void *context);

// Records of a partition go out with the response; `waited`: the request was waiting for them. Counted,
// unless this process asked.
void request_delivered(struct request *request, struct partition_traffic *traffic, size_t bytes, bool waited);

// What the request waited for came from this reactor's thread (NULL: another thread's). Its connection may
// move there once it is answered.
struct reactor;
void request_woken_by(struct request *request, const struct reactor *by);

// Lets the request's buffer go early, for one that parks: message, and every view into it, is invalid
// afterwards (client_id stays valid). The arena stays.
void request_release_input(struct request *request);

// Told once, on the reactor's thread, when the request's connection is gone. Who made it is told what to
// free.
struct connection_end {
    void (*gone)(struct connection_end *end);
};
struct connection_end *request_connection_end(const struct request *request); // NULL: nobody is told
void request_set_connection_end(struct request *request, struct connection_end *end);

// Who sent it.
const char *request_peer(const struct request *request); // "127.0.0.1:40312"
// Its address alone ("127.0.0.1", "::1"), a view; *port (may be NULL) beside it.
struct str request_client_address(const struct request *request, int32_t *port);
const struct listener *request_listener(const struct request *request);
const struct api_table *request_apis(const struct request *request);
struct str request_principal(const struct request *request); // "User:ANONYMOUS" until security is built
struct str
request_client_software_name(const struct request *request); // from ApiVersions; "unknown" before it
struct str request_client_software_version(const struct request *request); // the same
// Remembers both for the connection (copied). 0, or ERR_NOMEM. For the ApiVersions handler.
int request_set_client_software(struct request *request, struct str name, struct str version);

// Quotas. Whether the request's client has a limit of this kind; what it points to lives as long as the
// request's client id.
bool request_limit(const struct request *request, enum image_quota_kind kind, struct quota_limit *out);
// Charges a value (quota/client_quotas.h: client_quotas_record) to the request's client where that has a
// limit; returns the throttle time that follows, 0: none.
int32_t request_charge(struct request *request, enum image_quota_kind kind, double value);
// The response will say this throttle time, if it is the longest, and the connection is muted for it.
void request_throttle(struct request *request, int32_t throttle_ms);
// Charges the time that the request has taken now, for who wants to know in request->throttle_ms before the
// response is made.
void request_charge_time(struct request *request);

// Authorization. Numbers as Kafka's AclOperation and ResourceType.
enum acl_operation {
    ACL_READ = 3,
    ACL_WRITE,
    ACL_CREATE,
    ACL_DELETE,
    ACL_ALTER,
    ACL_DESCRIBE,
    ACL_CLUSTER_ACTION,
    ACL_DESCRIBE_CONFIGS,
    ACL_ALTER_CONFIGS,
    ACL_IDEMPOTENT_WRITE,
    ACL_CREATE_TOKENS,
    ACL_DESCRIBE_TOKENS,
    ACL_TWO_PHASE_COMMIT,
};
enum resource_type {
    RESOURCE_TOPIC = 2,
    RESOURCE_GROUP,
    RESOURCE_CLUSTER,
    RESOURCE_TRANSACTIONAL_ID,
    RESOURCE_DELEGATION_TOKEN,
    RESOURCE_USER,
};
#define CLUSTER_RESOURCE_NAME STR("kafka-cluster")

// Whether the request's principal may do this. Every handler asks before it answers. Allows all for now.
bool request_authorize(const struct request *request, enum acl_operation operation, enum resource_type type,
                       struct str name);

#endif
