#include "unit.h"

#include "base/crc32c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint32_t bit_by_bit(const uint8_t *data, size_t size)
{
    uint32_t crc = ~0u;
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int k = 0; k < 8; k++)
            crc = (crc >> 1) ^ (0x82f63b78u & -(crc & 1));
    }
    return ~crc;
}

static void known_vectors(void **state)
{
    (void)state;
    static uint8_t zeros[32], ones[32], up[32];
    memset(ones, 0xff, sizeof ones);
    for (uint8_t i = 0; i < 32; i++)
        up[i] = i;
    static const struct {
        const void *data;
        size_t size;
        uint32_t crc;
    } cases[] = {{"", 0, 0},
                 {"123456789", 9, 0xe3069283u},
                 {zeros, 32, 0x8a9136aau}, // RFC 3720, B.4
                 {ones, 32, 0x62a8ab43u},
                 {up, 32, 0x46dd794eu}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(crc32c(cases[i].data, cases[i].size), cases[i].crc);
}

static void implementations_agree(void **state)
{
    (void)state;
    unsigned seed = (unsigned)time(NULL);
    print_message("seed %u\n", seed);
    srandom(seed);
    enum { SIZE = 40000 };
    uint8_t *data = malloc(SIZE);
    for (size_t i = 0; i < SIZE; i++)
        data[i] = (uint8_t)random();
    size_t count;
    const struct crc32c_implementation *all = crc32c_implementations(&count);
    for (size_t i = 0; i < count; i++)
        print_message("%s: %s\n", all[i].name, all[i].supported() ? "compared" : "not of this processor");
    for (int round = 0; round < 400; round++) {
        size_t start = (size_t)random() % 64;
        size_t size = (size_t)random() % (round % 2 ? 700 : SIZE - 64),
               cut = size ? (size_t)random() % size : 0;
        uint32_t want = bit_by_bit(data + start, size);
        for (size_t i = 0; i < count; i++) {
            if (!all[i].supported())
                continue;
            assert_int_equal(all[i].extend(0, data + start, size), want);
            uint32_t first = all[i].extend(0, data + start, cut);
            assert_int_equal(all[i].extend(first, data + start + cut, size - cut), want);
        }
    }
    free(data);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(known_vectors),
                                              cmocka_unit_test(implementations_agree)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
