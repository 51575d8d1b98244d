// The frame of a metadata record: a record value is a varint frame version (1), a varint type, a varint
// version, and the body as the codec has it. Pure; any thread.
#ifndef METADATA_RECORD_H
#define METADATA_RECORD_H

#include "base/buffer.h"
#include "protocol/codec.h"

// Types of metadata records (KIP-631 and after).
enum metadata_record_type {
    RECORD_REGISTER_BROKER = 0,
    RECORD_UNREGISTER_BROKER = 1,
    RECORD_TOPIC = 2,
    RECORD_PARTITION = 3,
    RECORD_CONFIG = 4,
    RECORD_PARTITION_CHANGE = 5,
    RECORD_FENCE_BROKER = 7,
    RECORD_UNFENCE_BROKER = 8,
    RECORD_REMOVE_TOPIC = 9,
    RECORD_DELEGATION_TOKEN = 10,
    RECORD_USER_SCRAM_CREDENTIAL = 11,
    RECORD_FEATURE_LEVEL = 12,
    RECORD_CLIENT_QUOTA = 14,
    RECORD_PRODUCER_IDS = 15,
    RECORD_BROKER_REGISTRATION_CHANGE = 17,
    RECORD_ACCESS_CONTROL_ENTRY = 18,
    RECORD_REMOVE_ACCESS_CONTROL_ENTRY = 19,
    RECORD_NO_OP = 20,
    RECORD_ZK_MIGRATION_STATE = 21,
    RECORD_REMOVE_USER_SCRAM_CREDENTIAL = 22,
    RECORD_BEGIN_TRANSACTION = 23,
    RECORD_END_TRANSACTION = 24,
    RECORD_ABORT_TRANSACTION = 25,
    RECORD_REMOVE_DELEGATION_TOKEN = 26,
    RECORD_REGISTER_CONTROLLER = 27,
    RECORD_CLEAR_ELR = 28,
    RECORD_TYPES_END,
};

struct metadata_frame {
    int16_t type, version;
    struct bytes body;
};

// 0, or ERR_CORRUPT: no frame, or a frame version that 4.3.1 does not write.
int metadata_frame_read(struct bytes value, struct metadata_frame *out);

// Appends the record's value, frame and all. 0, or message_size's errors, or ERR_NOMEM (out is then as
// before).
int metadata_record_append(struct buffer *out, const struct message_type *type, int16_t version,
                           const void *message);

// The record's version to write under a finalized metadata.version (MetadataVersion's rules).
int16_t metadata_partition_version(int32_t metadata_version);
int16_t metadata_partition_change_version(int32_t metadata_version);
int16_t metadata_register_broker_version(int32_t metadata_version);

struct image_partition;
struct partition_record;

// The record that says what a partition is; its arrays are the partition's.
void metadata_partition_record(const struct image_partition *p, const struct uuid *topic_id,
                               int32_t metadata_version, struct partition_record *out);

// Whether metadata.version has a feature: JBOD directory assignment (KIP-858), eligible leader replicas
// (KIP-966), SCRAM credentials (KIP-900), metadata transactions (KIP-868), controller registration (KIP-919),
// cordoned directories (KIP-1066).
enum {
    METADATA_VERSION_MINIMUM = 7,
    METADATA_VERSION_MIGRATION = 8,
    METADATA_VERSION_SCRAM = 11,
    METADATA_VERSION_SHRINK_WITHOUT_EPOCH = 12, // an ISR may shrink in the same leader epoch
    METADATA_VERSION_TRANSACTIONS = 13,
    METADATA_VERSION_CONTROLLER_REGISTRATION = 15,
    METADATA_VERSION_DIRECTORIES = 17,
    METADATA_VERSION_ELR = 23,
    METADATA_VERSION_CORDONED = 30,
    METADATA_VERSION_LATEST = 30, // 4.3-IV0
};

#endif
