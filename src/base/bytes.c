#include "base/bytes.h"

size_t uvarint_read(const uint8_t *at, const uint8_t *end, uint32_t *out)
{
    uint64_t v = 0;
    for (size_t i = 0; i < VARINT_MAX_BYTES && at + i < end; i++) {
        v |= (uint64_t)(at[i] & 0x7f) << (7 * i);
        if (at[i] < 0x80) {
            if (v > UINT32_MAX)
                return 0;
            *out = (uint32_t)v;
            return i + 1;
        }
    }
    return 0;
}

size_t uvarlong_read(const uint8_t *at, const uint8_t *end, uint64_t *out)
{
    uint64_t v = 0;
    for (size_t i = 0; i < VARLONG_MAX_BYTES && at + i < end; i++) {
        if (i == VARLONG_MAX_BYTES - 1 && at[i] > 1)
            return 0;
        v |= (uint64_t)(at[i] & 0x7f) << (7 * i);
        if (at[i] < 0x80) {
            *out = v;
            return i + 1;
        }
    }
    return 0;
}

size_t uvarint_write(uint8_t *at, uint32_t v)
{
    return uvarlong_write(at, v);
}

size_t uvarlong_write(uint8_t *at, uint64_t v)
{
    size_t n = 0;
    while (v >= 0x80) {
        at[n++] = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    at[n++] = (uint8_t)v;
    return n;
}

// The length of the sequence that starts with `lead`, or 0; the second byte's range is in *low and *high.
static size_t utf8_sequence(uint8_t lead, uint8_t *low, uint8_t *high)
{
    *low = 0x80;
    *high = 0xbf;
    if (lead >= 0xc2 && lead <= 0xdf)
        return 2;
    if (lead >= 0xe0 && lead <= 0xef) {
        if (lead == 0xe0)
            *low = 0xa0; // shorter form exists
        if (lead == 0xed)
            *high = 0x9f; // surrogates
        return 3;
    }
    if (lead >= 0xf0 && lead <= 0xf4) {
        if (lead == 0xf0)
            *low = 0x90;
        if (lead == 0xf4)
            *high = 0x8f; // above U+10FFFF
        return 4;
    }
    return 0;
}

size_t utf8_front(const uint8_t *data, size_t size)
{
    uint8_t low, high;
    if (data[0] < 0x80)
        return 1;
    size_t n = utf8_sequence(data[0], &low, &high);
    if (n == 0 || n > size || data[1] < low || data[1] > high)
        return 0;
    for (size_t k = 2; k < n; k++)
        if ((data[k] & 0xc0) != 0x80)
            return 0;
    return n;
}

bool utf8_valid(const uint8_t *data, size_t size)
{
    for (size_t i = 0, n; i < size; i += n) {
        n = data[i] < 0x80 ? 1 : utf8_front(data + i, size - i);
        if (n == 0)
            return false;
    }
    return true;
}

bool str_to_integer(struct str s, int64_t minimum, int64_t maximum, int64_t *out)
{
    bool negative = s.size > 0 && s.data[0] == '-';
    size_t i = negative || (s.size > 0 && s.data[0] == '+');
    if (i == s.size)
        return false;
    int64_t v = 0; // negative, as the negative range is the larger one
    for (; i < s.size; i++) {
        if (s.data[i] < '0' || s.data[i] > '9' || __builtin_mul_overflow(v, 10, &v) ||
            __builtin_sub_overflow(v, s.data[i] - '0', &v))
            return false;
    }
    if (!negative && __builtin_sub_overflow(0, v, &v))
        return false;
    *out = v;
    return v >= minimum && v <= maximum;
}
