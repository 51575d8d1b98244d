#include "base/uuid.h"

#include "base/error.h"

#include <assert.h>
#include <sys/random.h>

static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void uuid_text(const struct uuid *id, char out[UUID_TEXT_BYTES])
{
    uint32_t bits = 0, held = 0, n = 0;
    for (size_t i = 0; i < sizeof id->bytes; i++) {
        bits = bits << 8 | id->bytes[i];
        for (held += 8; held >= 6; held -= 6)
            out[n++] = DIGITS[bits >> (held - 6) & 63];
    }
    out[n++] = DIGITS[bits << (6 - held) & 63];
    out[n] = 0;
}

int uuid_parse(struct str text, struct uuid *out)
{
    if (text.size != UUID_TEXT_BYTES - 1)
        return ERR_INVALID;
    uint32_t bits = 0, held = 0, n = 0;
    for (size_t i = 0; i < text.size; i++) {
        const char *digit = text.data[i] ? strchr(DIGITS, text.data[i]) : NULL;
        if (!digit)
            return ERR_INVALID;
        bits = bits << 6 | (uint32_t)(digit - DIGITS);
        held += 6;
        if (held >= 8 && n < sizeof out->bytes) {
            held -= 8;
            out->bytes[n++] = (uint8_t)(bits >> held);
        }
    }
    return bits & 15 ? ERR_INVALID : 0; // the last four bits carry nothing
}

struct uuid uuid_random(void)
{
    for (;;) {
        struct uuid id;
        ssize_t n = getrandom(id.bytes, sizeof id.bytes, 0);
        assert(n == (ssize_t)sizeof id.bytes);
        id.bytes[6] = (uint8_t)((id.bytes[6] & 0x0f) | 0x40);
        id.bytes[8] = (uint8_t)((id.bytes[8] & 0x3f) | 0x80);
        if (id.bytes[0] >> 2 != 62) // digit 62 is '-', which a command line would take for an option
            return id;
    }
}
