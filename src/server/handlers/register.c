#include "server/broker.h"
#include "server/handlers/handlers.h"

static const struct api_handler *const served[] = {
    &api_versions_handler,
    &metadata_handler,
    &describe_cluster_handler,
    &produce_handler,
    &fetch_handler,
    &list_offsets_handler,
    &offset_for_leader_epoch_handler,
    &init_producer_id_handler,
    &create_topics_handler,
    &delete_topics_handler,
    &describe_producers_handler,
    &find_coordinator_handler,
};

void handlers_register(struct api_table *apis)
{
    for (size_t i = 0; i < sizeof served / sizeof *served; i++)
        api_table_add(apis, served[i]);
}
