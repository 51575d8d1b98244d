// Every API that is served, one a line; whoever includes this says what SERVED(api) makes of it.
// clang-format off
SERVED(api_versions)
SERVED(create_partitions)
SERVED(create_topics)
SERVED(delete_topics)
SERVED(describe_cluster)
SERVED(describe_configs)
SERVED(describe_producers)
SERVED(fetch)
SERVED(find_coordinator)
SERVED(init_producer_id)
SERVED(list_offsets)
SERVED(metadata)
SERVED(offset_for_leader_epoch)
SERVED(produce)
// clang-format on
