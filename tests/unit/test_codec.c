#include "unit.h"

#include "protocol/api.h"
#include "protocol/errors.h"
#include "protocol/messages.h"
#include "protocol/tables.h"

#include <stdlib.h>

static uint8_t digit(char c)
{
    return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

// Hex text, blanks between bytes allowed, into a malloc of just that size: a sanitizer sees a read beyond it.
static struct bytes from_hex(const char *text)
{
    uint8_t *data = malloc(strlen(text) / 2 + 1);
    size_t size = 0;
    assert_non_null(data);
    for (; *text; text++)
        if (*text != ' ') {
            data[size++] = (uint8_t)(digit(text[0]) << 4 | digit(text[1]));
            text++;
        }
    data = realloc(data, size ? size : 1);
    return (struct bytes){data, size};
}

struct refusal {
    const struct message_type *type;
    int16_t version;
    const char *hex;
    int error;
    const char *field;
};

static void bad_input_is_refused(void **state)
{
    (void)state;
    static const struct refusal refusals[] = {
        // strings: client software name, version of ApiVersionsRequest 3
        {&api_versions_request_type, 3, "", ERR_TRUNCATED, "clientSoftwareName"},
        {&api_versions_request_type, 3, "05 61", ERR_TRUNCATED, "clientSoftwareName"},
        {&api_versions_request_type, 3, "00 01 00", ERR_CORRUPT, "clientSoftwareName"},       // null
        {&api_versions_request_type, 3, "02 ff 01 00", ERR_CORRUPT, "clientSoftwareName"},    // no UTF-8
        {&api_versions_request_type, 3, "03 c0 80 01 00", ERR_CORRUPT, "clientSoftwareName"}, // overlong NUL
        {&api_versions_request_type, 3, "04 ed a0 80 01 00", ERR_CORRUPT, "clientSoftwareName"}, // surrogate
        {&api_versions_request_type, 3, "81 80 02 61", ERR_LIMIT, "clientSoftwareName"}, // 32,768 bytes
        {&api_versions_request_type, 3, "80 80 80 80 80 01 00", ERR_CORRUPT,
         "clientSoftwareName"}, // six bytes
        {&api_versions_request_type, 3, "ff ff ff ff 7f 01 00", ERR_CORRUPT, "clientSoftwareName"}, // 35 bits
        {&api_versions_request_type, 3, "81 00 01 00", ERR_CORRUPT, "clientSoftwareName"},          // padded
        {&api_versions_request_type, 3, "80", ERR_TRUNCATED, "clientSoftwareName"},
        {&heartbeat_request_type, 0, "ff ff", ERR_CORRUPT, "groupId"}, // null
        {&heartbeat_request_type, 3, "00 01 67 00 00 00 01 00 01 6d ff fe", ERR_CORRUPT,
         "groupInstanceId"}, // -2
        // tagged fields
        {&api_versions_request_type, 3, "01 01 01", ERR_TRUNCATED, NULL},
        {&api_versions_request_type, 3, "01 01 01 07 05 00", ERR_TRUNCATED, NULL},
        {&api_versions_request_type, 3, "01 01 02 07 00 07 00", ERR_CORRUPT, NULL},    // repeats
        {&api_versions_request_type, 3, "01 01 02 08 00 07 00", ERR_CORRUPT, NULL},    // unordered
        {&unregister_broker_request_type, 0, "00 00 00 01 00 00", ERR_CORRUPT, NULL},  // trailing
        {&begin_transaction_record_type, 0, "01 00 03 02 61 00", ERR_CORRUPT, "name"}, // longer
        {&begin_transaction_record_type, 0, "01 00 01 02 61", ERR_TRUNCATED, "name"},  // shorter
        // arrays
        {&metadata_request_type, 0, "00 00", ERR_TRUNCATED, "topics"},
        {&metadata_request_type, 0, "ff ff ff ff", ERR_CORRUPT, "topics"}, // null in 0
        {&metadata_request_type, 1, "ff ff ff fe", ERR_CORRUPT, "topics"},
        {&metadata_request_type, 1, "7f ff ff ff 00 01 61", ERR_LIMIT, "topics"},
        {&metadata_request_type, 1, "00 00 00 02 00 01 61", ERR_LIMIT, "topics"},
        {&metadata_request_type, 9, "ff ff ff ff 0f 00", ERR_LIMIT, "topics"},
        // the inner array may not claim what the outer one was given for its second element
        {&create_topics_request_type, 2,
         "00 00 00 02 00 01 61 00 00 00 01 00 01 00 00 00 02 00 00 00 00 00 00 00 00"
         " 00 00 00 00 00 00 00 00 00 00 00",
         ERR_LIMIT, "assignments"},
        // nullable structs
        {&describe_topic_partitions_request_type, 0, "01 00 00 00 01 01", ERR_TRUNCATED, "cursor"},
        {&describe_topic_partitions_request_type, 0, "01 00 00 00 01", ERR_TRUNCATED, "cursor"},
        // records
        {&produce_request_type, 3,
         "ff ff 00 01 00 00 00 00 00 00 00 01 00 01 74 00 00 00 01 00 00 00 00 7f ff ff ff", ERR_TRUNCATED,
         "records"},
        {&produce_request_type, 3,
         "ff ff 00 01 00 00 00 00 00 00 00 01 00 01 74 00 00 00 01 00 00 00 00 ff ff ff fe", ERR_CORRUPT,
         "records"},
        // versions
        {&produce_request_type, 2, "00", ERR_UNSUPPORTED, NULL},
        {&produce_request_type, 14, "00", ERR_UNSUPPORTED, NULL},
        {&leader_and_isr_request_type, 0, "", ERR_UNSUPPORTED, NULL},
        {&leader_and_isr_request_type, 1, "", ERR_UNSUPPORTED, NULL},
    };
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        const struct refusal *r = &refusals[i];
        struct bytes in = from_hex(r->hex);
        struct arena arena;
        struct message_error error;
        arena_init(&arena, 0);
        void *message = malloc(r->type->size_bytes);
        assert_non_null(message);
        int rc = message_decode_explain(r->type, r->version, in, &arena, message, NULL, &error);
        if (rc != r->error || (r->field && (!error.field || strcmp(error.field, r->field) != 0)))
            fail_msg("case %zu (%s): %s, %s at %zu: %s", i, r->hex, err_text(rc),
                     error.field ? error.field : "-", error.at, error.reason ? error.reason : "-");
        assert_non_null(error.reason);
        free(message);
        arena_free(&arena);
        free((void *)(uintptr_t)in.data);
    }
}

// A small message of every kind of field, cut short at every byte, is refused everywhere.
static void every_truncation_is_refused(void **state)
{
    (void)state;
    struct arena arena;
    struct bytes whole;
    arena_init(&arena, 0);
    struct fetch_response response = fetch_response_default;
    response.responses = fetch_response_fetchable_topic_response_new(&arena, 2);
    response.responses_count = 2;
    for (int i = 0; i < 2; i++) {
        struct fetch_response_fetchable_topic_response *topic = &response.responses[i];
        topic->partitions = fetch_response_partition_data_new(&arena, 2);
        topic->partitions_count = 2;
        topic->partitions[1].aborted_transactions = fetch_response_aborted_transaction_new(&arena, 1);
        topic->partitions[1].aborted_transactions_count = 1;
        topic->partitions[1].diverging_epoch.epoch = 3;
        topic->partitions[1].records = (struct records){(const uint8_t *)"records", 7, NULL};
    }
    assert_int_equal(message_to_bytes(&fetch_response_type, 16, &response, &arena, &whole), 0);
    for (size_t size = 0; size <= whole.size; size++) {
        uint8_t *copy = malloc(size ? size : 1);
        struct fetch_response out;
        assert_non_null(copy);
        memcpy(copy, whole.data, size);
        int rc = message_decode(&fetch_response_type, 16, (struct bytes){copy, size}, &arena, &out, NULL);
        assert_true(size == whole.size ? rc == 0 : rc == ERR_TRUNCATED || rc == ERR_LIMIT);
        free(copy);
    }
    arena_free(&arena);
}

static void unknown_tags_are_skipped(void **state)
{
    (void)state;
    struct bytes in = from_hex("02 61 02 31 02 05 03 01 02 03 09 00");
    struct arena arena;
    struct api_versions_request request;
    arena_init(&arena, 0);
    assert_int_equal(message_decode(&api_versions_request_type, 3, in, &arena, &request, NULL), 0);
    assert_true(str_is(request.client_software_name, "a"));
    assert_true(str_is(request.client_software_version, "1"));
    assert_ptr_equal(request.client_software_name.data, in.data + 1); // a view
    free((void *)(uintptr_t)in.data);
}

// Who limits the arena limits the work: what is looked at without leaving anything there counts as well.
static void what_is_only_looked_at_counts(void **state)
{
    (void)state;
    enum { TAGS = 127, NAME = 100, LIMIT = 1000 };
    struct buffer tags = BUFFER_INIT, name = BUFFER_INIT;
    uint8_t head[] = {2, 'a', 2, '1', TAGS}, long_name[] = {NAME + 1}, tail[] = {2, '1', 0};
    buffer_append(&tags, head, sizeof head);
    for (uint8_t tag = 0; tag < TAGS; tag++)
        buffer_append(&tags, (uint8_t[]){tag, 0}, 2);
    buffer_append(&name, long_name, 1);
    for (int i = 0; i < NAME; i++)
        buffer_byte(&name, 'n');
    buffer_append(&name, tail, sizeof tail);
    const struct {
        const struct buffer *in;
        size_t limit_bytes;
        int rc;
    } cases[] = {{&tags, LIMIT, ERR_NOMEM},
                 {&tags, MESSAGE_MEMORY_FACTOR * tags.size, 0},
                 {&name, NAME, ERR_NOMEM},
                 {&name, NAME + 1, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena arena;
        struct api_versions_request request;
        arena_init(&arena, cases[i].limit_bytes);
        struct bytes in = {cases[i].in->data, cases[i].in->size};
        assert_int_equal(message_decode(&api_versions_request_type, 3, in, &arena, &request, NULL),
                         cases[i].rc);
        assert_null(arena.blocks);
    }
    buffer_free(&tags);
    buffer_free(&name);
}

static void used_stops_before_what_follows(void **state)
{
    (void)state;
    struct bytes in = from_hex("00 12 00 03 00 00 00 07 00 01 63 00 ff");
    struct arena arena;
    struct request_header header;
    size_t used = 0;
    arena_init(&arena, 0);
    assert_int_equal(message_decode(&request_header_type, 2, in, &arena, &header, &used), 0);
    assert_int_equal(used, 12);
    assert_int_equal(header.request_api_key, 18);
    assert_int_equal(header.correlation_id, 7);
    assert_true(str_is(header.client_id, "c")); // int16 length though the version is flexible
    assert_int_equal(message_decode(&request_header_type, 2, in, &arena, &header, NULL), ERR_CORRUPT);
    free((void *)(uintptr_t)in.data);
}

static void booleans_and_presence_bytes_are_read_as_kafka_does(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 0);
    struct bytes in = from_hex("00 00 00 00 02");
    struct metadata_request metadata;
    assert_int_equal(message_decode(&metadata_request_type, 4, in, &arena, &metadata, NULL), 0);
    assert_true(metadata.allow_auto_topic_creation == true);
    free((void *)(uintptr_t)in.data);
    in = from_hex("01 00 00 00 01 80 00");
    struct describe_topic_partitions_request describe;
    assert_int_equal(message_decode(&describe_topic_partitions_request_type, 0, in, &arena, &describe, NULL),
                     0);
    assert_null(describe.cursor);
    free((void *)(uintptr_t)in.data);
    arena_free(&arena);
}

static void absent_fields_have_their_defaults(void **state)
{
    (void)state;
    struct bytes in = from_hex("ff ff ff ff 00 00 00 64 00 00 00 01 00 00 00 ff 00 00 00 00 00");
    struct arena arena;
    struct fetch_request request;
    memset(&request, 0xaa, sizeof request);
    arena_init(&arena, 0);
    assert_int_equal(message_decode(&fetch_request_type, 4, in, &arena, &request, NULL), 0);
    assert_int_equal(request.max_wait_ms, 100);
    assert_int_equal(request.session_epoch, -1);
    assert_int_equal(request.session_id, 0);
    assert_null(request.cluster_id.data);
    assert_non_null(request.rack_id.data);
    assert_int_equal(request.rack_id.size, 0);
    assert_int_equal(request.replica_state.replica_id, -1);
    assert_int_equal(request.topics_count, 0);
    assert_int_equal(request.forgotten_topics_data_count, 0);
    struct fetch_request fresh;
    message_init(&fetch_request_type, &fresh);
    assert_int_equal(fresh.max_bytes, INT32_MAX);
    assert_null(fetch_request_fetch_topic_new(&arena, -1));
    free((void *)(uintptr_t)in.data);
}

static void fields_that_a_version_lacks(void **state)
{
    (void)state;
    size_t inside, outside;
    struct fetch_request request = fetch_request_default;
    request.rack_id = STR("r"); // ignorable
    assert_int_equal(message_size(&fetch_request_type, 4, &request, &inside, &outside), 0);
    request.replica_state.replica_epoch = 7; // not ignorable
    assert_int_equal(message_size(&fetch_request_type, 4, &request, NULL, NULL), ERR_UNSUPPORTED);
    assert_int_equal(message_size(&fetch_request_type, 15, &request, NULL, NULL), 0);
    request.replica_id = 3; // gone in 15
    assert_int_equal(message_size(&fetch_request_type, 15, &request, NULL, NULL), ERR_UNSUPPORTED);
    struct metadata_request metadata = metadata_request_default;
    metadata.topics_count = -1; // null from version 1 on
    assert_int_equal(message_size(&metadata_request_type, 0, &metadata, NULL, NULL), ERR_INVALID);
    assert_int_equal(message_size(&metadata_request_type, 1, &metadata, NULL, NULL), 0);
    assert_int_equal(message_size(&metadata_request_type, 99, &metadata, NULL, NULL), ERR_UNSUPPORTED);
    static char longest[32768];
    struct list_groups_response unset = list_groups_response_default;
    assert_int_equal(message_size(&list_groups_response_type, 4, &unset, NULL, NULL), 0);
    struct heartbeat_request heartbeat = heartbeat_request_default;
    heartbeat.group_id = (struct str){longest, sizeof longest};
    assert_int_equal(message_size(&heartbeat_request_type, 4, &heartbeat, NULL, NULL), ERR_LIMIT);
    heartbeat.group_id = STR_NULL;
    assert_int_equal(message_size(&heartbeat_request_type, 4, &heartbeat, NULL, NULL), ERR_INVALID);
}

// The one struct that may be null but is not so by default, and whose null is therefore spelled out.
static void a_null_that_is_no_default(void **state)
{
    (void)state;
    struct arena arena;
    struct bytes with, without;
    arena_init(&arena, 0);
    struct consumer_group_member_metadata_value value = consumer_group_member_metadata_value_default, again;
    assert_non_null(value.classic_member_metadata);
    assert_int_equal(
        message_to_bytes(&consumer_group_member_metadata_value_type, 0, &value, &arena, &without), 0);
    value.classic_member_metadata = NULL;
    assert_int_equal(message_to_bytes(&consumer_group_member_metadata_value_type, 0, &value, &arena, &with),
                     0);
    assert_int_equal(with.size, without.size + 3); // tag, size, 0
    assert_int_equal(
        message_decode(&consumer_group_member_metadata_value_type, 0, with, &arena, &again, NULL), 0);
    assert_null(again.classic_member_metadata);
    assert_int_equal(
        message_decode(&consumer_group_member_metadata_value_type, 0, without, &arena, &again, NULL), 0);
    assert_non_null(again.classic_member_metadata);
    arena_free(&arena);
}

struct pieces {
    const struct records *records[4];
    const uint8_t *at[4];
    size_t count;
};

static void note_piece(void *context, const struct records *records, uint8_t *at)
{
    struct pieces *pieces = context;
    pieces->records[pieces->count] = records;
    pieces->at[pieces->count++] = at;
}

static void external_records_are_left_to_the_caller(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 0);
    struct fetch_response response = fetch_response_default;
    response.responses = fetch_response_fetchable_topic_response_new(&arena, 1);
    response.responses_count = 1;
    response.responses->partitions = fetch_response_partition_data_new(&arena, 3);
    response.responses->partitions_count = 3;
    struct fetch_response_partition_data *p = response.responses->partitions;
    p[0].records = (struct records){NULL, 100000, &arena};
    p[1].records = (struct records){(const uint8_t *)"abc", 3, NULL};
    p[2].records = (struct records){NULL, 50, &response};
    size_t inside, outside;
    assert_int_equal(message_size(&fetch_response_type, 12, &response, &inside, &outside), 0);
    assert_int_equal(outside, 100050);
    uint8_t *data = malloc(inside);
    assert_non_null(data);
    struct pieces pieces = {0};
    struct encode_target target = {data, data + inside, note_piece, &pieces};
    assert_int_equal(message_encode(&fetch_response_type, 12, &response, &target), 0);
    assert_ptr_equal(target.at, data + inside);
    assert_int_equal(pieces.count, 2);
    assert_ptr_equal(pieces.records[0], &p[0].records);
    assert_ptr_equal(pieces.records[1]->external, &response);
    assert_memory_equal(pieces.at[0] - 3, "\xa1\x8d\x06", 3); // 100,001 as a varint
    assert_int_equal(pieces.at[0][0], 0);                     // the partition's tagged fields follow
    // too small by a byte: refused, nothing behind the end is touched
    target = (struct encode_target){.at = data, .end = data + inside - 1};
    assert_int_equal(message_encode(&fetch_response_type, 12, &response, &target), ERR_LIMIT);
    struct bytes whole;
    assert_int_equal(message_to_bytes(&fetch_response_type, 12, &response, &arena, &whole), ERR_INVALID);
    struct buffer json = BUFFER_INIT;
    assert_int_equal(message_json(&fetch_response_type, 12, &response, &json), 0);
    buffer_byte(&json, 0);
    assert_non_null(strstr((const char *)json.data, "\"recordsSizeInBytes\":100000"));
    assert_non_null(strstr((const char *)json.data, "\"records\":\"YWJj\""));
    buffer_free(&json);
    free(data);
    arena_free(&arena);
}

static void check_brief(const struct message_type *type, const void *message, size_t most, const char *wanted)
{
    struct buffer json = BUFFER_INIT;
    buffer_text(&json, ">"); // what stands there counts for nothing
    assert_int_equal(message_json_brief(type, type->max_version, message, most, &json), 0);
    buffer_byte(&json, 0);
    assert_string_equal((const char *)json.data, wanted);
    buffer_free(&json);
}

static void json_of_a_log_is_brief_and_without_secrets(void **state)
{
    (void)state;
    struct alter_user_scram_credentials_request_scram_credential_upsertion up = {
        .name = STR("ann"),
        .mechanism = 1,
        .iterations = 4096,
        .salt = {(const uint8_t *)"abc", 3},
        .salted_password = {(const uint8_t *)"secret", 6}};
    struct alter_user_scram_credentials_request scram = alter_user_scram_credentials_request_default;
    scram.upsertions = &up;
    scram.upsertions_count = 1;
    check_brief(&alter_user_scram_credentials_request_type, &scram, 1000,
                ">{\"deletions\":[],\"upsertions\":[{\"name\":\"ann\",\"mechanism\":1,\"iterations\":4096,"
                "\"saltSizeInBytes\":3,\"saltedPasswordSizeInBytes\":6}]}");

    static struct str names[] = {STR("one"), STR("a name that does not fit"), STR("three"), STR("four")};
    struct describe_groups_request groups = describe_groups_request_default;
    groups.groups = names;
    groups.groups_count = 4;
    check_brief(&describe_groups_request_type, &groups, 1000,
                ">{\"groups\":[\"one\",\"a name that does not fit\",\"three\",\"four\"],"
                "\"includeAuthorizedOperations\":false}");
    check_brief(&describe_groups_request_type, &groups, 29,
                ">{\"groups\":[\"one\",\"(24 bytes)\",\"(2 more)\"],\"includeAuthorizedOperations\":false}");
    check_brief(&describe_groups_request_type, &groups, 0,
                ">{\"groups\":[\"(4 more)\"],\"includeAuthorizedOperations\":false}");
}

static void json_is_kafkas(void **state)
{
    (void)state;
    struct buffer json = BUFFER_INIT;
    struct arena arena;
    arena_init(&arena, 0);
    struct client_quota_record record = client_quota_record_default;
    record.entity = client_quota_record_entity_data_new(&arena, 1);
    record.entity_count = 1;
    record.entity->entity_type = STR("a\"\\\n\x7f\xc3\xa4");
    record.entity->entity_name = STR_NULL;
    record.value = 0.1;
    assert_int_equal(message_json(&client_quota_record_type, 0, &record, &json), 0);
    buffer_byte(&json, 0);
    assert_string_equal(
        (const char *)json.data,
        "{\"entity\":[{\"entityType\":\"a\\\"\\\\\\u000a\\u007f\xc3\xa4\",\"entityName\":null}],"
        "\"key\":\"\",\"value\":0.1,\"remove\":false}");
    // tagged fields in the order of the schema, and only when set
    struct transaction_log_value value = transaction_log_value_default;
    value.next_producer_epoch = 5;
    buffer_clear(&json);
    assert_int_equal(message_json(&transaction_log_value_type, 1, &value, &json), 0);
    buffer_byte(&json, 0);
    assert_non_null(strstr((const char *)json.data, "\"producerEpoch\":0,\"nextProducerEpoch\":5,\"trans"));
    assert_null(strstr((const char *)json.data, "previousProducerId"));
    buffer_free(&json);
    arena_free(&arena);
}

// Kafka 4.3.1 writes version 0 of this value without any of the fields that version 1 tags.
static void transaction_log_value_0(void **state)
{
    (void)state;
    size_t inside;
    struct transaction_log_value value = transaction_log_value_default;
    assert_int_equal(message_size(&transaction_log_value_type, 0, &value, &inside, NULL), 0);
    assert_int_equal(inside, 8 + 2 + 4 + 1 + 4 + 8 + 8);
}

// What arena_alloc takes for an element, per byte that the element must have on the wire.
static void memory_factor_holds(void **state)
{
    (void)state;
    for (size_t i = 0; i < codec_wire_structs_count; i++) {
        const struct wire_struct *w = &codec_wire_structs[i];
        for (uint32_t k = w->first; k < w->first + w->fields + w->tags; k++) {
            const struct wire_field *f = &codec_wire_fields[k];
            size_t least = wire_element_min_bytes(f), taken = (f->element_bytes + 15u) & ~15u;
            if (f->op == WIRE_POINTER || f->op == WIRE_TAGGED_POINTER)
                least++;
            if (f->op >= WIRE_POINTER && taken > MESSAGE_MEMORY_FACTOR * least)
                fail_msg("%s.%s takes %zu bytes for %zu", codec_names + codec_structs[w->info].name,
                         codec_names + codec_fields[f->field].name, taken, least);
        }
    }
}

static void types_are_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < codec_messages_count; i++) {
        const struct message_type *type = codec_messages[i];
        assert_ptr_equal(message_find(type->name), type);
        if (type->key >= 0)
            assert_ptr_equal(message_find_key(type->kind, type->key), type);
    }
    assert_null(message_find("NoSuchRequest"));
    assert_ptr_equal(message_find_key(MESSAGE_METADATA_RECORD, 2), &topic_record_type);
    assert_ptr_equal(message_find_key(MESSAGE_GROUP_VALUE, 1), &offset_commit_value_type);
    assert_ptr_equal(message_find_key(MESSAGE_REMOTE_LOG_RECORD, 0),
                     &remote_log_segment_metadata_record_type);
    assert_null(message_find_key(MESSAGE_METADATA_RECORD, 6)); // a gap
    assert_null(message_find_key(MESSAGE_METADATA_RECORD, 1000));
    assert_null(message_find_key(MESSAGE_METADATA_RECORD, -1));
    assert_null(message_find_key(MESSAGE_DATA, 0));
}

static void apis(void **state)
{
    (void)state;
    size_t count;
    const struct api *all = api_all(&count);
    assert_int_equal(count, 93);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(all[i].key, i);
        assert_ptr_equal(api_find(all[i].key), &all[i]);
    }
    assert_null(api_find(93));
    assert_null(api_find(-1));
    const struct api *fetch = api_find(1), *api_versions = api_find(18), *init = api_find(22);
    assert_string_equal(fetch->name, "Fetch");
    assert_ptr_equal(fetch->response, &fetch_response_type);
    assert_int_equal(fetch->listeners, API_ON_BROKER | API_ON_CONTROLLER);
    assert_int_equal(api_request_header_version(fetch, 11), 1);
    assert_int_equal(api_request_header_version(fetch, 12), 2);
    assert_int_equal(api_response_header_version(fetch, 11), 0);
    assert_int_equal(api_response_header_version(fetch, 12), 1);
    assert_int_equal(api_request_header_version(api_versions, 99), 2);
    assert_int_equal(api_response_header_version(api_versions, 4), 0);
    assert_int_equal(api_request_header_version(api_find(17), 1), 1); // never flexible
    assert_int_equal(init->request->max_version, 6);
    assert_int_equal(init->max_stable, 5);
    assert_false(message_has_version(api_find(4)->request, 0)); // LeaderAndIsr is gone
}

static void error_codes(void **state)
{
    (void)state;
    assert_string_equal(error_code_name(E_NONE), "NONE");
    assert_string_equal(error_code_name(-1), "UNKNOWN_SERVER_ERROR");
    assert_string_equal(error_code_name(E_OPERATION_NOT_ATTEMPTED), "OPERATION_NOT_ATTEMPTED");
    assert_string_equal(error_code_message(E_UNKNOWN_TOPIC_OR_PARTITION),
                        "This server does not host this topic-partition.");
    assert_string_equal(error_code_name(999), "UNKNOWN");
    assert_string_equal(error_code_name(-2), "UNKNOWN");
    assert_ptr_equal(error_code_message(INT16_MAX), error_code_message(E_UNKNOWN_SERVER_ERROR));
    assert_true(error_code_retriable(E_NOT_LEADER_OR_FOLLOWER));
    assert_false(error_code_retriable(E_OFFSET_OUT_OF_RANGE));
    for (int16_t code = -1; code <= 133; code++)
        assert_true(strlen(error_code_message(code)) > 0 && strcmp(error_code_name(code), "UNKNOWN") != 0);
}

static void what_a_version_begins_with(void **state)
{
    (void)state;
    assert_true(message_begins_with(&describe_configs_response_type, 4, "throttleTimeMs"));
    assert_true(message_begins_with(&offset_fetch_response_type, 8, "throttleTimeMs"));
    assert_false(message_begins_with(&offset_fetch_response_type, 2, "throttleTimeMs")); // it has none
    assert_false(message_begins_with(&produce_response_type, 9, "throttleTimeMs"));      // it ends with it
    assert_false(message_begins_with(&describe_quorum_response_type, 1, "throttleTimeMs"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_input_is_refused),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(unknown_tags_are_skipped),
        cmocka_unit_test(what_is_only_looked_at_counts),
        cmocka_unit_test(used_stops_before_what_follows),
        cmocka_unit_test(booleans_and_presence_bytes_are_read_as_kafka_does),
        cmocka_unit_test(absent_fields_have_their_defaults),
        cmocka_unit_test(fields_that_a_version_lacks),
        cmocka_unit_test(a_null_that_is_no_default),
        cmocka_unit_test(external_records_are_left_to_the_caller),
        cmocka_unit_test(json_is_kafkas),
        cmocka_unit_test(json_of_a_log_is_brief_and_without_secrets),
        cmocka_unit_test(transaction_log_value_0),
        cmocka_unit_test(memory_factor_holds),
        cmocka_unit_test(types_are_found),
        cmocka_unit_test(what_a_version_begins_with),
        cmocka_unit_test(apis),
        cmocka_unit_test(error_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
