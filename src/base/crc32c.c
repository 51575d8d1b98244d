#include "base/crc32c.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

// The polynomial, bit-reflected: bit i stands for x^(31-i), as in every value here.
#define POLYNOMIAL 0x82f63b78u

// The processors' instructions take 3 cycles each but start one every cycle, so that three stretches of the
// input are taken at once and their checksums joined: long stretches first, then short ones.
#define LONG_STRETCH  4096
#define SHORT_STRETCH 192

typedef uint32_t extend_fn(uint32_t crc, const void *data, size_t size);

static uint32_t tables[8][256];

// x^(8n-33) mod P for n = one and two stretches: what joins checksums by carry-less multiplication.
static struct join_factors {
    uint32_t one, two;
} long_factors, short_factors;

static uint32_t x_to_33;

// x^(n+31) mod P and x^(n-33) mod P for n = the bits of FOLD_BYTES: they move 16 bytes that far ahead.
#define FOLD_BYTES 256

static uint32_t fold_first, fold_second;

static pthread_once_t prepared = PTHREAD_ONCE_INIT;

// a(x) * b(x) mod P.
static uint32_t multiply(uint32_t a, uint32_t b)
{
    uint32_t product = 0;
    for (uint32_t bit = 0x80000000u; bit; bit >>= 1) {
        product ^= b & -(uint32_t)((a & bit) != 0);
        b = (b >> 1) ^ (POLYNOMIAL & -(b & 1));
    }
    return product;
}

// x^n mod P.
static uint32_t power_of_x(uint64_t n)
{
    uint32_t result = 0x80000000u, square = 0x40000000u;
    for (; n; n >>= 1) {
        if (n & 1)
            result = multiply(result, square);
        square = multiply(square, square);
    }
    return result;
}

static void prepare(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int k = 0; k < 8; k++)
            crc = (crc >> 1) ^ (POLYNOMIAL & -(crc & 1));
        tables[0][i] = crc;
    }
    for (int t = 1; t < 8; t++)
        for (uint32_t i = 0; i < 256; i++)
            tables[t][i] = (tables[t - 1][i] >> 8) ^ tables[0][tables[t - 1][i] & 0xff];
    x_to_33 = power_of_x(33);
    fold_first = power_of_x(8 * FOLD_BYTES + 31);
    fold_second = power_of_x(8 * FOLD_BYTES - 33);
    long_factors =
        (struct join_factors){power_of_x(8 * LONG_STRETCH - 33), power_of_x(16 * LONG_STRETCH - 33)};
    short_factors =
        (struct join_factors){power_of_x(8 * SHORT_STRETCH - 33), power_of_x(16 * SHORT_STRETCH - 33)};
}

static inline uint64_t load64(const uint8_t *at)
{
    uint64_t v;
    memcpy(&v, at, sizeof v);
    return v;
}

static uint32_t extend_portable(uint32_t crc, const void *data, size_t size)
{
    const uint8_t *at = data;
    uint32_t c = ~crc;
    for (; size >= 8; at += 8, size -= 8) {
        uint64_t v = load64(at) ^ c;
        c = tables[7][v & 0xff] ^ tables[6][v >> 8 & 0xff] ^ tables[5][v >> 16 & 0xff] ^
            tables[4][v >> 24 & 0xff] ^ tables[3][v >> 32 & 0xff] ^ tables[2][v >> 40 & 0xff] ^
            tables[1][v >> 48 & 0xff] ^ tables[0][v >> 56];
    }
    for (; size; at++, size--)
        c = (c >> 8) ^ tables[0][(c ^ *at) & 0xff];
    return ~c;
}

static bool supported_always(void)
{
    return true;
}

#if defined(__x86_64__) || defined(__aarch64__)
// Joins without a carry-less multiplication, which not every processor has that has the crc instruction. The
// factors lack x^33 for the sake of join_pclmul.
static uint32_t join_plain(uint32_t a, uint32_t b, const struct join_factors *f)
{
    return multiply(multiply(a, f->two) ^ multiply(b, f->one), x_to_33);
}
#endif

// One function by instruction set: step8 and step1 take 8 bytes and 1, join(a, b, factors) gives the checksum
// of a followed by two stretches of zeros plus b followed by one.
#define DEFINE_EXTEND(name, attribute, step8, step1, join)                                           \
    attribute static uint32_t name(uint32_t crc, const void *data, size_t size)                      \
    {                                                                                                \
        const uint8_t *at = data;                                                                    \
        uint32_t c = ~crc;                                                                           \
        for (size_t stretch = LONG_STRETCH; stretch;                                                 \
             stretch = stretch == LONG_STRETCH ? SHORT_STRETCH : 0) {                                \
            const struct join_factors *f = stretch == LONG_STRETCH ? &long_factors : &short_factors; \
            for (; size >= 3 * stretch; at += 3 * stretch, size -= 3 * stretch) {                    \
                uint32_t c1 = 0, c2 = 0;                                                             \
                for (const uint8_t *p = at, *end = at + stretch; p < end; p += 8) {                  \
                    c = step8(c, load64(p));                                                         \
                    c1 = step8(c1, load64(p + stretch));                                             \
                    c2 = step8(c2, load64(p + 2 * stretch));                                         \
                }                                                                                    \
                c = join(c, c1, f) ^ c2;                                                             \
            }                                                                                        \
        }                                                                                            \
        for (; size >= 8; at += 8, size -= 8)                                                        \
            c = step8(c, load64(at));                                                                \
        for (; size; at++, size--)                                                                   \
            c = step1(c, *at);                                                                       \
        return ~c;                                                                                   \
    }

#if defined(__x86_64__)

#define TARGET_PCLMUL   __attribute__((target("sse4.2,pclmul")))
#define TARGET_SSE42    __attribute__((target("sse4.2")))
#define X86_STEP8(c, v) ((uint32_t)_mm_crc32_u64((c), (v)))
#define X86_STEP1(c, v) _mm_crc32_u8((c), (v))

// The product of two reflected 32-bit polynomials has 63 bits; read as 64 it is one power of x too high, and
// the crc instruction multiplies by x^32 more: hence the 33 in the factors.
TARGET_PCLMUL static inline uint32_t join_pclmul(uint32_t a, uint32_t b, const struct join_factors *f)
{
    __m128i x = _mm_clmulepi64_si128(_mm_cvtsi32_si128((int)a), _mm_cvtsi32_si128((int)f->two), 0);
    __m128i y = _mm_clmulepi64_si128(_mm_cvtsi32_si128((int)b), _mm_cvtsi32_si128((int)f->one), 0);
    return X86_STEP8(0, (uint64_t)_mm_cvtsi128_si64(_mm_xor_si128(x, y)));
}

DEFINE_EXTEND(extend_pclmul, TARGET_PCLMUL, X86_STEP8, X86_STEP1, join_pclmul)

DEFINE_EXTEND(extend_sse42, TARGET_SSE42, X86_STEP8, X86_STEP1, join_plain)

// Newer processors multiply four pairs of 64 bits at once. The checksum of a message is that of any other one
// with the same remainder mod P: FOLD_BYTES at a time are multiplied by a power of x that moves them on to
// the next FOLD_BYTES and added there, until one such stretch is left for the crc instruction.
#define TARGET_VPCLMUL __attribute__((target("sse4.2,pclmul,avx512f,vpclmulqdq")))

TARGET_VPCLMUL static inline __m512i fold(__m512i x, __m512i factors, const uint8_t *next)
{
    return _mm512_ternarylogic_epi64(_mm512_clmulepi64_epi128(x, factors, 0x00),
                                     _mm512_clmulepi64_epi128(x, factors, 0x11), _mm512_loadu_si512(next),
                                     0x96);
}

TARGET_VPCLMUL static uint32_t extend_vpclmul(uint32_t crc, const void *data, size_t size)
{
    const uint8_t *at = data;
    if (size < 4 * FOLD_BYTES)
        return extend_pclmul(crc, data, size);
    __m512i factors = _mm512_broadcast_i32x4(_mm_set_epi64x((int64_t)fold_second, (int64_t)fold_first));
    __m512i x0 = _mm512_loadu_si512(at), x1 = _mm512_loadu_si512(at + 64), x2 = _mm512_loadu_si512(at + 128),
            x3 = _mm512_loadu_si512(at + 192);
    x0 = _mm512_xor_si512(x0, _mm512_zextsi128_si512(_mm_cvtsi32_si128((int)~crc)));
    for (at += FOLD_BYTES, size -= FOLD_BYTES; size >= FOLD_BYTES; at += FOLD_BYTES, size -= FOLD_BYTES) {
        x0 = fold(x0, factors, at);
        x1 = fold(x1, factors, at + 64);
        x2 = fold(x2, factors, at + 128);
        x3 = fold(x3, factors, at + 192);
    }
    uint8_t left[FOLD_BYTES];
    _mm512_storeu_si512(left, x0);
    _mm512_storeu_si512(left + 64, x1);
    _mm512_storeu_si512(left + 128, x2);
    _mm512_storeu_si512(left + 192, x3);
    // ~0: what was known before is in x0 already.
    return extend_pclmul(extend_pclmul(~0u, left, sizeof left), at, size);
}

static bool supported_vpclmul(void)
{
    return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul") &&
           __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("vpclmulqdq");
}

static bool supported_sse42(void)
{
    return __builtin_cpu_supports("sse4.2");
}

static bool supported_pclmul(void)
{
    return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");
}

#elif defined(__aarch64__)

// Assembly, as clang 14 has the intrinsics only where the whole program is built for processors with them.
static inline uint32_t arm_step8(uint32_t crc, uint64_t v)
{
    __asm__(".arch_extension crc\n\tcrc32cx %w0, %w0, %x1" : "+r"(crc) : "r"(v));
    return crc;
}

static inline uint32_t arm_step1(uint32_t crc, uint8_t v)
{
    __asm__(".arch_extension crc\n\tcrc32cb %w0, %w0, %w1" : "+r"(crc) : "r"(v));
    return crc;
}

DEFINE_EXTEND(extend_armv8, , arm_step8, arm_step1, join_plain)

static bool supported_armv8(void)
{
    return (getauxval(AT_HWCAP) & (1 << 7)) != 0; // HWCAP_CRC32
}

#endif

static const struct crc32c_implementation implementations[] = {
#if defined(__x86_64__)
    {"avx512 vpclmul", extend_vpclmul, supported_vpclmul},
    {"sse4.2 pclmul", extend_pclmul, supported_pclmul},
    {"sse4.2", extend_sse42, supported_sse42},
#elif defined(__aarch64__)
    {"armv8", extend_armv8, supported_armv8},
#endif
    {"portable", extend_portable, supported_always},
};

const struct crc32c_implementation *crc32c_implementations(size_t *count)
{
    pthread_once(&prepared, prepare);
    *count = sizeof implementations / sizeof *implementations;
    return implementations;
}

static uint32_t extend_first(uint32_t crc, const void *data, size_t size);

static _Atomic(extend_fn *) chosen = extend_first;

// The first call: chooses, and every later one goes straight to the choice.
static uint32_t extend_first(uint32_t crc, const void *data, size_t size)
{
    size_t count;
    const struct crc32c_implementation *one = crc32c_implementations(&count);
    while (!one->supported())
        one++;
    atomic_store_explicit(&chosen, one->extend, memory_order_release);
    return one->extend(crc, data, size);
}

uint32_t crc32c_extend(uint32_t crc, const void *data, size_t size)
{
    return atomic_load_explicit(&chosen, memory_order_acquire)(crc, data, size);
}
