// Fuzz target of the codec. Two bytes choose the message, one its version, the rest is its body. Whatever
// decodes must encode in the promised size, and what was encoded must mean the same: again the same bytes and
// JSON.
#include "fuzz.h"

#include "protocol/messages.h"
#include "protocol/tables.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#define REQUIRE(condition)                                                                   \
    do {                                                                                     \
        if (!(condition)) {                                                                  \
            fprintf(stderr, "%s version %d: not so: %s\n", type->name, version, #condition); \
            abort();                                                                         \
        }                                                                                    \
    } while (0)

size_t fuzz_codec_header(const struct message_type *type, int16_t version,
                         uint8_t out[FUZZ_CODEC_HEADER_BYTES])
{
    uint16_t index = 0;
    while (codec_messages[index] != type)
        index++;
    store_be16(out, index);
    out[2] = (uint8_t)(version - type->min_version);
    return FUZZ_CODEC_HEADER_BYTES;
}

static void check_json(const struct message_type *type, int16_t version, const void *first,
                       const void *second)
{
    struct buffer a = BUFFER_INIT, b = BUFFER_INIT;
    REQUIRE(message_json(type, version, first, &a) == 0);
    REQUIRE(message_json(type, version, second, &b) == 0);
    REQUIRE(a.size == b.size && memcmp(a.data, b.data, a.size) == 0);
    json_t *parsed = json_loadb((const char *)a.data, a.size, JSON_ALLOW_NUL, NULL);
    REQUIRE(json_is_object(parsed));
    json_decref(parsed);
    buffer_free(&a);
    buffer_free(&b);
}

static void check_decoded(const struct message_type *type, int16_t version, const void *message, size_t used)
{
    struct arena arena;
    struct bytes encoded, again;
    arena_init(&arena, 0);
    void *second = malloc(type->size_bytes);
    REQUIRE(second && message_to_bytes(type, version, message, &arena, &encoded) == 0);
    REQUIRE(encoded.size <= used); // less where unknown tags and spelled-out defaults fell away
    REQUIRE(message_decode(type, version, encoded, &arena, second, NULL) == 0);
    REQUIRE(message_to_bytes(type, version, second, &arena, &again) == 0);
    REQUIRE(again.size == encoded.size && memcmp(again.data, encoded.data, again.size) == 0);
    check_json(type, version, message, second);
    free(second);
    arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < FUZZ_CODEC_HEADER_BYTES)
        return 0;
    const struct message_type *type = codec_messages[load_be16(data) % codec_messages_count];
    if (type->min_version > type->max_version)
        return 0;
    int16_t version = (int16_t)(type->min_version + data[2] % (type->max_version - type->min_version + 1));
    struct bytes body = {data + FUZZ_CODEC_HEADER_BYTES, size - FUZZ_CODEC_HEADER_BYTES};
    struct arena arena;
    size_t used = 0;
    arena_init(&arena, MESSAGE_MEMORY_FACTOR * (body.size + 1));
    void *message = malloc(type->size_bytes);
    if (!message)
        abort();
    int rc = message_decode(type, version, body, &arena, message, &used);
    REQUIRE(rc != ERR_NOMEM); // the promised factor
    REQUIRE(rc != 0 || used <= body.size);
    if (rc == 0)
        check_decoded(type, version, message, used);
    free(message);
    arena_free(&arena);
    return 0;
}
