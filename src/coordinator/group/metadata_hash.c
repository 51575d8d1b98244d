#include "coordinator/group/metadata_hash.h"

#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define MAGIC 0 // the version of what is hashed

static void put(XXH3_state_t *state, uint64_t value, size_t size) // little endian
{
    uint8_t bytes[8];
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(value >> 8 * i);
    XXH3_64bits_update(state, bytes, size);
}

// A character of UTF-8; what is none counts as one byte.
static uint32_t next_character(struct str s, size_t *at)
{
    uint8_t first = (uint8_t)s.data[*at];
    size_t more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : first >= 0xc0 ? 1 : 0;
    uint32_t c = more == 0 ? first : first & (0x3fu >> more);
    for ((*at)++; more > 0 && *at < s.size; more--, (*at)++)
        c = c << 6 | ((uint8_t)s.data[*at] & 0x3f);
    return c;
}

// Its characters of UTF-16; returns how many.
static uint32_t put_characters(XXH3_state_t *state, struct str s)
{
    uint32_t length = 0;
    for (size_t at = 0; at < s.size; length++) {
        uint32_t c = next_character(s, &at);
        if (c < 0x10000) {
            put(state, c, 2);
            continue;
        }
        put(state, 0xd800 + ((c - 0x10000) >> 10), 2);
        put(state, 0xdc00 + ((c - 0x10000) & 0x3ff), 2);
        length++;
    }
    return length;
}

static void put_text(XXH3_state_t *state, struct str s)
{
    put(state, put_characters(state, s), 4);
}

static uint32_t utf16_size(struct str s)
{
    uint32_t length = 0;
    for (size_t at = 0; at < s.size; length++)
        length += next_character(s, &at) >= 0x10000;
    return length;
}

static uint64_t half(const struct uuid *id, size_t from)
{
    uint64_t value = 0;
    for (size_t i = 0; i < 8; i++)
        value = value << 8 | id->bytes[from + i];
    return value;
}

static int compare(const void *a, const void *b)
{
    return str_compare(*(const struct str *)a, *(const struct str *)b);
}

int64_t metadata_hash_topic(const struct uuid *id, struct str name, int32_t partitions, topic_racks *racks_of,
                            const void *context)
{
    XXH3_state_t state;
    XXH3_64bits_reset(&state);
    put(&state, MAGIC, 1);
    put(&state, half(id, 0), 8);
    put(&state, half(id, 8), 8);
    put_text(&state, name);
    put(&state, (uint32_t)partitions, 4);
    for (int32_t i = 0; i < partitions; i++) {
        struct str racks[TOPIC_RACKS_MOST];
        uint32_t count = racks_of(context, i, racks, TOPIC_RACKS_MOST);
        count = count < TOPIC_RACKS_MOST ? count : TOPIC_RACKS_MOST;
        put(&state, (uint32_t)i, 4);
        if (count > 1)
            qsort(racks, count, sizeof *racks, compare);
        for (uint32_t k = 0; k < count; k++) {
            put(&state, utf16_size(racks[k]), 4);
            put_text(&state, racks[k]);
        }
    }
    return (int64_t)XXH3_64bits_digest(&state);
}

int64_t metadata_hash_group(const int64_t *topics, uint32_t count)
{
    if (count == 0)
        return 0;
    XXH3_state_t state;
    XXH3_64bits_reset(&state);
    for (uint32_t i = 0; i < count; i++)
        put(&state, (uint64_t)topics[i], 8);
    return (int64_t)XXH3_64bits_digest(&state);
}
