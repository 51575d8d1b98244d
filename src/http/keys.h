// Of Kafka's protocol: the requests that this room sends, by their API key, and the newest version that it
// knows how to fill in.
#ifndef HTTP_KEYS_H
#define HTTP_KEYS_H

enum api_key {
    KEY_PRODUCE = 0,
    KEY_FETCH = 1,
    KEY_LIST_OFFSETS = 2,
    KEY_METADATA = 3,
    KEY_OFFSET_COMMIT = 8,
    KEY_OFFSET_FETCH = 9,
    KEY_FIND_COORDINATOR = 10,
    KEY_DESCRIBE_GROUPS = 15,
    KEY_LIST_GROUPS = 16,
    KEY_CREATE_TOPICS = 19,
    KEY_DELETE_TOPICS = 20,
    KEY_INIT_PRODUCER_ID = 22,
    KEY_DESCRIBE_CONFIGS = 32,
    KEY_DESCRIBE_LOG_DIRS = 35,
    KEY_CREATE_PARTITIONS = 37,
    KEY_DELETE_GROUPS = 42,
    KEY_INCREMENTAL_ALTER_CONFIGS = 44,
    KEY_OFFSET_DELETE = 47,
    KEY_DESCRIBE_CLUSTER = 60,
    KEY_DESCRIBE_TRANSACTIONS = 65,
    KEY_LIST_TRANSACTIONS = 66,
    KEY_CONSUMER_GROUP_DESCRIBE = 69,
    KEY_LIST_CONFIG_RESOURCES = 74,
};

#define CHANGE_TIMEOUT_MS 30000 // of a request that changes something

#endif
