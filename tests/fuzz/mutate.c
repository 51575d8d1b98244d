// Runs the codec's fuzz target without libFuzzer: on every vector, then on seeded mutations of vectors, for a
// bounded time. Or writes the vectors as a corpus for libFuzzer.
//
//   mutate VECTORS [SECONDS [SEED]]
//   mutate --corpus FOLDER VECTORS
//
// When it aborts, the last line on standard error says how to replay the input:
//   mutate VECTORS 0 SEED NUMBER
// (a sanitizer's build needs ASAN_OPTIONS=abort_on_error=1 for that)
#include "fuzz.h"
#include "vector_file.h"

#include "base/clock.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define INPUT_MAX_BYTES 65536
#define LOOK_EVERY      1024 // inputs between two looks at the clock

static char replay[128]; // how to run the current input again

struct inputs {
    struct bytes *items; // each a malloc
    size_t count, capacity;
};

static void add(void *context, const struct vector *v, struct arena *arena)
{
    (void)arena;
    struct inputs *inputs = context;
    if (v->problem)
        return;
    if (inputs->count == inputs->capacity) {
        inputs->capacity = inputs->capacity ? 2 * inputs->capacity : 1024;
        inputs->items = realloc(inputs->items, inputs->capacity * sizeof *inputs->items);
    }
    uint8_t *data = malloc(FUZZ_CODEC_HEADER_BYTES + v->body.size);
    if (!inputs->items || !data)
        exit(2);
    size_t header = fuzz_codec_header(v->type, v->version, data);
    memcpy(data + header, v->body.data, v->body.size);
    inputs->items[inputs->count++] = (struct bytes){data, header + v->body.size};
}

// xorshift64*: the same everywhere for a seed.
static uint64_t next_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(0x2545f4914f6cdd1d);
}

static size_t below(uint64_t *state, size_t bound)
{
    return (size_t)((next_random(state) >> 11) % (bound ? bound : 1));
}

// One change to the body (sometimes the header) in place; returns the new size.
static size_t mutate_once(uint8_t *data, size_t size, uint64_t *random)
{
    static const uint8_t telling[] = {0x00, 0x01, 0x02, 0x7f, 0x80, 0x81, 0xfe, 0xff};
    if (size <= FUZZ_CODEC_HEADER_BYTES)
        return size;
    size_t at =
        below(random, 50) == 0 ? 2 : FUZZ_CODEC_HEADER_BYTES + below(random, size - FUZZ_CODEC_HEADER_BYTES);
    size_t rest = size - at, run = 1 + below(random, rest < 16 ? rest : 16);
    switch (below(random, 6)) {
    case 0:
        data[at] ^= (uint8_t)(1u << below(random, 8));
        break;
    case 1:
        data[at] = telling[below(random, sizeof telling)];
        break;
    case 2: // a length or count
        for (size_t i = 0; i < run && i < 4; i++)
            data[at + i] = telling[below(random, sizeof telling)];
        break;
    case 3: // cut out
        memmove(data + at, data + at + run, rest - run);
        return size - run;
    case 4: // said twice
        if (size + run > INPUT_MAX_BYTES)
            break;
        memmove(data + at + run, data + at, rest);
        return size + run;
    default: // cut short
        return at;
    }
    return size;
}

// A copy of its own size, so that a sanitizer sees the first byte read beyond it.
static void try(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy)
        exit(2);
    memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void say_replay(int signal_number)
{
    if (write(STDERR_FILENO, replay, strlen(replay)) < 0)
        _exit(2);
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static void try_mutation(const struct inputs *inputs, uint64_t seed, uint64_t number)
{
    static uint8_t data[INPUT_MAX_BYTES];
    snprintf(replay, sizeof replay, "replay with: mutate VECTORS 0 %llu %llu\n", (unsigned long long)seed,
             (unsigned long long)number);
    uint64_t random = (seed + number) * UINT64_C(0x9e3779b97f4a7c15) | 1;
    struct bytes from = inputs->items[below(&random, inputs->count)];
    size_t size = from.size < sizeof data ? from.size : sizeof data;
    memcpy(data, from.data, size);
    for (size_t n = 1 + below(&random, 4); n; n--)
        size = mutate_once(data, size, &random);
    try(data, size);
}

static int run(const struct inputs *inputs, int64_t seconds, uint64_t seed)
{
    int64_t end_ms = clock_monotonic_ms() + 1000 * seconds;
    uint64_t number = 0;
    for (size_t i = 0; i < inputs->count; i++)
        try(inputs->items[i].data, inputs->items[i].size);
    while (clock_monotonic_ms() < end_ms) {
        for (size_t i = 0; i < LOOK_EVERY; i++)
            try_mutation(inputs, seed, number++);
    }
    printf("%zu vectors and %llu mutations, seed %llu: 1 passed, 0 failed\n", inputs->count,
           (unsigned long long)number, (unsigned long long)seed);
    return 0;
}

static int write_corpus(const struct inputs *inputs, const char *folder)
{
    mkdir(folder, 0777);
    for (size_t i = 0; i < inputs->count; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/vector-%04zu", folder, i);
        FILE *file = fopen(path, "wb");
        if (!file || fwrite(inputs->items[i].data, 1, inputs->items[i].size, file) != inputs->items[i].size ||
            fclose(file) != 0) {
            perror(path);
            return 1;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct inputs inputs = {0};
    bool corpus = argc == 4 && strcmp(argv[1], "--corpus") == 0;
    if (argc < 2) {
        fprintf(stderr,
                "usage: mutate VECTORS [SECONDS [SEED [NUMBER]]]\n       mutate --corpus FOLDER VECTORS\n");
        return 2;
    }
    if (vector_file_each(argv[corpus ? 3 : 1], add, &inputs) || inputs.count == 0)
        return 2;
    signal(SIGABRT, say_replay);
    signal(SIGSEGV, say_replay);
    int64_t seconds = argc > 2 && !corpus ? strtoll(argv[2], NULL, 10) : 5;
    uint64_t seed = argc > 3 && !corpus ? strtoull(argv[3], NULL, 10) : (uint64_t)clock_wall_ms();
    int rc = 0;
    if (corpus)
        rc = write_corpus(&inputs, argv[2]);
    else if (argc > 4)
        try_mutation(&inputs, seed, strtoull(argv[4], NULL, 10));
    else
        rc = run(&inputs, seconds, seed);
    for (size_t i = 0; i < inputs.count; i++)
        free((void *)(uintptr_t)inputs.items[i].data);
    free(inputs.items);
    return rc;
}
