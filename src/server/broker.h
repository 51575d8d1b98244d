// What every handler needs: the running broker. request->context points to it (broker_of).
#ifndef SERVER_BROKER_H
#define SERVER_BROKER_H

#include "config/broker_config.h"
#include "coordinator/coordinator.h"
#include "coordinator/group/group.h"
#include "coordinator/transaction/transaction.h"
#include "metadata/image.h"
#include "replication/flusher.h"
#include "replication/replica_manager.h"
#include "server/fetch_session.h"
#include "server/request.h"

struct client_quotas;
struct directories;
struct quorum;
struct telemetry;

struct broker {
    const struct broker_config *config; // as the node was started: for settings that no change at run time
                                        // touches (configs.txt: read-only)
    _Atomic(struct live_config *) live; // for the others: broker_config_now (live_config.h)
    char cluster_id[64];
    struct directories *dirs;
    struct log_manager *logs;
    struct replica_manager *replicas;
    struct flusher *flusher;
    struct quorum *quorum;
    struct fetch_session_cache *fetch_sessions;
    struct reactors *reactors;
    struct producer_ids *producer_ids;
    struct coordinator *groups; // __consumer_offsets
    struct group_config group_config;
    _Atomic(int64_t) topics_version; // of the metadata when a topic last came to be
    struct telemetry *telemetry;
    struct client_quotas *quotas;
    struct coordinator *transactions; // __transaction_state
    struct transaction_config transaction_config;
    struct transaction_ends *transaction_ends; // decided, and not carried through yet
    struct marker_writer *marker_writer;
};

static inline struct broker *broker_of(const struct request *request)
{
    return request->context;
}

// Registers every API that works (server/handlers/).
void handlers_register(struct api_table *apis);

#endif
