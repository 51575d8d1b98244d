// The handlers, one file per API family. Private to server/.
#ifndef SERVER_HANDLERS_H
#define SERVER_HANDLERS_H

#include "server/dispatch.h"

extern const struct api_handler produce_handler, fetch_handler, list_offsets_handler,
    offset_for_leader_epoch_handler, metadata_handler, describe_cluster_handler, create_topics_handler,
    delete_topics_handler, init_producer_id_handler, describe_producers_handler, find_coordinator_handler,
    describe_configs_handler;

#endif
