// Views of memory, big-endian loads and stores, and Kafka's varints (zig-zag and unsigned LEB128).
// A view owns nothing: whoever makes it says whose memory it shows.
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// Text, not terminated. data NULL is Kafka's null string (size is then 0); an empty string has data != NULL.
struct str {
    const char *data;
    size_t size;
};

// Bytes. data NULL is null (size is then 0); empty bytes have data != NULL.
struct bytes {
    const uint8_t *data;
    size_t size;
};

// One past the last byte; null for null, where C knows no addition.
static inline const uint8_t *bytes_end(struct bytes b)
{
    return b.data ? b.data + b.size : NULL;
}

static inline bool bytes_are_zero(struct bytes b)
{
    for (size_t i = 0; i < b.size; i++)
        if (b.data[i])
            return false;
    return true;
}

#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})
#define STR_NULL     ((struct str){NULL, 0})
#define BYTES_NULL   ((struct bytes){NULL, 0})
// For printf("%.*s", STR_ARG(s)).
#define STR_ARG(s) (int)(s).size, ((s).data ? (s).data : "")

static inline struct str str_from(const char *terminated)
{
    return terminated ? (struct str){terminated, strlen(terminated)} : STR_NULL;
}

static inline bool str_equal(struct str a, struct str b)
{
    return a.size == b.size && (a.data == NULL) == (b.data == NULL) &&
           (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool str_is(struct str a, const char *terminated)
{
    return a.data != NULL && a.size == strlen(terminated) && memcmp(a.data, terminated, a.size) == 0;
}

// Bytewise order, shorter first on a common prefix (Kafka's order of topic names).
static inline int str_compare(struct str a, struct str b)
{
    size_t n = a.size < b.size ? a.size : b.size;
    int c = n ? memcmp(a.data, b.data, n) : 0;
    return c ? c : (a.size > b.size) - (a.size < b.size);
}

// For qsort and bsearch: of structures that begin with a text, and of numbers.
static inline int compare_by_text(const void *a, const void *b)
{
    return str_compare(*(const struct str *)a, *(const struct str *)b);
}

static inline int compare_int32(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

// A number as Java parses it: an optional sign, then digits only. False when it is none, or outside the
// bounds.
bool str_to_integer(struct str s, int64_t minimum, int64_t maximum, int64_t *out);

static inline uint16_t load_be16(const void *at)
{
    uint16_t v;
    memcpy(&v, at, sizeof v);
    return __builtin_bswap16(v);
}

static inline uint32_t load_be32(const void *at)
{
    uint32_t v;
    memcpy(&v, at, sizeof v);
    return __builtin_bswap32(v);
}

static inline uint64_t load_be64(const void *at)
{
    uint64_t v;
    memcpy(&v, at, sizeof v);
    return __builtin_bswap64(v);
}

static inline void store_be16(void *at, uint16_t v)
{
    v = __builtin_bswap16(v);
    memcpy(at, &v, sizeof v);
}

static inline void store_be32(void *at, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(at, &v, sizeof v);
}

static inline void store_be64(void *at, uint64_t v)
{
    v = __builtin_bswap64(v);
    memcpy(at, &v, sizeof v);
}

#define VARINT_MAX_BYTES  5  // of 32 bits
#define VARLONG_MAX_BYTES 10 // of 64 bits

// Reads an unsigned varint of at most 32 bits from [at, end). Returns the bytes used, or 0 when it does not
// end before `end`, is longer than 5 bytes or does not fit 32 bits.
size_t uvarint_read(const uint8_t *at, const uint8_t *end, uint32_t *out);

// The same for 64 bits (10 bytes).
size_t uvarlong_read(const uint8_t *at, const uint8_t *end, uint64_t *out);

// Write an unsigned varint; `at` has room for its maximum. Return the bytes written.
size_t uvarint_write(uint8_t *at, uint32_t v);
size_t uvarlong_write(uint8_t *at, uint64_t v);

static inline size_t uvarlong_size(uint64_t v)
{
    return (size_t)(63 - __builtin_clzll(v | 1)) / 7 + 1;
}

static inline size_t uvarint_size(uint32_t v)
{
    return uvarlong_size(v);
}

// Zig-zag, as records use it.
static inline uint32_t zigzag32(int32_t v)
{
    return ((uint32_t)v << 1) ^ (uint32_t)(v >> 31);
}

static inline int32_t unzigzag32(uint32_t v)
{
    return (int32_t)(v >> 1) ^ -(int32_t)(v & 1);
}

static inline uint64_t zigzag64(int64_t v)
{
    return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}

static inline int64_t unzigzag64(uint64_t v)
{
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

// Signed (zig-zag) varints, as records use them; same results as the unsigned ones.
static inline size_t varint_read(const uint8_t *at, const uint8_t *end, int32_t *out)
{
    uint32_t u = 0;
    size_t n = uvarint_read(at, end, &u);
    *out = unzigzag32(u);
    return n;
}

static inline size_t varlong_read(const uint8_t *at, const uint8_t *end, int64_t *out)
{
    uint64_t u = 0;
    size_t n = uvarlong_read(at, end, &u);
    *out = unzigzag64(u);
    return n;
}

static inline size_t varint_write(uint8_t *at, int32_t v)
{
    return uvarint_write(at, zigzag32(v));
}

static inline size_t varlong_write(uint8_t *at, int64_t v)
{
    return uvarlong_write(at, zigzag64(v));
}

static inline size_t varint_size(int32_t v)
{
    return uvarint_size(zigzag32(v));
}

static inline size_t varlong_size(int64_t v)
{
    return uvarlong_size(zigzag64(v));
}

// Whether the bytes are well-formed UTF-8 (no overlong forms, no surrogates, at most U+10FFFF).
bool utf8_valid(const uint8_t *data, size_t size);

// The size of the well-formed character in front of these bytes (one at least), or 0.
size_t utf8_front(const uint8_t *data, size_t size);

#endif
