#include "unit.h"

#include "base/error.h"
#include "storage/compress.h"

#include <lz4frame.h>
#include <pthread.h>
#include <snappy-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define LIMIT (64u << 20)

static const enum compression packed_types[] = {COMPRESSION_GZIP, COMPRESSION_SNAPPY, COMPRESSION_LZ4,
                                                COMPRESSION_ZSTD};
#define PACKED_TYPES (sizeof packed_types / sizeof *packed_types)

static struct bytes view(const struct buffer *b)
{
    return (struct bytes){b->data, b->size};
}

// Compresses well here and badly there.
static void fill(struct buffer *b, size_t size)
{
    while (b->size < size) {
        if (random() % 3 == 0) {
            for (int i = 0; i < 100; i++)
                buffer_byte(b, (uint8_t)random());
        } else {
            buffer_printf(b, "{\"user\":%ld,\"path\":\"/articles/%ld\",\"status\":200}", random() % 100,
                          random() % 10);
        }
    }
    b->size = size;
}

static void every_type_and_level_round_trips(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 100, 32768, 32769, 65536, 65537, 300000};
    static const int levels[] = {COMPRESSION_LEVEL_DEFAULT, -131072, -1, 1, 3, 9, 17, 22};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        struct buffer plain = BUFFER_INIT, packed = BUFFER_INIT, back = BUFFER_INIT;
        fill(&plain, sizes[s]);
        for (int type = 0; type < COMPRESSION_TYPES; type++) {
            for (size_t l = 0; l < sizeof levels / sizeof *levels; l++) {
                buffer_clear(&packed);
                buffer_clear(&back);
                int err = compress_append((enum compression)type, levels[l], view(&plain), &packed);
                if (!compression_level_valid((enum compression)type, levels[l])) {
                    assert_int_equal(err, ERR_INVALID);
                    continue;
                }
                assert_int_equal(err, 0);
                assert_int_equal(decompress_append((enum compression)type, view(&packed), LIMIT, &back), 0);
                assert_int_equal(back.size, plain.size);
                if (plain.size)
                    assert_memory_equal(back.data, plain.data, plain.size);
            }
        }
        buffer_free(&plain);
        buffer_free(&packed);
        buffer_free(&back);
    }
}

static void names_and_levels(void **state)
{
    (void)state;
    static const struct {
        enum compression type;
        int level;
        bool valid;
    } cases[] = {
        {COMPRESSION_GZIP, -1, true},   {COMPRESSION_GZIP, 0, false},      {COMPRESSION_GZIP, 9, true},
        {COMPRESSION_GZIP, 10, false},  {COMPRESSION_LZ4, 1, true},        {COMPRESSION_LZ4, 0, false},
        {COMPRESSION_LZ4, 17, true},    {COMPRESSION_LZ4, 18, false},      {COMPRESSION_ZSTD, 22, true},
        {COMPRESSION_ZSTD, 23, false},  {COMPRESSION_ZSTD, -131072, true}, {COMPRESSION_SNAPPY, 1, false},
        {(enum compression)5, 1, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(compression_level_valid(cases[i].type, cases[i].level), cases[i].valid);
    enum compression type;
    for (int i = 0; i < COMPRESSION_TYPES; i++) {
        assert_int_equal(compression_from_name(str_from(compression_name((enum compression)i)), &type), 0);
        assert_int_equal(type, i);
    }
    assert_int_equal(compression_from_name(STR("uncompressed"), &type), 0);
    assert_int_equal(type, COMPRESSION_NONE);
    assert_int_equal(compression_from_name(STR("brotli"), &type), ERR_INVALID);
    assert_null(compression_name((enum compression)7));
}

static void the_output_is_limited(void **state)
{
    (void)state;
    struct buffer zeros = BUFFER_INIT;
    assert_non_null(buffer_reserve(&zeros, 20u << 20));
    zeros.size = 20u << 20;
    memset(zeros.data, 0, zeros.size);
    for (size_t i = 0; i < PACKED_TYPES; i++) {
        struct buffer packed = BUFFER_INIT, back = BUFFER_INIT;
        assert_int_equal(compress_append(packed_types[i], COMPRESSION_LEVEL_DEFAULT, view(&zeros), &packed),
                         0);
        assert_int_equal(decompress_append(packed_types[i], view(&packed), 1u << 20, &back), ERR_LIMIT);
        assert_true(back.capacity <= 4u << 20); // grown as produced, not by what the sender promises
        buffer_clear(&back);
        assert_int_equal(decompress_append(packed_types[i], view(&packed), zeros.size, &back), 0);
        buffer_clear(&back);
        assert_int_equal(decompress_append(packed_types[i], view(&packed), zeros.size - 1, &back), ERR_LIMIT);
        buffer_free(&packed);
        buffer_free(&back);
    }
    buffer_free(&zeros);
}

static void every_cut_is_noticed(void **state)
{
    (void)state;
    struct buffer plain = BUFFER_INIT;
    fill(&plain, 2000);
    for (size_t i = 0; i < PACKED_TYPES; i++) {
        struct buffer packed = BUFFER_INIT, back = BUFFER_INIT;
        assert_int_equal(compress_append(packed_types[i], COMPRESSION_LEVEL_DEFAULT, view(&plain), &packed),
                         0);
        for (size_t size = 0; size < packed.size; size++) {
            uint8_t *cut = malloc(size ? size : 1); // its own allocation, so that a sanitizer sees its end
            memcpy(cut, packed.data, size);
            buffer_clear(&back);
            int err = decompress_append(packed_types[i], (struct bytes){cut, size}, LIMIT, &back);
            if (size == 16 && packed_types[i] == COMPRESSION_SNAPPY)
                assert_int_equal(err, 0); // a header and no block: nothing, well framed
            else if (size > 0 || packed_types[i] != COMPRESSION_ZSTD)
                assert_true(err == ERR_TRUNCATED || err == ERR_CORRUPT || err == ERR_RANGE);
            free(cut);
        }
        buffer_free(&packed);
        buffer_free(&back);
    }
    buffer_free(&plain);
}

// Random damage never reads outside (a sanitizer's business) and never gives more than the limit.
static void damage_is_survived(void **state)
{
    (void)state;
    unsigned seed = (unsigned)time(NULL);
    print_message("seed %u\n", seed);
    srandom(seed);
    for (int round = 0; round < 4000; round++) {
        enum compression type = packed_types[(size_t)round % PACKED_TYPES];
        struct buffer plain = BUFFER_INIT, packed = BUFFER_INIT, back = BUFFER_INIT;
        fill(&plain, (size_t)random() % 3000);
        assert_int_equal(compress_append(type, COMPRESSION_LEVEL_DEFAULT, view(&plain), &packed), 0);
        for (long n = 1 + random() % 4; n > 0; n--)
            packed.data[(size_t)random() % packed.size] = (uint8_t)random();
        int err = decompress_append(type, view(&packed), 1u << 20, &back);
        assert_true(err == 0 || err == ERR_CORRUPT || err == ERR_TRUNCATED || err == ERR_RANGE ||
                    err == ERR_LIMIT);
        assert_true(back.size <= (1u << 20) + 1);
        buffer_free(&plain);
        buffer_free(&packed);
        buffer_free(&back);
    }
}

static void raw_and_concatenated_snappy_is_read(void **state)
{
    (void)state;
    struct buffer plain = BUFFER_INIT, back = BUFFER_INIT, framed = BUFFER_INIT;
    fill(&plain, 5000);
    char packed[8000];
    size_t size = sizeof packed;
    assert_int_equal(snappy_compress((const char *)plain.data, plain.size, packed, &size), SNAPPY_OK);
    assert_int_equal(
        decompress_append(COMPRESSION_SNAPPY, (struct bytes){(const uint8_t *)packed, size}, LIMIT, &back),
        0);
    assert_int_equal(back.size, plain.size);
    assert_memory_equal(back.data, plain.data, plain.size);

    // Two framed streams behind each other, as Java's reader takes them.
    for (int i = 0; i < 2; i++)
        assert_int_equal(
            compress_append(COMPRESSION_SNAPPY, COMPRESSION_LEVEL_DEFAULT, view(&plain), &framed), 0);
    buffer_clear(&back);
    assert_int_equal(decompress_append(COMPRESSION_SNAPPY, view(&framed), LIMIT, &back), 0);
    assert_int_equal(back.size, 2 * plain.size);

    // A raw block that promises 4 GB in a few bytes is refused before anything is allocated for it.
    static const uint8_t promise[] = {0xff, 0xff, 0xff, 0xff, 0x0f, 0x00, 'x'};
    buffer_free(&back);
    assert_int_equal(
        decompress_append(COMPRESSION_SNAPPY, (struct bytes){promise, sizeof promise}, LIMIT, &back),
        ERR_CORRUPT);
    assert_true(back.capacity <= 65536);
    buffer_free(&plain);
    buffer_free(&framed);
    buffer_free(&back);
}

static void gzip_members_and_zstd_frames_join(void **state)
{
    (void)state;
    static const enum compression joinable[] = {COMPRESSION_GZIP, COMPRESSION_ZSTD};
    for (size_t i = 0; i < 2; i++) {
        struct buffer plain = BUFFER_INIT, packed = BUFFER_INIT, back = BUFFER_INIT;
        fill(&plain, 1000);
        for (int k = 0; k < 2; k++)
            assert_int_equal(compress_append(joinable[i], COMPRESSION_LEVEL_DEFAULT, view(&plain), &packed),
                             0);
        assert_int_equal(decompress_append(joinable[i], view(&packed), LIMIT, &back), 0);
        assert_int_equal(back.size, 2000);
        buffer_free(&plain);
        buffer_free(&packed);
        buffer_free(&back);
    }
}

static void lz4_frames_of_every_block_size(void **state)
{
    (void)state;
    struct buffer plain = BUFFER_INIT;
    fill(&plain, 200000);
    for (int size = LZ4F_max64KB; size <= LZ4F_max4MB; size++) {
        for (int mode = LZ4F_blockLinked; mode <= LZ4F_blockIndependent; mode++) {
            LZ4F_preferences_t p = {.frameInfo = {.blockSizeID = (LZ4F_blockSizeID_t)size,
                                                  .blockMode = (LZ4F_blockMode_t)mode,
                                                  .contentChecksumFlag = LZ4F_contentChecksumEnabled,
                                                  .blockChecksumFlag = LZ4F_blockChecksumEnabled}};
            size_t bound = LZ4F_compressFrameBound(plain.size, &p);
            uint8_t *packed = malloc(bound);
            size_t n = LZ4F_compressFrame(packed, bound, plain.data, plain.size, &p);
            struct buffer back = BUFFER_INIT;
            bool independent = packed[4] & 0x20; // the library makes small frames independent by itself
            int err = decompress_append(COMPRESSION_LZ4, (struct bytes){packed, n}, LIMIT, &back);
            assert_int_equal(err, independent ? 0 : ERR_CORRUPT);
            packed[6] ^= 1; // the header's checksum
            assert_int_equal(decompress_append(COMPRESSION_LZ4, (struct bytes){packed, n}, LIMIT, &back),
                             ERR_CORRUPT);
            free(packed);
            buffer_free(&back);
        }
    }
    buffer_free(&plain);
}

// What one client sends must not make the next one's frames unreadable.
static void a_damaged_lz4_frame_spoils_no_other(void **state)
{
    (void)state;
    struct buffer plain = BUFFER_INIT, good = BUFFER_INIT;
    fill(&plain, 5000);
    LZ4F_preferences_t p = {.frameInfo = {.blockMode = LZ4F_blockIndependent, .contentSize = plain.size}};
    uint8_t sized[8192];
    size_t n = LZ4F_compressFrame(sized, sizeof sized, plain.data, plain.size, &p);
    assert_false(LZ4F_isError(n));
    assert_int_equal(compress_append(COMPRESSION_LZ4, COMPRESSION_LEVEL_DEFAULT, view(&plain), &good), 0);
    for (size_t cut = 15; cut < n; cut += 97) {
        struct buffer back = BUFFER_INIT;
        assert_true(decompress_append(COMPRESSION_LZ4, (struct bytes){sized, cut}, LIMIT, &back) < 0);
        buffer_clear(&back);
        assert_int_equal(decompress_append(COMPRESSION_LZ4, view(&good), LIMIT, &back), 0);
        assert_int_equal(back.size, plain.size);
        buffer_free(&back);
    }
    buffer_free(&plain);
    buffer_free(&good);
}

static void *in_a_thread(void *arg)
{
    every_type_and_level_round_trips(arg);
    return NULL;
}

// Contexts belong to their thread and go with it (the leak sanitizer watches).
static void threads_have_their_own_contexts(void **state)
{
    (void)state;
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, in_a_thread, NULL), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(every_type_and_level_round_trips),
                                              cmocka_unit_test(names_and_levels),
                                              cmocka_unit_test(the_output_is_limited),
                                              cmocka_unit_test(every_cut_is_noticed),
                                              cmocka_unit_test(damage_is_survived),
                                              cmocka_unit_test(raw_and_concatenated_snappy_is_read),
                                              cmocka_unit_test(gzip_members_and_zstd_frames_join),
                                              cmocka_unit_test(lz4_frames_of_every_block_size),
                                              cmocka_unit_test(a_damaged_lz4_frame_spoils_no_other),
                                              cmocka_unit_test(threads_have_their_own_contexts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
